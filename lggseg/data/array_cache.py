"""A cohort's slices as two large arrays on disk, made once from its files.

Reading thousands of small TIFF files takes minutes, opening two memory-mapped arrays a moment.
"""

import json
import math
import os
import shutil
import sys
import threading
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.lib.format import dtype_to_descr, write_array_header_1_0
from tqdm import tqdm

from ..errors import LggError
from ..files import temporary_folder
from ..sequences import FLAIR, POST, PRE
from .cache_folder import UNFINISHED, explain_write_errors, remove
from .folder import Folder, read_image, read_mask

# Raise it when the cached files change their meaning, or when files are refused that were accepted.
FORMAT = 4

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class ArrayCache:
    """The arrays of one cohort, in a folder of their own.

    It is pickled as the path of that folder, so that the workers of a DataLoader share the memory.

    Attributes
    ----------
    folder : Path
        Holds images.npy, masks.npy and index.json.
    """

    folder: Path

    @cached_property
    def images(self) -> np.ndarray:
        """uint8 (slices, height, width, 3), read-only, all patients one after the other."""
        return np.load(self.folder / "images.npy", mmap_mode="r")

    @cached_property
    def masks(self) -> np.ndarray:
        """bool (slices, height, width), read-only."""
        return np.load(self.folder / "masks.npy", mmap_mode="r")

    @cached_property
    def index(self) -> dict[str, Any]:
        """What index.json says.

        fingerprint and root
            Of the cohort's folder.
        patients
            For each patient, in order: rows (the first, and one past the last), tumour_pixels
            per slice, missing sequences, and crc32, the checksums of image and mask.
        """
        index: dict[str, Any] = json.loads((self.folder / "index.json").read_text())
        checksum = index.pop("crc32")
        if checksum != zlib.crc32(json.dumps(index).encode()):
            raise ValueError("the index differs from its checksum")
        return index

    @cached_property
    def _verified(self) -> set[str]:
        """Patients whose arrays were compared with their checksums in this process."""
        return set()

    def __reduce__(self) -> tuple[type["ArrayCache"], tuple[Path]]:
        return ArrayCache, (self.folder,)

    def fits(self, found: Folder) -> bool:
        """Whether the arrays were made from exactly these files, and have the right shapes.

        Pixels are checked later, by `volume`.
        """
        try:
            mask_shape = (len(found.slices), *self.masks.shape[1:])
            image_shape = (*mask_shape, 3)
            return (
                self.index["fingerprint"] == found.fingerprint
                and self.masks.dtype == bool
                and self.masks.shape == mask_shape
                and self.images.dtype == np.uint8
                and self.images.shape == image_shape
            )
        except Exception:  # a damaged file makes NumPy raise almost anything
            return False

    def volume(self, patient: str) -> tuple[np.ndarray, np.ndarray]:
        """Image and mask of one patient, as read-only views.

        The first time in a process they are compared with their checksums. Where they differ, the
        cache is marked as damaged, so that the next `open_array_cache` makes a new one.

        Parameters
        ----------
        patient : str
            One of the cohort's.

        Returns
        -------
        image : uint8 (slices, height, width, 3)
        mask : bool (slices, height, width)

        Raises
        ------
        LggError
            If the cache is damaged.
        """
        try:
            entry = self.index["patients"][patient]
            rows = slice(*entry["rows"])
            image = self.images[rows]
            mask = self.masks[rows]
            if patient not in self._verified and checksums(image, mask) != entry["crc32"]:
                raise ValueError("the arrays differ from their checksums")
        except Exception as error:  # as in `fits`
            self.mark_as_damaged()
            raise LggError(
                f"the cache is damaged: {patient} in {self.folder} is not what was written there; "
                "open the cohort again, and its files are read anew"
            ) from error
        self._verified.add(patient)
        return image, mask

    def mark_as_damaged(self) -> None:
        """Remove the index: without it nobody uses this cache."""
        with suppress(OSError):
            (self.folder / "index.json").unlink()


def open_array_cache(found: Folder, cache: Path, progress: bool = True) -> ArrayCache:
    """Open the arrays of a cohort, making them first if there are none that fit its files.

    Parameters
    ----------
    found : Folder
        The cohort's files.
    cache : Path
        The cache folder; the arrays are kept in its folder ``packed``.
    progress : bool
        Show a progress bar while files are read.

    Returns
    -------
    ArrayCache

    Raises
    ------
    LggError
        If a file breaks the data set's rules, or the cache cannot be written.
    """
    folder = cache / "packed" / f"{FORMAT}-{found.fingerprint}"
    arrays = ArrayCache(folder)
    if arrays.fits(found):
        return arrays
    with explain_write_errors(cache):
        build(found, folder, progress)
    return ArrayCache(folder)


def build(found: Folder, folder: Path, progress: bool) -> None:
    """Make an array cache in a temporary folder, then rename that to `folder`."""
    with temporary_folder(folder.parent, UNFINISHED) as work:
        write_array_cache(found, work, progress)
        publish(work, folder, found)


def write_array_cache(found: Folder, work: Path, progress: bool) -> None:
    """Read every slice into images.npy and masks.npy, patient by patient, then write index.json."""
    slices = found.slices
    slice_shape = read_image(found.root / slices.image[0]).shape
    image_shape = (len(slices), *slice_shape)
    mask_shape = image_shape[:3]
    check_space(work, needed=4 * math.prod(mask_shape))  # a pixel has three bytes, and one of mask
    rows_of = slices.groupby("patient").indices
    images_file = ArrayFile(work / "images.npy", np.uint8, image_shape)
    masks_file = ArrayFile(work / "masks.npy", bool, mask_shape)
    with images_file, masks_file:

        def copy_patient(patient: str) -> tuple[str, dict[str, Any]]:
            rows = rows_of[patient]
            image, mask = read_patient(found, rows, slice_shape)
            images_file.write(rows[0], image)
            masks_file.write(rows[0], mask)
            return patient, index_entry(rows, image, mask)

        entries = dict(in_threads(copy_patient, list(rows_of), "packing patients", progress))
    index: dict[str, Any] = {
        "fingerprint": found.fingerprint,
        "root": str(found.root.resolve()),
        "patients": {patient: entries[patient] for patient in slices.patient.unique()},
    }
    index["crc32"] = zlib.crc32(json.dumps(index).encode())
    (work / "index.json").write_text(json.dumps(index))


def index_entry(rows: np.ndarray, image: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    """What the index says of a patient whose slices are these rows of the arrays."""
    return {
        "rows": [int(rows[0]), int(rows[-1]) + 1],
        "tumour_pixels": np.count_nonzero(mask, axis=(1, 2)).tolist(),
        "missing": missing_sequences(image),
        "crc32": checksums(image, mask),
    }


def checksums(image: np.ndarray, mask: np.ndarray) -> list[int]:
    """CRC-32 of the bytes of both arrays."""
    return [zlib.crc32(image.data), zlib.crc32(mask.data)]


class ArrayFile:
    """An array written in pieces, by several threads, into a file that `np.load` can read.

    A memory map would not do: on a full disk it kills the process, where a file raises an error.

    Parameters
    ----------
    path : Path
        The file to write.
    dtype : type
        Of the array's values.
    shape : tuple of int
        Of the whole array.
    """

    def __init__(self, path: Path, dtype: type, shape: tuple[int, ...]):
        self.file = path.open("wb")
        self.lock = threading.Lock()
        header = {
            "descr": dtype_to_descr(np.dtype(dtype)),
            "fortran_order": False,
            "shape": shape,
        }
        write_array_header_1_0(self.file, header)
        self.start = self.file.tell()

    def write(self, row: int, rows: np.ndarray) -> None:
        """Write `rows` at their place: the first of them is number `row` of the array."""
        with self.lock:
            self.file.seek(self.start + int(row) * rows[0].nbytes)
            self.file.write(rows.data)

    def __enter__(self) -> "ArrayFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def read_patient(
    found: Folder, rows: np.ndarray, slice_shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Read one patient's files.

    Parameters
    ----------
    found : Folder
        The cohort's files.
    rows : int (slices,)
        The rows of ``found.slices`` that belong to the patient.
    slice_shape : tuple of int
        (height, width, 3), the same for all slices of the cohort.

    Returns
    -------
    image : uint8 (slices, height, width, 3)
    mask : bool (slices, height, width)

    Raises
    ------
    LggError
        If a file cannot be read, has another shape, or is a mask of more than half the picture.
    """
    images = []
    masks = []
    files = found.slices.iloc[rows]
    for image_name, mask_name in zip(files["image"], files["mask"]):
        image = read_image(found.root / image_name)
        check_shape(image, slice_shape, image_name)
        mask = read_mask(found.root / mask_name)
        check_shape(mask, slice_shape[:2], mask_name)
        check_tumour_size(mask, mask_name)
        images.append(image)
        masks.append(mask)
    return np.stack(images), np.stack(masks)


def check_shape(array: np.ndarray, shape: tuple[int, ...], name: str) -> None:
    """LggError if a slice or mask differs in shape from the cohort's first slice."""
    if array.shape != shape:
        raise LggError(
            f"{name} is {array.shape}, the cohort's first slice {shape}; all slices and masks of "
            "a cohort have one height and width: crop or pad this patient, or take it out"
        )


def check_tumour_size(mask: np.ndarray, name: str) -> None:
    """LggError if more than half of a slice is marked as tumour."""
    if 2 * np.count_nonzero(mask) > mask.size:
        raise LggError(
            f"{name}: more than half of its pixels are tumour; it is inverted, or filled by "
            "mistake: 255 stands for tumour, and 0 for all else"
        )


def missing_sequences(image: np.ndarray) -> list[str]:
    """Sequences of a volume uint8 (slices, height, width, 3) that equal FLAIR pixel for pixel.

    That is how the data set fills in sequences that were not recorded.
    """
    flair = image[..., FLAIR]
    missing = []
    for sequence in (PRE, POST):
        if np.array_equal(image[..., sequence], flair):
            missing.append(sequence.key)
    return missing


def in_threads(
    task: Callable[[Item], Result], items: list[Item], label: str, progress: bool
) -> Iterable[Result]:
    """Run `task` for every item in threads, and return the results in the order they are ready.

    The first error stops the rest. The progress bar is written to stdout and removed at the end,
    so that the stored output of a notebook is the same with and without it.
    """
    results = []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        jobs = [pool.submit(task, item) for item in items]
        bar = tqdm(
            as_completed(jobs),
            label,
            total=len(jobs),
            unit="patient",
            leave=False,
            file=sys.stdout,
            disable=not progress,
        )
        try:
            for job in bar:
                results.append(job.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return results


def check_space(folder: Path, needed: int) -> None:
    """LggError if the disk has no room for `needed` bytes; found out before minutes of work."""
    free = shutil.disk_usage(folder).free
    if free < 1.02 * needed:
        raise LggError(
            f"packing needs {needed / 1e6:,.0f} MB and the cache's disk has {free / 1e6:,.0f} MB "
            "free; make room or set LGGSEG_CACHE to a folder on another disk"
        )


def publish(work: Path, folder: Path, found: Folder) -> None:
    """Rename the finished folder `work` to `folder`.

    If another process has put a good one there meanwhile, that one stays.
    """
    try:
        if folder.exists() and not ArrayCache(folder).fits(found):
            remove(folder)
        os.rename(work, folder)
    except OSError as error:
        if not folder.exists():
            raise
        if not ArrayCache(folder).fits(found):
            raise LggError(
                f"{folder} is damaged and in use, so that it cannot be replaced ({error}); "
                "close the notebooks and programs that have this cohort open"
            ) from error
