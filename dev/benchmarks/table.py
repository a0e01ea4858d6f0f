"""The table as Markdown, for the screen and for README.md beside this file, with date and kind of
machine.
"""

import os
import platform
import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import torch

from .timing import ROOT, Row

README = ROOT / "dev" / "benchmarks" / "README.md"
HEAD = (
    "| Row | Against | Times as fast | Memory, times less | Of the ceiling |\n|---|---|---|---|---|"
)
BUSY = 0.5  # load per core from which a machine is not idle


def line(row: Row) -> str:
    """One row of the table."""
    return f"| {row.what} | {row.usual} | {row.time} | {row.memory or ''} | {row.ceiling} |"


def table(rows: Iterable[Row], where: str) -> str:
    """The whole of it: where it was measured, the rows, what goes below."""
    rows = list(rows)
    return "\n".join(
        [where, "", HEAD, *map(line, rows), *(f"\n{row.note}" for row in rows if row.note)]
    )


def machine(patients: str, load: float) -> str:
    """Date, kind of machine, patients, and whether it was idle as the run began."""
    cores = os.cpu_count() or 1
    if load < BUSY * cores:
        idle = "idle"
    else:
        idle = f"BUSY with other work (load {load:.1f}): take the figures with care"
    return (
        f"{date.today()}; {processor()}, {cores} cores, {torch.get_num_threads()} threads, no GPU "
        f"used; PyTorch {torch.__version__}; {patients}; the machine was {idle}."
    )


def processor() -> str:
    """The processor's name where Linux tells it."""
    try:
        return re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):
        return platform.processor() or platform.machine()


def write(text: str, path: Path = README, name: str = "table") -> None:
    """Put `text` between the marks `<!-- name -->` and `<!-- /name -->` of a page."""
    before = path.read_text(encoding="utf-8")
    start = f"<!-- {name} -->\n"
    end = f"\n<!-- /{name} -->"
    parts = before.partition(start)[0], before.partition(end)[2]
    path.write_text(f"{parts[0]}{start}{text}{end}{parts[1]}", encoding="utf-8")
