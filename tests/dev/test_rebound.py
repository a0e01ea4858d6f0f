"""Cells may run again in any sensible order: no name that another cell reads has two meanings."""

from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from dev.tools.rebound import names_of, rebound_names

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def made(*sources):
    return v4.new_notebook(
        cells=[v4.new_code_cell(source, id=f"c{i}") for i, source in enumerate(sources)]
    )


def test_a_name_that_a_later_cell_sets_anew_is_found():
    found = rebound_names(made("volume = 1", "print(volume)", "volume = 2"))
    assert found == ["volume is set in c0, c2, and read in c1"]


def test_loop_variables_and_functions_count():
    assert rebound_names(
        made("for p in range(3): pass", "def f():\n    return p", "for p in 'ab': print(p)")
    )
    assert rebound_names(made("def f(): pass", "f()", "def f(): return 1"))


def test_what_a_cell_sets_for_itself_may_be_set_elsewhere():
    assert rebound_names(made("ax = 1\nprint(ax)", "ax = 2\nprint(ax)")) == []
    assert (
        rebound_names(made("a = 1", "def f(a):\n    return a", "[a for a in range(3)]", "print(a)"))
        == []
    )


def test_names_of():
    assert names_of("import os\nwith open(x) as f: pass") == ({"os", "f"}, {"open", "x"})
    assert names_of("class A(B):\n    c = d\n    def e(self): return g") == ({"A"}, {"B", "d", "g"})


@pytest.mark.parametrize("number", ["01", "02", "03", "04", "05"])
def test_committed_notebooks(number):
    path = next(NOTEBOOKS.glob(f"{number}_*.ipynb"))
    assert rebound_names(nbformat.read(path, as_version=4)) == []
