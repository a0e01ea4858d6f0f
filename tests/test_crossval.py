from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import ndimage
from test_train import TINY

from lggseg import crossval
from lggseg.crossval import choices, choose, cross_validate, read_probabilities, summary, train_fold
from lggseg.data import fold_patients
from lggseg.metrics import dice
from lggseg.predict import clean, evaluate


@pytest.fixture
def config(tmp_path):
    return replace(TINY, out=str(tmp_path), epochs=1, epoch_slices=16)


@pytest.fixture(scope="module")
def done(phantom_cohort, tmp_path_factory):
    """The ensemble of a whole run, and its folder."""
    out = tmp_path_factory.mktemp("crossval")
    return cross_validate(phantom_cohort, replace(TINY, out=str(out), epochs=1), folds=2, progress=False), out


def test_every_patient_is_judged_by_a_network_that_never_saw_it(phantom_cohort, done):
    ensemble, out = done
    table = pd.read_csv(out / "patients.csv", index_col="patient")
    assert table.index.tolist() == phantom_cohort.patients
    for fold, member in enumerate(ensemble.members):
        held_out = table.index[table.fold == fold]
        assert set(held_out).isdisjoint(member.training_patients) and len(member.training_patients) == 4
        threshold, keep = table.loc[held_out[0], ["threshold", "keep"]]
        member.recipe = replace(member.recipe, threshold=threshold, keep=keep)
        scores = evaluate(member, phantom_cohort, held_out, progress=False)
        pd.testing.assert_series_equal(scores.dice, table.dice[held_out], atol=0.02)  # kept as bytes
    assert evaluate(ensemble, phantom_cohort, phantom_cohort.patients[:1], progress=False).seen.all()


def test_slices_add_up_to_patients(done):
    out = done[1]
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
    probability = (probability - probability.min()) / np.ptp(probability)
    truth = probability > 0.6
    truth[2:] = False
    found = choices(probability, truth)
    assert found.nunique() > 10
    for threshold, keep in found.index:
        assert found[threshold, keep] == pytest.approx(dice(clean(probability, threshold, keep), truth))


def test_choices_of_an_empty_map():
    assert (choices(np.zeros((2, 8, 8)), np.ones((2, 8, 8), bool)) == 0).all()


def test_each_fold_is_cleaned_as_the_others_ask(done, phantom_cohort):
    table = pd.read_csv(done[1] / "patients.csv", index_col="patient")
    tried = pd.DataFrame({p: choices(m, phantom_cohort.volume(p).mask)
                          for p, (_, m) in read_probabilities(done[1], 2).items()}).T.loc[table.index]
    for fold in (0, 1):
        asked = choose(tried[table.fold != fold])
        assert set(table[table.fold == fold][["threshold", "keep"]].itertuples(index=False, name=None)) == {asked}
    assert (done[0].recipe.threshold, done[0].recipe.keep) == choose(tried)


def test_one_fold_alone(phantom_cohort, config, tmp_path):
    train_fold(phantom_cohort, config, 1, 2, progress=False)
    assert set(read_probabilities(tmp_path, 2)) == set(fold_patients(phantom_cohort.patients, 2)[1])
    assert not (tmp_path / "fold0").exists()


def test_summary():
    assert summary(np.array([0.5, 0.5])) == ("Dice of 2 patients: mean 0.500 (0.500 to 0.500), "
                                             "median 0.500 (0.500 to 0.500), worst 0.500")
    assert "mean 0.500 (0.0" in summary(np.array([0.0, 1.0]))
