"""README and its neighbours: short, no dead link, no command that is not there, code that runs, columns explained."""

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
    assert [target for target in targets if "://" not in target and not (here / target).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_targets_of_make_exist(page):
    named = set(re.findall(r"`?\bmake (?:CPU=1 )?([a-z][a-z0-9-]*)\b(?=[` ]|$)", text(page)))
    code = {name for name in named if f"`make {name}" in text(page) or f"\nmake {name}" in text(page)}
    assert code <= set(re.findall(r"^([a-z0-9-]+):", text("Makefile"), re.MULTILINE))


def test_python_of_readme_runs(tmp_path):
    """One's own scan, here a small one, from file to viewer."""
    nibabel = pytest.importorskip("nibabel")
    volume = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / "scan.nii.gz")
    [code] = re.findall(r"```python\n(.*?)```", text("README.md"), re.DOTALL)
    code += "print(tumour.shape == probability.shape == scan.image.shape[:3], tumour.dtype)"
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
                         env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert run.stdout == "True bool\n", run.stderr


def test_every_table_of_results_is_explained():
    page = text("lggseg/published/README.md")
    for table in (ROOT / "lggseg" / "published").glob("*.csv"):
        columns = table.read_text(encoding="utf-8").splitlines()[0].split(",")
        entry = page[page.index(f"[{table.name}]"):].split("\n- ")[0]
        assert [column for column in columns if f"`{column}`" not in entry] == [], table.name


def test_the_citation_is_of_this_version():
    version = re.search(r'^version = "(.+)"$', text("pyproject.toml"), re.MULTILINE)[1]
    assert f"\nversion: {version}\n" in text("CITATION.cff")
