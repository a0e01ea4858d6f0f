"""Weights averaged, network by network."""

import numpy as np
import pytest
import torch
from tiny_run import TINY

from experiments import average
from experiments.average import mean_of_weights
from experiments.maps import run_maps
from experiments.plan import read_run
from lggseg import LggError, Segmenter, UNet, load_checkpoint
from lggseg.training.build import build_model


def network(value: float, steps: int) -> Segmenter:
    """All weights alike; a norm has seen so many steps."""
    made = Segmenter(UNet(in_channels=3, out_channels=1, features=2, depth=2), patients=[["A"]])
    for values in made.state_dict().values():
        values.fill_(steps if values.dtype == torch.int64 else value)
    return made


def test_each_weight_is_the_mean():
    mean = mean_of_weights(network(1.0, 10), network(4.0, 20))
    state = mean.state_dict()
    assert {values.dtype for values in state.values()} == {torch.float32, torch.int64}
    for values in state.values():
        assert (values == (15 if values.dtype == torch.int64 else 2.5)).all()
    assert mean.training_patients == ["A"] and not mean.training


def test_neither_network_is_changed():
    before, after = network(1.0, 1), network(4.0, 1)
    mean_of_weights(before, after)
    for made, value in ((before, 1.0), (after, 4.0)):
        floats = [v for v in made.state_dict().values() if v.dtype == torch.float32]
        assert all((values == value).all() for values in floats)


def test_who_trained_either_trained_the_mean():
    before, after = network(1.0, 1), network(4.0, 1)
    after.patients = [["B"]]
    assert mean_of_weights(before, after).training_patients == ["A", "B"]


@pytest.mark.parametrize("other", [{"features": 3}, {"depth": 3}])
def test_networks_of_another_shape_are_refused(other):
    made = UNet(**{"in_channels": 3, "out_channels": 1, "features": 2, "depth": 2} | other)
    with pytest.raises(LggError, match="one architecture"):
        mean_of_weights(network(1.0, 1), Segmenter(made))


def test_a_run_averaged_with_itself_is_itself(run_done, cohort, tmp_path):
    made = average.average(cohort, run_done, run_done, tmp_path / "mean")
    for k in range(len(made.folds)):
        ours = load_checkpoint(made.network(k))
        theirs = load_checkpoint(run_done.network(k))
        assert ours.recipe == theirs.recipe and ours.patients == theirs.patients
        for name, values in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[name], values)
    expected = {patient: found for _, patient, found in run_maps(run_done)}
    for _, patient, found in run_maps(read_run(made.out)):
        np.testing.assert_array_equal(found, expected[patient])
    assert (made.out / "ensemble.pt").exists()


def test_runs_of_other_networks_are_refused(run_done, second_run, cohort, tmp_path):
    with pytest.raises(LggError, match="one architecture"):
        average.average(cohort, run_done, second_run, tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_the_mean_needs_a_folder_of_its_own(run_done, cohort, capsys):
    folder = str(run_done.out)
    with pytest.raises(SystemExit):
        average.main([folder, folder, "--out", folder, "--data", str(cohort.root)])
    assert "a folder of its own" in capsys.readouterr().err


def test_half_way_from_the_start_is_what_was_trained(cohort):
    """Of weights that lie a step apart the mean lies half a step from each."""
    before, after = build_model(TINY), build_model(TINY)
    with torch.no_grad():
        for parameter in after.parameters():
            parameter += 0.5
    mean = mean_of_weights(before, after)
    for name, values in before.named_parameters():
        torch.testing.assert_close(dict(mean.named_parameters())[name], values + 0.25)
