"""Somebody's own scan as a volume, read as what it is or refused with a word on what to do.

A scan is one of these:

- a folder of pictures, one per axial slice, ordered by the numbers in their names; a single picture; a TIFF of several
  pages. Of 8 bits (taken as they are) or 16 bits or float (scaled by percentiles over all slices). Grey, or in colours
  whose channels are three sequences. A mask beside each slice (NAME_mask.png beside NAME.png) is the truth to score by.
- a NIfTI file, or a folder with one: (X,Y,Z), or (X,Y,Z,C) with several sequences; in any orientation.
- a DICOM series: a folder, searched with its subfolders, or one file. Of several series, `series` chooses.

The network sees axial slices with square pixels; what it finds comes back on the scan's own pixels. One channel is
FLAIR. Three are pre-contrast T1, FLAIR and post-contrast T1 unless `order` says otherwise. Sequences that lie in files
of their own are joined by `read_sequences`. In place of a missing sequence stands FLAIR, as in the data set.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import LggError
from ..sequences import IN_WORDS
from .channels import check_levels, compose, name_channels, parse_order
from .dicom import SUFFIXES as DICOM_SUFFIXES
from .dicom import dicom_files, is_dicom, read_dicom
from .grid import Grid, square_size
from .nifti import is_nifti, read_nifti
from .pictures import is_mask, is_picture, plain, read_pictures
from .raw_scan import RawScan, check_size

RESULTS = "lggseg-results.json"  # what `python -m lggseg.predict` wrote into a folder; such a folder is no scan
MOST_OBLONG = 20  # a pixel's longer side over its shorter one: beyond it, sizes are wrong


@dataclass
class OwnScan:
    """A scan to segment: `image` uint8 (D,H,W,3) on the scan's own pixels, `pixel` their height and width (any unit).

    `names` of the slices; `truth` bool (D,H,W) where masks lie beside them; `grid` and `header` of files that tell
    where they lie in space; `warnings`, sentences for the reader.
    """

    image: np.ndarray
    names: list[str]
    truth: np.ndarray | None = None
    pixel: tuple[float, float] = (1.0, 1.0)
    grid: Grid | None = field(default=None, repr=False)
    header: object | None = field(default=None, repr=False)
    warnings: list[str] = field(default_factory=list)


def read_scan(path: Path | str, order: str | None = None, series: str | None = None) -> OwnScan:
    """The scan in a file or folder.

    order    which channel is which sequence, such as "flair,t1,t1ce": see `sequences.parse_order`
    series   of DICOM, numbers or UIDs such as "3" or "1,3,4", each a channel

    Raises LggError naming what cannot be used, the rule it breaks, and what to do.
    """
    path = Path(path)
    stack = read_raw_scan(path, [name.strip() for name in series.split(",")] if series else [])
    channels = name_channels(stack.values, order and parse_order(order), str(path))
    stack.warnings += check_levels(channels, str(path))
    return own_scan(path, stack, channels)


def read_sequences(flair: Path | str, pre: Path | str | None = None, post: Path | str | None = None) -> OwnScan:
    """The scan whose sequences lie in files or folders of their own, each with one channel and all on one grid.

    Names, truth and header are FLAIR's. Raises LggError where one has several channels, or another grid than FLAIR.
    """
    paths = {name: Path(path) for name, path in (("flair", flair), ("pre", pre), ("post", post)) if path}
    if len({path.resolve() for path in paths.values()}) < len(paths):
        raise LggError(f"{', '.join(map(str, paths.values()))}: one file named for two sequences; leave out the one "
                       "that you do not have, and FLAIR stands in for it")
    stacks = {name: read_raw_scan(path) for name, path in paths.items()}
    for name, stack in stacks.items():
        if stack.values.shape[-1] != 1:
            raise LggError(f"{paths[name]}: {stack.values.shape[-1]} channels; {IN_WORDS[name]} in a file of its own "
                           "has one (grey). A file that holds all sequences is given alone, with --order")
        check_grid(paths[name], stack, paths["flair"], stacks["flair"])
        stack.warnings += check_levels({name: stack.values[..., 0]}, str(paths[name]))
    scan = own_scan(paths["flair"], stacks["flair"], {name: stack.values[..., 0] for name, stack in stacks.items()})
    scan.warnings += [told for name, stack in stacks.items() if name != "flair" for told in stack.warnings]
    return scan


def check_grid(path: Path, stack: RawScan, flair_path: Path, flair: RawScan) -> None:
    """Raise LggError where a sequence does not lie on FLAIR's voxels."""
    shape, wanted = stack.values.shape[:3], flair.values.shape[:3]
    if shape != wanted:
        raise LggError(f"{path}: {shape} slices, rows and columns, but {flair_path} has {wanted}; register and "
                       "resample it to FLAIR first")
    if (stack.grid is None) != (flair.grid is None) or (flair.grid and not flair.grid.same_as(stack.grid)):
        raise LggError(f"{path}: does not show the same places as {flair_path}; register and resample it to FLAIR, and "
                       "give all sequences in one format")


def own_scan(path: Path, stack: RawScan, channels: dict[str, np.ndarray]) -> OwnScan:
    """The named sequences (D,H,W) of a stack as a scan."""
    try:
        image, warnings = compose(channels)
        pixel = stack.grid.pixel if stack.grid else (1.0, 1.0)
        if max(pixel) > MOST_OBLONG * min(pixel):
            raise LggError(f"its axial slices have pixels of {pixel[0]:.3g} x {pixel[1]:.3g} mm; give a scan with more "
                           "slices, or put its voxel sizes right")
    except LggError as error:
        raise LggError(f"{path}: {error}") from error
    square = square_size(*image.shape[1:3], pixel)
    check_size(path, *square)
    check_size(path, len(image), *square)
    if max(pixel) > 3 * min(pixel):
        warnings.append(f"axial slices of this scan have pixels of {pixel[0]:.3g} x {pixel[1]:.3g} mm; do not expect "
                        "much of slices as coarse as that")
    return OwnScan(image, stack.names, stack.truth, pixel, stack.grid, stack.header, stack.warnings + warnings)


def read_raw_scan(path: Path, series: Sequence[str] = ()) -> RawScan:
    """What lies at a path, by its kind; LggError where that is nothing, several things, or no scan."""
    try:
        return read_folder(path, series) if path.is_dir() else read_file(path, series)
    except OSError as error:
        raise LggError(f"{path}: cannot be read ({error})") from error


def read_file(path: Path, series: Sequence[str]) -> RawScan:
    """The scan in one file."""
    if not path.is_file():
        raise LggError(f"{path}: no such file or folder; name a folder of slices, a picture, a NIfTI file or a DICOM "
                       "series" if not path.exists() else f"{path}: neither a file nor a folder")
    if series and not is_dicom(path):
        raise LggError(f"{path}: is not DICOM, so there is no series to choose; leave out --series")
    if is_nifti(path):
        return read_nifti(path)
    if is_picture(path):
        if is_mask(path):
            raise LggError(f"{path}: is a mask by its name; name the picture beside it")
        masks = [file for file in listing(path.parent) if is_picture(file)
                 and plain(file.stem) == plain(f"{path.stem}_mask")]
        return read_pictures([path], masks)
    if is_dicom(path):
        return read_dicom([path], path, series)
    raise LggError(f"{path}: no picture (.png, .tif, .jpg, .bmp), no NIfTI (.nii, .nii.gz) and no DICOM")


def read_folder(path: Path, series: Sequence[str]) -> RawScan:
    """The one scan in a folder."""
    files = listing(path)
    if any(file.name == RESULTS for file in files):
        raise LggError(f"{path}: holds what an earlier run found, not a scan; name the folder of the scan")
    nifti, pictures = [file for file in files if is_nifti(file)], [file for file in files if is_picture(file)]
    slices = [file for file in pictures if not is_mask(file)]
    if bool(nifti) + bool(slices) + any(file.suffix.lower() in DICOM_SUFFIXES for file in files) > 1:
        raise LggError(f"{path}: holds scans of several kinds (pictures, NIfTI, DICOM); name one file, or a folder "
                       "with one kind")
    if (nifti or slices) and series:
        raise LggError(f"{path}: is not DICOM, so there is no series to choose; leave out --series")
    if len(nifti) > 1:
        raise LggError(f"{path}: holds {len(nifti)} NIfTI files ({', '.join(file.name for file in nifti[:6])}); name "
                       "one, or say which is which by --flair, --pre and --post")
    if nifti:
        return read_nifti(nifti[0])
    if slices:
        return read_pictures(slices, [file for file in pictures if is_mask(file)])
    if dicom := dicom_files(path):
        return read_dicom(dicom, path, series)
    folders = [entry.name for entry in sorted(path.iterdir()) if entry.is_dir()]
    raise LggError(f"{path}: no picture there, no NIfTI and no DICOM" + (
        f"; name one of its folders ({', '.join(folders[:3])}{', ...' * (len(folders) > 3)})" if folders else
        "; slices must be files ending in .png, .tif, .jpg or .bmp"))


def listing(folder: Path) -> list[Path]:
    """The files in a folder, without hidden ones; LggError for a picture or NIfTI that is a broken link or no file."""
    files = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".") and not entry.is_dir()]
    for file in files:
        if not file.is_file() and (is_picture(file) or is_nifti(file)):
            raise LggError(f"{file}: {'a link to nowhere' if file.is_symlink() else 'not a plain file'}; take it out")
    return [file for file in files if file.is_file()]
