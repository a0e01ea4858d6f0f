"""Slices read once from their files into memory-mapped arrays, kept in the cache."""

import json
import os
import shutil
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.lib.format import dtype_to_descr, write_array_header_1_0
from tqdm import tqdm

from ..errors import LggError
from ..files import temporary_folder
from ..sequences import FLAIR, POST, PRE
from .cache_folder import BUILDING, remove, sweep, touch, writing
from .folder import Folder, read_image, read_mask

FORMAT = 4  # raise it whenever the packed files change their meaning, or a file that was packed is now refused


@dataclass(frozen=True)
class ArrayCache:
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
        """fingerprint and root of the files, and for each of the patients, in order: rows (first, one past
        the last), tumour_pixels per slice, missing sequences, crc32 of image and mask.
        """
        index = json.loads((self.folder / "index.json").read_text())
        if index.pop("crc32") != zlib.crc32(json.dumps(index).encode()):
            raise ValueError("the index is not what was written")
        touch(self.folder / "index.json")
        return index

    @cached_property
    def _sound(self) -> set[str]:
        """Patients whose bytes were compared with their checksums, in this process."""
        return set()

    def __reduce__(self):
        return ArrayCache, (self.folder,)

    def fits(self, found: Folder) -> bool:
        """Whether this pack was made from exactly these files and has the right sizes; pixels are checked later."""
        try:
            shape = (len(found.slices), *self.masks.shape[1:])
            return (self.index["fingerprint"] == found.fingerprint
                    and (self.masks.dtype, self.masks.shape) == (bool, shape)
                    and (self.images.dtype, self.images.shape) == (np.uint8, (*shape, 3)))
        except Exception:  # a damaged file makes numpy raise nearly anything
            return False

    def volume(self, patient: str) -> tuple[np.ndarray, np.ndarray]:
        """Image uint8 (D,H,W,3) and mask bool (D,H,W) of one patient, as views.

        On first use in a process they are compared with their checksums: a pack that has rotten is withdrawn,
        so that the next `open_array_cache` builds a new one, and LggError says so.
        """
        try:
            entry = self.index["patients"][patient]
            rows = slice(*entry["rows"])
            image, mask = self.images[rows], self.masks[rows]
            sound = patient in self._sound or [zlib.crc32(image), zlib.crc32(mask)] == entry["crc32"]
        except Exception:  # as above
            sound = False
        if not sound:
            self.withdraw()
            raise LggError(f"the cache is damaged: {patient} in {self.folder} is not what was written there; "
                           "open the cohort again, and it is packed anew from its files")
        self._sound.add(patient)
        return image, mask

    def withdraw(self) -> None:
        """Let nobody take this pack for a whole one again."""
        with suppress(OSError):
            (self.folder / "index.json").unlink()


def open_array_cache(found: Folder, cache: Path, progress: bool = True) -> ArrayCache:
    """The pack of these files under `cache`/packed, built first if there is none that fits."""
    pack = ArrayCache(cache / "packed" / f"{FORMAT}-{found.fingerprint}")
    if pack.fits(found):
        return pack
    with writing(cache):
        build(found, pack.folder, progress)
    sweep(cache)
    return ArrayCache(pack.folder)


def build(found: Folder, folder: Path, progress: bool) -> None:
    """Pack into a temporary folder beside `folder`, then rename it: never a half-written pack under its name."""
    with temporary_folder(folder.parent, BUILDING) as work:
        write_array_cache(found, work, progress)
        publish(work, folder, found)


def write_array_cache(found: Folder, work: Path, progress: bool) -> None:
    """Read every slice, one patient per task, into images.npy and masks.npy; index.json comes last."""
    shape = (len(found.slices), *read_image(found.root / found.slices.image[0]).shape)
    check_space(work, 4 * int(np.prod(shape[:3])))
    groups = found.slices.groupby("patient").indices
    with (ArrayFile(work / "images.npy", np.uint8, shape) as images,
          ArrayFile(work / "masks.npy", bool, shape[:3]) as masks):

        def pack_patient(patient: str) -> tuple[str, dict]:
            rows = groups[patient]
            image, mask = read_patient(found, rows, shape[1:])
            images.write(rows[0], image)
            masks.write(rows[0], mask)
            return patient, {"rows": [int(rows[0]), int(rows[-1]) + 1],
                             "tumour_pixels": np.count_nonzero(mask, axis=(1, 2)).tolist(),
                             "missing": missing_sequences(image), "crc32": [zlib.crc32(image), zlib.crc32(mask)]}

        done = dict(in_threads(pack_patient, list(groups), "packing patients" if progress else None))
    index = {"fingerprint": found.fingerprint, "root": str(found.root.resolve()),
             "patients": {patient: done[patient] for patient in found.slices.patient.unique()}}
    index["crc32"] = zlib.crc32(json.dumps(index).encode())
    (work / "index.json").write_text(json.dumps(index))


class ArrayFile:
    """An array written in pieces, by several threads, into a file that `np.load` reads.

    Not a memory map: on a full disk that would kill the process, where a file raises an error.
    """

    def __init__(self, path: Path, dtype: type, shape: tuple[int, ...]):
        self.file, self.lock = path.open("wb"), Lock()
        descr = dtype_to_descr(np.dtype(dtype))
        write_array_header_1_0(self.file, {"descr": descr, "fortran_order": False, "shape": shape})
        self.start = self.file.tell()

    def write(self, row: int, rows: np.ndarray) -> None:
        """Put `rows` at their place, the first being number `row` of the array."""
        with self.lock:
            self.file.seek(self.start + int(row) * rows[0].nbytes)
            self.file.write(rows)

    def __enter__(self) -> "ArrayFile":
        return self

    def __exit__(self, *_) -> None:
        self.file.close()


def read_patient(found: Folder, rows: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Image uint8 (D,*shape) and mask bool (D,H,W) of these rows of the folder's slices."""
    files = found.slices.iloc[rows]
    image = [same_shape(read_image(found.root / name), shape, name) for name in files.image]
    mask = [same_shape(read_mask(found.root / name), shape[:2], name) for name in files["mask"]]
    if filled := [name for name, one in zip(files["mask"], mask) if 2 * one.sum() > one.size]:
        raise LggError(f"{filled[0]}: more than half of its pixels are tumour; it is inverted, or filled by mistake: "
                       "255 stands for tumour, and 0 for all else")
    return np.stack(image), np.stack(mask)


def same_shape(array: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    """`array` itself if it has the shape of the cohort's first slice, else LggError."""
    if array.shape != shape:
        raise LggError(f"{name} is {array.shape}, the cohort's first slice {shape}; all slices and masks of "
                       "a cohort have one height and width: crop or pad this patient, or take it out")
    return array


def missing_sequences(image: np.ndarray) -> list[str]:
    """Sequences of a volume uint8 (D,H,W,3) that are, pixel for pixel, the FLAIR: so the data set fills gaps."""
    return [sequence.key for sequence in (PRE, POST) if np.array_equal(image[..., sequence], image[..., FLAIR])]


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
    """LggError unless the disk has room, before the minutes of work and not after."""
    free = shutil.disk_usage(folder).free
    if free < 1.02 * needed:
        raise LggError(f"packing needs {needed / 1e6:,.0f} MB and the cache's disk has {free / 1e6:,.0f} MB free; "
                       "make room or set LGGSEG_CACHE to a folder on another disk")


def publish(work: Path, folder: Path, found: Folder) -> None:
    """Rename the finished pack to its place, unless another process has put a good one there meanwhile."""
    if folder.exists() and not ArrayCache(folder).fits(found):
        remove(folder)
    try:
        os.rename(work, folder)
    except OSError as error:
        if not folder.exists():
            raise
        if not ArrayCache(folder).fits(found):
            raise LggError(f"{folder} is damaged and in use, so that it cannot be replaced ({error}); "
                           "close the notebooks and programs that have this cohort open") from error
