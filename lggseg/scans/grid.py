"""Where a volume's voxels lie in the patient, whether a head fits there, and axial slices of it."""

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
IN_SLICE = ((0.2, 100.0), (3.0, 300.0))  # mm, least and most: a pixel, and a head within its slice
IN_STACK = ((0.5, 60.0), (15.0, 300.0))  # distance of slices, and a head along their stack


class Grid:
    """The grid of a volume whose `affine` (4,4) leads from voxels to mm rightwards, frontwards, up.

    Axial slices are cut across the axis that runs closest to the patient's top-bottom one. Oblique
    volumes are not rotated. Raises LggError where the affine places no volume in space.

    Attributes
    ----------
    shape, affine : of the volume (X,Y,Z), as its file holds it
    axial_shape, axial_affine : of its axial slices (D,H,W)
    spacing : float (3,), distance of axial slices, height and width of their pixels, in mm
    voxel : volume of a voxel in ml

    Examples
    --------
    >>> grid = Grid((2, 3, 4), np.diag([-1.0, 2.0, 5.0, 1.0]))
    >>> grid.axial_shape, grid.spacing.tolist()
    ((4, 3, 2), [5.0, 2.0, 1.0])
    """

    def __init__(self, shape: tuple[int, ...], affine: np.ndarray):
        matrix = affine[:3, :3]
        if not np.isfinite(affine).all() or np.linalg.matrix_rank(matrix) < 3:
            raise LggError(
                f"its affine {np.round(affine[:3], 3).tolist()} does not place voxels in space; "
                "convert the scan again, from DICOM with dcm2niix"
            )
        self.shape = tuple(shape)
        self.affine = affine
        self.turn = ornt_transform(io_orientation(affine), AXIAL)  # as nibabel writes it
        self.axial_shape = tuple(self.shape[axis] for axis in np.argsort(self.turn[:, 0]))
        self.axial_affine = affine @ inv_ornt_aff(self.turn, self.shape)
        self.spacing = voxel_sizes(self.axial_affine)
        self.voxel = float(abs(np.linalg.det(matrix))) / 1000

    def to_slices(self, volume: np.ndarray) -> np.ndarray:
        """Array (X,Y,Z,...) as axial slices (D,H,W,...), bottom to top, front of the head up."""
        return apply_orientation(volume, self.turn)

    def from_slices(self, slices: np.ndarray) -> np.ndarray:
        """Slices (D,H,W) on the file's own axes (X,Y,Z): the inverse of `to_slices`."""
        return apply_orientation(slices, ornt_transform(AXIAL, io_orientation(self.affine)))

    def same_as(self, other: "Grid | None") -> bool:
        """Whether the axial slices of both show the same places, to a tenth of a voxel."""
        if other is None or self.axial_shape != other.axial_shape:
            return False
        corners = np.array([*product(*((0, n - 1) for n in self.axial_shape))])
        apart = apply_affine(self.axial_affine, corners) - apply_affine(other.axial_affine, corners)
        return bool(np.abs(apart).max() <= 0.1 * self.spacing.min())

    def fits_a_head(self) -> bool:
        """Whether it is as large as scans of heads are.

        The stack runs along the axis on which voxels are longest; bottom to top, where none is.
        """
        limits = np.array([IN_SLICE] * 3)  # (3,2,2): axis; least and most; voxel and side
        limits[np.argmax(self.spacing.round(1))] = IN_STACK
        least = limits[:, 0]
        most = limits[:, 1]
        lengths = np.stack([self.spacing, self.spacing * self.axial_shape], axis=1)
        return bool((lengths >= 0.999 * least).all() and (lengths <= 1.001 * most).all())

    def check_head(self) -> None:
        """Raise LggError where no head fits, or nothing is told: the identity is no scanner's."""
        lost = bool((self.affine == np.eye(4)).all())
        if lost or not self.fits_a_head():
            size = " x ".join(f"{mm:.3g}" for mm in self.spacing)
            hint = ""
            if lost:
                hint = "; its affine is the identity, which is written where none is known"
            raise LggError(
                f"has {' x '.join(map(str, self.axial_shape))} voxels of {size} mm; a head has "
                "100 to 300 mm a side within its slices and 60 to 300 along their stack, pixels "
                "of 0.2 to 3 mm and slices of 0.5 to 15 mm: give all slices of the scan, with "
                f"true voxel sizes in mm, as dcm2niix converts them from DICOM{hint}"
            )
