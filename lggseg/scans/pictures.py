"""A scan as pictures: one file, a TIFF of several pages, or a folder with one file per slice, and masks beside them."""

import re
import unicodedata
from pathlib import Path

import numpy as np

from ..errors import LggError
from .picture_file import SUFFIXES, read_pages
from .raw_scan import RawScan, check_size


def read_pictures(files: list[Path], masks: list[Path]) -> RawScan:
    """Slices in the order of their numbers, with 1 channel (grey) or 3, and the truth where every slice has its mask.

    Colour pictures whose three channels are equal are grey. Raises LggError where the slices are not alike, two have
    one name, or masks do not fit them.
    """
    files = sorted(files, key=numeric)
    check_names(files)
    pages = [read_pages(file) for file in files]
    if len(files) > 1 and (several := [file for file, found in zip(files, pages) if len(found) > 1]):
        raise LggError(f"{several[0]}: holds several slices, and there are other pictures beside it; give one stack, "
                       "or one picture per slice")
    if len(pages[0]) > 1:
        slices, names = pages[0], [f"{files[0].stem}_{page + 1}" for page in range(len(pages[0]))]
    else:
        slices, names = [found[0] for found in pages], [file.stem for file in files]
    check_alike(files, slices)
    check_size(files[0].parent, len(slices), *slices[0].shape[:2])
    truth = read_truth(files, masks, slices) if masks else None
    return RawScan(channels_of(np.stack(slices)), names, truth=truth, warnings=odd_names(files) or odd_numbers(files))


def is_picture(file: Path) -> bool:
    """By its suffix, in upper or lower case."""
    return file.suffix.lower() in SUFFIXES


def is_mask(file: Path) -> bool:
    """By its name, in upper or lower case."""
    return file.stem.casefold().endswith("_mask")


def plain(name: str) -> str:
    """A name as file systems compare it that know neither case nor two ways to write an accent."""
    return unicodedata.normalize("NFC", name).casefold()


def numeric(file: Path) -> tuple[list, str]:
    """Sort key by which slice_2 comes before slice_10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", file.name)], file.name


def check_names(files: list[Path]) -> None:
    """Raise LggError where two slices would have results of one name."""
    seen = {}
    for file in files:
        if (other := seen.setdefault(plain(file.stem), file)) is not file:
            raise LggError(f"{file}: two slices of one name, this and {other.name}; rename one, or take it out if it "
                           "is the same slice")


def odd_names(files: list[Path]) -> list[str]:
    """A warning where slices differ in more of their names than the numbers: another scan's may be among them."""
    found = {re.sub(r"\d+", "", file.stem): file.name for file in reversed(files)}
    first, *others = reversed(found.values())
    return [f"{first} and {others[0]} are named in two ways, and taken as slices of one scan, in the order of their "
            "names; give one scan alone"] if others else []


def odd_numbers(files: list[Path]) -> list[str]:
    """A warning where the slices' numbers have a gap or one comes twice; none where several numbers change at once."""
    columns = [np.array(column, float) for column in zip(*(re.findall(r"\d+", file.stem) for file in files))]
    steps = [np.diff(column) for column in columns if np.ptp(column)]
    if len(steps) != 1 or (steps[0] == (usual := np.median(steps[0]))).all():
        return []
    odd = int(np.flatnonzero(steps[0] != usual)[0])
    return [f"{files[odd].name} and {files[odd + 1].name} are neighbours, and their numbers are not as far apart as "
            "those of other slices; a slice may be lost, or there twice"]


def check_alike(files: list[Path], slices: list[np.ndarray]) -> None:
    """Raise LggError where a slice has another size, other channels or another type than the first."""
    for file, pixels in zip(files, slices):
        if pixels.shape[:2] != slices[0].shape[:2]:
            raise LggError(f"{file}: {pixels.shape[:2]} pixels, but {files[0].name} has {slices[0].shape[:2]}; "
                           "all slices of a scan must have one size: put each scan into a folder of its own")
        if pixels.shape != slices[0].shape or pixels.dtype != slices[0].dtype:
            raise LggError(f"{file}: {kind(pixels)}, but {files[0].name} is {kind(slices[0])}; all slices of a scan "
                           "must be of one kind: export them together")


def kind(pixels: np.ndarray) -> str:
    """In words, such as "grey uint8"."""
    return f"{'grey' if pixels.ndim == 2 else 'colour'} {pixels.dtype}"


def channels_of(slices: np.ndarray) -> np.ndarray:
    """Slices (D,H,W) or (D,H,W,3) as (D,H,W,C); three equal channels are one."""
    if slices.ndim == 3:
        return slices[..., None]
    return slices if (slices != slices[..., :1]).any() else slices[..., :1]


def read_truth(files: list[Path], masks: list[Path], slices: list[np.ndarray]) -> np.ndarray:
    """The masks of all slices, bool (D,H,W). Raises LggError where one lacks, is alone, or has another size."""
    owner = {plain(file.stem): file for file in files}
    mask_of = {}
    for mask in sorted(masks):
        name = plain(mask.stem)[:-len("_mask")]
        if name not in owner:
            raise LggError(f"{mask}: a mask without its slice; a slice NAME.png has its mask in NAME_mask.png: "
                           "rename it, or take it out")
        if (other := mask_of.setdefault(name, mask)) is not mask:
            raise LggError(f"{mask}: the slice has a second mask, {other.name}; take one out")
    if lost := [file for name, file in owner.items() if name not in mask_of]:
        raise LggError(f"{lost[0]}: {len(lost)} of {len(files)} slices have no mask, and the others have one; give "
                       "every slice a mask (black where there is no tumour), or take the masks out")
    found = [page for name in owner for page in read_pages(mask_of[name], mask=True)]
    if len(found) != len(slices):
        raise LggError(f"{masks[0]}: {len(found)} pages of masks for {len(slices)} slices; give one for each")
    for name, mask, pixels in zip(owner, found, slices):
        if mask.shape != pixels.shape[:2]:
            raise LggError(f"{mask_of[name]}: {mask.shape} pixels, but its slice has {pixels.shape[:2]}; a mask lies "
                           "on its slice's own pixels")
    return np.stack(found)
