"""DICOM series: headers by pydicom, pixels by SimpleITK; ordered by place, and checked for gaps."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydicom
import SimpleITK

from ..errors import LggError
from .grid import Grid
from .itk import read_image
from .own_scan import OwnScan, check_size, reading

# Numbers in each tag
PLACE = {"PixelSpacing": 2, "ImageOrientationPatient": 6, "ImagePositionPatient": 3}


class Picture(NamedTuple):
    """What a file's header tells of a slice in it."""

    number: int  # of its series
    uid: str  # of its series
    title: str  # of its series
    file: Path
    frame: int  # of its file, from 0
    fault: str  # why it is no slice; empty if it is one
    tags: dict[str, np.ndarray]  # its size, and the tags of PLACE
    thickness: float  # mm


def read_dicom(files: list[Path], place: Path, wanted: Sequence[str] = ()) -> OwnScan:
    """Axial slices (D,H,W,C) of DICOM files: the only series, or the `wanted` ones as channels.

    A series is named by its number in the list that the error message gives, or by its UID. Raises
    LggError where there is such a choice, a series is no stack of slices, or several do not show
    the same places.
    """
    series: dict[str, list[Picture]] = {}
    pictures = [picture for file in files for picture in read_header(file)]
    for picture in sorted(pictures, key=lambda one: one[:2]):
        series.setdefault(picture.uid, []).append(picture)
    numbered = {str(i): uid for i, uid in enumerate(series, 1)}
    chosen = [numbered.get(name, name) for name in wanted] or list(series)
    wrong = ""
    if not series:
        wrong = "no picture in its DICOM files; export the series of the scan"
    elif not set(chosen) <= set(series):
        wrong = f"no series {' or '.join(wanted)}"
    elif len(set(chosen)) < len(chosen):
        wrong = f"--series {','.join(wanted)} names one series twice"
    elif len(series) > 2 and max(map(len, series.values())) == 1:
        wrong = "its series have one picture each: a stack that was split; export it as one series"
    elif len(chosen) != 1 and not wanted:
        wrong = (
            f"holds {len(series)} series; choose by --series, one for FLAIR alone or several with "
        )
        wrong += "--order, or give each a folder"
    if wrong:
        table = [
            f"{i} = {series[uid][0].title} ({len(series[uid])} pictures, {uid})"
            for i, uid in numbered.items()
        ]
        raise LggError(f"{place}: {wrong}; there are {'; '.join(table) or 'no pictures'}")
    volumes, grids = zip(*(read_series(series[uid], f"{place}: series {uid}") for uid in chosen))
    for uid, grid in zip(chosen, grids):
        if not grid.same_as(grids[0]):
            raise LggError(
                f"{place}: series {uid} does not show the same places as {chosen[0]}; resample "
                "both to one grid (as a registration does), and give them as NIfTI"
            )
    slices = [grid.to_slices(volume) for grid, volume in zip(grids, volumes)]
    return OwnScan(np.stack(slices, axis=-1), grid=grids[0])


def read_header(file: Path) -> list[Picture]:
    """What a header tells of each frame; nothing of a report or a directory, which hold none."""
    with reading(file, "DICOM"):
        data = pydicom.dcmread(file, stop_before_pixels=True, force=True)
        if "Rows" not in data:
            return []
        grey = data.get("PhotometricInterpretation", "MONOCHROME2").startswith("MONOCHROME")
        wrong = ""
        if not grey or data.get("SamplesPerPixel", 1) != 1 or "ModalityLUTSequence" in data:
            wrong = (
                "is in colours, or has a table of levels, as a map; choose the scan's own series"
            )
        frames = [frame_tags(data, i) for i in range(data.get("NumberOfFrames") or 1)]
        pictures = []
        for i, told in enumerate(frames):
            tags = {tag: np.array(told.get(tag) or [], float).ravel() for tag in PLACE}
            tags["size"] = np.array([data.Rows, data.Columns], float)
            lost = [tag for tag, count in PLACE.items() if np.isfinite(tags[tag]).sum() != count]
            fault = wrong
            if lost and not wrong:
                fault = (
                    f"does not tell {lost[0]}, so it cannot be measured; export the original series"
                )
            elif len(frames) != len(data.get("PerFrameFunctionalGroupsSequence") or [data]):
                fault = "holds several frames, and not where they lie; convert it with dcm2niix"
            elif told.get("RescaleSlope") != frames[0].get("RescaleSlope"):
                fault = "has frames of different slopes; convert it to NIfTI with dcm2niix"
            number = int(data.get("SeriesNumber") or 0)
            uid = str(data.get("SeriesInstanceUID") or "no UID")
            title = str(data.get("SeriesDescription") or "without a name")
            thickness = float(told.get("SliceThickness") or 1)
            pictures.append(Picture(number, uid, title, file, i, fault, tags, thickness))
        return pictures


def frame_tags(data: pydicom.Dataset, frame: int) -> pydicom.Dataset:
    """All tags that hold for one frame: the file's, those of all frames, and its own."""
    told = pydicom.Dataset()
    told.update(data)
    shared = data.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()]
    own = data.get("PerFrameFunctionalGroupsSequence") or {frame: pydicom.Dataset()}
    for group in [*shared[0], *own[frame]]:
        if group.VR == "SQ" and group.value:
            told.update(group.value[0])
    return told


def read_series(pictures: list[Picture], what: str) -> tuple[np.ndarray, Grid]:
    """Intensities float32 (X,Y,Z) of one series, X to the right of its pictures, and their grid."""
    for picture in pictures:
        if picture.fault:
            raise LggError(f"{what}: {picture.file.name} {picture.fault}")
    tags = {tag: np.stack([one.tags[tag] for one in pictures]) for tag in pictures[0].tags}
    places = tags.pop("ImagePositionPatient")
    for tag, found in tags.items():
        odd = np.abs(found - np.median(found, axis=0)).max(axis=1) > 1e-3
        if odd.any():
            raise LggError(
                f"{what}: {pictures[odd.argmax()].file.name} differs in {tag} from the others; "
                "take the localizer or the second stack out of the folder"
            )
    row, column = tags["ImageOrientationPatient"][0].reshape(2, 3)
    height, width = tags["PixelSpacing"][0]
    normal = np.cross(row, column)
    turned = [row @ row, column @ column, row @ column]
    if not np.allclose(turned, [1, 1, 0], atol=0.01) or min(height, width) <= 0:
        raise LggError(
            f"{what}: its rows and columns are not at right angles and of length 1, or their "
            "distances not positive; export the original series"
        )
    order = np.argsort(places @ normal)
    step = normal * pictures[0].thickness
    if len(order) > 1:
        step = slice_step(places[order], normal, min(height, width), what)
    with reading(what, "slices"):
        check_size(*tags["size"][0])
        check_size(*tags["size"][0], len(order))
        affine = np.eye(4)
        affine[:3] = np.column_stack([row * width, column * height, step, places[order[0]]])
        affine[:2] *= -1  # DICOM counts towards left and back, NIfTI towards right and front
        pixels = {file: intensities(file) for file in {one.file for one in pictures}}
        slices = [pixels[one.file][one.frame].T for one in (pictures[i] for i in order)]
        volume = np.stack(slices, axis=-1)
        return volume, Grid(volume.shape, affine)


def slice_step(places: np.ndarray, normal: np.ndarray, pixel: float, what: str) -> np.ndarray:
    """From one slice to the next, float (3,) in mm; LggError unless they lie evenly on a line."""
    steps = np.diff(places @ normal)
    usual = np.median(steps)
    whole = places[-1] - places[0]
    line = places[0] + np.outer(np.append(0, steps.cumsum()) / max(steps.sum(), 0.01), whole)
    aside = np.linalg.norm(places - line, axis=1).max()
    if steps.min() < 0.01:
        wrong = "two pictures at one place (several echoes, times or copies); leave one of each"
    elif steps.max() > 1.2 * usual or steps.min() < 0.8 * usual:
        wrong = (
            f"its slices are {steps.min():.2f} to {steps.max():.2f} mm apart; one is lost, or two "
        )
        wrong += "stacks are mixed: export the series again"
    elif aside > 0.5 * pixel:
        wrong = (
            f"a slice lies {aside:.2f} mm beside the line of the others; export the series again"
        )
    else:
        return whole / (len(places) - 1)
    raise LggError(f"{what}: {wrong}")


def intensities(file: Path) -> np.ndarray:
    """Slices float32 (frames, rows, columns): rescaled, larger is brighter, padding as NaN."""
    with reading(file, "DICOM"):
        data = pydicom.dcmread(file, force=True)
        need = (
            data.Rows * data.Columns * data.BitsAllocated // 8 * (data.get("NumberOfFrames") or 1)
        )
        syntax = data.file_meta.get("TransferSyntaxUID")
        if not (syntax and syntax.is_compressed) and len(data.PixelData) < need:
            raise OSError(f"cut short, {len(data.PixelData)} of {need} bytes")  # SimpleITK reads on
        values = SimpleITK.GetArrayFromImage(read_image(file)[0]).astype(np.float32)
        padding = data.get("PixelPaddingValue")
        if isinstance(padding, int):
            if data.PhotometricInterpretation == "MONOCHROME1":  # is turned over by now
                padding = 2 ** (data.BitsStored - data.PixelRepresentation) - 1 - padding
            slope = data.get("RescaleSlope", 1)
            intercept = data.get("RescaleIntercept", 0)
            values[np.isclose(values, padding * float(slope) + float(intercept))] = np.nan
        return values
