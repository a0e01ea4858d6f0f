"""What every reader of an own scan hands on: slices with one or several channels, and where they lie."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..data.folder import MAX_PIXELS
from ..errors import LggError
from .grid import Grid

MAX_VOXELS = 2**28  # of one sequence: a hundred times the largest of the data set, and it still fits into memory


@dataclass
class RawScan:
    """A scan as it was read: `values` (D,H,W,C) of any real type, NaN where the file says that nothing is shown.

    `names` of the slices; `grid` and `header` of files that tell their place in space; `truth` bool (D,H,W) of masks
    beside the pictures; `warnings` for the reader.
    """

    values: np.ndarray
    names: list[str]
    grid: Grid | None = None
    header: object | None = field(default=None, repr=False)
    truth: np.ndarray | None = field(default=None, repr=False)
    warnings: list[str] = field(default_factory=list)


def check_size(path: Path, *shape: int) -> None:
    """Raise LggError for a shape (of a slice, if it has two numbers) that holds nothing, or more than any scan."""
    voxels = np.prod([int(n) for n in shape], dtype=object)
    if len(shape) == 2 and voxels > MAX_PIXELS:
        raise LggError(f"{path}: a slice has {shape[0]} x {shape[1]} pixels; no scanner's has more than "
                       f"{MAX_PIXELS / 1e6:.0f} million: crop or reduce it")
    if voxels < 1:
        raise LggError(f"{path}: its shape is {shape}; a scan has at least one pixel along every axis")
    if voxels > MAX_VOXELS:
        raise LggError(f"{path}: its shape is {shape}, {voxels / 1e6:.0f} million pixels; a scan has at most "
                       f"{MAX_VOXELS / 1e6:.0f} million: crop or reduce it")
