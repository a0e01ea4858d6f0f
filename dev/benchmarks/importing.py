"""First use, against `import torch`: each in a process of its own, from start to end."""

import subprocess
import sys
import time

from .bench import Bench
from .timing import ROOT, Ratio, Row, Side, rounds

USES = {"import lggseg": "import lggseg", "first use of open_cohort": "from lggseg import open_cohort",
        "first use of UNet": "from lggseg import UNet", "first use of SliceViewer": "from lggseg import SliceViewer",
        "first use of all three": "from lggseg import open_cohort, UNet, SliceViewer"}


def process(code: str) -> Side:
    """Seconds of a Python that runs `code` and ends."""
    def side() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
        return time.perf_counter() - start
    return side


def rows(bench: Bench) -> list[Row]:
    uses = dict([*USES.items()][:1]) if bench.quick else USES
    costs = rounds(bench.repeats, process("import torch"), *map(process, uses.values()))
    return [Row(what, "`import torch`", Ratio.of(costs[:, 0] / costs[:, i])) for i, what in enumerate(uses, start=1)]
