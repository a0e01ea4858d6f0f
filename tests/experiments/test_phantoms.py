"""The weights for phantoms."""

import numpy as np
import pandas as pd
from tiny_run import TINY

from experiments import phantoms
from experiments.tables import choices, choose
from lggseg import dice, load_checkpoint
from lggseg.training.build import build_model


def test_threshold_and_share_are_those_that_suit_the_second_cohort(cohort):
    model = build_model(TINY)
    best, found = phantoms.tuned(model, cohort)
    volumes = [cohort.volume(patient) for patient in cohort.patients]
    tried = pd.DataFrame([choices(model.probability(volume.image), volume.mask) for volume in volumes])
    assert (best.recipe.threshold, best.recipe.min_component_share) == choose(tried)
    np.testing.assert_allclose(found, [dice(best.segment(volume.image), volume.mask) for volume in volumes])


def test_command(cohort, tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(phantoms, "write_phantom_cohort", lambda *words: asked.append(words))
    monkeypatch.setattr(phantoms, "open_cohort", lambda path: cohort)
    phantoms.main(["--patients", "4", "3", "--size", "32", "--coarse-size", "32", "--features", "4", "--depth", "3",
                   "--epochs", "1", "--epoch-slices", "8", "--batch", "8", "--out", str(tmp_path)])
    assert asked == [(tmp_path / "seed1", 4, 1), (tmp_path / "seed2", 3, 2)]
    assert "Dice of 4 patients" in capsys.readouterr().out
    shipped = load_checkpoint(tmp_path / "phantom.pt")
    assert shipped.training_patients == [f"{patient} (seed 1)" for patient in cohort.patients]
    assert shipped.without(cohort.patients[0]) is shipped
