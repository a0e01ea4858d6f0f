"""DICOM series: told apart, ordered by position, and with the rescaling that the scanner asks for. Needs pydicom."""

import os
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import LggError
from .grid import Grid
from .raw_scan import RawScan, check_size

SUFFIXES = (".dcm", ".ima", ".dicom")
MAX_FILES = 20_000  # in a folder and its subfolders: a study has some hundreds to some thousands


class Picture(NamedTuple):
    """What a file's header tells of its picture; arrays are empty where it does not tell them."""

    file: Path
    uid: str  # of its series
    number: int  # of its series
    title: str  # of its series
    size: tuple[int, int]  # rows and columns
    frames: int
    grey: bool  # each number is a level, and the larger the brighter (or, told so, the darker)
    position: np.ndarray  # (3,), centre of the first pixel, mm towards left, back and top
    orientation: np.ndarray  # (6,), directions in which columns and rows are counted
    spacing: np.ndarray  # (2,), distance of rows, and of columns, in mm
    thickness: float  # mm


Series = dict[str, list[Picture]]  # by UID, in the order of the series' numbers


def is_dicom(file: Path) -> bool:
    """By the four letters behind its preamble, whatever its name; what is called .dcm must have them."""
    with file.open("rb") as content:
        return content.read(132)[128:] == b"DICM"


def dicom_files(folder: Path) -> list[Path]:
    """The DICOM files in a folder and below it, without links to folders and hidden files."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(place, name) for name in sorted(names) if not name.startswith(".")]
        if len(found) > MAX_FILES:
            raise LggError(f"{folder}: more than {MAX_FILES} files in it and below; name the folder of one scan")
    return [file for file in found if is_slice(file)]


def is_slice(file: Path) -> bool:
    """Whether a file is DICOM; LggError where only its name says so, since a slice of the scan would be lost."""
    if file.is_file() and is_dicom(file):
        return True
    if file.suffix.lower() in SUFFIXES:
        raise LggError(f"{file}: is called DICOM and is none (empty, cut short, a broken link, or without a preamble); "
                       "copy it again, or take it out")
    return False


def read_dicom(files: list[Path], place: Path, wanted: Sequence[str] = ()) -> RawScan:
    """Axial slices (D,H,W,C) of DICOM files: the only series, or the `wanted` ones, one channel each.

    A series is named by its number in the list that the error message gives where there are several, or by its UID.
    Raises LggError where pydicom is missing, there is such a choice, a series is no stack of slices (a slice lost,
    two at one place, colours), or several do not lie on one grid: the slices of different sequences must be the same.
    """
    series = list_series(files, place)
    chosen = [choose(series, name, place) for name in wanted] or list(series)
    if len(set(chosen)) < len(chosen):
        raise LggError(f"{place}: --series {','.join(wanted)} names one series twice; name each once: {table(series)}")
    if len(chosen) > 1 and not wanted:
        raise LggError(f"{place}: holds {len(series)} series; choose by --series, one for FLAIR alone or several with "
                       f"--order, or give each a folder: {table(series)}")
    volumes = [read_series(series[uid], place) for uid in chosen]
    first = volumes[0][1]
    for uid, (_, grid) in zip(chosen, volumes):
        if not first.same_as(grid):
            raise LggError(f"{place}: series {uid} does not show the same places as {chosen[0]}; resample both to one "
                           "grid (as a registration does), and give them as NIfTI")
    values = np.stack([grid.to_slices(volume) for volume, grid in volumes], axis=-1)
    warnings = [] if find_spec("nibabel") else [
        f"{place}: results come as pictures only; for NIfTI in the scan's own space, pip install nibabel"]
    return RawScan(values, [f"slice_{z + 1}" for z in range(len(values))], first, warnings=warnings)


def list_series(files: list[Path], place: Path) -> Series:
    """All pictures, by series; reports and presentation states have none and are left out."""
    pydicom, series = pydicom_or_error(place), {}
    for file in files:
        header = read_file(pydicom, file, stop_before_pixels=True)
        if "Rows" in header:
            picture = read_header(file, header)
            series.setdefault(picture.uid, []).append(picture)
    if not series:
        raise LggError(f"{place}: no picture in its DICOM files; export the series of the scan")
    return dict(sorted(series.items(), key=lambda item: (item[1][0].number, item[0])))


def read_header(file: Path, header) -> Picture:
    """The picture that a data set describes; LggError where a value is damaged."""
    def numbers(tag: str) -> np.ndarray:
        found = np.array(header[tag].value, float).ravel() if header.get(tag) is not None else np.empty(0)
        return found if np.isfinite(found).all() else np.empty(0)

    try:
        grey = (int(header.get("SamplesPerPixel") or 1) == 1 and "ModalityLUTSequence" not in header
                and str(header.get("PhotometricInterpretation") or "MONOCHROME2").startswith("MONOCHROME"))
        return Picture(file, str(header.get("SeriesInstanceUID") or "no UID"), int(header.get("SeriesNumber") or 0),
                       str(header.get("SeriesDescription") or "without a name"),
                       (int(header.Rows), int(header.Columns)), int(header.get("NumberOfFrames") or 1),
                       grey, numbers("ImagePositionPatient"),
                       numbers("ImageOrientationPatient"), numbers("PixelSpacing"),
                       float(header.get("SliceThickness") or 1))
    except Exception as error:  # pydicom reads a value when it is asked for, and raises nearly anything
        raise LggError(f"{file}: not a whole DICOM file ({error}); copy it again") from error


def table(series: Series) -> str:
    """What there is to choose from, such as "1 = AX FLAIR (24 pictures, 1.2.840.1)"."""
    return "; ".join(f"{i} = {pictures[0].title} ({len(pictures)} pictures, {uid})"
                     for i, (uid, pictures) in enumerate(series.items(), 1))


def choose(series: Series, name: str, place: Path) -> str:
    """UID of the series with this number in the list, or this UID."""
    uids = dict(enumerate(series, 1))
    uid = uids.get(int(name)) if name.isdecimal() and len(name) < 6 else name
    if uid not in series:
        raise LggError(f"{place}: no series {name}; there are {table(series)}")
    return uid


def read_series(pictures: list[Picture], place: Path) -> tuple[np.ndarray, Grid]:
    """Intensities float32 (X,Y,Z) of one series, X to the right of its pictures and Y down, and their grid."""
    what = f"{place}: series {pictures[0].uid} ({pictures[0].title})"
    check_series(pictures, what)
    row, column = pictures[0].orientation.reshape(2, 3)
    normal = np.cross(row, column)
    pictures = sorted(pictures, key=lambda picture: float(normal @ picture.position))
    height, width = pictures[0].spacing
    affine = np.eye(4)
    affine[:3] = np.column_stack([row * width, column * height, slice_step(pictures, normal, what),
                                  pictures[0].position])
    affine[:2] *= -1  # DICOM counts towards left and back, NIfTI towards right and front
    volume = np.stack([intensities(picture.file).T for picture in pictures], axis=-1)
    try:
        return volume, Grid(volume.shape, affine)
    except LggError as error:
        raise LggError(f"{what}: {error}") from error


def check_series(pictures: list[Picture], what: str) -> None:
    """Raise LggError unless these are slices of one volume: place and size told, alike, one grey channel, one frame."""
    first = pictures[0]
    for picture in pictures:
        name = f"{what}: {picture.file.name}"
        if picture.frames > 1:
            raise LggError(f"{name} holds several frames; convert it to NIfTI with dcm2niix")
        if not picture.grey:
            raise LggError(f"{name} is in colours, or has a table of levels, as a screenshot or a map; choose the "
                           "series of the scan itself")
        for tag, found, count in (("ImagePositionPatient", picture.position, 3), ("PixelSpacing", picture.spacing, 2),
                                  ("ImageOrientationPatient", picture.orientation, 6)):
            if len(found) != count:
                raise LggError(f"{name} does not tell {tag}, so its slices cannot be ordered or measured; export the "
                               "original series")
        for tag, found, wanted in (("size", picture.size, first.size), ("PixelSpacing", picture.spacing, first.spacing),
                                   ("ImageOrientationPatient", picture.orientation, first.orientation)):
            if not np.allclose(found, wanted, atol=1e-3):
                raise LggError(f"{name} differs in {tag} from the series' first picture; take the localizer or the "
                               "second stack out of the folder")
    axes = first.orientation.reshape(2, 3)
    if not np.allclose(axes @ axes.T, np.eye(2), atol=0.01) or min(first.spacing) <= 0:
        raise LggError(f"{what}: rows and columns along {first.orientation.tolist()}, {first.spacing.tolist()} mm "
                       "apart; they must be at right angles and of length 1, and their distances positive: export the "
                       "original series")
    check_size(Path(what), *first.size)
    check_size(Path(what), *first.size, len(pictures))


def slice_step(pictures: list[Picture], normal: np.ndarray, what: str) -> np.ndarray:
    """From a slice to the next, float (3,) in mm; LggError where two share a place, or one is lost or aside."""
    if len(pictures) == 1:
        return normal * pictures[0].thickness
    places = np.stack([picture.position for picture in pictures])
    steps = np.diff(places @ normal)
    if steps.min() < 0.01:
        raise LggError(f"{what}: two pictures at one place (several echoes or times, or copies); leave one of each")
    if steps.max() > 1.2 * np.median(steps) or steps.min() < 0.8 * np.median(steps):
        raise LggError(f"{what}: its slices are {steps.min():.2f} to {steps.max():.2f} mm apart; one is lost, or two "
                       "stacks are mixed: export the series again")
    whole = places[-1] - places[0]
    aside = np.linalg.norm(places - places[0] - np.outer(np.cumsum([0, *steps]) / steps.sum(), whole), axis=1).max()
    if aside > 0.5 * min(pictures[0].spacing):
        raise LggError(f"{what}: a slice lies {aside:.2f} mm beside the line through the first and the last; two "
                       "stacks are mixed: export the series again")
    return whole / (len(places) - 1)


def intensities(file: Path) -> np.ndarray:
    """A picture's intensities float32 (rows, columns): rescaled, larger is brighter, NaN where it is padding."""
    picture = read_file(pydicom_or_error(file), file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return rescaled(picture)
    except Exception as error:  # a damaged or compressed picture makes pydicom raise nearly anything
        syntax = getattr(getattr(picture, "file_meta", None), "TransferSyntaxUID", "")
        raise LggError(f"{file}: its pixels cannot be read ({error}); if it is whole, they are compressed in a way "
                       f"that needs another package ({getattr(syntax, 'name', 'unknown')}): convert the series to "
                       "NIfTI with dcm2niix") from error


def rescaled(picture) -> np.ndarray:
    """See `intensities`."""
    stored = picture.pixel_array
    values = stored.astype(np.float32)
    if picture.get("PhotometricInterpretation") == "MONOCHROME1":  # the largest value is black there
        values = 2 ** (picture.BitsStored - picture.PixelRepresentation) - 1 - values
    slope, intercept = (picture.get(tag) for tag in ("RescaleSlope", "RescaleIntercept"))
    values = values * (1 if slope is None else float(slope)) + float(intercept or 0)
    if isinstance(padding := picture.get("PixelPaddingValue"), int):
        values[stored == padding] = np.nan
    return values


def read_file(pydicom, file: Path, **options):
    """The data set in a file; LggError where there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about values that break the standard a little
            return pydicom.dcmread(file, **options)
    except Exception as error:  # a damaged file makes the reader raise nearly anything
        raise LggError(f"{file}: not a whole DICOM file ({error}); copy it again") from error


def pydicom_or_error(place: Path):
    """The package pydicom, which is optional."""
    try:
        import pydicom
    except ImportError as error:
        raise LggError(f"{place}: DICOM needs the package pydicom; pip install pydicom, or convert the series to NIfTI "
                       "with dcm2niix") from error
    return pydicom
