"""A scan as pictures: one file, a TIFF of several pages, or one file per slice; and their masks."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import LggError
from .own_scan import OwnScan, check_size
from .picture_file import read_slices

MASK = re.compile(
    r"(?<![a-z])(?:masks?|seg|segmentations?|labels?|annotations?|(?:ground)?truth|gt|roi)(?![a-z])",
    re.IGNORECASE,
)
READINGS = [r"(\d+)", r"(-?\d+)", r"(\d+(?:[.,]\d+)?)", r"(-?\d+(?:[.,]\d+)?)"]  # of numbers
SIGN = re.compile(r"(?:^|[^a-z0-9])-\d|-\d+[.,]\d", re.IGNORECASE)  # more than a dash after a word
SURE = 30  # pixels of either value from which on a slice of two values is a mask


def read_pictures(files: list[Path], masks: list[Path]) -> OwnScan:
    """Slices in the order of their numbers, and the truth, if there are masks.

    Colour pictures whose channels are equal are grey. Raises LggError where the slices are not
    alike, their order is open, one is a mask, or masks do not fit them.
    """
    files, warnings = in_order(files)
    slices = [read_slices(file) for file in files]
    names: dict[str, Path] = {}
    pictures: dict[bytes, Path] = {}
    for file, found in zip(files, slices):
        twin = names.setdefault(plain(file.stem), file)
        copy = pictures.setdefault(found.tobytes(), file)
        wrong = ""
        if twin is not file:
            wrong = f"two slices of one name, this and {twin.name}; rename one, or take it out"
        elif len(found) > 1 and len(files) > 1:
            wrong = "holds several slices; give it alone, or one picture per slice"
        elif found.shape != slices[0].shape or found.dtype != slices[0].dtype:
            wrong = (
                f"{found.dtype} {found.shape}, but {files[0].name} is {slices[0].dtype} "
                f"{slices[0].shape}; all slices of a scan are alike: give one scan alone"
            )
        elif two_values(found) and not all(two_values(one, 0) for one in slices):
            wrong = "has two values, as a mask has, and other slices have more; take the masks out"
        elif copy is not file and found.min() < found.max():
            wrong = f"shows the very same picture as {copy.name}; take the copy out"
        if wrong:
            raise LggError(f"{file}: {wrong}")
    check_size(len(slices), *slices[0].shape)
    truth = read_truth(files, masks, slices) if masks else None
    values = np.concatenate(slices)
    if values.ndim == 3:
        values = values[..., None]
    if (values == values[..., :1]).all():
        values = values[..., :1]
    stems = [file.stem for file in files]
    if len(values) > len(files):
        stems = [f"{files[0].stem}_{page + 1}" for page in range(len(values))]
    return OwnScan(values, stems, truth=truth, warnings=warnings)


def is_mask(path: Path) -> bool:
    """By a word in the name of a file or folder, such as NAME_mask.png or labels."""
    return MASK.search(path.stem) is not None


def plain(name: str) -> str:
    """A name as file systems compare it that know neither case nor two ways to write an accent."""
    return unicodedata.normalize("NFC", name).casefold()


def slice_name(file: Path) -> str:
    """What the names of a slice and its mask share, such as 7 of 7.png, 7_mask.png, mask_7.png."""
    return plain(MASK.sub("", file.stem)).strip("_-. ")


def two_values(slices: np.ndarray, each: int = SURE) -> bool:
    """Whether there are two values in it, each so often: fewer are specks on an empty slice."""
    lit = slices == slices.max()
    only = bool((lit | (slices == slices.min())).all())
    return only and each <= lit.sum() <= slices.size - each


def in_order(files: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Files by the numbers in their names, and a warning where these do not make one even row.

    A minus is a sign, and a point a decimal one, where this reading alone gives numbers that
    differ, or even steps. LggError where that is open.
    """
    orders: dict[tuple[Path, ...], tuple[int, str]] = {}
    for reading in READINGS:
        order = tuple(sorted(files, key=lambda file: (parts(file, reading), file.name)))
        table = numbers(order, reading)
        if np.signbit(table).all(axis=0).any() and not SIGN.search(files[0].stem):
            continue  # a dash before each number
        score = (len({*map(tuple, table)}) == len(files)) + even(table)
        if order not in orders or score > orders[order][0]:
            orders[order] = score, reading
    best = max(score for score, _ in orders.values())
    chosen = [(order, reading) for order, (score, reading) in orders.items() if score == best]
    if len(chosen) > 1:
        raise LggError(
            f"{files[0]}: the numbers in the names of the slices can be read in several ways, with "
            "or without signs and decimals; rename them to 001, 002 and so on"
        )
    [(order, reading)] = chosen
    return list(order), odd_names(order, reading)


def parts(file: Path, reading: str) -> list[str | float]:
    """The words and numbers of a file's name in turn, so that slice_2 comes before slice_10."""
    found = re.split(reading, file.stem)
    return [float(part.replace(",", ".")) if i % 2 else part for i, part in enumerate(found)]


def numbers(files: Sequence[Path], reading: str) -> np.ndarray:
    """Float (n,columns): the numbers in names that change; none where some names have more."""
    table = [parts(file, reading)[1::2] for file in files]
    if len({*map(len, table)}) > 1:
        return np.empty((len(files), 0))
    found = np.array(table, float).reshape(len(files), -1)
    return found[:, np.ptp(found, axis=0) > 0]


def even(table: np.ndarray) -> bool:
    """Whether one number changes, by the same step from file to file."""
    return table.shape[1] == 1 and bool(np.ptp(np.diff(table[:, 0])) < 1e-6)


def odd_names(files: Sequence[Path], reading: str) -> list[str]:
    """A warning where names differ in more than numbers, or these have a gap or come twice."""
    words = [parts(file, reading)[::2] for file in files]
    others = [file for file, text in zip(files, words) if text != words[0]]
    table = numbers(files, reading)
    if others:
        return [
            f"{files[0].name} and {others[0].name} are named in two ways, and taken as slices of "
            "one scan, in the order of their names; give one scan alone"
        ]
    if table.shape[1] != 1 or even(table):
        return []
    steps = np.diff(table[:, 0])
    odd = int(np.argmax(np.abs(steps - np.median(steps)) > 1e-6))
    return [
        f"{files[odd].name} and {files[odd + 1].name} are neighbours, and their numbers are not as "
        "far apart as those of other slices; a slice may be lost, or there twice"
    ]


def read_truth(files: list[Path], masks: list[Path], slices: list[np.ndarray]) -> np.ndarray:
    """The masks of all slices, bool (D,H,W). LggError where one lacks or does not fit."""
    owners = {slice_name(file): found.shape[:3] for file, found in zip(files, slices)}
    truth: dict[str, np.ndarray] = {}
    for mask in sorted(masks):
        name = slice_name(mask)
        wrong = ""
        if name not in owners:
            wrong = "a mask without its slice; a slice NAME.png has its mask in NAME_mask.png"
        elif name in truth:
            wrong = "the slice has a second mask; take one out"
        else:
            truth[name] = read_slices(mask, mask=True)
            if truth[name].shape != owners[name]:
                wrong = f"{truth[name].shape} slices, rows and columns; its slice {owners[name]}"
        if wrong:
            raise LggError(f"{mask}: {wrong}")
    if len(truth) < len(files):
        lost = next(file for file in files if slice_name(file) not in truth)
        raise LggError(
            f"{lost}: {len(files) - len(truth)} of {len(files)} slices have no mask, and others "
            "have one; give every slice one (black where there is no tumour), or take them out"
        )
    return np.concatenate([truth[name] for name in owners])
