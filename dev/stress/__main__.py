"""All parts, in two lanes side by side, within a budget of minutes; one table, and exit code 1 on
any failure.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

# Two lanes; and a job that forks must have no threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from .concurrency import concurrent_openings
from .drawing import drawings
from .fuzz import readers
from .memory_growth import phantoms, viewer
from .packing import packings
from .prediction import predictions
from .report import HEAD, WORST, Clock
from .scheduler import run_lane
from .training import trainings

# Shares of the time; what a part leaves over goes to the next ones of its lane.
LANES = [
    [(viewer, 0.2), (readers, 0.4), (phantoms, 0.32)],
    [
        (predictions, 0.15),
        (packings, 0.15),
        (concurrent_openings, 0.1),
        (drawings, 0.22),
        (trainings, 0.3),
    ],
]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.stress", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=10, help="time for everything together (default: 10)"
    )
    seconds = 60 * parser.parse_args().minutes
    start = time.monotonic()
    print(HEAD, flush=True)
    with ThreadPoolExecutor(len(LANES)) as pool:
        lanes = [
            pool.submit(run_lane, lane, seconds, Clock(seconds), lane is LANES[0]) for lane in LANES
        ]
        rows = [row for lane in lanes for row in lane.result()]
    for row in rows:
        for failure in row.failures[:WORST]:
            print(f"FAILED {row.what}: {failure}")
    short = [row.what for row in rows if row.cases < row.wanted]
    kills = sum(row.cases for row in rows if "killed" in row.what)
    bad = sum(len(row.failures) for row in rows)
    cases = sum(row.cases for row in rows if row.what.startswith("read"))
    print(
        f"{kills} kills, {cases:,} files read, {bad} failures in {time.monotonic() - start:.0f} s"
        + (f"; short of time: {', '.join(short)}" if short else "")
    )
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
