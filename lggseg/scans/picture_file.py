"""One picture file as a viewer shows it, with all the levels it holds, or refused: PNG, TIFF, JPEG, BMP.

Pillow reads the files. What it leaves out without a word is put right here: of 16 bits a colour it gives the upper
eight, and of several pages the first; it swaps the bytes of some numbers twice, and overlooks a PNG's checksums.
"""

import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ..data.folder import check_sums
from ..errors import LggError
from ..masks import mask_of_levels
from .raw_scan import check_size

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp")
FORMATS = ("PNG", "TIFF", "JPEG", "BMP")
BITS, WHITE_IS_ZERO, DESCRIPTION, SAMPLES, PLANES, SIGN = 258, 262, 270, 277, 284, 339  # numbers of TIFF's tags
DEEP_GREY = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")


def read_pages(path: Path, mask: bool = False) -> list[np.ndarray]:
    """The pages of a picture file, each (H,W) or (H,W,3), uint8, uint16, int32 or float32; all but TIFF have one.

    Palettes, CMYK and YCbCr become RGB; an alpha channel is dropped where it hides nothing; the picture is turned as
    its EXIF orientation says. With `mask`, pages are bool (H,W), from 0 and 255, 0 and 1, or single bits. Raises
    LggError for what is damaged, not a picture, larger than any scan, of 1 bit, partly transparent, animated, or of
    several channels or times in pages, or of more channels than a viewer shows.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about metadata; what matters is checked here
            return _read_pages(path, mask)
    except LggError:
        raise
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        raise LggError(f"{path}: cannot be read as a picture ({error}); export it again, as 8- or 16-bit PNG or TIFF, "
                       "or as NIfTI") from error


def _read_pages(path: Path, mask: bool) -> list[np.ndarray]:
    with opened(path) as picture:
        count = getattr(picture, "n_frames", 1)
        check_size(path, count, picture.height, picture.width)
        check_frames(path, picture, count)
        check_sums(path, picture.format)
        pages = []
        for page in range(count):
            picture.seek(page)
            check_size(path, picture.height, picture.width)
            check_samples(path, picture)
            keep_order(picture)
            pages.append(mask_pixels(path, picture) if mask else pixels(path, picture, page))
            if pages[page].shape != pages[0].shape:
                raise LggError(f"{path}: page {page + 1} of {count} has the shape {pages[page].shape}, and the first "
                               f"{pages[0].shape}; the pages of a stack must be alike: save them one by one")
    return pages


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The picture in a file, its pixels not yet read. By a path Pillow would map some files, and turn those wrongly."""
    with path.open("rb") as file, Image.open(file, formats=FORMATS) as picture:
        yield picture


def keep_order(picture: Image.Image) -> None:
    """Have signed and float numbers of a big-endian compressed TIFF taken as libtiff gives them: in our own order."""
    for i, tile in enumerate(picture.tile):
        if tile[0] == "libtiff" and re.fullmatch(r"[IF];\d+B[SF]", tile[3][0]):
            picture.tile[i] = with_args(tile, (tile[3][0].replace("B", "N"), *tile[3][1:]))


def with_args(tile: tuple, args: str | tuple) -> tuple:
    """One of `picture.tile` with other arguments for its decoder; newer versions of Pillow name its parts."""
    return tile._replace(args=args) if hasattr(tile, "_replace") else (*tile[:3], args)


def check_frames(path: Path, picture: Image.Image, count: int) -> None:
    """Raise LggError where a file's pictures are not simply the slices of one sequence."""
    if picture.format != "TIFF":
        if count > 1:
            raise LggError(f"{path}: holds {count} pictures, an animation; save the slices as files of their own, or "
                           "as the pages of a TIFF")
        return
    text = str(picture.tag_v2.get(DESCRIPTION, ""))
    if text.startswith("ImageJ="):
        told = {key: int(number) for key, number in re.findall(r"(images|channels|frames)=(\d{1,9})", text)}
        if told.get("channels", 1) > 1 or told.get("frames", 1) > 1:
            raise LggError(f"{path}: an ImageJ hyperstack of several channels or times; save each sequence as a stack "
                           "of its own, and name them by --flair, --pre and --post")
        if told.get("images", count) != count:
            raise LggError(f"{path}: ImageJ tells of {told['images']} slices, but {count} can be read; save them as "
                           "an image sequence")
    elif "<OME" in text and any(int(n) > 1 for n in re.findall(r'Size[CT]="(\d{1,9})"', text)):
        raise LggError(f"{path}: an OME stack of several channels or times; save each sequence as a stack of its own, "
                       "and name them by --flair, --pre and --post")


def check_samples(path: Path, picture: Image.Image) -> None:
    """Raise LggError for a page of which Pillow would leave out a channel, or take a sign for a high bit."""
    tags = getattr(picture, "tag_v2", {})
    if (samples := tags.get(SAMPLES, 1)) > len(picture.getbands()):
        raise LggError(f"{path}: has {samples} channels, and a viewer shows {len(picture.getbands())}; save each "
                       "sequence as a picture of its own, and name them by --flair, --pre and --post")
    if picture.mode == "L" and 2 in np.ravel(tags.get(SIGN, 1)):
        raise LggError(f"{path}: has signed numbers of 8 bits, which few programs read; save it with 16 bits, or "
                       "unsigned")


def pixels(path: Path, picture: Image.Image, page: int) -> np.ndarray:
    """The page that `picture` is at, (H,W) or (H,W,3)."""
    if picture.mode == "1":
        raise LggError(f"{path}: has 1 bit a pixel, as a mask has; a scan has at least 8")
    if picture.mode in DEEP_GREY:
        inverse = picture.format == "TIFF" and picture.tag_v2.get(WHITE_IS_ZERO) == 0
        grey = np.asarray(upright(picture))
        grey = grey.astype(grey.dtype.newbyteorder("="))
        return (np.invert(grey) if grey.dtype == np.uint16 else -grey) if inverse else grey
    if bits(path, picture) > 8:
        return deep_pixels(path, picture, page)
    if "A" in picture.getbands() or "a" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        if picture.getextrema()[3] != (255, 255):
            raise LggError(f"{path}: is partly transparent, and what shows there depends on the viewer; "
                           "save it without transparency")
    return np.asarray(upright(picture) if picture.mode == "L" else upright(picture).convert("RGB"))


def upright(picture: Image.Image) -> Image.Image:
    """The picture turned as its orientation says; of a TIFF, Pillow has done it."""
    picture.load()
    return picture if picture.format == "TIFF" else ImageOps.exif_transpose(picture)


def bits(path: Path, picture: Image.Image) -> int:
    """Bits a channel as the file's header tells them."""
    if picture.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24]  # signature 8, length and name of the first chunk 8, width and height 8
    return max(picture.tag_v2.get(BITS, (1,))) if picture.format == "TIFF" else 8


def deep_pixels(path: Path, picture: Image.Image, page: int) -> np.ndarray:
    """Page of an RGB picture with 16 bits a channel, uint16 (H,W,3).

    Pillow keeps one byte of each two, and "RGB;16B" or "RGB;16L" says which: read once for the upper, once for the
    lower.
    """
    tiles = [(tile[3] if isinstance(tile[3], str) else tile[3][0]) for tile in picture.tile]
    planes = picture.format == "TIFF" and picture.tag_v2.get(PLANES, 1) != 1
    if picture.mode != "RGB" or planes or not set(tiles) <= {"RGB;16B", "RGB;16L", "RGB;16N"}:
        raise LggError(f"{path}: has 16 bits a channel in a layout that cannot be read whole ({picture.mode}); save "
                       "it as plain 16-bit RGB or grey, or in 8 bits")
    upper, lower = (one_byte(path, page, lower) for lower in (False, True))
    return upper.astype(np.uint16) * 256 + lower


def one_byte(path: Path, page: int, lower: bool) -> np.ndarray:
    """The upper or the lower bytes of a page with 16 bits a channel, uint8 (H,W,3)."""
    other = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
    with opened(path) as picture:
        picture.seek(page)
        for i, tile in enumerate(picture.tile if lower else []):
            rest = () if isinstance(tile[3], str) else tile[3][1:]
            raw = tile[3][0] if rest else tile[3]
            raw = raw[:-1] + other[raw[-1]]
            picture.tile[i] = with_args(tile, (raw, *rest) if rest else raw)
        return np.asarray(upright(picture))


def mask_pixels(path: Path, picture: Image.Image) -> np.ndarray:
    """The page that `picture` is at as a mask, bool (H,W)."""
    if picture.mode not in ("1", "L", "P"):
        raise LggError(f"{path}: a mask has one channel of 8 bits, and this is {picture.mode}")
    return mask_of_levels(np.asarray(upright(picture)).astype(np.uint8), f"{path}:")
