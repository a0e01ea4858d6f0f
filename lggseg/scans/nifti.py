"""NIfTI files: read whole or refused by name, and results on the very same grid. Needs nibabel, which is optional."""

import gzip
from pathlib import Path

import numpy as np

from ..errors import LggError
from .grid import Grid
from .raw_scan import RawScan, check_size

SUFFIXES = (".nii", ".nii.gz")
HEADER = {348: "Nifti1Image", 540: "Nifti2Image"}  # bytes of a header, and who reads it


def is_nifti(file: Path) -> bool:
    """By its suffix, in upper or lower case."""
    return file.name.lower().endswith(SUFFIXES)


def read_nifti(path: Path) -> RawScan:
    """Axial slices, front of the head up, of a NIfTI file (X,Y,Z), or (X,Y,Z,C) with several sequences.

    See `Grid` for which slices are axial. Raises LggError where nibabel is missing, the file is damaged (the checksum
    of a .gz is checked), holds colours or complex numbers, has other axes, or lies nowhere.
    """
    nibabel = nibabel_or_error(path)
    try:
        image = read_whole(path, nibabel)
        values = np.asanyarray(image.dataobj)
        grid = Grid(image.shape[:3], image.affine.astype(float))
    except LggError as error:
        raise error if str(error).startswith(str(path)) else LggError(f"{path}: {error}") from error
    except PermissionError:  # the file may be whole; `read_raw_scan` has a word for it
        raise
    except Exception as error:  # a damaged file makes the reader raise nearly anything
        raise LggError(f"{path}: not a whole NIfTI file ({error}); copy or convert it again") from error
    values = values[..., None] if values.ndim == 3 else values
    told = image.header.get_value_label("qform_code"), image.header.get_value_label("sform_code")
    warnings = [] if set(told) != {"unknown"} else [
        f"{path}: does not say how it lies in the patient; taken as stored with the axes left, front, top"]
    return RawScan(grid.to_slices(values), [f"slice_{z + 1}" for z in range(grid.to_slices(values).shape[0])],
                 grid, image.header, warnings=warnings)


def read_whole(path: Path, nibabel):
    """The nibabel image in a file: its header checked before, and its checksum with, the voxels."""
    with path.open("rb") as raw, (gzip.open(raw) if raw.peek(2)[:2] == b"\x1f\x8b" else raw) as file:
        start = file.read(540)
        sizes = [int.from_bytes(start[:4], order) for order in ("little", "big")]
        name = next((HEADER[size] for size in sizes if size in HEADER), None)
        if name is None:
            raise LggError(f"{path}: has no NIfTI header; convert the scan again, from DICOM with dcm2niix")
        header = getattr(nibabel, name).header_class(start[:348 if name == "Nifti1Image" else 540])
        check_header(path, header)
        need = int(header["vox_offset"]) + int(np.prod(header.get_data_shape())) * header.get_data_dtype().itemsize
        content = start + file.read(max(need - len(start), 0))
        if len(content) < need:
            raise LggError(f"{path}: cut short, {len(content)} of {need} bytes; copy it again")
        while file.read(2**20):  # a checksum is compared where the file ends
            pass
    return getattr(nibabel, name).from_bytes(content)


def check_header(path: Path, header) -> None:
    """Raise LggError for axes or types that no scan of ours has."""
    shape, dtype = header.get_data_shape(), header.get_data_dtype()
    if len(shape) not in (3, 4):
        raise LggError(f"{path}: shape {shape}; it must be (X, Y, Z) for one sequence, or (X, Y, Z, C) for several")
    if dtype.kind not in "iuf":
        raise LggError(f"{path}: its voxels are of the type {dtype}; they must be real numbers: save the magnitude, "
                       "one sequence per file")
    check_size(path, *shape[:3])
    check_size(path, *shape)


def write_nifti(slices: np.ndarray, grid: Grid, header: object | None, path: Path) -> bytes:
    """Slices (D,H,W), uint8 or float32, as the bytes of a .nii.gz file on the grid that they were read from.

    With the scan's own `header` the result has its shape, axes, affine, qform, sform, codes, units and voxel sizes.
    `path` is where the bytes are to go; it is only named in errors.
    """
    nibabel = nibabel_or_error(path)
    volume = np.ascontiguousarray(grid.from_slices(slices))
    kind = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    if header is None:
        image = kind(volume, grid.affine)
        image.header.set_xyzt_units("mm")
    else:
        header = header.copy()
        header.extensions.clear()
        header["cal_min"] = header["cal_max"] = 0  # the scan's grey window would show a mask as black
        header.set_slope_inter(1, 0)
        header.set_data_dtype(volume.dtype)
        image = kind(volume, None, header)
    return gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)


def nibabel_or_error(path: Path):
    """The package nibabel, which is optional."""
    try:
        import nibabel
    except ImportError as error:
        raise LggError(f"{path}: NIfTI needs the package nibabel; pip install nibabel") from error
    return nibabel
