"""NIfTI by nibabel: read whole or refused by name, and results on the very same grid."""

import gzip
import logging
from contextlib import suppress
from pathlib import Path

import nibabel
import numpy as np
from nibabel.affines import voxel_sizes

from ..errors import LggError
from .grid import Grid
from .own_scan import NO_PLACE, OwnScan, check_size, reading

MM = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}  # in a header's unit of length

UNHEARD = logging.NullHandler()  # a logger without any handler prints its warnings


def read_nifti(path: Path) -> OwnScan:
    """Axial slices of a file (X,Y,Z), (X,Y,Z,C), or (X,Y,Z,1,C) as ITK writes several sequences.

    Raises LggError where the file is damaged (the checksum of a .gz is compared), has colours,
    complex numbers or other axes, lies nowhere, or contradicts itself.
    """
    quiet = nibabel.imageglobals.LoggingOutputSuppressor()
    with reading(path, "NIfTI"), quiet, path.open("rb") as raw:
        nibabel.imageglobals.logger.addHandler(UNHEARD)
        zipped = raw.peek(2)[:2] == b"\x1f\x8b"
        with gzip.open(raw) if zipped else raw as file:
            size = file.read(4)  # of the header: NIfTI-2 has 540 bytes
            file.seek(0)
            second = 540 in (int.from_bytes(size, order) for order in ("little", "big"))
            kind = nibabel.Nifti2Image if second else nibabel.Nifti1Image
            image = kind.from_stream(file)
            shape = image.shape
            if not 3 <= len(shape) <= 5 or (len(shape) == 5 and shape[3] > 1):
                raise LggError(f"its shape is {shape}; it must be (X,Y,Z), or (X,Y,Z,sequences)")
            check_size(*shape, dtype=image.get_data_dtype())
            values = np.asanyarray(image.dataobj)
            while file.read(2**20):  # a checksum is compared where the file ends
                pass
        grid, remarks = place(image.header)
    slices = grid.to_slices(values.reshape(*grid.shape, -1))
    warnings = [f"{path}: {words}" for words in remarks]
    return OwnScan(slices, grid=grid, header=image.header, warnings=warnings)


def place(header: nibabel.Nifti1Header) -> tuple[Grid, list[str]]:
    """Where the voxels lie, and what is to be told about it.

    Where sform, qform and voxel sizes contradict each other, those count in which a head fits;
    LggError where these do, too.
    """
    shape = header.get_data_shape()[:3]
    unit = MM[header.get_xyzt_units()[0]]
    to_mm = np.diag([unit, unit, unit, 1.0])
    plain = Grid(shape, to_mm @ header.get_base_affine())
    both = (header.get_sform(coded=True)[0], header.get_qform(coded=True)[0])
    forms = [to_mm @ form for form in both if form is not None]
    if not forms:
        raise LggError(NO_PLACE)
    grids = []
    for form in forms:
        with suppress(LggError):
            grids.append(Grid(shape, form))
    if len(grids) == len(forms) and consistent(grids, plain):
        return grids[0], []
    fitting = [grid for grid in grids if grid.fits_a_head()] or [Grid(shape, forms[0])]
    sizes = [voxel_sizes(affine).round(3).tolist() for affine in [*forms, plain.affine]]
    contradiction = (
        f"sform, qform and voxel sizes contradict each other in size ({sizes} mm) or direction"
    )
    if not consistent(fitting, plain if plain.fits_a_head() else fitting[0]):
        raise LggError(f"{contradiction}; convert the scan again, from DICOM with dcm2niix")
    taken = fitting[0].spacing.round(3).tolist()
    return fitting[0], [
        f"{contradiction}; read as slices, rows and columns {taken} mm apart, as fits a head"
    ]


def consistent(grids: list[Grid], plain: Grid) -> bool:
    """Whether all turn the volume alike, and have voxels about as large as `plain`."""
    sizes = [voxel_sizes(grid.affine) for grid in grids]
    alike = np.allclose(sizes, voxel_sizes(plain.affine), rtol=0.05)
    return alike and all((grid.turn == grids[0].turn).all() for grid in grids)


def write_nifti(slices: np.ndarray, grid: Grid, header: nibabel.Nifti1Header | None) -> bytes:
    """Slices (D,H,W), uint8 or float32, as a .nii.gz file on the grid that they were read from.

    With the scan's own `header` it has its shape, affine, qform, sform, codes, units and sizes.
    """
    volume = np.ascontiguousarray(grid.from_slices(slices))
    if header is None:
        image = nibabel.Nifti1Image(volume, grid.affine)
        image.header.set_xyzt_units("mm")
    else:
        header = header.copy()
        header.extensions.clear()
        header["cal_min"] = header["cal_max"] = 0  # the scan's grey window would hide a mask
        header.set_data_dtype(volume.dtype)
        second = isinstance(header, nibabel.Nifti2Header)
        image = (nibabel.Nifti2Image if second else nibabel.Nifti1Image)(volume, None, header)
    return gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)
