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
DECIMAL = r"\d+(?:[.,]\d+)?(?:e[-+]?\d+)?"
READINGS = (r"(\d+)", r"([-+]?\d+)", f"({DECIMAL})", f"([-+]?{DECIMAL})")  # of numbers in names
SIGN = re.compile(r"(?:^|[^a-z0-9])-\d|-\d+[.,]\d", re.IGNORECASE)  # more than a dash after a word
SURE = 30  # pixels of either value from which on a slice of two values is a mask
ENOUGH = 20  # pixels of each colour, that tell a colour map from the few levels of an empty slice


def read_pictures(files: list[Path], masks: list[Path]) -> OwnScan:
    """Slices in the order of their numbers, and the truth, if there are masks.

    Colour pictures whose channels are equal are grey. Raises LggError where the slices are not
    alike, their order is open, one is a mask, or masks do not fit them.
    """
    found = {file: read_slices(file) for file in sorted(files)}
    first = next(iter(found.values()))
    names: dict[str, Path] = {}
    pictures: dict[bytes, Path] = {}
    for file, slices in found.items():
        twin = names.setdefault(plain(file.stem), file)
        copy = pictures.setdefault(slices.tobytes(), file)
        wrong = ""
        if twin is not file:
            wrong = f"two slices of one name, this and {twin.name}; rename one, or take it out"
        elif len(slices) > 1 and len(files) > 1:
            wrong = "holds several slices; give it alone, or one picture per slice"
        elif slices.shape != first.shape or slices.dtype != first.dtype:
            wrong = (
                f"{slices.dtype} {slices.shape}, but {min(files).name} is {first.dtype} "
                f"{first.shape}; all slices of a scan are alike: give one scan alone"
            )
        elif two_values(slices) and not all(two_values(one, 0) for one in found.values()):
            wrong = "has two values, as a mask has, and other slices have more; take the masks out"
        elif copy is not file and slices.min() < slices.max():
            wrong = f"shows the very same picture as {copy.name}; take the copy out"
        elif painted(slices):
            wrong = "is grey but for some coloured pixels, such as an outline; give it without them"
        if wrong:
            raise LggError(f"{file}: {wrong}")
    check_size(len(files), *first.shape)
    truth = read_truth(found, masks) if masks else {}
    order, warnings = in_order(list(found))
    values = np.concatenate([found[file] for file in order])
    if values.ndim == 3:
        values = values[..., None]
    if (values == values[..., :1]).all():
        values = values[..., :1]
    if follows_colour_map(values):
        raise LggError(
            f"{order[0]}: its colours are those of a colour map, such as jet or hot, and not three "
            "sequences; save the grey levels themselves"
        )
    stems = [file.stem for file in order]
    if len(values) > len(order):
        stems = [f"{stems[0]}_{page + 1}" for page in range(len(values))]
    drawn = np.concatenate([truth[file] for file in order]) if truth else None
    return OwnScan(values, stems, truth=drawn, warnings=warnings)


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


def painted(slices: np.ndarray) -> bool:
    """Whether nearly all that is lit in colours (D,H,W,3) is grey, but not all of it."""
    if slices.ndim < 4:
        return False
    lit = slices[slices.max(axis=-1) > 0.05 * slices.max()]
    grey = np.ptp(lit, axis=-1) <= 0.03 * slices.max()
    return 0.9 < grey.mean() < 1 if len(lit) >= 100 else False


def follows_colour_map(slices: np.ndarray) -> bool:
    """Whether the colours of bytes (D,H,W,3) lie on a line, as those that a colour map gives.

    From one colour to the next on a line at least one channel changes, so there are no more colours
    than levels of all channels together (with a quarter to spare). Three sequences have at least
    eight times as many.
    """
    if slices.dtype != np.uint8 or slices.shape[-1] != 3:
        return False
    levels = [np.count_nonzero(np.bincount(slices[..., i].ravel())) for i in range(3)]
    colours, counts = np.unique(slices @ np.array([65536, 256, 1], np.int32), return_counts=True)
    lit = counts.sum() - counts.max()
    on_a_line = min(levels) > 1 and len(colours) <= 1.25 * sum(levels)
    return bool(on_a_line and lit >= ENOUGH * len(colours))


def in_order(files: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Files by the numbers in their names, and a warning where these have a gap.

    A minus is a sign, and a point a decimal one, where this reading alone gives an order, or even
    steps. LggError where the order is open: names of words, or of several numbers, or hexadecimal.
    """
    if len(files) == 1:
        return list(files), []
    steps: dict[tuple[Path, ...], np.ndarray] = {}
    for reading in READINGS:
        places = slice_numbers(files, reading)
        if places is not None:
            order = tuple(files[i] for i in np.argsort(places))
            found = np.diff(np.sort(places))
            if order not in steps or np.ptp(found) < np.ptp(steps[order]):
                steps[order] = found
    even = [order for order in steps if np.ptp(steps[order]) < 1e-6]
    orders = even or list(steps)
    if len(orders) != 1:
        what = "can be read in several ways" if orders else "do not give one number to each"
        raise LggError(
            f"{files[0]}: the numbers in the names of the slices {what}, so their order is open; "
            "give one scan alone, and rename its slices to 001, 002 and so on"
        )
    [order] = orders
    if even:
        return list(order), []
    odd = int(np.argmax(np.abs(steps[order] - np.median(steps[order])) > 1e-6))
    return list(order), [
        f"{order[odd].name} and {order[odd + 1].name} are neighbours, and their numbers are not as "
        "far apart as those of other slices; a slice may be lost"
    ]


def slice_numbers(files: Sequence[Path], reading: str) -> np.ndarray | None:
    """Float (n,): the first number in names that differs in all; None where there is none.

    The words between the numbers must be the same.
    """
    parts = [re.split(reading, plain(file.stem)) for file in files]
    if any(words[::2] != parts[0][::2] for words in parts):
        return None
    for texts in zip(*(words[1::2] for words in parts)):
        places = np.array([float(text.replace(",", ".")) for text in texts])
        is_dash = np.signbit(places).all() and not SIGN.search(files[0].stem)
        if len(set(places)) == len(files) and not is_dash:
            return places
    return None


def read_truth(found: dict[Path, np.ndarray], masks: list[Path]) -> dict[Path, np.ndarray]:
    """The masks of all slices by file, bool (D,H,W). LggError where one lacks or does not fit."""
    owners = {slice_name(file): file for file in found}
    truth: dict[Path, np.ndarray] = {}
    for mask in sorted(masks):
        owner = owners.get(slice_name(mask))
        wrong = ""
        if owner is None:
            wrong = "a mask without its slice; a slice NAME.png has its mask in NAME_mask.png"
        elif owner in truth:
            wrong = "the slice has a second mask; take one out"
        else:
            truth[owner] = read_slices(mask, mask=True)
            size = found[owner].shape[:3]
            if truth[owner].shape != size:
                wrong = f"{truth[owner].shape} slices, rows and columns; its slice {size}"
        if wrong:
            raise LggError(f"{mask}: {wrong}")
    lost = [file for file in found if file not in truth]
    if lost:
        raise LggError(
            f"{lost[0]}: {len(lost)} of {len(found)} slices have no mask, and others "
            "have one; give every slice one (black where there is no tumour), or take them out"
        )
    return truth
