"""An exercise to try `check` on: what is two and two?"""

from .base import number


def two_and_two(answer) -> str | None:
    return None if number(answer) == 4 else "count on your fingers."


RULES = {"1": two_and_two}
