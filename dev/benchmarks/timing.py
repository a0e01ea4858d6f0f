"""How every row is measured: its sides in turn, several times over, and what is told is the ratio
of each round.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
# Does its work, and tells what it cost: seconds, or seconds and MB.
Side = Callable[[], float | Sequence[float]]


@dataclass(frozen=True)
class Ratio:
    """The usual way's cost over ours: the median, the lowest and the highest of all rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Ratio":
        return cls(float(np.median(values)), float(values.min()), float(values.max()))

    def __str__(self) -> str:
        return f"{short(self.median)} ({short(self.low)}-{short(self.high)})"


@dataclass(frozen=True)
class Row:
    """A line of the table, with words that go below it."""

    what: str
    usual: str  # what it is compared with
    time: Ratio
    memory: Ratio | None = None
    ceiling: str = ""
    note: str = ""


def short(value: float) -> str:
    """Two digits that count, three from a hundred on.

    >>> short(0.947), short(3.14159), short(14.2), short(1234.5)
    ('0.95', '3.1', '14', '1230')
    """
    digits = 3 if abs(value) >= 100 else 2
    return (
        f"{float(f'{value:.{digits}g}'):.{0 if abs(value) >= 10 else 1 if abs(value) >= 1 else 2}f}"
    )


def rounds(repeats: int, *sides: Side) -> np.ndarray:
    """Cost of each side (repeats, sides, ...): all of them once, then all of them again.

    What else the machine does then troubles all sides alike.
    """
    return np.array([[side() for side in sides] for _ in range(repeats)], float)


def compare(ours: Side, usual: Side, repeats: int) -> Ratio:
    """How many times as much `usual` costs."""
    costs = rounds(repeats, ours, usual)
    return Ratio.of(costs[:, 1] / costs[:, 0])


def share(found: np.ndarray) -> str:
    """A share of the ceiling in words: median and range of the rounds."""
    median = 100 * np.median(found)
    low = 100 * found.min()
    high = 100 * found.max()
    return f"{median:.2g} % ({low:.2g}-{high:.2g})"


def clock(task: Callable[[], object], least: float = 0.1) -> Side:
    """Seconds of one call, taken over as many as last `least` seconds; one call goes ahead, to warm
    up.
    """
    task()

    def side() -> float:
        start = time.perf_counter()
        calls = 0
        spent = 0.0
        while not calls or spent < least:
            task()
            calls, spent = calls + 1, time.perf_counter() - start
        return spent / calls

    return side


def in_child(task: Callable, *arguments: object, **environment: str) -> tuple[float, float]:
    """Seconds and peak MB of `task(*arguments)` in a process of its own, its imports left out.

    `task` is a function of a module, and its arguments are text and numbers.
    """
    code = (
        f"from dev.benchmarks.timing import report; from {task.__module__} import {task.__name__} "
        f"as task; report(task, *{arguments!r})"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | environment,
        text=True,
        stdout=subprocess.PIPE,
        check=True,
    )
    return tuple(json.loads(run.stdout.splitlines()[-1]))


def report(task: Callable, *arguments: object) -> None:
    """What `in_child` runs over there. A task that measures its own memory returns it, in MB."""
    before = memory("VmHWM")
    start = time.perf_counter()
    own = task(*arguments)
    spent = time.perf_counter() - start
    print(json.dumps([spent, max(0.1, memory("VmHWM") - before) if own is None else own]))


def memory(kind: str) -> float:
    """MB of this process: VmHWM is its peak, RssAnon what is now its own (mapped files are not).

    Elsewhere than on Linux both are the peak.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1000 for line in lines if line.startswith(f"{kind}:"))
    except (OSError, StopIteration):
        unit = 1e6 if sys.platform == "darwin" else 1e3
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
