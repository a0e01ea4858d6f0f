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
    """A frame of a file; most files have one."""

    file: Path
    number: int  # of its series
    frame: int  # from 0
    tags: pydicom.Dataset  # the file's, and those of the frame


def read_dicom(files: list[Path], place: Path, wanted: Sequence[str] = ()) -> OwnScan:
    """Axial slices (D,H,W,C) of DICOM files: the only series, or the `wanted` ones as channels.

    A series is named by its number in the list that the error message gives, or by its UID. Raises
    LggError where there is such a choice, a series is no stack of slices, or several do not show
    the same places.
    """
    pictures = [picture for file in files for picture in read_header(file)]
    series: dict[str, list[Picture]] = {}
    for picture in sorted(pictures, key=lambda one: one.number):
        uid = str(picture.tags.get("SeriesInstanceUID") or "no UID")
        series.setdefault(uid, []).append(picture)
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
            "--order, or give each a folder"
        )
    if wrong:
        table = []
        for i, uid in numbered.items():
            title = series[uid][0].tags.get("SeriesDescription") or "without a name"
            table.append(f"{i} = {title} ({len(series[uid])} pictures, {uid})")
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
    """The frames of a file; none of a report or a directory, which hold no picture."""
    with reading(file, "DICOM"):
        data = pydicom.dcmread(file, stop_before_pixels=True, force=True)
        if "Rows" not in data:
            return []
        shared = data.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()]
        own = data.get("PerFrameFunctionalGroupsSequence") or [pydicom.Dataset()]
        number = int(data.get("SeriesNumber") or 0)
        pictures = []
        for frame, groups in enumerate(own):
            tags = pydicom.Dataset()
            tags.update(data)
            for group in [*shared[0], *groups]:
                if group.VR == "SQ" and group.value:
                    tags.update(group.value[0])
            pictures.append(Picture(file, number, frame, tags))
        return pictures


def read_places(picture: Picture) -> dict[str, np.ndarray]:
    """The numbers in the tags of PLACE, and its size; LggError where it is no measured slice."""
    tags = picture.tags
    with reading(picture.file, "DICOM"):
        grey = tags.get("PhotometricInterpretation", "MONOCHROME2").startswith("MONOCHROME")
        if not grey or tags.get("SamplesPerPixel", 1) != 1 or "ModalityLUTSequence" in tags:
            raise LggError(
                "is in colours, or has a table of levels, as a map; choose the scan's own series"
            )
        if tags.get("Modality", "MR") not in ("MR", "OT", ""):
            raise LggError(
                f"is of the modality {tags.Modality}; give magnetic resonance (MR) alone"
            )
        frames = tags.get("PerFrameFunctionalGroupsSequence") or [tags]
        if len(frames) != (tags.get("NumberOfFrames") or 1):
            raise LggError("holds several frames, and not where they lie; convert it with dcm2niix")
        found = {"size": np.array([tags.Rows, tags.Columns], float)}
        for tag, count in PLACE.items():
            found[tag] = np.array(tags.get(tag) or [], float).ravel()
            if np.isfinite(found[tag]).sum() != count:
                raise LggError(
                    f"does not tell {tag}, so it cannot be measured; export the original series"
                )
        return found


def read_series(pictures: list[Picture], what: str) -> tuple[np.ndarray, Grid]:
    """Intensities float32 (X,Y,Z) of one series, X to the right of its pictures, and their grid."""
    found = [read_places(picture) for picture in pictures]
    tags = {tag: np.stack([one[tag] for one in found]) for tag in found[0]}
    places = tags.pop("ImagePositionPatient")
    for tag, values in tags.items():
        odd = np.abs(values - np.median(values, axis=0)).max(axis=1) > 1e-3
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
    with reading(pictures[0].file, "DICOM"):
        step = normal * float(pictures[0].tags.get("SliceThickness") or 1)
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
    wrong = ""
    if steps.min() < 0.01:
        wrong = "two pictures at one place (several echoes, times or copies); leave one of each"
    elif steps.max() > 1.2 * usual or steps.min() < 0.8 * usual:
        wrong = (
            f"its slices are {steps.min():.2f} to {steps.max():.2f} mm apart; one is lost, or two "
            "stacks are mixed: export the series again"
        )
    elif aside > 0.5 * pixel:
        wrong = (
            f"a slice lies {aside:.2f} mm beside the line of the others; export the series again"
        )
    if wrong:
        raise LggError(f"{what}: {wrong}")
    return whole / (len(places) - 1)


def intensities(file: Path) -> np.ndarray:
    """Slices float32 (frames, rows, columns): rescaled, larger is brighter, padding as NaN."""
    with reading(file, "DICOM"):
        data = pydicom.dcmread(file, force=True)
        syntax = data.file_meta.get("TransferSyntaxUID")
        need = pydicom.pixels.utils.get_expected_length(data)
        if not (syntax and syntax.is_compressed) and len(data.PixelData) < need:
            raise OSError(f"cut short, {len(data.PixelData)} of {need} bytes")  # SimpleITK reads on
        for tag in ("RescaleSlope", "RescaleIntercept"):  # SimpleITK takes one for all frames
            if len({picture.tags.get(tag) for picture in read_header(file)}) > 1:
                raise LggError(f"has frames that differ in {tag}; convert it with dcm2niix")
        values = SimpleITK.GetArrayFromImage(read_image(file)[0]).astype(np.float32)
        padding = data.get("PixelPaddingValue")
        if isinstance(padding, int):
            if data.PhotometricInterpretation == "MONOCHROME1":  # is turned over by now
                padding = 2 ** (data.BitsStored - data.PixelRepresentation) - 1 - padding
            slope = data.get("RescaleSlope", 1)
            intercept = data.get("RescaleIntercept", 0)
            values[np.isclose(values, padding * float(slope) + float(intercept))] = np.nan
        return values
