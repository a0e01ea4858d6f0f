"""The data set's files as they lie in a folder: names, pairs of image and mask, pixels of TIFF files."""

import hashlib
import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from ..errors import LggError
from ..masks import mask_of_levels
from ..patient_ids import parse_patient_folder

SLICE_FILE = re.compile(r"(.+?)_([1-9][0-9]*)(_mask)?\.tif")  # <folder>_<k>.tif and <folder>_<k>_mask.tif
MAX_PIXELS = 4096**2  # of one slice; no scanner's matrix is near it
MODES = {"1": "one bit per pixel", "L": "one channel", "RGB": "three channels", "P": "a palette", "PA": "a palette",
         "LA": "an alpha channel", "RGBA": "an alpha channel", "F": "floating point values", "I": "32 bits per pixel",
         "I;16": "16 bits per pixel", "I;16B": "16 bits per pixel"}
PLAIN_TIFF = {  # tag's name: number, values we read, value where absent
    "BitsPerSample": (258, {1, 8}, 1), "SampleFormat": (339, {1}, 1), "Orientation": (274, {1}, 1),
    "SamplesPerPixel": (277, {1, 3}, 1), "PhotometricInterpretation": (262, {1, 2}, 1)}


@dataclass(frozen=True)
class Folder:
    """What lies in a cohort's folder.

    `slices` has one row per slice in anatomical order: patient, site, k (1..D), image and mask (paths
    relative to `root`). `fingerprint` changes with the root, and with any file's name, size or time.
    """

    root: Path
    slices: pd.DataFrame
    fingerprint: str


def list_folder(root: Path) -> Folder:
    """List the patients' slices under `root`, in numeric order; raise LggError where one is incomplete."""
    try:
        return list_patients(root)
    except OSError as error:
        raise LggError(f"{root} cannot be listed ({error}); it must be a folder that you may read") from error


def list_patients(root: Path) -> Folder:
    """`list_folder` without a word for what the operating system refuses."""
    state = hashlib.sha256(os.fsencode(root.resolve()))
    rows, seen = [], {}
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        if not entry.name.upper().startswith("TCGA_"):
            continue
        check_link(entry)
        if not entry.is_dir():  # a list or an archive beside the patients
            continue
        patient, site = parse_patient_folder(entry.name)
        if patient in seen:
            raise LggError(f"{seen[patient]} and {entry.name} are the same patient; keep one of the two folders")
        seen[patient] = entry.name
        rows += [(patient, site, k, *files) for k, *files in list_patient(root / entry.name, state)]
    if not rows:
        raise LggError(f"{root}: no patient's folder, such as TCGA_CS_4941_19960909, in it")
    slices = pd.DataFrame(rows, columns=["patient", "site", "k", "image", "mask"])
    return Folder(root, slices, state.hexdigest()[:24])


def check_plain(entry: os.DirEntry | Path) -> None:
    """LggError unless this is a file with an end: reading a pipe or a device may wait forever."""
    check_link(entry)
    if not entry.is_file():
        raise LggError(f"{os.fspath(entry)} is {'no plain file' if os.path.exists(entry) else 'not there'}; copy the "
                       "file itself to this place")


def check_link(entry: os.DirEntry | Path) -> None:
    """LggError for a link that points to nothing, or to itself."""
    if entry.is_symlink() and not os.path.exists(entry):
        raise LggError(f"{os.fspath(entry)} is a link to nothing; copy what it should point to, or remove it")


def list_patient(folder: Path, state: "hashlib._Hash") -> list[tuple[int, str, str]]:
    """(k, image, mask) of every slice in one patient's folder; sizes and times are fed to `state`."""
    name, images, masks = folder.name, {}, {}
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith(".") or not entry.name.lower().endswith((".tif", ".tiff")):
            continue
        match = SLICE_FILE.fullmatch(entry.name)
        if not match or match[1] != name:
            raise LggError(f"{name}/{entry.name}: a slice is called {name}_<k>.tif and its mask "
                           f"{name}_<k>_mask.tif, k = 1, 2, ...; rename the file or take it out")
        check_plain(entry)
        (masks if match[3] else images)[int(match[2])] = f"{name}/{entry.name}"
        stat = entry.stat()
        state.update(f"\n{name}/{entry.name} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}".encode())
    return pair(name, images, masks)


def pair(folder: str, images: dict[int, str], masks: dict[int, str]) -> list[tuple[int, str, str]]:
    """Match images and masks by slice number: 1 to the highest without a gap, or LggError."""
    if not images:
        raise LggError(f"{folder}: no slice ({folder}_<k>.tif) in this folder; "
                       "unpack it again from the archive or remove it")
    depth = max(images | masks)
    for found, end in ((images, ".tif"), (masks, "_mask.tif")):
        if (lost := next(k for k in count(1) if k not in found)) <= depth:
            raise LggError(f"{folder}/{folder}_{lost}{end} is missing; every slice from 1 to {depth} needs "
                           "an image and a mask: unpack the folder again from the archive")
    return [(k, images[k], masks[k]) for k in range(1, depth + 1)]


def read_image(path: Path) -> np.ndarray:
    """One slice, uint8 (H,W,3): the three sequences."""
    return read_picture(path, ("RGB",), ("TIFF",), "a slice must be a TIFF of one page, 8-bit RGB: "
                        "pre-contrast, FLAIR and post-contrast")


def read_mask(path: Path) -> np.ndarray:
    """One mask, bool (H,W), from a file whose values are 0 and 255 (or 0 and 1)."""
    mask = read_picture(path, ("1", "L"), ("TIFF", "PNG", "BMP", "JPEG"),
                        "a mask must be one page of one channel, 8-bit grey")
    return mask_of_levels(mask, path.name)


def read_picture(path: Path, modes: Collection[str], formats: Collection[str], rule: str) -> np.ndarray:
    """The pixels of one file as they are stored; LggError with `rule` where Pillow would convert or leave out some.

    `modes` and `formats` are Pillow's names for what is allowed.
    """
    try:
        with Image.open(path, formats=formats) as picture:
            if not (oddity := odd_header(picture, modes)):
                check_sums(path, picture.format)
                return np.asarray(picture)
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        raise LggError(f"{path.name} cannot be read as an image ({error}); {rule}. "
                       "Copy it again from the archive, or save it so") from error
    raise LggError(f"{path.name} {oddity}; {rule}")


def check_sums(path: Path, kind: str | None) -> None:
    """Raise what Pillow raises where a PNG differs from its checksums, at which it does not look to read pixels."""
    if kind == "PNG":
        with Image.open(path, formats=("PNG",)) as picture:
            picture.verify()


def odd_header(picture: Image.Image, modes: Collection[str]) -> str:
    """What a picture's header says against taking its pixels as they are; empty if nothing."""
    if picture.width * picture.height > MAX_PIXELS:
        return f"has {picture.width} x {picture.height} pixels"
    if getattr(picture, "is_animated", False):
        return "has several pages"
    if picture.mode not in modes:
        return f"holds {MODES.get(picture.mode, picture.mode)}"
    tags = getattr(picture, "tag_v2", {})
    for name, (number, known, absent) in PLAIN_TIFF.items():
        if odd := set(np.ravel(tags.get(number, absent)).tolist()) - known:
            return f"is stored in another way: its {name} is {odd.pop()}"
    return ""
