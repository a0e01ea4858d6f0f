"""Cross-validation: trained, stopped, resumed, shared, and refused."""

from dataclasses import replace

import pandas as pd
import pytest
import torch
from tiny_run import TINY

from experiments import crossval
from experiments.crossval import cross_validate, folds_of, options, start_of_fold
from experiments.maps import read_maps
from experiments.plan import Fold, k_folds, read_run
from lggseg import LggError, evaluate, load_checkpoint
from lggseg.model.checkpoint import read_checkpoint


@pytest.fixture
def config(tiny, tmp_path):
    return replace(tiny, out=str(tmp_path / "run"))


@pytest.fixture
def halves(cohort):
    return k_folds(cohort.patients, 2)


def test_every_patient_is_judged_by_a_network_that_never_saw_them(run_done, cohort):
    table = pd.read_csv(run_done.out / "patients.csv", index_col="patient")
    for k, fold in enumerate(run_done.folds):
        network = load_checkpoint(run_done.network(k))
        assert (
            network.training_patients == fold.train
            and table.index[table.fold == k].tolist() == fold.held_out
        )
        threshold, share = table.loc[fold.held_out[0], ["threshold", "min_component_share"]]
        judge = network.with_recipe(threshold=threshold, min_component_share=share)
        scores = evaluate(judge, cohort, fold.held_out, progress=False)
        # Maps are kept as bytes.
        pd.testing.assert_series_equal(scores.dice, table.dice[fold.held_out], atol=0.02)


def test_folds_differ_in_their_seeds(run_done):
    seeds = [
        read_checkpoint(run_done.folder(k) / "resume.pt")["identity"]["seed"] for k in range(2)
    ]
    assert seeds == [TINY.seed, TINY.seed + 1]


def test_goes_on_with_the_fold_it_was_stopped_in(cohort, config, halves, monkeypatch):
    def killed(model, cohort, patients, path):
        if "fold1" in str(path):
            raise KeyboardInterrupt
        predict(model, cohort, patients, path)

    predict = crossval.predict_maps
    monkeypatch.setattr(crossval, "predict_maps", killed)
    with pytest.raises(KeyboardInterrupt):
        cross_validate(cohort, config, halves, progress=False)
    assert len(pd.read_csv(f"{config.out}/patients.csv")) == 2
    monkeypatch.setattr(crossval, "predict_maps", predict)
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda *_: pytest.fail("trained again"))
    cross_validate(cohort, config, halves, progress=False)
    assert len(pd.read_csv(f"{config.out}/patients.csv")) == 4


def test_a_finished_run_is_not_repeated_and_with_other_settings_refused(
    run_done, tiny, cohort, monkeypatch, capsys
):
    monkeypatch.setattr(crossval, "train_fold", lambda *_: pytest.fail("trained again"))
    config = replace(tiny, out=str(run_done.out))
    cross_validate(cohort, replace(config, device="cpu"), run_done.folds, progress=False)
    assert "out of fold: Dice of 4 patients" in capsys.readouterr().out
    with pytest.raises(LggError, match="holds a run with other lr"):
        cross_validate(cohort, replace(config, lr=1e-4), run_done.folds, progress=False)
    with pytest.raises(LggError, match="with other patients or folds"):
        cross_validate(cohort, config, k_folds(cohort.patients, 3), progress=False)
    assert capsys.readouterr().out == ""


def test_one_fold_alone_and_then_the_other(run_done, cohort, config, halves):
    cross_validate(cohort, config, halves, only=[1], progress=False)
    run = read_run(config.out)
    assert (
        run.done() == [1] and not run.folder(0).exists() and not (run.out / "ensemble.pt").exists()
    )
    assert pd.read_csv(run.out / "patients.csv").patient.tolist() == halves[1].held_out
    cross_validate(cohort, config, halves, only=[0], progress=False)
    for table in ("patients.csv", "slices.csv", "choices.csv"):
        assert (run.out / table).read_bytes() == (run_done.out / table).read_bytes()
    assert (run.out / "ensemble.pt").exists()


def test_a_fold_that_does_not_exist_is_refused_before_anything_is_written(
    cohort, config, halves, tmp_path
):
    with pytest.raises(LggError, match="numbered from 0 to 1"):
        cross_validate(cohort, config, halves, only=[0, 2], progress=False)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_among_patients(cohort, config, halves):
    before = sorted(cohort.root.iterdir())
    with pytest.raises(LggError, match="holds the scan"):
        cross_validate(cohort, replace(config, out=str(cohort.root)), halves, progress=False)
    assert sorted(cohort.root.iterdir()) == before


def test_start_goes_on_from_the_same_fold(cohort, run_done, config):
    start = replace(config, start=str(run_done.out))
    cross_validate(cohort, start, run_done.folds, only=[1], progress=False)
    assert (
        load_checkpoint(read_run(config.out).network(1)).training_patients
        == run_done.folds[1].train
    )
    assert (
        start_of_fold(str(run_done.network(0)), 1) == str(run_done.network(0))
        and start_of_fold(None, 1) is None
    )


def test_start_from_another_split_is_refused(cohort, run_done, config):
    start = replace(config, start=str(run_done.out))
    with pytest.raises(LggError, match="in training and in validation"):
        cross_validate(cohort, start, k_folds(cohort.patients, 3), only=[1], progress=False)


def test_without_training_patients_the_start_is_judged_as_it_is(
    cohort, run_done, config, monkeypatch
):
    monkeypatch.setattr(crossval, "fit", lambda *_: pytest.fail("trained"))
    start = replace(config, start=str(run_done.network(0)))
    folds = [Fold([], run_done.folds[0].held_out)]
    run = cross_validate(cohort, start, folds, progress=False)
    same = zip(read_maps(run.maps(0)), read_maps(run_done.maps(0)), strict=True)
    assert all(mine[0] == theirs[0] and (mine[1] == theirs[1]).all() for mine, theirs in same)
    with pytest.raises(LggError, match="no training patients"):
        cross_validate(cohort, replace(config, out=f"{config.out}2"), folds, progress=False)


def test_options_say_which_folds(cohort, run_done):
    def chosen(*words):
        return folds_of(cohort.patients, options().parse_args(words))

    assert options().parse_args([]).folds == 5 and chosen("--folds", "3") == k_folds(
        cohort.patients, 3
    )
    left_out = cohort.summary.index[cohort.summary.site == "DU"].tolist()
    assert [fold.held_out for fold in chosen("--hold-out-site", "DU")] == [left_out]
    few = chosen("--folds", "2", "--train-patients", "1")
    assert [len(fold.train) for fold in few] == [1, 1] and few[0].held_out == run_done.folds[
        0
    ].held_out
    inner = chosen("--within", str(run_done.out), "1", "--folds", "2")
    assert sorted(patient for fold in inner for patient in fold.held_out) == run_done.folds[1].train
    for words in (["1x"], ["2"]):
        with pytest.raises(LggError, match="fold"):
            chosen("--within", str(run_done.out), *words)


def test_command(cohort, run_done, tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(crossval, "open_cohort", lambda path: cohort)
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(
        "size = 32\ncoarse_size = 16\nfeatures = 4\ndepth = 3\nepochs = 1\nbatch = 8\nema = 0.8\n"
    )
    crossval.main(
        [
            "--config",
            str(recipe),
            "--epoch-slices",
            "16",
            "--start",
            tiny.start,
            "--folds",
            "2",
            "--out",
            str(tmp_path / "run"),
        ]
    )
    assert (tmp_path / "run" / "patients.csv").read_bytes() == (
        run_done.out / "patients.csv"
    ).read_bytes()
    assert read_run(tmp_path / "run") == replace(run_done, out=tmp_path / "run")
