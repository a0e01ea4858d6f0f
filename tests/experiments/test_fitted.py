"""Dice on training patients beside Dice out of fold."""

import pandas as pd
import pytest

from experiments import fitted
from experiments.maps import run_maps
from lggseg import dice, load_checkpoint


def test_trained_on_means_trained_on_and_never_seen_the_stored_map(run_done, cohort):
    maps = {patient: probability for _, patient, probability in run_maps(run_done)}
    never = {row["patient"]: row["dice"] for row in fitted.out_of_fold(run_done, cohort)}
    trained = {row["patient"]: row["dice"] for row in fitted.fitted(run_done, cohort)}
    assert sorted(never) == sorted(trained) == cohort.patients
    for patient in run_done.folds[1].train[:2]:
        volume, network = cohort.volume(patient), load_checkpoint(run_done.network(1))
        assert patient in network.training_patients
        assert trained[patient] == dice(network.probability(volume.image) >= 0.5, volume.mask)
        assert never[patient] == dice(maps[patient] >= 0.5, volume.mask)


def test_command(run_done, cohort, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fitted, "open_cohort", lambda path: cohort)
    fitted.main([str(run_done.out), "--every", "4", "--out", str(tmp_path / "all.csv")])
    table = pd.read_csv(tmp_path / "all.csv")
    assert table.groupby("run").size().to_dict() == {"never_seen": 4, "trained_on": 1}
    assert "trained_on" in capsys.readouterr().out


@pytest.mark.parametrize("every", ["0", "-1", "x"])
def test_every_so_manieth(every, run_done, capsys):
    with pytest.raises(SystemExit) as left:
        fitted.main([str(run_done.out), "--every", every])
    assert left.value.code == 2 and "--every" in capsys.readouterr().err
