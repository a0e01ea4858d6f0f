"""Shipping a cross-validation: whole or not at all."""

import pandas as pd
import pytest
import ship

from lggseg.checkpoint import Ensemble, load_checkpoint, save_checkpoint
from lggseg.errors import LggError
from lggseg.unet import UNet

PATIENTS = pd.DataFrame({"patient": ["a", "b", "c"], "fold": [0, 0, 1], "dice": [0.5, 0.7, 0.9]})


@pytest.fixture
def project(tmp_path):
    """An empty project with a page to stamp, and a finished cross-validation in `out`."""
    for folder in ("results", "lggseg/weights", "out"):
        (tmp_path / folder).mkdir(parents=True)
    for page in ("README.md", "lggseg/weights/README.md"):
        (tmp_path / page).write_text("# Title\n<!-- oof -->\nstale\n<!-- /oof -->\n")
    for table in ship.TABLES:
        PATIENTS.to_csv(tmp_path / "out" / table, index=False)
    save_checkpoint(Ensemble([UNet(features=2, depth=2) for _ in range(2)]), tmp_path / "out" / "ensemble.pt")
    return tmp_path


def test_weights_tables_and_figures_arrive(project):
    ship.ship(project / "out", project)
    assert len(load_checkpoint(project / "lggseg/weights/kaggle.pt").members) == 2
    pd.testing.assert_frame_equal(pd.read_csv(project / "results/oof_features.csv"), PATIENTS)
    page = (project / "README.md").read_text()
    assert "Dice of 3 patients: mean 0.700" in page and "Mean per fold: 0.600, 0.900" in page and "stale" not in page


def test_half_a_file_replaces_nothing(project):
    whole = (project / "out" / "ensemble.pt").read_bytes()
    (project / "out" / "ensemble.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LggError, match="not a whole lggseg checkpoint"):
        ship.ship(project / "out", project)
    assert not list((project / "results").iterdir()) and "stale" in (project / "README.md").read_text()
