"""Thousands of files, whole ones of many kinds and damaged ones: each is read right or refused by
an LggError.

Each case also has its bounds: 2 seconds of processor time, and 300 MB.
"""

import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lggseg.errors import LggError

from .cohorts import use_cache
from .read_checkpoints import read_resume, read_weights
from .read_cohorts import read_cohort, read_pack
from .read_nifti import read_nifti_file
from .read_pictures import read_mask_file, read_png, read_slice, read_tiff
from .read_table import read_csv
from .report import Clock, Row, random

# Cases of each reader, seconds, MB, seconds on the wall.
CASES = 600
MOST_SECONDS = 2.0
MOST_MEMORY = 300.0
TIMEOUT = 60
READERS = [
    read_slice,
    read_mask_file,
    read_tiff,
    read_png,
    read_nifti_file,
    read_csv,
    read_weights,
    read_resume,
    read_cohort,
    read_pack,
]


def peak_memory() -> float:
    """MB that this process held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1e6 if sys.platform == "darwin" else 1e3
    )


def raise_timeout(*_) -> None:
    """What the alarm does."""
    raise TimeoutError(f"no answer in {TIMEOUT} s")


@contextmanager
def quiet() -> Iterator[None]:
    """Without what libtiff writes to the terminal about damaged files."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def case(reader: Callable, number: int, place: Path) -> tuple[str | None, float]:
    """(complaint or None, seconds of processor time) of the reader's case of this number."""
    rng = random(Row(f"{reader.__name__} {number}", 0))
    before = peak_memory()
    start = time.process_time()
    signal.alarm(TIMEOUT)
    try:
        with quiet():
            complaint = reader(rng, place)
    except LggError as error:
        complaint = None if str(error).strip() else "an LggError without a word"
    except Exception as error:
        complaint = f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.alarm(0)
    seconds = time.process_time() - start
    grown = peak_memory() - before
    if seconds > MOST_SECONDS:
        complaint = f"{complaint or ''} slow: {seconds:.1f} s"
    if number and grown > MOST_MEMORY:
        complaint = f"{complaint or ''} hungry: {grown:.0f} MB more"
    return complaint and f"case {number}: {complaint}", seconds


def readers(clock: Clock) -> list[Row]:
    """A row for each reader; they share the time evenly."""
    signal.signal(signal.SIGALRM, raise_timeout)
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    rows = []
    for i, reader in enumerate(READERS):
        row = Row(f"read: {reader.__doc__.splitlines()[0].rstrip('.')}", CASES)
        mine = Clock(clock.left() / (len(READERS) - i))
        with tempfile.TemporaryDirectory() as place:
            use_cache(Path(place) / "cache")
            while row.cases < CASES and mine.left() > 0:
                row.add(*case(reader, row.cases, Path(place)))
        row.memory = peak_memory()
        rows.append(row)
    return rows
