"""Somebody's own scan as every reader hands it on, and the rules that hold for all formats."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.folder import MAX_PIXELS
from ..errors import LggError

if TYPE_CHECKING:
    from .grid import Grid

MAX_VOXELS = 2**28  # a hundred times the largest scan of the data set, and it fits into memory

NO_PLACE = (
    "does not say how it lies in the patient, so left, front and top are not known; convert it "
    "again from DICOM by dcm2niix, or give its slices as pictures, front of the head up"
)


@dataclass
class OwnScan:
    """A scan to segment.

    Attributes
    ----------
    image : uint8 (slices, height, width, 3); as a file is read (slices, height, width, channels) of
        any real type, NaN where the file says that nothing is shown
    names : of the slices
    truth : bool (slices, height, width), where masks lie beside the slices
    pixel : height and width of a pixel, in any unit
    grid, header : of files that tell where they lie in space
    warnings : sentences for the reader
    """

    image: np.ndarray
    names: list[str] = field(default_factory=list)
    truth: np.ndarray | None = field(default=None, repr=False)
    pixel: tuple[float, float] = (1.0, 1.0)
    grid: "Grid | None" = field(default=None, repr=False)
    header: Any = field(default=None, repr=False)
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self):
        self.names = self.names or [f"slice_{z + 1}" for z in range(len(self.image))]


@contextmanager
def reading(path: Path | str, kind: str) -> Iterator[None]:
    """Name the file in what is raised; a damaged one makes libraries raise nearly anything."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about metadata; what matters is checked
            yield
    except LggError as error:
        raise LggError(f"{path}: {error}") from error
    except (PermissionError, ImportError):  # the file may be whole
        raise
    except Exception as error:
        reason = re.sub(r"\(0x\w+\)", "", str(error).split("ERROR: ")[-1])  # places in memory
        reason = " ".join(reason.split())[:200] or type(error).__name__
        raise LggError(
            f"{path}: cannot be read as {kind} ({reason}); copy or export it again, or give NIfTI"
        ) from error


def check_size(*shape: int, dtype: np.dtype | type = float) -> None:
    """LggError for a shape (of a slice, or of all) or a type of pixels that no scan has."""
    most = MAX_PIXELS if len(shape) == 2 else MAX_VOXELS
    if not 1 <= np.prod([int(n) for n in shape], dtype=object) <= most:
        raise LggError(
            f"its shape is {shape}; a scan has at least one pixel along every axis, and at most "
            f"{most / 1e6:.0f} million {'in a slice' if len(shape) == 2 else 'in all'}: crop it"
        )
    if np.dtype(dtype).kind not in "iuf":
        raise LggError(f"its pixels are of the type {dtype}; save real numbers, as grey levels")
