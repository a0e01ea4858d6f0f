"""How an answer is judged.

Each exercise has a rule: a function that returns None for a right answer, and a hint for any other.
"""

from collections.abc import Callable
from copy import deepcopy
from importlib import import_module
from numbers import Number
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..errors import LggError

DOTS = "put your answer where the dots are, and run the cell again."
Rule = Callable[..., str | None]  # takes an answer, and by name what the notebook passes on


class Verdict(NamedTuple):
    """Whether an answer is right, and what to print."""

    right: bool
    words: str


class Wrong(Exception):
    """An answer is not of the kind that was asked for; the message says which kind that is."""


def check(exercise: str, answer: Any, **context: Any) -> None:
    """Print whether an answer is right; if it is not, print a hint.

    Parameters
    ----------
    exercise : str
        Notebook and number, such as "02.3".
    answer : anything
        No answer raises an error.
    **context
        What the right answer depends on, such as ``cohort=cohort``.

    Raises
    ------
    LggError
        If there is no such exercise.

    Examples
    --------
    >>> check("00.1", 4)
    Right.
    >>> check("00.1", "four")
    Not yet: a number is wanted here, this is a str.
    """
    print(verdict(exercise, answer, **context).words)


def verdict(exercise: str, answer: Any, **context: Any) -> Verdict:
    """What `check` would print, and whether the answer is right."""
    rule = find_rule(exercise)
    try:
        if unanswered(answer):
            hint: str | None = DOTS
        else:
            hint = rule(answer, **context)
    except Wrong as error:
        hint = str(error)
    except (Exception, SystemExit) as error:  # an answer may be anything, also a broken function
        hint = f"your answer could not be tried out ({in_words(error)})."
    if hint is None:
        return Verdict(True, "Right.")
    return Verdict(False, f"Not yet: {hint}")


def in_words(error: BaseException) -> str:
    """Kind and message of an error; some errors cannot be turned into text."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


def unanswered(answer: Any) -> bool:
    """Whether an answer is still the dots in its place: None, ..., or a list that holds them."""
    if answer is None or answer is Ellipsis:
        return True
    if isinstance(answer, (list, tuple)):
        return any(unanswered(part) for part in answer)
    return False


def find_rule(exercise: str) -> Rule:
    """The rule of an exercise: for "02.3" it is RULES["3"] of the module nb02."""
    notebook, _, number = str(exercise).partition(".")
    try:
        module = import_module(f"{__package__}.nb{notebook}")
        rule: Rule = module.RULES[number]
    except (ImportError, KeyError):
        raise LggError(
            f'no exercise {exercise!r}; they are called by notebook and number, such as "02.3"'
        ) from None
    return rule


def called(function: Any, *arguments: Any) -> Any:
    """What a reader's function returns for copies of the arguments.

    Raises
    ------
    Wrong
        If it is no function, or returns nothing yet.
    """
    if not callable(function):
        raise Wrong(f"a function is wanted here, this is a {type(function).__name__}.")
    result = function(*deepcopy(arguments))
    if unanswered(result):
        raise Wrong("the function returns nothing yet: " + DOTS)
    return result


def number(answer: Any) -> float:
    """A single number in any form: of Python, NumPy or PyTorch, or an array or Series of one value.

    Raises
    ------
    Wrong
        If it is anything else.
    """
    if isinstance(answer, (list, tuple, np.ndarray, pd.Series)) and np.size(answer) == 1:
        answer = np.asarray(answer).ravel()[0]
    is_scalar = getattr(answer, "ndim", 0) == 0
    is_tensor_of_one = hasattr(answer, "numel") and answer.numel() == 1
    if hasattr(answer, "item") and (is_scalar or is_tensor_of_one):
        answer = answer.item()
    if isinstance(answer, (bool, complex)) or not isinstance(answer, Number):
        raise Wrong(f"a number is wanted here, this is a {type(answer).__name__}.")
    return float(answer)  # type: ignore[arg-type]  # numbers.Number does not promise float()


def numbers(answer: Any, count: int | None = None) -> np.ndarray:
    """Several numbers in any form: list, tuple, set, dict of values, array, Series.

    Parameters
    ----------
    answer : anything
    count : int, optional
        How many there must be.

    Returns
    -------
    float (n,), in order

    Raises
    ------
    Wrong
        If these are not numbers, or too many or too few.
    """
    values = answer
    if isinstance(answer, dict):
        values = list(answer.values())
    if isinstance(values, (str, bytes)) or not np.iterable(values):
        raise Wrong(f"several numbers are wanted here, this is a {type(answer).__name__}.")
    flat = np.asarray(list(values), dtype=object).ravel()
    found = np.array([number(value) for value in flat])
    if count is not None and len(found) != count:
        raise Wrong(f"{count} numbers are wanted here, there are {len(found)}.")
    return found


def words(answer: Any) -> str:
    """A word or name in lower case, without blanks around it."""
    if not isinstance(answer, str):
        raise Wrong(f"a word in quotation marks is wanted here, this is a {type(answer).__name__}.")
    return answer.strip().lower()


def close(answer: float, expected: float, tolerance: float) -> bool:
    """Whether two numbers differ by at most `tolerance`; NaN equals NaN."""
    if np.isnan(answer) and np.isnan(expected):
        return True
    return bool(abs(answer - expected) <= tolerance)


def rounded(answer: float, expected: float, digits: int) -> bool:
    """Whether an answer is the expected one with fewer digits after the point than asked for.

    Ask this before looking for mistakes: a mistake may lead to the same few digits.

    Examples
    --------
    >>> rounded(0.96, 0.9618, 3), rounded(0.962, 0.9618, 3), rounded(0.95, 0.9618, 3)
    (True, False, False)
    """
    return any(close(answer, round(expected, few), 1e-9) for few in range(1, digits))
