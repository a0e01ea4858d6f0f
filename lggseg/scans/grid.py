"""Where a volume's voxels lie in the patient, whether a head fits there, and axial slices of it."""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from nibabel.affines import apply_affine, voxel_sizes
from nibabel.orientations import (
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)

from ..errors import LggError

AXIAL = axcodes2ornt("SPL")  # slices upwards, rows to the back, columns to the patient's left
IN_SLICE = ((0.2, 3.0), (100.0, 300.0))  # mm, of a head: size of a pixel, side of a slice
IN_STACK = ((0.5, 15.0), (60.0, 300.0))  # mm: distance of slices, length of their stack


@dataclass(frozen=True, eq=False)  # arrays have no plain equality: `same_as`
class Grid:
    """`shape` (X,Y,Z) of a volume; `affine` (4,4) from voxels to mm rightwards, frontwards, upwards.

    Axial slices are cut across the axis that runs closest to the patient's top-bottom one. Oblique
    volumes are not rotated. Raises LggError where the affine places no volume in space.

    >>> grid = Grid((2, 3, 4), np.diag([-1.0, 2.0, 5.0, 1.0]))
    >>> grid.pixel, str(grid)
    ((2.0, 1.0), '4 x 3 x 2 voxels of 5 x 2 x 1 mm')
    """

    shape: tuple[int, ...]
    affine: np.ndarray

    def __post_init__(self):
        matrix = self.affine[:3]
        if not np.isfinite(matrix).all() or np.linalg.matrix_rank(matrix[:, :3]) < 3:
            raise LggError(
                f"its affine {np.round(matrix, 3).tolist()} does not place voxels in space; convert "
                "the scan again, from DICOM with dcm2niix"
            )

    def __str__(self) -> str:
        numbers = " x ".join(str(n) for n in self.axial_shape)
        return f"{numbers} voxels of {' x '.join(f'{mm:.3g}' for mm in self.spacing)} mm"

    @cached_property
    def turn(self) -> np.ndarray:
        """How the file's axes become those of axial slices, as nibabel writes it."""
        return ornt_transform(io_orientation(self.affine), AXIAL)

    def to_slices(self, volume: np.ndarray) -> np.ndarray:
        """Array (X,Y,Z,...) as axial slices (D,H,W,...), bottom to top, front of the head up."""
        return apply_orientation(volume, self.turn)

    def from_slices(self, slices: np.ndarray) -> np.ndarray:
        """Slices (D,H,W) on the file's own axes (X,Y,Z): the inverse of `to_slices`."""
        return apply_orientation(slices, ornt_transform(AXIAL, io_orientation(self.affine)))

    @property
    def axial_shape(self) -> tuple[int, ...]:
        """Shape (D,H,W) of the axial slices."""
        return tuple(self.shape[axis] for axis in np.argsort(self.turn[:, 0]))

    @cached_property
    def axial_affine(self) -> np.ndarray:
        """From numbers of slice, row and column to mm."""
        return self.affine @ inv_ornt_aff(self.turn, self.shape)

    @property
    def spacing(self) -> np.ndarray:
        """Distance of axial slices, height and width of their pixels, in mm."""
        return voxel_sizes(self.axial_affine)

    @property
    def pixel(self) -> tuple[float, float]:
        """Height and width in mm of an axial slice's pixel."""
        return float(self.spacing[1]), float(self.spacing[2])

    @property
    def voxel(self) -> float:
        """Volume of a voxel in ml."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000

    def same_as(self, other: "Grid") -> bool:
        """Whether the axial slices of both show the same places, to a tenth of a voxel."""
        corners = np.array([*product(*((0, n - 1) for n in self.axial_shape))])
        places = apply_affine(self.axial_affine, corners), apply_affine(other.axial_affine, corners)
        near = np.abs(places[0] - places[1]).max() <= 0.1 * self.spacing.min()
        return self.axial_shape == other.axial_shape and bool(near)

    def fits_a_head(self) -> bool:
        """Whether it is as large as scans of heads are.

        The stack runs along the axis on which voxels are longest; bottom to top, where none is.
        """
        limits = [IN_SLICE] * 3
        limits[int(np.argmax(self.spacing.round(1)))] = IN_STACK
        sides = self.spacing * self.axial_shape
        lengths = np.stack([self.spacing, sides], axis=1)  # as limits: axis, then voxel and side
        low, high = np.moveaxis(limits, -1, 0)
        return bool((lengths >= 0.999 * low).all() and (lengths <= 1.001 * high).all())

    def check_head(self) -> None:
        """Raise LggError where no head fits."""
        if not self.fits_a_head():
            raise LggError(
                f"has {self}; a head has 100 to 300 mm a side within its slices and 60 to 300 along "
                "their stack, pixels of 0.2 to 3 mm and slices of 0.5 to 15 mm: give all slices of "
                "the scan, with true voxel sizes in mm, as dcm2niix converts them from DICOM"
            )
