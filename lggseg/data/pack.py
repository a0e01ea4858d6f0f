"""Slices read once from their files into memory-mapped arrays, kept in the cache."""

import json
import os
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
from numpy.lib.format import open_memmap
from tqdm import tqdm

from ..errors import LggError
from .folder import SEQUENCES, Folder, read_image, read_mask

FORMAT = 2  # raise it whenever the packed files change their meaning


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

    def fits(self, found: Folder) -> bool:
        """Whether this pack is whole and was made from exactly these files."""
        try:
            sizes = {name: (self.folder / name).stat().st_size for name in ("images.npy", "masks.npy")}
            return self.index["fingerprint"] == found.fingerprint and self.index["bytes"] == sizes
        except (OSError, ValueError, KeyError, TypeError):
            return False


def open_pack(found: Folder, cache: Path, progress: bool = True) -> Pack:
    """The pack of these files under `cache`/packed, built first if there is none that fits."""
    folder = cache / "packed" / f"{FORMAT}-{found.fingerprint}"
    if not Pack(folder).fits(found):
        build(found, folder, progress)
    return Pack(folder)


def build(found: Folder, folder: Path, progress: bool) -> None:
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


def write_pack(found: Folder, work: Path, progress: bool) -> None:
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


def publish(work: Path, folder: Path, found: Folder) -> None:
    """Rename the finished pack to its place, unless another process has put a good one there meanwhile."""
    if folder.exists() and not Pack(folder).fits(found):
        shutil.rmtree(folder, ignore_errors=True)
    try:
        os.rename(work, folder)
    except OSError:
        if not Pack(folder).fits(found):
            raise
