"""One picture file as a viewer shows it, with all its levels: TIFF by tifffile, else Pillow."""

import logging
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tifffile
from PIL import Image, ImageSequence

from ..data.folder import check_sums
from ..errors import LggError
from ..masks import mask_of_levels
from .own_scan import check_size, reading

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp")
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # how such files begin
ORIENTATION = 274  # number of the tag in TIFF and EXIF


def read_slices(path: Path, mask: bool = False) -> np.ndarray:
    """The slices of a picture file, (D,H,W) or (D,H,W,C); all but TIFF have one.

    Palettes, CMYK and YCbCr become RGB; an alpha channel is dropped where it hides nothing; the
    picture is turned as its orientation says. With `mask` they are bool (D,H,W), from 0 and 255, 0
    and 1, or single bits. Raises LggError for what is damaged, no picture, partly transparent,
    animated, of axes that the file does not name, or larger than any scan.
    """
    with reading(path, "a picture"):
        with path.open("rb") as file:
            tiff = file.read(4) in TIFF
        slices = read_tiff(path, mask) if tiff else read_by_pillow(path, mask)
        if mask:
            if slices.ndim > 3 or slices.dtype.itemsize > 1:
                raise LggError(
                    f"a mask has one channel of 8 bits, and this is {slices.dtype} {slices.shape}"
                )
            return mask_of_levels(slices.astype(np.uint8), "it")
        if slices.dtype == bool:
            raise LggError("has 1 bit a pixel, as a mask has; a scan has at least 8: name the scan")
        check_size(*slices.shape, dtype=slices.dtype)
        return slices


def read_tiff(path: Path, mask: bool) -> np.ndarray:
    """The slices of a TIFF file, by the axes that it names itself, or ImageJ or OME in it."""
    logger = logging.getLogger("tifffile")
    logger.addFilter(raise_warnings)
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            scans = file.series
            check_size(page.imagelength, page.imagewidth)
            check_size(*scans[0].shape)
            if page.photometric not in (0, 1, 2):  # a palette, or the colours of print or video
                return read_by_pillow(path, mask)
            if len(scans) > 1 or len(scans[0].levels) > 1:
                raise LggError(
                    f"its pages have several shapes, such as {scans[-1].levels[-1].shape}; those "
                    "of a stack must be alike: save each scan on its own"
                )
            left = file.filehandle.size - bytes_used(file)
            if left > 1000 and left > 0.5 * sum(page.databytecounts):
                raise LggError(
                    f"{left} bytes of it belong to no page: its list of pages ends too early; save "
                    "it again, or one picture per slice"
                )
            slices = sort_axes(scans[0].asarray(), scans[0].axes)
    finally:
        logger.removeFilter(raise_warnings)
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        slices = -slices if slices.dtype.kind == "f" else ~slices
    if page.extrasamples:
        alpha = slices[..., -len(page.extrasamples) :]
        if alpha.min() < alpha.max() or not alpha.any():
            raise LggError(
                f"has {slices.shape[-1]} channels, and a viewer shows 1 or 3; save each sequence "
                "on its own, without transparency, and name them by --flair, --pre and --post"
            )
        slices = slices[..., : -len(page.extrasamples)]
    return turned(slices, page.tags.valueof(ORIENTATION, 1))


def bytes_used(file: tifffile.TiffFile) -> int:
    """How much of a TIFF file its pages say that they use, with their tags."""
    tags = 0
    pixels = 0
    for page in file.pages:
        tags += sum(20 + tag.valuebytecount for tag in getattr(page, "tags", ()))
        pixels += sum(page.databytecounts)
    if file.series[0].dataoffset is not None:  # pixels in one piece, behind a single page's tags
        pixels = max(pixels, file.series[0].nbytes)
    return tags + pixels


def raise_warnings(record: logging.LogRecord) -> bool:
    """Raise what tifffile would only log, about data that are damaged or missing."""
    if record.levelno >= logging.WARNING:
        raise OSError(record.getMessage())
    return True


def sort_axes(values: np.ndarray, axes: str) -> np.ndarray:
    """Pixels as (D,H,W) or (D,H,W,C), from axes in tifffile's letters; axes of length 1 go."""
    kept = [i for i, axis in enumerate(axes) if axis in "YX" or values.shape[i] > 1]
    axes = "".join(axes[i] for i in kept)
    values = values.reshape([values.shape[i] for i in kept])
    stack = [axis for axis in axes if axis not in "YXCS"]
    channels = [axis for axis in axes if axis in "CS"]
    if len(stack) > 1 or len(channels) > 1 or not set(stack) <= set("ZIQ"):
        raise LggError(
            f"its axes are {axes}, of {values.shape} pixels; beside rows and columns (Y, X) there "
            "may be slices (Z) and channels (C), and the file must name them: save it with the "
            "axes ZCYX, or each sequence on its own"
        )
    values = values.transpose([axes.index(axis) for axis in [*stack, "Y", "X", *channels]])
    return values if stack else values[None]


def read_by_pillow(path: Path, mask: bool) -> np.ndarray:
    """The slices of a PNG, JPEG or BMP file, or of a TIFF with a palette or in CMYK or YCbCr."""
    formats = ("PNG", "TIFF", "JPEG", "BMP")
    with path.open("rb") as file, open_picture(file, formats) as picture:
        count = getattr(picture, "n_frames", 1)
        check_size(picture.height, picture.width)
        check_size(count, picture.height, picture.width)
        if picture.format == "TIFF":  # turned by Pillow
            return np.stack([levels(page, mask) for page in ImageSequence.Iterator(picture)])
        if count > 1:
            raise LggError(f"holds {count} pictures, an animation; save each slice as its own file")
        check_sums(path, picture.format)
        content = path.read_bytes()
        if picture.format == "PNG" and picture.mode != "I;16" and content[24] == 16:
            if picture.has_transparency_data:
                raise LggError("has 16 bits and transparency; save it without")
            import imagecodecs  # Pillow gives the upper eight bits of each colour

            slices = imagecodecs.png_decode(content)[None]
        else:
            slices = levels(picture, mask)[None]
        return turned(slices, picture.getexif().get(ORIENTATION, 1))


def open_picture(file: BinaryIO, formats: tuple[str, ...]) -> Image.Image:
    """The picture in a file; LggError where it is so large that Pillow does not open it."""
    try:
        return Image.open(file, formats=formats)
    except Image.DecompressionBombError as error:
        raise LggError(
            f"{str(error).split(', could')[0]}; no scan has slices as large: crop or shrink it"
        ) from error


def levels(picture: Image.Image, mask: bool) -> np.ndarray:
    """The pixels (H,W) or (H,W,3) of one picture."""
    if mask and picture.mode == "P":
        return np.asarray(picture)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        if picture.getchannel("A").getextrema() != (255, 255):
            raise LggError(
                "is partly transparent, and what shows there depends on the viewer; save it "
                "without transparency"
            )
    grey = picture.mode in ("1", "L", "I;16", "I", "F")
    return np.asarray(picture if grey else picture.convert("RGB"))


def turned(slices: np.ndarray, orientation: int) -> np.ndarray:
    """Slices (D,H,W,...) as a viewer shows them, by the number in a TIFF's or EXIF's tag."""
    if orientation >= 5:
        slices = slices.swapaxes(1, 2)
    if orientation in (2, 3, 6, 7):
        slices = slices[:, :, ::-1]
    if orientation in (3, 4, 7, 8):
        slices = slices[:, ::-1]
    return slices
