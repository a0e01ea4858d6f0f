from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import ndimage
from test_train import TINY

from experiments import crossval
from experiments.crossval import (
    choices,
    choose,
    cross_validate,
    join,
    read_probabilities,
    summary,
    train_fold,
    write_tables,
)
from lggseg import LggError, Segmenter, dice, evaluate, fold_patients, load_checkpoint
from lggseg.postprocess import postprocess


@pytest.fixture
def config(tmp_path):
    return replace(TINY, out=str(tmp_path), epochs=1, epoch_slices=16)


def test_every_patient_is_judged_by_a_network_that_never_saw_it(phantom_cohort, crossval_done):
    ensemble, out = crossval_done
    table = pd.read_csv(out / "patients.csv", index_col="patient")
    assert table.index.tolist() == phantom_cohort.patients
    for fold, network in enumerate(ensemble.networks):
        held_out = table.index[table.fold == fold]
        seen = ensemble.patients[fold]
        assert set(held_out).isdisjoint(seen) and len(seen) == 4
        threshold, share = table.loc[held_out[0], ["threshold", "min_component_share"]]
        member = Segmenter(network, replace(ensemble.recipe, threshold=threshold, min_component_share=share), [seen])
        scores = evaluate(member, phantom_cohort, held_out, progress=False)
        pd.testing.assert_series_equal(scores.dice, table.dice[held_out], atol=0.02)  # kept as bytes
    assert evaluate(ensemble, phantom_cohort, phantom_cohort.patients[:1], progress=False).seen.all()


def test_slices_add_up_to_patients(crossval_done):
    out = crossval_done[1]
    slices = pd.read_csv(out / "slices.csv").groupby("patient")[["tp", "fp", "fn"]].sum()
    table = pd.read_csv(out / "patients.csv", index_col="patient")
    assert (slices.tp + slices.fn).tolist() == table.tumour_voxels.tolist()
    dice = 2 * slices.tp / (2 * slices.tp + slices.fp + slices.fn)
    pd.testing.assert_series_equal(dice, table.dice, check_names=False, atol=1e-5)


def test_goes_on_with_the_fold_it_was_stopped_in(phantom_cohort, config, tmp_path, monkeypatch):
    def killed(model, *rest):
        if "fold1" in str(rest[-1]):
            raise KeyboardInterrupt
        return save(model, *rest)

    save = crossval.save_probabilities
    monkeypatch.setattr(crossval, "save_probabilities", killed)
    with pytest.raises(KeyboardInterrupt):
        cross_validate(phantom_cohort, config, folds=2, progress=False)
    assert len(pd.read_csv(tmp_path / "patients.csv")) == 4
    monkeypatch.setattr(crossval, "save_probabilities", save)
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda *_: pytest.fail("trained again"))
    cross_validate(phantom_cohort, config, folds=2, progress=False)
    assert len(pd.read_csv(tmp_path / "patients.csv")) == 8


def test_choices_are_the_dice_of_the_cleaned_masks():
    rng = np.random.default_rng(0)
    probability = ndimage.gaussian_filter(rng.random((4, 24, 24)), 1.5)
    probability = 0.8 * (probability - probability.min()) / np.ptp(probability)  # many islands above 0.5
    truth = probability > 0.5
    truth[2:] = False
    found = choices(probability, truth)
    assert found.nunique() > 10
    for threshold, keep in found.index:
        assert found[threshold, keep] == pytest.approx(dice(postprocess(probability, threshold, keep), truth))


def test_choices_of_an_empty_map():
    assert (choices(np.zeros((2, 8, 8)), np.ones((2, 8, 8), bool)) == 0).all()


@pytest.mark.parametrize("mean, chosen", [
    ({(0.3, 0.5): 0.8000, (0.4, 0.2): 0.7995, (0.4, 0.1): 0.7980}, (0.4, 0.2)),  # as good, and nearer to 0.5
    ({(0.3, 0.5): 0.8000, (0.4, 0.2): 0.7985}, (0.3, 0.5)),  # worse by more than 0.001
    ({(0.45, 0.1): 0.8, (0.55, 0.0): 0.8}, (0.45, 0.1)),  # as far from 0.5: then the larger keep
])
def test_choose_prefers_a_middling_threshold_and_a_thorough_clean_up(mean, chosen):
    assert choose(pd.DataFrame([mean, mean])) == chosen


def test_each_fold_is_cleaned_as_the_others_ask(phantom_cohort, tmp_path):
    """Faultless maps, but where fold 0 says 0.38 for tumour and 0.2 for the rest, fold 1 says 0.65 and 0.52."""
    for fold, (inside, outside) in enumerate([(0.38, 0.2), (0.65, 0.52)]):
        maps = {p: np.where(phantom_cohort.volume(p).mask, 255 * inside, 255 * outside).astype(np.uint8)
                for p in fold_patients(phantom_cohort.patients, 2)[fold]}
        (tmp_path / f"fold{fold}").mkdir()
        np.savez_compressed(tmp_path / f"fold{fold}" / "probability.npz", **maps)
    write_tables(phantom_cohort, tmp_path, 2)
    table = pd.read_csv(tmp_path / "patients.csv").groupby("fold")
    assert table.threshold.unique().map(list).to_dict() == {0: [0.55], 1: [0.35]}
    assert table.dice.max()[0] == 0 and table.dice.max()[1] < 0.2  # each fold suffers from the other's choice


def test_the_ensemble_is_cleaned_as_all_ask(crossval_done, phantom_cohort):
    tried = pd.DataFrame({p: choices(m, phantom_cohort.volume(p).mask)
                          for p, (_, m) in read_probabilities(crossval_done[1], 2).items()}).T
    assert (crossval_done[0].recipe.threshold, crossval_done[0].recipe.min_component_share) == choose(tried)


def test_folds_of_another_cross_validation_are_refused(crossval_done, phantom_cohort):
    config = replace(TINY, out=str(crossval_done[1]), epochs=1)
    with pytest.raises(LggError, match="another cohort or number of folds"):
        train_fold(phantom_cohort, config, 1, 3, progress=False)
    with pytest.raises(LggError, match="numbered from 0 to 1"):
        train_fold(phantom_cohort, config, 2, 2, progress=False)


def test_one_fold_alone(phantom_cohort, config, tmp_path):
    train_fold(phantom_cohort, config, 1, 2, progress=False)
    assert set(read_probabilities(tmp_path, 2)) == set(fold_patients(phantom_cohort.patients, 2)[1])
    assert not (tmp_path / "fold0").exists()


def test_start_goes_on_from_the_same_fold(phantom_cohort, crossval_done, config, tmp_path):
    start = replace(config, out=str(tmp_path), start=str(crossval_done[1]))
    assert train_fold(phantom_cohort, start, fold=1, folds=2, progress=False)
    more = load_checkpoint(tmp_path / "fold1" / "last.pt")
    assert more.training_patients == crossval_done[0].patients[1]


def test_start_from_another_split_is_refused(phantom_cohort, crossval_done, config):
    start = replace(config, start=str(crossval_done[1]))
    with pytest.raises(LggError, match="in training and in validation"):
        train_fold(phantom_cohort, start, fold=1, folds=3, progress=False)


def test_joined_cross_validations_answer_together(phantom_cohort, crossval_done, config, tmp_path):
    first, second, out = crossval_done[1], tmp_path / "second", tmp_path / "joined"
    cross_validate(phantom_cohort, replace(config, out=str(second), seed=5), folds=2, progress=False)
    ensemble = join(phantom_cohort, [first, second], out, folds=2)
    assert len(ensemble.networks) == 4 and not ensemble.recipe.flip
    patient = phantom_cohort.patients[0]
    judge = load_checkpoint(out / "ensemble.pt").without(patient)
    assert len(judge.networks) == 2 and patient not in judge.training_patients
    maps = [read_probabilities(part, 2)[patient][1] for part in (first, second)]
    both = Segmenter(judge.networks, replace(judge.recipe, flip=True), judge.patients)
    mean = both.probability(phantom_cohort.volume(patient).image)
    np.testing.assert_allclose(mean, (maps[0] + maps[1]) / 2, atol=0.02)  # kept as bytes, weights in 8 bits
    row = pd.read_csv(out / "patients.csv", index_col="patient").loc[patient]
    found = postprocess((maps[0] + maps[1]) / 2, row.threshold, row.min_component_share)
    assert row.dice == pytest.approx(dice(found, phantom_cohort.volume(patient).mask), abs=1e-5)


def test_unfinished_parts_are_not_joined(phantom_cohort, crossval_done, config, tmp_path):
    train_fold(phantom_cohort, config, 0, 2, progress=False)
    (tmp_path / "fold0" / "probability.npz").unlink()
    with pytest.raises(LggError, match="lacks fold 0; finish it"):
        join(phantom_cohort, [crossval_done[1], tmp_path], tmp_path / "joined", folds=2)
    with pytest.raises(LggError, match="another cohort or number of folds"):
        join(phantom_cohort, [crossval_done[1]], tmp_path / "joined", folds=3)


def test_summary():
    assert summary(np.array([0.5, 0.5])) == ("Dice of 2 patients: mean 0.500 (0.500 to 0.500), "
                                             "median 0.500 (0.500 to 0.500), worst 0.500")
    assert "mean 0.500 (0.0" in summary(np.array([0.0, 1.0]))
