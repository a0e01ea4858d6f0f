"""Every exercise of the notebooks: dots are no answer, the folded solution is right, the cell gives
nothing away.
"""

import ast

import pytest
from solutions import NOTEBOOKS, exercises, judged

ALL = sorted(path.name[:2] for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
NUMBERS = [number for number in ALL if exercises(number)]
NAMES = [name for number in NUMBERS for name in exercises(number)]


@pytest.fixture(scope="module")
def told(phantom_cohort):
    return {
        name: verdicts
        for number in NUMBERS
        for name, verdicts in judged(number, phantom_cohort).items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_dots_are_no_answer(told, name):
    left, _ = told[name]
    assert not left.right and "where the dots are" in left.words


@pytest.mark.parametrize("name", NAMES)
def test_the_folded_solution_is_right(told, name):
    _, solved = told[name]
    assert solved.right, solved.words


@pytest.mark.parametrize("number", NUMBERS)
def test_a_notebook_has_at_least_four_called_in_order(number):
    assert list(exercises(number)) == [f"{number}.{i + 1}" for i in range(len(exercises(number)))]
    assert len(exercises(number)) >= 4


@pytest.mark.parametrize("name", NAMES)
def test_a_cell_is_dots_and_a_check(name):
    """Dots assigned, or a function of dots; then the call: no line that computes the answer."""
    *given, call = ast.parse(exercises(name[:2])[name].cell).body
    assert isinstance(call, ast.Expr) and call.value.func.id == "check"
    for statement in given:
        left_open = statement.body[-1] if isinstance(statement, ast.FunctionDef) else statement
        assert any(
            isinstance(node, ast.Constant) and node.value is ... for node in ast.walk(left_open)
        )
