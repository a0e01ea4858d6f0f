"""Weights judged by patients they never saw, and by no other."""

import pandas as pd
import pytest

from experiments import unseen
from lggseg import LggError, load_checkpoint


def test_only_the_unseen_are_judged(run_done, cohort, tmp_path, capsys):
    network = run_done.network(0)
    unseen.main(
        [
            "--weights",
            str(network),
            "--data",
            str(cohort.root),
            "--out",
            str(tmp_path / "unseen.csv"),
        ]
    )
    table = pd.read_csv(tmp_path / "unseen.csv")
    assert table.patient.tolist() == run_done.folds[0].held_out
    assert not table.seen.any()
    printed = capsys.readouterr().out
    assert f"Dice of {len(table)} patients" in printed and "networks: 1" in printed


def test_nobody_is_left(run_done, cohort):
    ensemble = load_checkpoint(run_done.out / "ensemble.pt")
    with pytest.raises(LggError, match="trained on all 4 patients"):
        unseen.unseen_patients(ensemble, cohort)


def test_figures_by_hospital():
    scores = pd.DataFrame({"dice": [0.5, 0.9, 0.8]}, index=["TCGA_CS_1", "TCGA_CS_2", "TCGA_HT_1"])
    found = unseen.by_hospital(scores)
    assert found.loc["CS"].tolist() == pytest.approx([2, 0.7, 0.7, 0.5])
    assert found.loc["HT"].tolist() == pytest.approx([1, 0.8, 0.8, 0.8])
