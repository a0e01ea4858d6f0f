"""The weights for phantoms."""

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_run import TINY

from experiments import phantoms
from experiments.tables import choices, choose
from lggseg import dice, load_checkpoint
from lggseg.training.build import build_model


def test_threshold_and_share_are_those_that_suit_the_second_cohort(cohort):
    model = build_model(TINY)
    best, found = phantoms.tune(model, cohort)
    volumes = [cohort.volume(patient) for patient in cohort.patients]
    tried = pd.DataFrame(
        [choices(model.probability(volume.image), volume.mask) for volume in volumes]
    )
    assert (best.recipe.threshold, best.recipe.min_component_share) == choose(tried)
    np.testing.assert_allclose(
        found, [dice(best.segment(volume.image), volume.mask) for volume in volumes]
    )


@pytest.fixture
def drawn(cohort, monkeypatch):
    """What the command asks to be drawn, in whose place it gets the small cohort."""
    asked = []
    monkeypatch.setattr(phantoms, "write_phantom_cohort", lambda *words: asked.append(words))
    monkeypatch.setattr(phantoms, "open_cohort", lambda path: cohort)
    return asked


SMALL = ["--patients", "4", "3", "--size", "32", "--coarse-size", "32", "--features", "4"]
SMALL += ["--depth", "3", "--epochs", "1", "--epoch-slices", "8", "--batch", "8"]


def test_command(cohort, drawn, tmp_path, capsys):
    phantoms.main([*SMALL, "--out", str(tmp_path)])
    assert drawn == [(tmp_path / "seed1", 4, 1), (tmp_path / "seed2", 3, 2)]
    assert "Dice of 4 patients" in capsys.readouterr().out
    shipped = load_checkpoint(tmp_path / "phantom.pt")
    assert shipped.training_patients == [f"{patient} (seed 1)" for patient in cohort.patients]
    assert shipped.without(cohort.patients[0]) is shipped


def test_one_network_per_seed(cohort, drawn, tmp_path):
    phantoms.main([*SMALL, "--seeds", "3", "4", "--out", str(tmp_path), "--bits", "32"])
    shipped = load_checkpoint(tmp_path / "phantom.pt")
    assert shipped.patients == [[f"{patient} (seed 1)" for patient in cohort.patients]] * 2
    for seed, network in zip((3, 4), shipped.networks, strict=True):
        alone = load_checkpoint(tmp_path / f"training{seed}" / "last.pt")
        assert torch.equal(network.head.weight, alone.networks[0].head.weight)
    assert not torch.equal(shipped.networks[0].head.weight, shipped.networks[1].head.weight)
