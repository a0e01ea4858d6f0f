"""Paired comparison, by numbers worked by hand."""

import numpy as np
import pandas as pd
import pytest

from experiments import compare
from experiments.compare import difference, interval, read_scores, table, write_scores
from lggseg import LggError


def scores(run: str, dice: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"patient": list("abcd")[: len(dice)], "run": run, "dice": dice})


def test_a_run_that_is_better_by_as_much_for_everybody():
    found = table(pd.concat([scores("base", [0.5, 0.6, 0.7]), scores("other", [0.6, 0.7, 0.8])]))
    assert found.index.tolist() == ["base", "other"]
    assert found.loc["other", ["difference", "low", "high"]].tolist() == pytest.approx([0.1] * 3)
    assert found.loc["base", ["mean", "median", "worst", "difference"]].tolist() == pytest.approx(
        [0.6, 0.6, 0.5, 0]
    )


def test_the_interval_is_that_of_all_draws_with_replacement():
    """Of two patients, gains -0.1 and 0.3, a draw's mean is -0.1, 0.1 or 0.3 with chances 1/4, 1/2,
    1/4.
    """
    two = difference(np.array([-0.1, 0.3]))
    assert two == pytest.approx({"shared": 2, "difference": 0.1, "low": -0.1, "high": 0.3})
    many = difference(np.repeat([-0.1, 0.3], 50))  # the mean's standard error is 0.2 / sqrt(100)
    assert (many["low"], many["high"]) == pytest.approx(
        (0.1 - 1.96 * 0.02, 0.1 + 1.96 * 0.02), abs=0.004
    )


def test_the_interval_of_one_patient_is_that_patient():
    assert interval(np.array([0.3]), np.mean) == (0.3, 0.3)


def test_runs_are_compared_on_the_patients_they_share():
    both = pd.concat([scores("base", [0.5, 0.6, np.nan, 0.9]), scores("part", [0.7, np.nan, 0.1])])
    found = table(both, "base")
    assert found.loc["part", ["n", "shared"]].tolist() == [2, 1] and found.loc["base", "n"] == 3
    assert found.loc["part", ["difference", "low", "high"]].tolist() == pytest.approx([0.2] * 3)
    assert found.loc["part", "mean"] == pytest.approx(0.4)
    assert found.loc["base", "mean"] == pytest.approx(2 / 3)
    alone = table(pd.concat([scores("base", [0.5]), scores("other", [np.nan, 0.3])]))
    assert alone.loc["other", "shared"] == 0 and np.isnan(alone.loc["other", "difference"])


def test_base_may_be_named():
    both = pd.concat([scores("first", [0.5]), scores("second", [0.6])])
    assert table(both, "second").loc["first", "difference"] == pytest.approx(-0.1)
    with pytest.raises(LggError, match="no run is called 'third'; there are first, second"):
        table(both, "third")


def test_a_patient_twice_is_told():
    with pytest.raises(LggError, match="a has two scores in the run base"):
        table(pd.concat([scores("base", [0.5]), scores("base", [0.6])]))


def test_a_folder_is_a_run(tmp_path):
    (tmp_path / "wide").mkdir()
    scores("", [0.5, 0.6]).drop(columns="run").assign(fold=0).to_csv(
        tmp_path / "wide" / "patients.csv", index=False
    )
    found = read_scores(tmp_path / "wide")
    assert found.columns.tolist() == ["patient", "run", "dice"] and found.run.tolist() == [
        "wide",
        "wide",
    ]


def test_kept_scores_are_read_again(tmp_path):
    both = pd.concat([scores("base", [0.5, 0.6]), scores("other", [0.7])])
    write_scores(both.assign(more=1), tmp_path / "new" / "kept.csv")
    pd.testing.assert_frame_equal(
        read_scores(tmp_path / "new" / "kept.csv"), both.reset_index(drop=True)
    )


def test_tables_that_are_none(tmp_path):
    (tmp_path / "a.csv").write_text("patient,dice\na,0.5\n")
    (tmp_path / "b.csv").write_text("")
    with pytest.raises(LggError, match="lacks the column run"):
        read_scores(tmp_path / "a.csv")
    for source in ("b.csv", "none.csv", "."):
        with pytest.raises(LggError, match="not a readable table"):
            read_scores(tmp_path / source)


def test_command(tmp_path, capsys):
    scores("base", [0.5, 0.6]).to_csv(tmp_path / "base.csv", index=False)
    scores("other", [0.4999, 0.5999]).to_csv(tmp_path / "other.csv", index=False)
    compare.main(
        [
            str(tmp_path / "base.csv"),
            str(tmp_path / "other.csv"),
            "--out",
            str(tmp_path / "all.csv"),
        ]
    )
    head, base, other = capsys.readouterr().out.splitlines()
    assert head.split() == ["n", "mean", "median", "worst", "shared", "difference", "low", "high"]
    assert base.split() == ["base", "2", "0.55", "0.55", "0.5", "2", "0.0", "0.0", "0.0"]
    assert "-0" not in other and len(read_scores(tmp_path / "all.csv")) == 4
