"""The exercises of a notebook as they stand there: the cell a reader fills in, and the folded
solution below it.
"""

import ast
import os
import re
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest

from dev.tools.setup_cell import has_tag
from lggseg.data import Cohort
from lggseg.exercises import verdict
from lggseg.exercises.base import Verdict

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
CALL = re.compile(r'^check\("([\d.]+)"', re.MULTILINE)
SOLUTION = re.compile(r"<summary>Solution</summary>.*?```python\n(.*?)```", re.DOTALL)


class Exercise(NamedTuple):
    """Two pieces of code."""

    cell: str  # with dots where the answer goes, and a call of `check` as its last statement
    solution: str


def read_notebook(number: str) -> nbformat.NotebookNode:
    return nbformat.read(next(NOTEBOOKS.glob(f"{number}_*.ipynb")), as_version=4)


def exercises(number: str) -> dict[str, Exercise]:
    """The exercises of notebook "02" by name, such as "02.3", in their order."""
    found = {}
    for cell, after in pairwise(read_notebook(number).cells):
        if cell.cell_type == "code" and (call := CALL.search(cell.source)):
            found[call[1]] = Exercise(cell.source, SOLUTION.search(after.source)[1])
    return found


def prepared(number: str, cohort: Cohort) -> dict:
    """The names a reader has at the exercises, on `cohort`: those that cells tagged `setup` set."""
    names = {"display": print}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "LGGSEG_DATA", str(cohort.root))
        for cell in read_notebook(number).cells:
            if has_tag(cell, "setup"):
                exec(cell.source, names)
    return names


def judged(number: str, cohort: Cohort) -> dict[str, tuple[Verdict, Verdict]]:
    """What the check says of each exercise, left as it is and solved."""
    names, told, found = prepared(number, cohort), [], {}
    names["check"] = lambda exercise, answer, **context: told.append(
        verdict(exercise, answer, **context)
    )
    for name, (cell, solution) in exercises(number).items():
        call = ast.get_source_segment(cell, ast.parse(cell).body[-1])
        exec(cell, names)
        exec(f"{solution}\n{call}", names)
        found[name] = (told[-2], told[-1])
    return found
