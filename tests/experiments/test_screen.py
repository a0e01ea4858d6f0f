"""The comparison of recipes, on made-up scores."""

from dataclasses import fields

import pandas as pd
import pytest
import screen

from lggseg import TrainConfig


def scores(run: str, dice: list[float]) -> pd.DataFrame:
    patients = pd.Index(["a", "b", "c"], name="patient")
    return pd.DataFrame({"dice": dice, "run": run, "train_seconds": 60}, index=patients)


def test_table_compares_patient_by_patient():
    table = screen.table(pd.concat([scores("base", [0.5, 0.6, 0.7]), scores("other", [0.6, 0.7, 0.8])]))
    assert table.loc["other", ["difference", "low", "high"]].tolist() == pytest.approx([0.1] * 3)
    assert table.loc["base", "mean"] == pytest.approx(0.6) and table.loc["base", "difference"] == 0


def test_the_interval_tells_how_much_patients_disagree():
    table = screen.table(pd.concat([scores("base", [0.5, 0.6, 0.7]), scores("other", [0.4, 0.6, 0.8])]))
    assert table.low["other"] < 0 < table.high["other"]


def test_a_run_takes_the_place_of_an_older_one(tmp_path, monkeypatch):
    monkeypatch.setattr(screen, "RESULTS", tmp_path / "screen.csv")
    for run, dice in (("base", 0.5), ("other", 0.6), ("other", 0.7)):
        screen.keep(scores(run, [dice] * 3))
    stored = pd.read_csv(tmp_path / "screen.csv", index_col="patient")
    assert len(stored) == 6
    assert stored.groupby("run").dice.mean().to_dict() == pytest.approx({"base": 0.5, "other": 0.7})


def test_every_run_changes_settings_that_exist():
    known = {field.name for field in fields(TrainConfig)}
    assert screen.RUNS["base"] == {} and all(set(change) <= known for change in screen.RUNS.values())


def test_runs_are_compared_on_the_patients_they_share():
    part = scores("part", [0.7, 0.7, 0.7]).iloc[:1]
    table = screen.table(pd.concat([scores("base", [0.5, 0.6, 0.7]), part]))
    assert table.loc["part", ["n", "difference", "low", "high"]].tolist() == pytest.approx([1, 0.2, 0.2, 0.2])
    assert screen.table(part).difference.isna().all()
