"""`make bench`: one table of ratios, each measured in this run against the usual way, written out
in this folder.
"""

import argparse
import os
import time
from pathlib import Path

from lggseg.data.places import find_root, phantom_root

from . import ceiling, feed, genomics, opening, prediction, scaling, table, training, viewer
from .bench import Bench
from .timing import Row

FAMILIES = {
    "open": opening.rows,
    "feed": feed.rows,
    "train": training.rows,
    "predict": prediction.rows,
    "viewer": viewer.rows,
    "genomics": genomics.rows,
    "scaling": scaling.rows,
    "machine": ceiling.rows,
}


def measure(bench: Bench, names: list[str]) -> list[Row]:
    """The rows of these families, printed as they are found."""
    found = []
    for name in names:
        start = time.monotonic()
        rows = FAMILIES[name](bench)
        found += rows
        print(
            *map(table.line, rows),
            f"  ({name}: {time.monotonic() - start:.0f} s)",
            sep="\n",
            flush=True,
        )
    return found


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m dev.benchmarks", description=__doc__)
    parser.add_argument(
        "--real", metavar="FOLDER", help="kaggle_3m, unpacked; without it, phantoms"
    )
    parser.add_argument(
        "--only", nargs="+", choices=FAMILIES, default=[*FAMILIES], help="these families of rows"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a minute, to see that all works: tiny, one round"
    )
    parser.add_argument(
        "--write", action="store_true", help="put the table into dev/benchmarks/README.md"
    )
    options = parser.parse_args(argv)
    if options.write and (options.quick or options.only != [*FAMILIES]):
        parser.error("--write keeps the whole table; leave --only and --quick out")
    load = os.getloadavg()[0]
    start = time.monotonic()
    root = find_root(Path(options.real)) if options.real else phantom_root()
    if not root:
        parser.error(f"{options.real}: no folder of patients there")
    bench = Bench(root, 1 if options.quick else 5, options.quick)
    try:
        rows = measure(bench, options.only)
    finally:
        bench.close()
    text = table.table(rows, table.machine(bench.cohort.label, load))
    print(f"\n{text}\n\n{time.monotonic() - start:.0f} s")
    if options.write:
        table.write(text)


if __name__ == "__main__":
    main()
