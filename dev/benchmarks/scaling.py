"""More patients: time per slice and memory stay as they are, from 10 patients to 400."""

import shutil
from pathlib import Path

from lggseg import GridSpec, shape_features, write_phantom_cohort
from lggseg.data import load_cohort
from lggseg.prepare.head_finder import find_head
from lggseg.prepare.network_grid import slices_to_grid

from .bench import Bench, folders, linked
from .timing import ROOT, Ratio, Row, in_child, memory, rounds

PHANTOMS = ROOT / "build" / "bench"  # kept: drawing them takes longer than the row


def work_through(root: str) -> float:
    """Pack a cohort and take every patient in turn: head, grid, shape.

    Returns the most memory of its own, in MB.
    """
    cohort = load_cohort(Path(root), progress=False)
    most = 0.0
    for patient in cohort.patients:
        volume = cohort.volume(patient)
        slices_to_grid(volume.image, find_head(volume.image), GridSpec().size)
        shape_features(volume.mask)
        most = max(most, memory("RssAnon"))
    return most


def cost(root: Path, cache: Path) -> tuple[float, float]:
    """Seconds per slice, and MB; patients differ in depth, so that a slice is the fairer unit."""
    shutil.rmtree(cache, ignore_errors=True)
    seconds, most = in_child(work_through, str(root), LGGSEG_CACHE=str(cache))
    return seconds / len([*root.glob("*/*_mask.tif")]), most


def compared(bench: Bench, root: Path, numbers: list[int], whom: str, repeats: int) -> list[Row]:
    """Rows for so many patients of a folder, against the first and smallest number."""
    places = [linked(root, n, bench.work / f"{whom}-{n}") for n in numbers]
    costs = rounds(
        repeats, *(lambda place=place: cost(place, bench.work / "cache") for place in places)
    )
    ratios = costs[:, :1] / costs  # (rounds, numbers, 2)
    return [
        Row(
            f"scaling: {n} {whom}, time per slice",
            f"{numbers[0]} {whom}",
            *map(Ratio.of, ratios[:, i].T),
        )
        for i, n in enumerate(numbers)
        if i
    ]


def rows(bench: Bench) -> list[Row]:
    """10, 30 and 80 patients, or as many as there are, and 400 phantoms."""
    there = len(folders(bench.root))
    if bench.quick:
        return compared(bench, bench.root, [2, min(4, there)], "patients", 1)
    found = compared(
        bench, bench.root, sorted({min(n, there) for n in (10, 30, 80)}), "patients", 2
    )
    many = write_phantom_cohort(PHANTOMS, patients=400)
    return found + compared(bench, many, [10, 400], "phantoms", 1)
