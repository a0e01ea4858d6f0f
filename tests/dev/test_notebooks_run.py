"""Notebooks on cohorts of a few patients, and with their cells run again: whatever a reader may do, no cell fails."""

import io
import os
from contextlib import redirect_stdout
from pathlib import Path

import nbformat
import pytest
from matplotlib import pyplot as plt

from lggseg import open_cohort
from lggseg.phantom import write_phantom_cohort

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
QUICK = ["01", "02"]  # notebooks that train nothing


def code_cells(number: str) -> dict[str, str]:
    """Source of each code cell by its name, in order."""
    notebook = nbformat.read(next(NOTEBOOKS.glob(f"{number}_*.ipynb")), as_version=4)
    return {cell.id: cell.source for cell in notebook.cells if cell.cell_type == "code"}


def run(number: str, name: str, source: str, names: dict) -> str:
    """What a cell prints; `names` are the notebook's variables."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        try:
            exec(compile(source, f"notebook {number}, cell {name}", "exec"), names)
        finally:
            plt.close("all")
    return printed.getvalue()


@pytest.fixture(params=[3, 5, 10])
def few_patients(request, tmp_path, monkeypatch):
    root = write_phantom_cohort(tmp_path, patients=request.param, seed=request.param, progress=False)
    monkeypatch.setitem(os.environ, "LGGSEG_DATA", str(root))
    monkeypatch.setitem(os.environ, "LGGSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(plt, "show", lambda: None)
    open_cohort(progress=False)  # packed now, so that no bar is printed later
    return request.param


@pytest.mark.filterwarnings("default")  # of statistics of a handful of patients
@pytest.mark.parametrize("number", QUICK)
def test_a_few_patients_are_enough_and_a_second_run_tells_the_same(number, few_patients):
    names = {"display": print}
    cells = code_cells(number)
    first = {name: run(number, name, source, names) for name, source in cells.items()}
    assert f"{few_patients} patients" in first["open"]
    again = {name: run(number, name, source, names) for name, source in cells.items()}
    assert again == first
    backwards = {name: run(number, name, cells[name], names) for name in reversed(cells)}
    assert backwards == first
