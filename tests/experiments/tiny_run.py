"""The smallest trainings that are trainings, and runs whose maps are made up."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from experiments.maps import write_maps
from experiments.plan import Run, k_folds
from lggseg import Cohort, TrainConfig

TINY = TrainConfig(
    size=32, coarse_size=16, features=4, depth=3, epochs=1, epoch_slices=16, batch=8, ema=0.8
)


def made_up(
    cohort: Cohort, out: Path, map_of: Callable[[int, np.ndarray], np.ndarray], folds: int = 2
) -> Run:
    """A finished run without networks: `map_of(fold, truth)` is a map uint8 (D,H,W)."""
    run = Run(out, {}, k_folds(cohort.patients, folds))
    run.claim()
    for k, fold in enumerate(run.folds):
        maps = {patient: map_of(k, cohort.volume(patient).mask) for patient in fold.held_out}
        write_maps(maps, fold.train, run.maps(k))
    return run
