"""Tables of a cross-validation, and how threshold and clean-up are chosen."""

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage
from tiny_run import made_up

from experiments.maps import run_maps
from experiments.plan import Run
from experiments.tables import PLAIN, choices, choose, summary, write_tables
from lggseg import LggError, dice, shape_features
from lggseg.model.postprocess import postprocess


def test_choices_are_the_dice_of_the_cleaned_masks():
    rng = np.random.default_rng(0)
    probability = ndimage.gaussian_filter(rng.random((4, 24, 24)), 1.5)
    # Many islands above 0.5.
    probability = 0.8 * (probability - probability.min()) / np.ptp(probability)
    truth = probability > 0.5
    truth[2:] = False
    found = choices(probability, truth)
    assert found.nunique() > 10
    for threshold, share in found.index:
        assert found[threshold, share] == pytest.approx(
            dice(postprocess(probability, threshold, share), truth)
        )


def test_choices_of_an_empty_map():
    assert (choices(np.zeros((2, 8, 8)), np.ones((2, 8, 8), bool)) == 0).all()


@pytest.mark.parametrize(
    "mean, chosen",
    [
        # As good, and nearer to 0.5.
        ({(0.3, 0.5): 0.8000, (0.4, 0.2): 0.7995, (0.4, 0.1): 0.7980}, (0.4, 0.2)),
        ({(0.3, 0.5): 0.8000, (0.4, 0.2): 0.7985}, (0.3, 0.5)),  # worse by more than 0.001
        # As far from 0.5: then the larger share.
        ({(0.45, 0.1): 0.8, (0.55, 0.0): 0.8}, (0.45, 0.1)),
    ],
)
def test_choose_prefers_a_middling_threshold_and_a_thorough_clean_up(mean, chosen):
    assert choose(pd.DataFrame([mean, mean])) == chosen


def test_nobody_to_choose_by():
    assert choose(pd.DataFrame()) == PLAIN == (0.5, 0.0)


def test_each_fold_is_cleaned_as_the_others_ask(cohort, tmp_path):
    """Faultless maps, but where fold 0 says 0.38 for tumour and 0.2 for the rest, fold 1 says 0.65
    and 0.52.
    """
    levels = [(97, 51), (166, 133)]
    run = made_up(cohort, tmp_path, lambda k, truth: np.where(truth, *levels[k]).astype(np.uint8))
    write_tables(cohort, run)
    table = pd.read_csv(tmp_path / "patients.csv").groupby("fold")
    assert table.threshold.unique().map(list).to_dict() == {0: [0.55], 1: [0.35]}
    # Each fold suffers from the other's choice.
    assert table.dice.max()[0] == 0 and table.dice.max()[1] < 0.2


def test_one_fold_alone_is_not_cleaned_as_it_asks_itself(cohort, tmp_path):
    run = made_up(cohort, tmp_path, lambda k, truth: np.where(truth, 97, 51).astype(np.uint8))
    run.maps(1).unlink()
    assert write_tables(cohort, run)[0] == 0.35  # for new patients
    table = pd.read_csv(tmp_path / "patients.csv")
    assert len(table) == 2 and (table.threshold == 0.5).all() and (table.dice == 0).all()


def test_rows_are_what_the_masks_say(run_done, cohort):
    patients = pd.read_csv(run_done.out / "patients.csv", index_col="patient")
    slices = pd.read_csv(run_done.out / "slices.csv")
    assert patients.index.tolist() == cohort.patients
    for fold, patient, probability in run_maps(run_done):
        row, volume = patients.loc[patient], cohort.volume(patient)
        mask = postprocess(probability, row.threshold, row.min_component_share)
        assert (row.fold, row.dice) == (fold, pytest.approx(dice(mask, volume.mask), abs=1e-6))
        assert (row.tumour_voxels, row.predicted_voxels) == (volume.mask.sum(), mask.sum())
        assert row.bevr == pytest.approx(shape_features(mask)["bevr"], abs=1e-5, nan_ok=True)
        mine = slices[slices.patient == patient]
        assert (
            mine.k.tolist() == list(range(1, len(mask) + 1))
            and mine.tp.sum() == (mask & volume.mask).sum()
        )
        assert (mine.tp.sum() + mine.fn.sum(), mine.tp.sum() + mine.fp.sum()) == (
            volume.mask.sum(),
            mask.sum(),
        )


def test_choices_are_means_over_patients(run_done, cohort):
    table = pd.read_csv(
        run_done.out / "choices.csv", index_col=["threshold", "min_component_share"]
    ).mean_dice
    maps = {patient: probability for _, patient, probability in run_maps(run_done)}
    found = np.mean([dice(postprocess(maps[p], 0.4, 0.2), cohort.volume(p).mask) for p in maps])
    assert table[0.4, 0.2] == pytest.approx(found, abs=1e-4) and len(table) == 63


def test_nothing_is_done_yet(cohort, tmp_path):
    with pytest.raises(LggError, match="no fold is finished"):
        write_tables(cohort, Run(tmp_path, {}, []))


def test_summary():
    assert summary(np.array([0.5, 0.5, np.nan])) == (
        "Dice of 2 patients: mean 0.500 (0.500 to 0.500), "
        "median 0.500 (0.500 to 0.500), worst 0.500"
    )
    assert "mean 0.500 (0.0" in summary(np.array([0.0, 1.0]))
