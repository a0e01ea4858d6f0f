"""The data set's files as they lie in a folder: names, pairs of image and mask, pixels of TIFF files."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from ..errors import LggError

SEQUENCES = ("pre", "flair", "post")  # the three channels of an image, in this order
PATIENT_FOLDER = re.compile(r"(TCGA_([A-Z0-9]{2})_[A-Z0-9]+)(_\d{8})?")  # TCGA_<site>_<id>_<date>
SLICE_FILE = re.compile(r"(.+?)_([1-9]\d*)(_mask)?\.tif")  # <folder>_<k>.tif and <folder>_<k>_mask.tif


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
    state = hashlib.sha256(str(root.resolve()).encode())
    rows, seen = [], {}
    for folder in sorted(entry.name for entry in os.scandir(root) if entry.is_dir()):
        if not folder.startswith("TCGA_"):
            continue
        patient, site = who(folder)
        if patient in seen:
            raise LggError(f"{seen[patient]} and {folder} are the same patient; keep one of the two folders")
        seen[patient] = folder
        rows += [(patient, site, k, *files) for k, *files in list_patient(root / folder, state)]
    slices = pd.DataFrame(rows, columns=["patient", "site", "k", "image", "mask"])
    return Folder(root, slices, state.hexdigest()[:24])


def who(folder: str) -> tuple[str, str]:
    """(patient, site) from a folder's name."""
    if not (match := PATIENT_FOLDER.fullmatch(folder)):
        raise LggError(f"folder {folder!r}: a patient's folder is called TCGA_<site>_<id>_<yyyymmdd>, such as "
                       "TCGA_CS_4941_19960909; rename it or take it out")
    return match[1], match[2]


def list_patient(folder: Path, state: "hashlib._Hash") -> list[tuple[int, str, str]]:
    """(k, image, mask) of every slice in one patient's folder; sizes and times are fed to `state`."""
    images, masks = {}, {}
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith(".") or not entry.name.endswith(".tif"):
            continue
        match = SLICE_FILE.fullmatch(entry.name)
        if not match or match[1] != folder.name:
            raise LggError(f"{folder.name}/{entry.name}: a slice is called {folder.name}_<k>.tif and its mask "
                           f"{folder.name}_<k>_mask.tif, k = 1, 2, ...; rename the file or take it out")
        (masks if match[3] else images)[int(match[2])] = f"{folder.name}/{entry.name}"
        stat = entry.stat()
        state.update(f"\n{folder.name}/{entry.name} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}".encode())
    return pair(folder.name, images, masks)


def pair(folder: str, images: dict[int, str], masks: dict[int, str]) -> list[tuple[int, str, str]]:
    """Match images and masks by slice number: 1 to the highest without a gap, or LggError."""
    if not images:
        raise LggError(f"{folder}: no slice ({folder}_<k>.tif) in this folder; "
                       "unpack it again from the archive or remove it")
    numbers = range(1, max(images | masks) + 1)
    for found, end in ((images, ".tif"), (masks, "_mask.tif")):
        if lost := [k for k in numbers if k not in found]:
            raise LggError(f"{folder}/{folder}_{lost[0]}{end} is missing; every slice from 1 to {len(numbers)} needs "
                           "an image and a mask: unpack the folder again from the archive")
    return [(k, images[k], masks[k]) for k in numbers]


def read_image(path: Path) -> np.ndarray:
    """One slice, uint8 (H,W,3): the three SEQUENCES."""
    image = read_tiff(path)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise LggError(f"{path.name} is {image.dtype} {image.shape}; a slice must be uint8 (H, W, 3): "
                       "pre-contrast, FLAIR and post-contrast")
    return image


def read_mask(path: Path) -> np.ndarray:
    """One mask, bool (H,W), from a file whose values are 0 and 255 (or 0 and 1)."""
    mask = read_tiff(path)
    if mask.dtype not in (np.uint8, bool) or mask.ndim != 2:
        raise LggError(f"{path.name} is {mask.dtype} {mask.shape}; a mask must be uint8 (H, W), one channel")
    values = np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist()
    if not (set(values) <= {0, 255} or set(values) <= {0, 1}):
        raise LggError(f"{path.name} has the values {values[:6]}; a mask holds 0 and 255 (or 0 and 1) only: "
                       "save it without smoothing or lossy compression")
    return mask > 0


def read_tiff(path: Path) -> np.ndarray:
    """The pixels of one file as they are stored."""
    try:
        with Image.open(path) as picture:
            return np.asarray(picture)
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        raise LggError(f"{path.name} cannot be read as an image ({error}); "
                       "copy it again from the archive") from error
