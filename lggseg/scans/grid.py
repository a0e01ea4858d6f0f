"""Where a volume's voxels lie in the patient, and the way to axial slices of square pixels and back."""

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations, product

import numpy as np
import torch
from torch.nn import functional as F

from ..errors import LggError


@dataclass(frozen=True, eq=False)  # arrays have no plain equality: `same_as`
class Grid:
    """`shape` (X,Y,Z) of a volume, and `affine` (4,4) from voxel numbers to mm towards right, front (anterior) and top.

    Axial slices are cut across the axis that runs closest to the patient's superior-inferior one, whichever axis of
    the file that is: a volume that was acquired in sagittal slices becomes axial ones, too, with pixels as long as the
    sagittal slices are thick. Oblique volumes are not rotated: their slices are as oblique as they are. Raises LggError
    where the affine places no volume in space.

    >>> grid = Grid((2, 3, 4), np.diag([-1.0, 2.0, 5.0, 1.0]))
    >>> grid.axes, grid.pixel, grid.thickness
    ((0, 1, 2), (2.0, 1.0), 5.0)
    """

    shape: tuple[int, int, int]
    affine: np.ndarray

    def __post_init__(self):
        if not np.isfinite(self.affine).all() or np.linalg.matrix_rank(self.affine[:3, :3]) < 3:
            raise LggError(f"its affine {np.round(self.affine[:3], 3).tolist()} does not place voxels in space; "
                           "convert the scan again, from DICOM with dcm2niix")

    @cached_property
    def spacing(self) -> np.ndarray:
        """Size of a voxel along the file's three axes, float (3,), in mm."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @cached_property
    def axes(self) -> tuple[int, int, int]:
        """The file's axes closest to right-left, front-back and top-bottom, each used once."""
        along = np.abs(self.affine[:3, :3] / self.spacing)
        return max(permutations(range(3)), key=lambda axes: sum(along[world, axis] for world, axis in enumerate(axes)))

    @property
    def pixel(self) -> tuple[float, float]:
        """Height and width in mm of an axial slice's pixel."""
        return float(self.spacing[self.axes[1]]), float(self.spacing[self.axes[0]])

    @property
    def thickness(self) -> float:
        """Distance of axial slices in mm."""
        return float(self.spacing[self.axes[2]])

    @property
    def voxel(self) -> float:
        """Volume of a voxel in ml."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000

    @cached_property
    def _order(self) -> tuple[tuple[int, int, int], tuple[slice, slice, slice]]:
        """The file's axes in the order slice, row, column, and the steps that turn each: up, backwards, leftwards."""
        order = self.axes[::-1]
        upwards = [self.affine[world, axis] > 0 for world, axis in zip((2, 1, 0), order)]
        return order, tuple(slice(None, None, 1 if up == wanted else -1)
                            for up, wanted in zip(upwards, (True, False, False)))

    def to_slices(self, volume: np.ndarray) -> np.ndarray:
        """Array (X,Y,Z,...) as axial slices (D,H,W,...), bottom to top: front up, the patient's left on the right."""
        order, steps = self._order
        return volume.transpose(*order, *range(3, volume.ndim))[steps]

    def from_slices(self, slices: np.ndarray) -> np.ndarray:
        """Slices (D,H,W) on the file's own axes (X,Y,Z): the inverse of `to_slices`."""
        order, steps = self._order
        return slices[steps].transpose(*np.argsort(order))

    def same_as(self, other: "Grid") -> bool:
        """Whether the axial slices of both have one shape and show the same places, to a tenth of a voxel."""
        if self.to_slices(np.empty(self.shape, bool)).shape != other.to_slices(np.empty(other.shape, bool)).shape:
            return False
        return bool(np.abs(self.corners() - other.corners()).max() <= 0.1 * self.spacing.min())

    def corners(self) -> np.ndarray:
        """Places in mm, float (8,3), of the corner voxels, in the order of the axial slices."""
        order, steps = self._order
        ends = [(0, self.shape[axis] - 1)[step] for axis, step in zip(order, steps)]
        voxels = np.array(list(product(*ends)))[:, np.argsort(order)]
        return voxels @ self.affine[:3, :3].T + self.affine[:3, 3]


def square_size(height: int, width: int, pixel: tuple[float, float]) -> tuple[int, int]:
    """Rows and columns of a slice whose pixels have become as high and wide as their shorter side.

    >>> square_size(100, 100, (1.0, 2.0)), square_size(100, 100, (1.0, 1.0))
    ((100, 200), (100, 100))
    """
    side = min(pixel)
    return round(height * pixel[0] / side), round(width * pixel[1] / side)


def to_square(image: np.ndarray, pixel: tuple[float, float]) -> np.ndarray:
    """Slices uint8 (D,H,W,C) with pixels of this height and width, resampled to square ones, bilinearly."""
    size = square_size(*image.shape[1:3], pixel)
    if size == image.shape[1:3]:
        return image
    slices = [F.interpolate(torch.from_numpy(np.array(one)).movedim(2, 0)[None], size, mode="bilinear")[0].movedim(0, 2)
              for one in image]
    return torch.stack(slices).numpy()


def from_square(slices: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Slices float32 (D,h,w) back to (D,*size), averaging where it shrinks."""
    if size == slices.shape[1:3]:
        return slices
    return F.interpolate(torch.from_numpy(slices)[:, None], size, mode="bilinear", antialias=True)[:, 0].numpy()
