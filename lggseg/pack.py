"""From a folder of TIFF files to memory-mapped arrays: scanned on every opening, packed once."""

import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.lib.format import open_memmap
from PIL import Image
from tqdm import tqdm

from .errors import LggError

FORMAT = 1  # raise it whenever the packed files change their meaning
SEQUENCES = ("pre", "flair", "post")  # the three channels of an image, in this order
FOLDER = re.compile(r"(TCGA_([A-Z0-9]{2})_[A-Z0-9]+)(_\d{8})?")  # TCGA_<site>_<id>_<date>
FILE = re.compile(r"(.+?)_([1-9]\d*)(_mask)?\.tif")  # <folder>_<k>.tif and <folder>_<k>_mask.tif


@dataclass(frozen=True)
class Scan:
    """What lies in a cohort's folder.

    `slices` has one row per slice in anatomical order: patient, site, k (1..D), image and mask (paths
    relative to `root`). `fingerprint` changes with the root, and with any file's name, size or time.
    """

    root: Path
    slices: pd.DataFrame
    fingerprint: str


def scan(root: Path) -> Scan:
    """List the patients' slices under `root`, in numeric order; raise LggError where one is incomplete."""
    state = hashlib.sha256(f"{FORMAT} {root.resolve()}".encode())
    rows, seen = [], {}
    for folder in sorted(entry.name for entry in os.scandir(root) if entry.is_dir()):
        if not folder.startswith("TCGA_"):
            continue
        patient, site = who(folder)
        if patient in seen:
            raise LggError(f"{seen[patient]} and {folder} are the same patient; keep one of the two folders")
        seen[patient] = folder
        rows += [(patient, site, k, *files) for k, *files in scan_patient(root / folder, state)]
    slices = pd.DataFrame(rows, columns=["patient", "site", "k", "image", "mask"])
    return Scan(root, slices, state.hexdigest()[:24])


def who(folder: str) -> tuple[str, str]:
    """(patient, site) from a folder's name."""
    if not (match := FOLDER.fullmatch(folder)):
        raise LggError(f"folder {folder!r}: a patient's folder is called TCGA_<site>_<id>_<yyyymmdd>, such as "
                       "TCGA_CS_4941_19960909; rename it or take it out")
    return match[1], match[2]


def scan_patient(folder: Path, state: "hashlib._Hash") -> list[tuple[int, str, str]]:
    """(k, image, mask) of every slice in one patient's folder; sizes and times are fed to `state`."""
    images, masks = {}, {}
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith(".") or not entry.name.endswith(".tif"):
            continue
        match = FILE.fullmatch(entry.name)
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


@dataclass(frozen=True)
class Pack:
    """One cohort's slices as arrays on disk; pickled as a path, so that workers share the memory."""

    folder: Path

    @cached_property
    def images(self) -> np.ndarray:
        """uint8 (N,H,W,3), read-only, all patients one after the other."""
        return np.load(self.folder / "images.npy", mmap_mode="r")

    @cached_property
    def masks(self) -> np.ndarray:
        """bool (N,H,W), read-only."""
        return np.load(self.folder / "masks.npy", mmap_mode="r")

    @cached_property
    def index(self) -> dict:
        """fingerprint, bytes per file, tumour_pixels per slice, missing sequences per patient."""
        return json.loads((self.folder / "index.json").read_text())

    def __reduce__(self):
        return Pack, (self.folder,)

    def fits(self, found: Scan) -> bool:
        """Whether this pack is whole and was made from exactly these files."""
        try:
            sizes = {name: (self.folder / name).stat().st_size for name in ("images.npy", "masks.npy")}
            return self.index["fingerprint"] == found.fingerprint and self.index["bytes"] == sizes
        except (OSError, ValueError, KeyError, TypeError):
            return False


def open_pack(found: Scan, cache: Path, progress: bool = True) -> Pack:
    """The pack of these files under `cache`/packed, built first if there is none that fits."""
    folder = cache / "packed" / found.fingerprint
    if not Pack(folder).fits(found):
        build(found, folder, progress)
    return Pack(folder)


def build(found: Scan, folder: Path, progress: bool) -> None:
    """Pack into a temporary folder beside `folder`, then rename it: never a half-written pack under its name."""
    work = workplace(folder.parent)
    try:
        write_pack(found, work, progress)
        publish(work, folder, found)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def workplace(parent: Path) -> Path:
    """A fresh folder in `parent`, for one build; what builds that were killed left there an hour ago goes."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for old in parent.glob(".building-*"):
            if time.time() - old.stat().st_mtime > 3600:  # a younger one may still be at work
                shutil.rmtree(old, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=".building-", dir=parent))
    except OSError as error:
        raise LggError(f"the cache cannot be written ({error}); set LGGSEG_CACHE to a folder that can") from error


def write_pack(found: Scan, work: Path, progress: bool) -> None:
    """Read every slice, one patient per task, into images.npy and masks.npy; index.json comes last."""
    shape = (len(found.slices), *read_image(found.root / found.slices.image[0]).shape)
    check_space(work, 4 * int(np.prod(shape[:3])))
    images = open_memmap(work / "images.npy", "w+", np.uint8, shape)
    masks = open_memmap(work / "masks.npy", "w+", bool, shape[:3])
    groups = found.slices.groupby("patient").indices

    def pack_patient(patient: str) -> tuple[str, list[str]]:
        rows = groups[patient]
        for row, image, mask in zip(rows, found.slices.image[rows], found.slices["mask"][rows], strict=True):
            images[row] = same_shape(read_image(found.root / image), shape[1:], image)
            masks[row] = same_shape(read_mask(found.root / mask), shape[1:3], mask)
        return patient, missing_sequences(images[rows[0]:rows[-1] + 1])

    missing = dict(in_threads(pack_patient, list(groups), "packing patients" if progress else None))
    images.flush()
    masks.flush()
    tumour = np.count_nonzero(masks, axis=(1, 2)).tolist()
    sizes = {name: (work / name).stat().st_size for name in ("images.npy", "masks.npy")}
    index = {"fingerprint": found.fingerprint, "bytes": sizes, "tumour_pixels": tumour, "missing": missing}
    (work / "index.json").write_text(json.dumps(index))


def same_shape(array: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    """`array` itself if it has the shape of the cohort's first slice, else LggError."""
    if array.shape != shape:
        raise LggError(f"{name} is {array.shape}, the cohort's first slice {shape}; all slices and masks of "
                       "a cohort have one height and width: crop or pad this patient, or take it out")
    return array


def missing_sequences(image: np.ndarray) -> list[str]:
    """Sequences of a volume uint8 (D,H,W,3) that are, pixel for pixel, the FLAIR: so the data set fills gaps."""
    return [SEQUENCES[c] for c in (0, 2) if np.array_equal(image[..., c], image[..., 1])]


def in_threads(task: Callable, items: list, label: str | None) -> list:
    """`task` of every item, as they finish, with a progress bar; the first error stops the rest."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        jobs = [pool.submit(task, item) for item in items]
        try:
            # on stdout and not left there, so that a notebook's stored output is the same with and without it
            bar = tqdm(as_completed(jobs), label, len(jobs), unit="patient", leave=False, file=sys.stdout,
                       disable=label is None)
            return [job.result() for job in bar]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def check_space(folder: Path, needed: int) -> None:
    """LggError unless the disk has room: a memory-mapped file that outgrows it would kill the process."""
    free = shutil.disk_usage(folder).free
    if free < 1.02 * needed:
        raise LggError(f"packing needs {needed / 1e6:,.0f} MB and the cache's disk has {free / 1e6:,.0f} MB free; "
                       "make room or set LGGSEG_CACHE to a folder on another disk")


def publish(work: Path, folder: Path, found: Scan) -> None:
    """Rename the finished pack to its place, unless another process has put a good one there meanwhile."""
    if folder.exists() and not Pack(folder).fits(found):
        shutil.rmtree(folder, ignore_errors=True)
    try:
        os.rename(work, folder)
    except OSError:
        if not Pack(folder).fits(found):
            raise
