"""What every part of the stress shares: its clock, its row of the table, and how it sees its own
memory.
"""

import os
import time
from dataclasses import dataclass, field

import numpy as np
import psutil

WORST = 5  # failures that are printed in full


@dataclass
class Row:
    """One line of the table: cases of the `wanted` ones, what failed, seconds of the slowest, MB at
    the end or peak.
    """

    what: str
    wanted: int
    cases: int = 0
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    memory: float = 0.0

    def add(self, complaint: str | None = None, seconds: float = 0.0) -> None:
        """Count a case; a complaint makes it a failure."""
        self.cases += 1
        self.slowest = max(self.slowest, seconds)
        if complaint:
            self.failures.append(complaint)

    def __str__(self) -> str:
        return (
            f"{self.what:36}{self.cases:>7,}{self.wanted:>8,}{len(self.failures):>10}"
            f"{self.slowest:>10.2f} s{self.memory:>8.0f} MB"
        )


HEAD = f"{'what':36}{'cases':>7}{'wanted':>8}{'failures':>10}{'slowest':>12}{'memory':>11}"


class Clock:
    """Tells a part when to stop: `seconds` from now on the wall."""

    def __init__(self, seconds: float):
        self.end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds to go; below zero when the time is over."""
        return self.end - time.monotonic()


def memory() -> float:
    """MB that this process holds now."""
    return psutil.Process().memory_info().rss / 1e6


def random(row: Row) -> np.random.Generator:
    """A generator of the part's own, the same in each run; another one for STRESS_SEED=1, 2, ..."""
    return np.random.default_rng([int(os.environ.get("STRESS_SEED", 0)), *row.what.encode()])
