"""Several processes at once on one cache: all get the right pixels, and one copy stays."""

import shutil
import tempfile
from pathlib import Path

from .cohorts import larger_cohort, open_quietly, pixels, use_cache
from .killing import PATIENCE, context
from .report import Clock, Row, memory

PROCESSES = 3
ROUNDS = 20


def open_in_this_process(place: Path, start, found_by_each) -> None:
    """In a process: wait for the others, then pack, and answer with the pixels' digest."""
    use_cache(place / "cache")
    start.wait(PATIENCE)
    try:
        found_by_each.put(pixels(open_quietly(place / "kaggle_3m")))
    except Exception as error:
        found_by_each.put(f"{type(error).__name__}: {error}")


def open_in_processes(place: Path) -> list[str]:
    """What each of the processes found."""
    start = context.Barrier(PROCESSES)
    found_by_each = context.Queue()
    running = [
        context.Process(target=open_in_this_process, args=(place, start, found_by_each))
        for _ in range(PROCESSES)
    ]
    for process in running:
        process.start()
    found = [found_by_each.get(timeout=PATIENCE) for _ in running]
    for process in running:
        process.join()
    return found


def concurrent_openings(clock: Clock) -> Row:
    """Rounds of packing one cohort by several processes."""
    row = Row(f"{PROCESSES} processes, one cache", ROUNDS)
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        truth = pixels(open_quietly(larger_cohort(place)))
        while row.cases < ROUNDS and clock.left() > 0:
            shutil.rmtree(place / "cache")
            before = clock.left()
            odd = [answer for answer in open_in_processes(place) if answer != truth]
            left = [folder.name for folder in (place / "cache" / "packed").iterdir()]
            row.add(
                f"at once: {odd or left}" if odd or len(left) != 1 else None, before - clock.left()
            )
    row.memory = memory()
    return row
