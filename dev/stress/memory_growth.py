"""Thousands of steps of the viewer, hundreds of phantoms: memory stays flat."""

import shutil
import tempfile
import time
from pathlib import Path

from lggseg.phantom.cohort import write_patient
from lggseg.phantom.table import plan_cohort
from lggseg.viewer import CohortViewer

from .cohorts import larger_cohort, open_quietly
from .report import Clock, Row, memory, random

STEPS = 5000
PHANTOMS = 400
GROWTH = 30  # MB that may come on top of the first tenth's


def check_memory_growth(row: Row, clock: Clock, step) -> Row:
    """Call `step(i)` for each case; memory at the end may not be far above what it was after a
    tenth of them.
    """
    settled = 0.0
    for i in range(row.wanted):
        if clock.left() < 0:
            break
        start = time.process_time()
        step(i)
        row.add(None, time.process_time() - start)
        if i == row.wanted // 10:
            settled = memory()
    row.memory = memory()
    if settled and row.memory > settled + GROWTH:
        row.failures.append(f"{row.what}: memory grew from {settled:.0f} to {row.memory:.0f} MB")
    return row


def viewer(clock: Clock) -> Row:
    """Random moves of the sliders and menus of a viewer."""
    row = Row("steps of the viewer", STEPS)
    with tempfile.TemporaryDirectory() as place:
        view = CohortViewer(open_quietly(larger_cohort(Path(place))))
        rng = random(row)

        def step(i: int) -> None:
            if i % 50 == 0:
                view.patient_menu.value = str(rng.choice(view.patient_menu.options))
            if i % 10 == 0:
                view.sequence.value = str(rng.choice(view.sequence.options))
                view.style["truth"].value = str(rng.choice(view.style["truth"].options))
            view.slice_slider.value = int(rng.integers(view.slice_slider.max + 1))
            if bytes(view.picture.value[:2]) != b"\xff\xd8":
                row.failures.append(f"step {i}: no picture")

        check_memory_growth(row, clock, step)
        view.close()
    return row


def phantoms(clock: Clock) -> Row:
    """Phantoms drawn one after the other."""
    row = Row("phantoms drawn", PHANTOMS)
    plan, _ = plan_cohort(PHANTOMS, seed=9)
    with tempfile.TemporaryDirectory() as place:

        def step(i: int) -> None:
            write_patient(Path(place), plan[i])
            shutil.rmtree(Path(place) / plan[i].folder)

        return check_memory_growth(row, clock, step)
