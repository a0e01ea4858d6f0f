"""Rough scans as a measure: figures worked by hand, honest judges, a command that goes on where it
was stopped.
"""

import numpy as np
import pandas as pd
import pytest

from experiments import robustness
from experiments.compare import read_scores
from experiments.maps import run_maps
from experiments.robustness import CLEAN, Judges
from lggseg import LggError, dice


def made_up(dices: dict[str, dict[str, float]]) -> pd.DataFrame:
    """A table from Dice by patient and change."""
    rows = [
        {"patient": patient, "change": change, "judge": "together", "dice": value}
        for patient, changes in dices.items()
        for change, value in changes.items()
    ]
    return pd.DataFrame(rows)


TABLE = made_up(
    {
        "A": {CLEAN: 0.9, "noise": 0.4, "gamma": 0.8},
        "B": {CLEAN: 0.6, "noise": 0.3, "gamma": 0.5},
    }
)


def test_scores_per_patient():
    found = robustness.score(TABLE)
    assert found.loc["A"].tolist() == pytest.approx([0.9, 0.6, 0.75, 0.4, 1])
    assert found.loc["B"].tolist() == pytest.approx([0.6, 0.4, 0.5, 0.3, 0])  # was not good before


def test_harsh_changes_count_in_no_figure():
    harsh = TABLE[TABLE.change == "gamma"].assign(change="noise 25", dice=0.0)
    found = robustness.score(pd.concat([TABLE, harsh]))
    pd.testing.assert_frame_equal(found, robustness.score(TABLE))


def test_summary_of_patients():
    row = robustness.summary(TABLE).loc["together"]
    assert row[
        ["patients", "clean", "changed", "both", "worst", "catastrophes"]
    ].tolist() == pytest.approx([2, 0.75, 0.5, 0.625, 0.35, 1])
    # Of two patients, drawn with return.
    assert row.low == pytest.approx(0.5) and row.high == pytest.approx(0.75)


def test_comparison_is_patient_by_patient():
    better = TABLE.assign(dice=TABLE.dice + 0.1)
    found = robustness.comparison(better, TABLE[TABLE.patient == "A"])
    assert found.shared.tolist() == [1, 1, 1, 1]
    assert found.difference.to_numpy() == pytest.approx(0.1)


SOME = (CLEAN, "noise 12", "every second slice", "noise 25")  # enough for the way, and quick


@pytest.fixture(scope="module", autouse=True)
def some_versions():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(robustness, "VERSIONS", SOME)
        yield


@pytest.fixture(scope="module")
def judged(cohort, run_done, second_run, tmp_path_factory):
    """Both runs together on the four patients, the work done in two parts."""
    out = tmp_path_factory.mktemp("rough")
    judges = Judges([run_done.out, second_run.out])
    for part in ((1, 2), (2, 2)):
        robustness.measure(cohort, judges, out, part, 0.5, 0.5)
    return out


def test_every_patient_and_version_has_a_row(judged, cohort):
    table = robustness.read_table(judged)
    assert sorted(table.patient.unique()) == cohort.patients
    for _, rows in table.groupby(["patient", "judge"]):
        assert tuple(rows.change) == SOME
    assert table.judge.unique().tolist() == ["together", "0", "1"]
    assert table[table.judge == "together"].agreement.notna().all()
    assert table[table.judge == "0"].agreement.isna().all()


def test_maps_of_two_commands_can_be_joined(
    judged, cohort, run_done, second_run, tmp_path, monkeypatch
):
    for name, run in (("one", run_done), ("two", second_run)):
        robustness.main(
            [str(run.out), "--data", str(cohort.root), "--out", str(tmp_path / name), "--maps-only"]
        )
    with monkeypatch.context() as patch:  # what is predicted is not predicted again
        patch.setattr(robustness, "version", None)
        again = ["--data", str(cohort.root), "--out", str(tmp_path / "one"), "--maps-only"]
        robustness.main([str(run_done.out), *again])
    judges = Judges([tmp_path / "one" / "maps", tmp_path / "two" / "maps"])
    robustness.measure(cohort, judges, tmp_path / "both", (1, 1), 0.5, 0.5)
    pd.testing.assert_frame_equal(
        robustness.read_table(tmp_path / "both"), robustness.read_table(judged)
    )


def test_a_folder_of_nothing(tmp_path):
    with pytest.raises(LggError, match="neither a cross-validation nor maps"):
        Judges([tmp_path])


def test_what_is_done_is_not_done_again(judged, cohort, run_done, monkeypatch):
    monkeypatch.setattr(robustness, "judge", None)
    robustness.measure(cohort, Judges([run_done.out]), judged, (1, 1), 0.5, 0.5)


def test_clean_dice_of_one_run_is_that_of_its_own_maps(cohort, run_done, tmp_path):
    robustness.measure(cohort, Judges([run_done.out]), tmp_path, (1, 1), 0.5, 0.0)
    table = robustness.read_table(tmp_path)
    assert table.judge.unique().tolist() == ["together"]
    clean = table[table.change == CLEAN].set_index("patient").dice
    for _, patient, probability in run_maps(run_done):
        expected = dice(probability >= 0.5, cohort.volume(patient).mask)
        assert clean[patient] == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_nobody_is_judged_by_a_network_that_saw_them(cohort, run_done):
    judges = Judges([run_done.out, run_done.out / "ensemble.pt"])
    for patient in judges.patients(cohort):
        chosen = judges.networks(patient)
        assert len(chosen) == 2
        assert all(patient not in segmenter.training_patients for segmenter in chosen)
    with pytest.raises(LggError, match="trained on"):
        Judges([run_done.network(0)]).networks(run_done.folds[0].train[0])


def test_a_folder_of_other_sources_is_refused(tmp_path):
    robustness.claim(tmp_path, {"sources": ["a"], "share": 0.5})
    robustness.claim(tmp_path, {"sources": ["a"], "share": 0.5})
    with pytest.raises(LggError, match="other sources"):
        robustness.claim(tmp_path, {"sources": ["b"], "share": 0.5})


def test_no_patient_yet(tmp_path):
    with pytest.raises(LggError, match="no patient is judged yet"):
        robustness.read_table(tmp_path)


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "a/b", "1/"])
def test_parts_that_are_none(text, capsys):
    with pytest.raises(SystemExit):
        robustness.main(["weights.pt", "--out", "there", "--part", text])
    assert "no part such as 1/2" in capsys.readouterr().err


def test_the_command_prints_figures_and_a_comparison(judged, cohort, run_done, second_run, capsys):
    settings = {
        "sources": [str(run_done.out.resolve()), str(second_run.out.resolve())],
        "threshold": 0.5,
        "share": 0.5,
    }
    robustness.claim(judged, settings)
    robustness.main(
        [
            str(run_done.out),
            str(second_run.out),
            "--data",
            str(cohort.root),
            "--out",
            str(judged),
            "--against",
            str(judged),
            "--scores",
            str(judged / "scores.csv"),
        ]
    )
    printed = capsys.readouterr().out
    assert "catastrophes" in printed and "noise 12" in printed
    scores = read_scores(judged / "scores.csv")
    assert scores.run.unique().tolist() == list(SOME)
    assert len(scores) == len(cohort.patients) * len(SOME)
    assert len(pd.read_csv(judged / "robustness.csv")) == len(cohort.patients) * len(SOME) * 3
    assert np.isclose(
        robustness.comparison(*[robustness.read_table(judged)] * 2).difference, 0
    ).all()
