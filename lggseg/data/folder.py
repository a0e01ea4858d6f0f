"""The data set's files: their names, pairs of image and mask, pixels of TIFF files."""

import hashlib
import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from ..errors import LggError
from ..masks import mask_of_levels
from ..patient_ids import parse_patient_folder

# <folder>_<k>.tif, <folder>_<k>_mask.tif.
SLICE_FILE = re.compile(r"(.+?)_([1-9][0-9]*)(_mask)?\.tif")
MAX_PIXELS = 4096**2  # of one slice; no scanner's pictures are nearly as large
MODES = {  # Pillow's names for what a pixel holds, in words
    "1": "one bit per pixel",
    "L": "one channel",
    "RGB": "three channels",
    "P": "a palette",
    "PA": "a palette",
    "LA": "an alpha channel",
    "RGBA": "an alpha channel",
    "F": "floating point values",
    "I": "32 bits per pixel",
    "I;16": "16 bits per pixel",
    "I;16B": "16 bits per pixel",
}
PLAIN_TIFF = {  # tags of a TIFF: number, values that can be read, value if the tag is absent
    "BitsPerSample": (258, {1, 8}, 1),
    "SampleFormat": (339, {1}, 1),
    "Orientation": (274, {1}, 1),
    "SamplesPerPixel": (277, {1, 3}, 1),
    "PhotometricInterpretation": (262, {1, 2}, 1),
}


@dataclass(frozen=True)
class Folder:
    """What lies in a cohort's folder.

    Attributes
    ----------
    root : Path
        The folder that holds a folder for each patient.
    slices : DataFrame
        One row per slice in anatomical order: patient, site, k (from 1), image and mask (paths
        relative to `root`).
    fingerprint : str
        Changes with the root, and with the name, size or time of any file.
    """

    root: Path
    slices: pd.DataFrame
    fingerprint: str


def list_folder(root: Path) -> Folder:
    """List the slices of all patients, without reading any.

    Parameters
    ----------
    root : Path
        The folder that holds a folder for each patient.

    Returns
    -------
    Folder

    Raises
    ------
    LggError
        If a name breaks the data set's rules, an image or mask is missing, a patient is there
        twice, or the folder cannot be listed.
    """
    try:
        return list_patients(root)
    except OSError as error:
        raise LggError(
            f"{root} cannot be listed ({error}); it must be a folder that you may read"
        ) from error


def list_patients(root: Path) -> Folder:
    """`list_folder`, with errors of the operating system passed on."""
    state = hashlib.sha256(os.fsencode(root.resolve()))
    rows = []
    folder_of: dict[str, str] = {}
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        if not entry.name.upper().startswith("TCGA_"):
            continue
        check_link(entry)
        if not entry.is_dir():  # a list or an archive beside the patients
            continue
        patient, site = parse_patient_folder(entry.name)
        if patient in folder_of:
            raise LggError(
                f"{folder_of[patient]} and {entry.name} are the same patient; "
                "keep one of the two folders"
            )
        folder_of[patient] = entry.name
        for k, image, mask in list_patient(root / entry.name, state):
            rows.append((patient, site, k, image, mask))
    if not rows:
        raise LggError(f"{root}: no patient's folder, such as TCGA_CS_4941_19960909, in it")
    slices = pd.DataFrame(rows, columns=["patient", "site", "k", "image", "mask"])
    return Folder(root, slices, state.hexdigest()[:24])


def list_patient(folder: Path, state: "hashlib._Hash") -> list[tuple[int, str, str]]:
    """List the slices of one patient: k, path of the image, path of the mask.

    The name, size and times of each file are added to `state`.
    """
    name = folder.name
    images: dict[int, str] = {}
    masks: dict[int, str] = {}
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith(".") or not entry.name.lower().endswith((".tif", ".tiff")):
            continue
        match = SLICE_FILE.fullmatch(entry.name)
        if not match or match[1] != name:
            raise LggError(
                f"{name}/{entry.name}: a slice is called {name}_<k>.tif and its mask "
                f"{name}_<k>_mask.tif, k = 1, 2, ...; rename the file or take it out"
            )
        check_plain(entry)
        k = int(match[2])
        is_mask = match[3] is not None
        path = f"{name}/{entry.name}"
        if is_mask:
            masks[k] = path
        else:
            images[k] = path
        stat = entry.stat()
        state.update(f"\n{path} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}".encode())
    return pair(name, images, masks)


def pair(folder: str, images: dict[int, str], masks: dict[int, str]) -> list[tuple[int, str, str]]:
    """Match images and masks by their number k, from 1 to the highest without a gap."""
    if not images:
        raise LggError(
            f"{folder}: no slice ({folder}_<k>.tif) in this folder; "
            "unpack it again from the archive or remove it"
        )
    depth = max(images | masks)
    for found, ending in ((images, ".tif"), (masks, "_mask.tif")):
        for k in range(1, depth + 1):
            if k not in found:
                raise LggError(
                    f"{folder}/{folder}_{k}{ending} is missing; every slice from 1 to {depth} "
                    "needs an image and a mask: unpack the folder again from the archive"
                )
    return [(k, images[k], masks[k]) for k in range(1, depth + 1)]


def check_plain(entry: "os.DirEntry[str] | Path") -> None:
    """LggError unless this is an ordinary file: reading a pipe or a device may never end."""
    check_link(entry)
    if entry.is_file():
        return
    if os.path.exists(entry):
        problem = "no plain file"
    else:
        problem = "not there"
    raise LggError(f"{os.fspath(entry)} is {problem}; copy the file itself to this place")


def check_link(entry: "os.DirEntry[str] | Path") -> None:
    """LggError for a link to something that does not exist."""
    if entry.is_symlink() and not os.path.exists(entry):
        raise LggError(
            f"{os.fspath(entry)} is a link to nothing; copy what it should point to, or remove it"
        )


def read_image(path: Path) -> np.ndarray:
    """Read one slice.

    Parameters
    ----------
    path : Path
        A TIFF file of one page, 8-bit RGB.

    Returns
    -------
    uint8 (height, width, 3), the sequences pre-contrast, FLAIR and post-contrast

    Raises
    ------
    LggError
        For any other file.
    """
    return read_picture(
        path,
        modes=("RGB",),
        formats=("TIFF",),
        rule="a slice must be a TIFF of one page, 8-bit RGB: pre-contrast, FLAIR and post-contrast",
    )


def read_mask(path: Path) -> np.ndarray:
    """Read one mask.

    Parameters
    ----------
    path : Path
        A TIFF, PNG, BMP or JPEG file of one page and channel; values 0 and 255, or 0 and 1.

    Returns
    -------
    bool (height, width)

    Raises
    ------
    LggError
        For any other file.
    """
    levels = read_picture(
        path,
        modes=("1", "L"),
        formats=("TIFF", "PNG", "BMP", "JPEG"),
        rule="a mask must be one page of one channel, 8-bit grey",
    )
    return mask_of_levels(levels, path.name)


def read_picture(
    path: Path, modes: Collection[str], formats: Collection[str], rule: str
) -> np.ndarray:
    """Read the pixels of a file exactly as they are stored.

    Parameters
    ----------
    path : Path
        The file.
    modes, formats : collection of str
        What is allowed, by Pillow's names.
    rule : str
        What the file must be, in words, for errors.

    Returns
    -------
    ndarray
        The pixels, as Pillow reads them.

    Raises
    ------
    LggError
        If the file is damaged, or Pillow would have to convert its pixels or leave some out.
    """
    try:
        with Image.open(path, formats=list(formats)) as picture:
            problem = header_problem(picture, modes)
            if not problem:
                check_sums(path, picture.format)
                return np.asarray(picture)
    except Exception as error:  # a damaged file makes Pillow raise almost anything
        raise LggError(
            f"{path.name} cannot be read as an image ({error}); {rule}. "
            "Copy it again from the archive, or save it so"
        ) from error
    raise LggError(f"{path.name} {problem}; {rule}")


def check_sums(path: Path, kind: str | None) -> None:
    """Raise Pillow's error if a PNG differs from its checksums, which Pillow ignores otherwise."""
    if kind == "PNG":
        with Image.open(path, formats=("PNG",)) as picture:
            picture.verify()


def header_problem(picture: Image.Image, modes: Collection[str]) -> str:
    """Why the pixels of a picture cannot be taken as they are; empty if they can."""
    if picture.width * picture.height > MAX_PIXELS:
        return f"has {picture.width} x {picture.height} pixels"
    if getattr(picture, "is_animated", False):
        return "has several pages"
    if picture.mode not in modes:
        return f"holds {MODES.get(picture.mode, picture.mode)}"
    tags = getattr(picture, "tag_v2", {})
    for name, (number, known, absent) in PLAIN_TIFF.items():
        values = set(np.ravel(tags.get(number, absent)).tolist())
        unknown = values - known
        if unknown:
            return f"is stored in another way: its {name} is {unknown.pop()}"
    return ""
