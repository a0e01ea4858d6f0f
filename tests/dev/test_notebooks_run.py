"""Notebooks on a handful of patients, and with their cells run again: no cell may fail.

The cells run in this process and no figure is drawn, which takes a fraction of a real run's time.
"""

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import nbformat
import pytest
from matplotlib import pyplot as plt

from lggseg import open_cohort, write_phantom_cohort

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
QUICK = ["01", "02", "05", "07"]  # these train nothing


def code_cells(number: str) -> dict[str, str]:
    """Source of each code cell by its id, in order."""
    path = next(NOTEBOOKS.glob(f"{number}_*.ipynb"))
    notebook = nbformat.read(path, as_version=4)
    return {cell.id: cell.source for cell in notebook.cells if cell.cell_type == "code"}


def run_cell(number: str, name: str, source: str, names: dict) -> str:
    """What a cell prints; `names` are the notebook's variables."""
    printed = io.StringIO()
    code = compile(source, f"notebook {number}, cell {name}", "exec")
    try:
        with redirect_stdout(printed):
            exec(code, names)
    finally:
        plt.close("all")
    return printed.getvalue()


def run_notebook(number: str) -> tuple[dict[str, str], dict]:
    """What each cell prints, by its id, and the notebook's variables."""
    names: dict = {"display": print}
    printed = {}
    for name, source in code_cells(number).items():
        printed[name] = run_cell(number, name, source, names)
    return printed, names


@contextmanager
def reading(root: Path, cache: Path) -> Iterator[None]:
    """Notebooks open the cohort in `root`, packed beforehand; no figure is shown."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(os.environ, "LGGSEG_DATA", str(root))
        patched.setitem(os.environ, "LGGSEG_CACHE", str(cache))
        patched.setattr(plt, "show", lambda: None)
        open_cohort(progress=False)
        yield


@pytest.fixture(scope="module", params=[3, pytest.param(10, marks=pytest.mark.more)])
def few_phantoms(request, tmp_path_factory):
    """How many phantoms the notebooks find."""
    folder = tmp_path_factory.mktemp(f"phantoms{request.param}")
    root = write_phantom_cohort(folder, patients=request.param, seed=request.param, progress=False)
    with reading(root, folder / "cache"):
        yield request.param


@pytest.fixture(scope="module", params=[3, 10])
def few_real_patients(request, tmp_path_factory):
    """How many real patients the notebooks find."""
    if not os.environ.get("LGGSEG_DATA_REAL"):
        pytest.skip("set LGGSEG_DATA_REAL to the unpacked kaggle_3m to test on real patients")
    every = Path(os.environ["LGGSEG_DATA_REAL"])
    folder = tmp_path_factory.mktemp(f"patients{request.param}")
    root = folder / "kaggle_3m"
    root.mkdir()
    shutil.copy(every / "data.csv", root)
    for patient in sorted(every.glob("TCGA_*"))[: request.param]:
        shutil.copytree(patient, root / patient.name)
    with reading(root, folder / "cache"):
        yield request.param


@pytest.mark.filterwarnings("default")  # statistics warn of so few patients
@pytest.mark.parametrize("number", QUICK)
def test_a_few_phantoms_are_enough(number, few_phantoms):
    _, names = run_notebook(number)
    assert len(names["cohort"].patients) == few_phantoms


@pytest.mark.more
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("number", QUICK)
@pytest.mark.parametrize("few_phantoms", [3], indirect=True)
@pytest.mark.usefixtures("few_phantoms")
def test_cells_may_run_again_in_any_order(number):
    printed, names = run_notebook(number)
    for order in (list(printed), list(reversed(printed))):
        for name in order:
            again = run_cell(number, name, code_cells(number)[name], names)
            assert again == printed[name], f"cell {name} prints something else the second time"


@pytest.mark.filterwarnings("default")
def test_three_phantoms_are_enough_to_train_on(tmp_path):
    root = write_phantom_cohort(tmp_path, patients=3, seed=3, progress=False)
    with reading(root, tmp_path / "cache"):
        _, names = run_notebook("03")
    assert len(names["cohort"].patients) == 3


@pytest.mark.real
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("number", QUICK)
def test_a_few_real_patients_are_enough(number, few_real_patients):
    _, names = run_notebook(number)
    assert len(names["cohort"].patients) == few_real_patients
