"""How the tests ask for the verdict on an answer to an exercise."""

from typing import Any

from lggseg.exercises import verdict


def right(name: str, answer: Any, **context: Any) -> bool:
    """Whether the answer passes."""
    return verdict(name, answer, **context).right


def words(name: str, answer: Any, **context: Any) -> str:
    """What is said of a wrong answer."""
    found = verdict(name, answer, **context)
    assert not found.right
    return found.words
