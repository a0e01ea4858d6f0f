"""How an answer is judged: a rule per exercise says None to what is right, and a hint to anything else."""

from collections.abc import Callable
from copy import deepcopy
from importlib import import_module
from numbers import Number
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..errors import LggError

DOTS = "put your answer where the dots are, and run the cell again."
Rule = Callable[..., str | None]  # an answer, and what the notebook hands on by name -> None, or a hint


class Verdict(NamedTuple):
    """Whether an answer is right, and what is said of it."""

    right: bool
    words: str


class Wrong(Exception):
    """An answer of another kind than asked for; the message says which kind."""


def check(exercise: str, answer: Any, **context: Any) -> None:
    """Print whether `answer` to an exercise such as "02.3" is right; if not, a hint.

    `context` hands on what the right answer depends on, such as `cohort=cohort`. Never raises for an answer, whatever
    it is; LggError for an exercise that does not exist.

    >>> check("00.1", 4)
    Right.
    >>> check("00.1", "four")
    Not yet: a number is wanted here, this is a str.
    """
    print(verdict(exercise, answer, **context).words)


def verdict(exercise: str, answer: Any, **context: Any) -> Verdict:
    """What `check` would say."""
    rule = find_rule(exercise)
    try:
        hint = DOTS if unanswered(answer) else rule(answer, **context)
    except Wrong as error:
        hint = str(error)
    except (Exception, SystemExit) as error:  # an answer may be anything, a function that fails among them
        hint = f"your answer could not be tried out ({in_words(error)})."
    return Verdict(hint is None, "Right." if hint is None else f"Not yet: {hint}")


def in_words(error: BaseException) -> str:
    """Its kind, and what it says, if it can say it."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


def unanswered(answer: Any) -> bool:
    """Whether an answer is the dots that stand in its place, or holds them: None, ..., (..., ...)."""
    return answer is None or answer is Ellipsis or (isinstance(answer, (list, tuple)) and any(map(unanswered, answer)))


def find_rule(exercise: str) -> Rule:
    """The rule of an exercise: RULES["3"] of the module nb02 for "02.3"."""
    notebook, _, number = str(exercise).partition(".")
    try:
        return import_module(f"{__package__}.nb{notebook}").RULES[number]
    except (ImportError, KeyError):
        raise LggError(f"no exercise {exercise!r}; they are called by notebook and number, such as \"02.3\"") from None


def called(function: Any, *arguments: Any) -> Any:
    """What a reader's function returns, given copies of the arguments; Wrong if it is no function, or has no answer."""
    if not callable(function):
        raise Wrong(f"a function is wanted here, this is a {type(function).__name__}.")
    result = function(*deepcopy(arguments))
    if unanswered(result):
        raise Wrong("the function returns nothing yet: " + DOTS)
    return result


def number(answer: Any) -> float:
    """A single number in any form: Python's or NumPy's, or an array or Series of one value."""
    if isinstance(answer, (list, tuple, np.ndarray, pd.Series)) and np.size(answer) == 1:
        answer = np.asarray(answer).ravel()[0]
    one = getattr(answer, "ndim", 0) == 0 or (hasattr(answer, "numel") and answer.numel() == 1)
    if hasattr(answer, "item") and one:
        answer = answer.item()  # NumPy's and torch's scalars, and torch's arrays of one
    if isinstance(answer, bool) or not isinstance(answer, Number) or isinstance(answer, complex):
        raise Wrong(f"a number is wanted here, this is a {type(answer).__name__}.")
    return float(answer)


def numbers(answer: Any, count: int | None = None) -> np.ndarray:
    """Several numbers in any form: list, tuple, set, dict's values, array, Series; in order, as floats."""
    values = list(answer.values()) if isinstance(answer, dict) else answer
    if isinstance(values, (str, bytes)) or not np.iterable(values):
        raise Wrong(f"several numbers are wanted here, this is a {type(answer).__name__}.")
    found = np.array([number(value) for value in np.asarray(list(values), dtype=object).ravel()])
    if count is not None and len(found) != count:
        raise Wrong(f"{count} numbers are wanted here, there are {len(found)}.")
    return found


def words(answer: Any) -> str:
    """A word or name: lower case, without blanks around it."""
    if not isinstance(answer, str):
        raise Wrong(f"a word in quotation marks is wanted here, this is a {type(answer).__name__}.")
    return answer.strip().lower()


def close(answer: float, expected: float, tolerance: float) -> bool:
    """Whether two numbers agree to `tolerance`, an absolute difference; NaN agrees with NaN."""
    return bool(abs(answer - expected) <= tolerance or (np.isnan(answer) and np.isnan(expected)))


def rounded(answer: float, expected: float, digits: int) -> bool:
    """Whether an answer is the expected one with fewer digits after the point than asked for.

    Ask this before looking for mistakes: a mistake may lead to the same few digits.

    >>> rounded(0.96, 0.9618, 3), rounded(0.962, 0.9618, 3), rounded(0.95, 0.9618, 3)
    (True, False, False)
    """
    return any(close(answer, round(expected, few), 1e-9) for few in range(1, digits))
