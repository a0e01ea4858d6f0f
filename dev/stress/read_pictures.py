"""Pictures: slices and masks of the data set, and somebody's own TIFF and PNG files."""

import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from lggseg.data.folder import read_image, read_mask
from lggseg.scans.picture_file import read_slices

from .damage import damage_bytes, read_by


def any_tiff(rng: np.random.Generator, path: Path) -> np.ndarray:
    """Write a TIFF of any kind, whole; returns its pages (P,H,W[,3]) as a viewer shows them."""
    kind = str(rng.choice(["uint8", "uint8", "uint16", "float32", "int16"]))
    colour = bool(rng.random() < 0.6)
    pages = int(rng.choice([1, 1, 1, 2, 3]))
    size = (pages, int(rng.integers(1, 40)), int(rng.integers(5, 40)), *([3] if colour else []))
    pixels = rng.integers(0, 256 if kind == "uint8" else 30_000, size).astype(kind)
    photometric = "rgb" if colour else str(rng.choice(["minisblack", "minisblack", "miniswhite"]))
    options = {
        "compression": rng.choice([None, "zlib", "zlib"]),
        "rowsperstrip": rng.choice([None, 1, 7]),
        "planarconfig": rng.choice([None, "separate"]) if colour else None,
        "photometric": photometric,
    }
    order = str(rng.choice(["<", ">"]))
    with tifffile.TiffWriter(
        path, byteorder=order, bigtiff=bool(order == "<" and rng.random() < 0.2)
    ) as file:
        for page in pixels:
            stored = page.transpose(2, 0, 1) if options["planarconfig"] else page
            file.write(np.ascontiguousarray(stored), metadata=None, contiguous=False, **options)
    if photometric == "miniswhite":
        return -pixels if kind == "float32" else np.invert(pixels)
    return pixels


def damaged(rng: np.random.Generator, path: Path) -> bool:
    """Whether the file was damaged: one of two is."""
    if rng.random() < 0.5:
        return False
    path.write_bytes(damage_bytes(path.read_bytes(), rng))
    return True


def read_slice(rng: np.random.Generator, place: Path) -> str | None:
    """slices of the data set (TIFF)."""
    path = place / "slice.tif"
    pixels = any_tiff(rng, path)
    spoilt = damaged(rng, path)
    plain = pixels.dtype == np.uint8 and pixels.ndim == 4 and len(pixels) == 1
    found = read_by(read_image, path, whole=plain and not spoilt)
    if found.dtype != np.uint8 or found.ndim != 3 or found.shape[2] != 3:
        return f"a slice of {found.dtype} {found.shape}"
    if not spoilt and not (len(pixels) == 1 and np.array_equal(found, pixels[0])):
        return f"a whole TIFF of {pixels.dtype} {pixels.shape} was read as something else"


def read_mask_file(rng: np.random.Generator, place: Path) -> str | None:
    """masks (TIFF, PNG, BMP)."""
    path = place / f"mask.{rng.choice(['tif', 'png', 'bmp'])}"
    high = int(rng.choice([1, 255, 255, 254]))
    size = tuple(rng.integers(1, 40, 2))
    mask = rng.integers(0, 2, size).astype(bool)
    if rng.random() < 0.2:
        picture = Image.fromarray(mask)
    else:
        picture = Image.fromarray(np.where(mask, high, 0).astype(np.uint8))
    picture.save(path)
    spoilt = damaged(rng, path)
    found = read_by(read_mask, path, whole=high != 254 and not spoilt)
    if found.dtype != bool or found.ndim != 2:
        return f"a mask of {found.dtype} {found.shape}"
    # A PNG has checksums.
    if (not spoilt or path.suffix == ".png") and not np.array_equal(found, mask):
        return f"a {'damaged' if spoilt else 'whole'} {path.name} was read as something else"


def read_tiff(rng: np.random.Generator, place: Path) -> str | None:
    """own TIFF files."""
    path = place / "own.tif"
    pixels = any_tiff(rng, path)
    spoilt = damaged(rng, path)
    found = read_by(read_slices, path, whole=pixels.dtype == np.uint8 and not spoilt)
    if found.ndim not in (3, 4) or found.dtype.kind not in "uif":
        return f"slices of {found.dtype} {found.shape}"
    if not spoilt and not np.array_equal(found, pixels):
        return (
            f"a whole TIFF of {pixels.dtype} {pixels.shape} was read as {found.dtype} {found.shape}"
        )


def any_png(rng: np.random.Generator) -> tuple[bytes, np.ndarray]:
    """(file, pixels as a viewer shows them) of a PNG, with 8 or 16 bits, grey or RGB, with opaque
    alpha or without.
    """
    bits = int(rng.choice([8, 16]))
    bands = int(rng.choice([1, 3]))
    alpha = bool(rng.random() < 0.2)
    size = (int(rng.integers(1, 40)), int(rng.integers(1, 40)), bands)
    pixels = rng.integers(0, 2**bits, size).astype(f"uint{bits}")
    if alpha:
        stored = np.concatenate([pixels, np.full_like(pixels[..., :1], 2**bits - 1)], 2)
    else:
        stored = pixels
    rows = b"".join(b"\0" + row.astype(f">u{bits // 8}").tobytes() for row in stored)
    colour = {1: 0, 3: 2}[bands] + 4 * alpha
    header = struct.pack(">IIBBBBB", size[1], size[0], bits, colour, 0, 0, 0)
    file = b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(name, content)
        for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    )
    return file, (pixels[..., 0] if bands == 1 else pixels)


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG with its checksum."""
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def read_png(rng: np.random.Generator, place: Path) -> str | None:
    """own PNG files."""
    path = place / "own.png"
    content, pixels = any_png(rng)
    path.write_bytes(content)
    spoilt = damaged(rng, path)
    alpha = content[25] >= 4  # of 16 bits it is refused
    [found] = read_by(
        read_slices, path, whole=not spoilt and not (alpha and pixels.dtype == np.uint16)
    )
    if pixels.ndim == 2 and found.ndim == 3:  # grey with alpha comes as three equal channels
        pixels = np.repeat(pixels[..., None], 3, 2)
    # A PNG has checksums, so this must hold for damaged ones, too.
    if not np.array_equal(found, pixels):
        return (
            f"a {'damaged' if spoilt else 'whole'} PNG of {pixels.dtype} {pixels.shape} was read "
            "as something else"
        )
