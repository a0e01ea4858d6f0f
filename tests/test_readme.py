"""README and its neighbours: short, no dead link, no command that is not there, code that runs,
columns explained.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dev.tools.build_site import PAGES

ROOT = Path(__file__).resolve().parent.parent


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def test_is_short():
    assert len(text("README.md").splitlines()) <= 160


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    here, targets = (ROOT / page).parent, re.findall(r"\]\(([^)#\s]+)", text(page))
    assert [
        target for target in targets if "://" not in target and not (here / target).exists()
    ] == []


@pytest.mark.parametrize("page", PAGES)
def test_targets_of_make_exist(page):
    named = set(re.findall(r"`?\bmake (?:CPU=1 )?([a-z][a-z0-9-]*)\b(?=[` ]|$)", text(page)))
    code = {
        name for name in named if f"`make {name}" in text(page) or f"\nmake {name}" in text(page)
    }
    assert code <= set(re.findall(r"^([a-z0-9-]+):", text("Makefile"), re.MULTILINE))


def python_blocks() -> list[str]:
    """The Python of README, in order."""
    return re.findall(r"```python\n(.*?)```", text("README.md"), re.DOTALL)


def run_python(code: str, folder: Path) -> str:
    """What the code prints, run in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, env=environment
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_first_block_is_short_and_runs(tmp_path):
    """From a cohort to a trained network, its scores and the viewer, in ten lines."""
    first, _ = python_blocks()
    assert len(first.strip().splitlines()) <= 10
    printed = run_python(first + "print(type(viewer).__name__, len(test))", tmp_path)
    assert "dice" in printed and printed.endswith("CohortViewer 12\n")


def test_the_second_block_runs(tmp_path):
    """One's own scan, here a small one, from file to viewer."""
    nibabel = pytest.importorskip("nibabel")
    volume = np.random.default_rng(0).integers(0, 255, (64, 64, 8)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([3.0, 3, 15, 1])), tmp_path / "scan.nii.gz")
    _, code = python_blocks()
    code += "print(tumour.shape == probability.shape == scan.image.shape[:3], tumour.dtype)"
    assert run_python(code, tmp_path) == "True bool\n"


def test_every_table_of_results_is_explained():
    page = text("lggseg/published/README.md")
    for table in (ROOT / "lggseg" / "published").glob("*.csv"):
        columns = table.read_text(encoding="utf-8").splitlines()[0].split(",")
        entry = page[page.index(f"[{table.name}]") :].split("\n- ")[0]
        assert [column for column in columns if f"`{column}`" not in entry] == [], table.name
