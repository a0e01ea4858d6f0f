"""Somebody's own scan as a volume: a patient's folder, a folder of pictures, one picture, or NIfTI."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import LggError
from .folder import read_mask

PICTURES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp")
NIFTI = (".nii", ".nii.gz")


@dataclass
class OwnScan:
    """A scan to segment: `image` uint8 (D,H,W,3); `truth` bool (D,H,W) where masks lie beside the slices.

    `names` are the slices' file names without suffix; `affine` (4,4) places a NIfTI volume in space, in mm.
    """

    image: np.ndarray
    names: list[str]
    truth: np.ndarray | None = None
    affine: np.ndarray | None = field(default=None, repr=False)


def read_scan(path: Path | str) -> OwnScan:
    """Read a folder of slices (in numeric order), one picture, or NIfTI (needs nibabel).

    Fewer sequences are taken as the data set takes them: grey pictures and 3D NIfTI are FLAIR, copied
    into the places of pre- and post-contrast. Raises LggError naming what cannot be used.
    """
    path = Path(path)
    if not path.exists():
        raise LggError(f"{path}: no such file or folder; name a folder of slices, one picture, or a .nii.gz file")
    if path.name.endswith(NIFTI):
        return read_nifti(path)
    files = [path] if path.is_file() else sorted(path.iterdir(), key=numeric)
    slices = [f for f in files if f.suffix.lower() in PICTURES and not f.stem.endswith("_mask")]
    if not slices:
        raise LggError(f"{path}: no picture there; slices must be files ending in {', '.join(PICTURES + NIFTI)}")
    masks = [f.with_name(f"{f.stem}_mask{f.suffix}") for f in slices]
    truth = stack([read_mask(m) for m in masks], masks) if all(m.exists() for m in masks) else None
    return OwnScan(stack([read_picture(f) for f in slices], slices), [f.stem for f in slices], truth)


def numeric(path: Path) -> list:
    """Sort key by which slice_2 comes before slice_10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]


def read_picture(path: Path) -> np.ndarray:
    """One slice as uint8 (H,W,3); a grey one three times."""
    try:
        with Image.open(path) as file:
            pixels = np.asarray(file)
    except OSError as error:
        raise LggError(f"{path}: cannot be read as a picture ({error}); export it again") from error
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        raise LggError(f"{path}: {pixels.dtype} {pixels.shape}; slices must be 8-bit, grey or with three channels "
                       "(pre-contrast, FLAIR, post-contrast)")
    return pixels[..., :3] if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def stack(slices: list[np.ndarray], files: list[Path]) -> np.ndarray:
    """Slices as one volume; LggError where one has another size."""
    for pixels, file in zip(slices, files):
        if pixels.shape != slices[0].shape:
            raise LggError(f"{file}: {pixels.shape[:2]} pixels, but {files[0].name} has {slices[0].shape[:2]}; "
                           "all slices of a scan must have one size: put each scan into a folder of its own")
    return np.stack(slices)


def read_nifti(path: Path) -> OwnScan:
    """Axial slices, front of the head up, of a 3D (FLAIR) or 4D (three sequences last) NIfTI file."""
    nibabel = nibabel_or_error(path)
    file = nibabel.as_closest_canonical(nibabel.load(path))
    values = np.nan_to_num(np.asarray(file.dataobj, dtype=np.float32))
    if values.ndim not in (3, 4) or (values.ndim == 4 and values.shape[3] not in (1, 3)):
        raise LggError(f"{path}: shape {values.shape}; it must be (X, Y, Z) FLAIR, or (X, Y, Z, 3) with "
                       "pre-contrast, FLAIR, post-contrast")
    channels = values[..., None] if values.ndim == 3 else values
    image = np.broadcast_to(to_slices(np.stack([to_bytes(c) for c in np.moveaxis(channels, 3, 0)], 3)),
                            (values.shape[2], values.shape[1], values.shape[0], 3))
    return OwnScan(np.ascontiguousarray(image), [f"slice_{z + 1}" for z in range(len(image))], None, file.affine)


def to_slices(volume: np.ndarray) -> np.ndarray:
    """Array (X,Y,Z,...), axes to right, front and top, as slices (Z,H,W,...): front up, patient's left on the right.

    `from_slices` is its inverse.
    """
    return np.moveaxis(volume, (2, 1, 0), (0, 1, 2))[:, ::-1, ::-1]


def from_slices(slices: np.ndarray) -> np.ndarray:
    """Slices (Z,H,W) back on the NIfTI's axes (X,Y,Z)."""
    return np.moveaxis(slices[:, ::-1, ::-1], (0, 1, 2), (2, 1, 0))


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Any range to uint8, linearly; the brightest 0.5 % of what is not background saturate, as in the data set."""
    low, top = float(values.min()), values[values > values.min()]
    high = float(np.percentile(top, 99.5)) if top.size else low + 1
    return np.rint(255 * ((values - low) / max(high - low, 1e-6)).clip(0, 1)).astype(np.uint8)


def write_nifti(slices: np.ndarray, affine: np.ndarray, path: Path) -> None:
    """Slices (Z,H,W), uint8 or float32, as a NIfTI file in the scan's own space."""
    nibabel = nibabel_or_error(path)
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(from_slices(slices)), affine), path)


def nibabel_or_error(path: Path):
    """The package nibabel, which is optional."""
    try:
        import nibabel
    except ImportError as error:
        raise LggError(f"{path}: NIfTI needs the package nibabel; pip install 'lggseg[nifti]'") from error
    return nibabel
