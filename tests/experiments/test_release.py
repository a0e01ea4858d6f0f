"""Shipping a cross-validation, whole or not at all; and what was shipped last."""

import re
from pathlib import Path

import pandas as pd
import pytest
import ship

from lggseg.checkpoint import WEIGHTS, Ensemble, load_checkpoint, load_pretrained, save_checkpoint
from lggseg.errors import LggError
from lggseg.unet import UNet

ROOT = Path(__file__).resolve().parent.parent
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
    members = [UNet(features=2, depth=2) for _ in range(2)]
    for member, patients in zip(members, (["c"], ["a", "b"])):
        member.training_patients = patients
    save_checkpoint(Ensemble(members), tmp_path / "out" / "ensemble.pt")
    return tmp_path


def test_weights_tables_and_figures_arrive(project):
    ship.ship(project / "out", project)
    assert len(load_checkpoint(project / "lggseg/weights/kaggle.pt").members) == 2
    pd.testing.assert_frame_equal(pd.read_csv(project / "results/oof_features.csv"), PATIENTS)
    page = (project / "README.md").read_text()
    assert "Dice of 3 patients: mean 0.700" in page and "Mean per fold: 0.600, 0.900" in page and "stale" not in page


@pytest.mark.parametrize("table", ["slices.csv", "patients.csv"])
def test_an_unfinished_cross_validation_replaces_nothing(project, table):
    if table == "patients.csv":
        PATIENTS[:2].to_csv(project / "out" / table, index=False)
    else:
        (project / "out" / table).unlink()
    with pytest.raises(LggError, match="is not finished"):
        ship.ship(project / "out", project)
    assert not list((project / "results").iterdir()) and "stale" in (project / "README.md").read_text()


def test_a_page_without_a_place_for_the_figures_replaces_nothing(project):
    (project / "README.md").write_text("# Title")
    with pytest.raises(ValueError, match="no <!-- oof -->"):
        ship.ship(project / "out", project)
    assert not list((project / "results").iterdir())


def test_half_a_file_replaces_nothing(project):
    whole = (project / "out" / "ensemble.pt").read_bytes()
    (project / "out" / "ensemble.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LggError, match="not a whole lggseg checkpoint"):
        ship.ship(project / "out", project)
    assert not list((project / "results").iterdir()) and "stale" in (project / "README.md").read_text()


# --- what was shipped ---

def test_pages_tell_what_the_tables_hold():
    told = ship.figures(pd.read_csv(ROOT / "results" / "oof_features.csv"))
    assert all(told in (ROOT / page).read_text() for page in ("README.md", "lggseg/weights/README.md"))


def test_the_model_card_describes_the_weights():
    card, model = (ROOT / "lggseg/weights/README.md").read_text(), load_pretrained("kaggle")
    told = re.search(r"ensemble of (\w+) U-Nets \((\d+) features, depth (\d), growth (\d); ([\d.]+) million", card)
    number, *settings, millions = told.groups()
    architecture = model.members[0].architecture
    assert {"four": 4, "eight": 8, "twelve": 12}[number] == len(model.members)
    assert [float(s) for s in settings] == [architecture[name] for name in ("features", "depth", "growth")]
    assert float(millions) == round(sum(p.numel() for p in model.members[0].parameters()) / 1e6, 2)
    table = pd.read_csv(ROOT / "results" / "oof_features.csv", index_col="patient")
    for i, member in enumerate(model.members):  # fold by fold, once for each stage
        assert sorted(table.index[table.fold != i % (table.fold.max() + 1)]) == member.training_patients


def test_weights_fit_into_16_megabytes():
    assert sum(file.stat().st_size for file in WEIGHTS.iterdir()) < 16_000_000


@pytest.mark.parametrize("page", ["README.md", "lggseg/weights/README.md"])
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []
