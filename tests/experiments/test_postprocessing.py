"""The study of choices made after training."""

import numpy as np
import pandas as pd
import pytest
from tiny_run import made_up

from experiments import postprocessing
from experiments.maps import run_maps
from experiments.postprocessing import (
    clean_ups,
    from_stored_maps,
    predicted_again,
    read_choices,
    unseen_map,
)
from experiments.tables import write_tables
from lggseg import LggError, Segmenter, load_checkpoint

RUNS = list(clean_ups(0.5, 0.0))
WEIGHTS = ("weight_above", "weight_voxels", "weight_certain", "weight_contrast")


def frame(rows) -> pd.DataFrame:
    return pd.DataFrame(rows).pivot(index="patient", columns="run", values="dice")


def test_chosen_is_what_the_tables_say(run_done, cohort):
    table = pd.read_csv(run_done.out / "patients.csv", index_col="patient")
    found = frame(from_stored_maps(run_done, cohort))
    pd.testing.assert_series_equal(found.chosen, table.dice, check_names=False, atol=1e-5)
    assert found.columns.tolist() == sorted([*RUNS, "best_threshold"])
    assert (found.best_threshold >= found.chosen - 1e-9).all()


def test_each_run_changes_what_it_says(cohort, tmp_path):
    """Tumour at 0.6 and a spot of air at 0.52; the other fold need only keep both."""

    def map_of(k, truth):
        found = np.where(truth, 153, 0).astype(np.uint8)
        found[0, :3, :3] = 133
        return found

    run = made_up(cohort, tmp_path, map_of)
    write_tables(cohort, run)
    table = pd.read_csv(tmp_path / "patients.csv")
    table.assign(threshold=0.5, min_component_share=0.1).to_csv(
        tmp_path / "patients.csv", index=False
    )
    found = frame(from_stored_maps(run, cohort))
    assert (
        (found.chosen == 1).all()
        and (found["threshold_0.5"] == 1).all()
        and (found.best_threshold == 1).all()
    )
    assert (found.plain < 1).all() and (found.all_components == found.plain).all()


def test_weights_of_components_by_hand():
    """A small certain component, and a large doubtful one."""
    probability = np.array([[0.99, 0.99, 0.0, 0.6, 0.6, 0.6, 0.6]])
    found = postprocessing.component_weights(probability, 0.5)
    assert found["above"] == pytest.approx([0.98, 0.4])
    assert found["voxels"].tolist() == [2, 4]
    assert found["certain"].tolist() == [2, 0]
    assert found["contrast"] == pytest.approx([2 * 0.49**2, 4 * 0.01])


def test_dice_by_weight_is_that_of_the_components_kept():
    probability = np.array([[[0.99, 0.99, 0.0, 0.6, 0.6, 0.6, 0.6]]])
    truth = probability > 0.9
    found = postprocessing.dice_by_weight(probability, truth, 0.5)
    assert found["above", 1.0] == found["certain", 0.1] == 1
    assert found["above", 0.0] == found["certain", 0.0] == pytest.approx(2 * 2 / (6 + 2))
    assert found["voxels", 1.0] == 0


def test_the_share_is_chosen_on_the_other_folds(run_done, cohort, monkeypatch):
    """In one fold keeping all is best, in the other the heaviest alone."""
    all_is_best = pd.Series({("above", 0.0): 0.9, ("above", 1.0): 0.2})
    one_is_best = pd.Series({("above", 0.0): 0.3, ("above", 1.0): 0.8})
    folds = {patient: fold for fold, patient, _ in run_maps(run_done)}
    answers = iter([all_is_best if fold == 0 else one_is_best for fold in folds.values()])
    monkeypatch.setattr(postprocessing, "dice_by_weight", lambda *_: next(answers))
    found = frame(postprocessing.by_weight(run_done, cohort)).weight_above
    for patient, fold in folds.items():
        assert found[patient] == (0.2 if fold == 0 else 0.3)


@pytest.mark.parametrize("name", ["run_done", "joined_run"])
def test_who_predicts_anew_never_saw_the_patient(name, cohort, request, monkeypatch):
    run, asked = request.getfixturevalue(name), []
    probability = Segmenter.probability

    def noted(segmenter, image):
        asked.append(segmenter)
        return probability(segmenter, image)

    monkeypatch.setattr(Segmenter, "probability", noted)
    rows = list(predicted_again(run, cohort, "mirror", flip=True))
    assert len(asked) == len(rows) == 4
    for row, segmenter in zip(rows, asked):
        assert row["patient"] not in segmenter.training_patients and segmenter.recipe.flip
        assert len(segmenter.networks) == (2 if name == "joined_run" else 1)


def test_a_map_predicted_anew_without_a_change_is_the_stored_one(run_done, cohort):
    ensemble = load_checkpoint(run_done.out / "ensemble.pt")
    _, patient, stored = next(run_maps(run_done))
    volume = cohort.volume(patient)
    np.testing.assert_allclose(unseen_map(ensemble, volume), stored, atol=0.02)
    assert np.abs(unseen_map(ensemble, volume, size=48) - stored).max() > 0.02


def test_a_run_without_tables_is_told(tmp_path, cohort):
    run = made_up(cohort, tmp_path, lambda k, truth: 255 * truth.astype(np.uint8))
    with pytest.raises(LggError, match="not a readable table.*experiments.ensemble"):
        read_choices(run)


def test_command(joined_run, cohort, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(postprocessing, "open_cohort", lambda path: cohort)
    postprocessing.main(
        [str(joined_run.out), "--sizes", "48", "--mirror", "--out", str(tmp_path / "all.csv")]
    )
    assert "size_48" in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "all.csv").groupby("run").size().to_dict() == dict.fromkeys(
        [*RUNS, *WEIGHTS, "best_threshold", "size_48", "mirror"], 4
    )
