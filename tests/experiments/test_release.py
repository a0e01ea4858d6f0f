"""Releasing a cross-validation, whole or not at all; and what was released last."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import release as module
from experiments.plan import read_run
from experiments.release import PAGES, TABLES, figures, publish, release
from lggseg import LggError, load_checkpoint, load_pretrained
from lggseg.measures.trust import assess
from lggseg.model.segmenter import WEIGHTS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path):
    """An empty project with pages to stamp."""
    (tmp_path / "project" / "lggseg" / "weights").mkdir(parents=True)
    for page in PAGES:
        (tmp_path / "project" / page).write_text("# Title\n<!-- oof -->\nstale\n<!-- /oof -->\n")
    return tmp_path / "project"


@pytest.fixture
def run(run_done, tmp_path):
    """A finished run that a test may damage."""
    return read_run(shutil.copytree(run_done.out, tmp_path / "run"))


def files(project: Path) -> dict[str, bytes]:
    """Every file of the project and what it holds."""
    return {
        str(path.relative_to(project)): path.read_bytes()
        for path in project.rglob("*")
        if path.is_file()
    }


def test_weights_tables_and_figures_arrive(project, run):
    told = release(run, root=project)
    assert sorted(files(project)) == sorted(
        [
            *PAGES,
            "lggseg/weights/kaggle.pt",
            *(f"lggseg/published/{name}" for name in TABLES.values()),
        ]
    )
    shipped, trained = map(
        load_checkpoint, (project / "lggseg/weights/kaggle.pt", run.out / "ensemble.pt")
    )
    assert shipped.recipe == trained.recipe and shipped.patients == trained.patients
    assert (project / "lggseg/weights/kaggle.pt").stat().st_size < (
        run.out / "ensemble.pt"
    ).stat().st_size
    for name, target in TABLES.items():
        assert (project / "lggseg" / "published" / target).read_bytes() == (
            run.out / name
        ).read_bytes()
    for page in PAGES:
        assert (project / page).read_text() == f"# Title\n<!-- oof -->\n{told}\n<!-- /oof -->\n"


def test_joined_members_of_several_kinds_are_shipped_in_one_file(project, joined_run, cohort):
    release(joined_run, root=project)
    shipped = load_checkpoint(project / "lggseg" / "weights" / "kaggle.pt")
    trained = load_checkpoint(joined_run.out / "ensemble.pt")
    patient = cohort.patients[0]
    image = cohort.volume(patient).image
    found = shipped.without(patient).member_probabilities(image)
    assert len(found) == 2
    wanted = trained.without(patient).member_probabilities(image)
    np.testing.assert_allclose(found, wanted, atol=0.05)  # weights in 8 bits
    trust = assess(shipped, image).trust
    assert 0 <= trust.low <= trust.expected_dice <= trust.high <= 1


def test_figures_are_told_in_words():
    told = figures(
        pd.DataFrame({"patient": list("abc"), "fold": [0, 0, 1], "dice": [0.5, 0.7, 0.9]})
    )
    assert told.startswith("> Dice of 3 patients: mean 0.700 (") and "worst 0.500\n" in told
    assert told.endswith("> Mean per fold: 0.600, 0.900")


def damage(run, how: str, project: Path) -> None:
    """Damage one thing."""
    if how == "table":
        (run.out / "slices.csv").unlink()
    elif how == "rows":
        pd.read_csv(run.out / "patients.csv")[:-1].to_csv(run.out / "patients.csv", index=False)
    elif how == "fold":
        run.maps(1).unlink()
    elif how == "half":
        whole = (run.out / "ensemble.pt").read_bytes()
        (run.out / "ensemble.pt").write_bytes(whole[: len(whole) // 2])
    elif how == "page":
        (project / PAGES[1]).write_text("# Title\n<!-- oof -->\n")
    elif how == "network":
        shutil.copy(run.network(0), run.out / "ensemble.pt")


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("table", "is not finished"),
        ("rows", "is not finished"),
        ("fold", "is not finished"),
        ("half", "not a whole lggseg checkpoint"),
        ("page", "has no <!-- oof --> ... <!-- /oof --> to fill"),
        ("network", "trained on 2 patients, and the tables judge 4"),
    ],
)
def test_what_is_not_whole_replaces_nothing(project, run, how, told):
    damage(run, how, project)
    before = files(project)
    with pytest.raises(LggError, match=told):
        release(run, root=project)
    assert files(project) == before


def test_an_error_while_writing_replaces_nothing(project, run, monkeypatch):
    before = files(project)
    monkeypatch.setattr(
        Path, "write_bytes", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full"))
    )
    with pytest.raises(LggError, match="disk full"):
        release(run, root=project)
    assert files(project) == before


def test_weights_that_cannot_be_written_replace_nothing(project, run):
    before = files(project)
    with pytest.raises(LggError, match="bits"):
        publish(
            {project / "lggseg/weights/kaggle.pt": load_checkpoint(run.network(0))},
            7,
            {project / "new": b"x"},
        )
    assert files(project) == before


def test_command(run, monkeypatch, capsys):
    monkeypatch.setattr(module, "release", lambda run, bits: f"{run.out.name} in {bits} bits")
    module.main([str(run.out)])
    module.main([str(run.out), "--bits", "16"])
    assert capsys.readouterr().out == "run in 8 bits\nrun in 16 bits\n"


# --- what was released ---


def test_pages_tell_what_the_tables_hold():
    told = figures(pd.read_csv(ROOT / "lggseg" / "published" / "oof_features.csv"))
    assert all(told in (ROOT / page).read_text(encoding="utf-8") for page in PAGES)


COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@pytest.mark.parametrize("kind", sorted(file.stem for file in WEIGHTS.glob("*.pt")))
def test_the_model_card_describes_the_weights(kind):
    card = (ROOT / "lggseg/weights/README.md").read_text(encoding="utf-8")
    model = load_pretrained(kind)
    row = next(line for line in card.splitlines() if line.startswith(f"| `{kind}.pt` |"))
    count = len(model.networks)
    networks = "U-Net" if count == 1 else "U-Nets"
    assert re.search(rf"\| {COUNTS[count]} {networks}[ ,]", row)
    for network in model.networks:
        architecture = network.architecture
        millions = sum(p.numel() for p in network.parameters()) / 1e6
        described = (
            f"{architecture['features']} features, depth {architecture['depth']}, growth "
            f"{architecture['growth']:g}, {millions:.2f} million weights"
        )
        assert described in row
    assert f"threshold {model.recipe.threshold:g}" in row
    assert (
        f"under {model.recipe.min_component_share:g} of" in row
        or model.recipe.min_component_share == 0
    )


def test_the_shipped_network_learned_from_those_of_the_table():
    patients = sorted(pd.read_csv(ROOT / "lggseg" / "published" / "oof_features.csv").patient)
    assert load_pretrained("kaggle").training_patients == patients


def test_weights_are_small():
    """A clone must stay quick, and the page in which the networks run must load."""
    assert (WEIGHTS / "kaggle.pt").stat().st_size < 12_000_000
    assert (WEIGHTS / "phantom.pt").stat().st_size < 1_000_000


@pytest.mark.parametrize("page", [*PAGES, "experiments/README.md"])
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []
