from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from test_train import TINY

from lggseg import crossval
from lggseg.crossval import cross_validate, summary
from lggseg.predict import evaluate


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


def test_summary():
    assert summary(np.array([0.5, 0.5])) == ("Dice of 2 patients: mean 0.500 (0.500 to 0.500), "
                                             "median 0.500 (0.500 to 0.500), worst 0.500")
    assert "mean 0.500 (0.0" in summary(np.array([0.0, 1.0]))
