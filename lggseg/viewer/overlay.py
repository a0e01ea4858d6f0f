"""Pictures from arrays, in milliseconds: grey windows, lines and fills, JPEG bytes. Neither matplotlib nor widgets."""

import io
import math

import numpy as np
from PIL import Image

from ..masks import bounding_box
from ..sequences import POST, PRE, MriSequence
from .colours import PREDICTION, TRUTH, rgb

VIEWS = {sequence.title: int(sequence) for sequence in MriSequence} | {"all three as colours": slice(None)}
ABSENT = {sequence.key: sequence.title for sequence in (PRE, POST)}
NAMES = {"truth": "manual mask", "prediction": "prediction"}
COLOURS = {"truth": TRUTH, "prediction": PREDICTION}


def as_array(value: object) -> np.ndarray:
    """Whatever is like an array as one; a PyTorch tensor wherever it lies, and without its gradient."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if value.is_floating_point() else value  # numpy has no bfloat16
    return np.asarray(value)


def windowed(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map uint8 grey values linearly so that `low` becomes black and `high` white, uint8 of the same shape."""
    table = (np.arange(256) - low) / max(high - low, 1) * 255
    return table.clip(0, 255).astype(np.uint8)[pixels]


def boundary(mask: np.ndarray, width: int = 1, outside: bool = False) -> np.ndarray:
    """The line `width` pixels wide along the border of a bool (H,W) mask, just inside it or just outside.

    The truth is drawn inside and the prediction outside: where the two agree, both lines stay visible.
    """
    here, there = (~mask, mask) if outside else (mask, ~mask)
    wide, w = np.pad(there, width, constant_values=not outside), slice(width, -width)
    return here & (wide[:-2 * width, w] | wide[2 * width:, w] | wide[w, :-2 * width] | wide[w, 2 * width:])


def blend(picture: np.ndarray, weight: np.ndarray, colour: str) -> None:
    """Mix `colour` into a uint8 (H,W,3) picture in place; `weight` (H,W) runs from 0 (nothing) to 1 (all)."""
    share = (256 * weight + 0.5).astype(np.uint16)  # whole numbers, and one channel at a time: three times as fast
    for channel, strength in enumerate(rgb(colour)):
        paint = share * np.uint16(strength) + np.uint16(128)
        picture[..., channel] = (picture[..., channel] * (256 - share) + paint) >> 8


def part(picture: np.ndarray, weight: np.ndarray, scale: int, margin: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Where `weight` (H,W) is not 0, with `margin` pixels around it: that view on the picture, and `weight` there, both
    enlarged by `scale`.

    Tumours are small: drawing on this part is several times faster than on all (H*scale, W*scale, 3).
    """
    rows, columns = bounding_box(weight, margin)
    view = picture[scale * rows.start:scale * rows.stop, scale * columns.start:scale * columns.stop]
    return view, enlarge(weight[rows, columns], scale)


def enlarge(pixels: np.ndarray, scale: int) -> np.ndarray:
    """Repeat each pixel of (H,W) `scale` times down and across."""
    return pixels.repeat(scale, axis=0).repeat(scale, axis=1)


def upscale(pixels: np.ndarray, scale: int) -> np.ndarray:
    """uint8 (H,W) or (H,W,3) as uint8 (H*scale, W*scale, 3), interpolated so that voxels do not show as tiles."""
    size = (scale * pixels.shape[1], scale * pixels.shape[0])
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR).convert("RGB"))


def channel_tiles(channels: np.ndarray, side: int = 448, gap: int = 2) -> np.ndarray:
    """Float (C,h,w) as uint8 (H,W) tiles in rows, at least `side` pixels wide where a whole-number scale allows.

    Each channel has its own grey scale, from its smallest value (black) to its largest (white): what
    is compared between tiles is the pattern, not the strength. A constant channel is black.
    """
    low, span = channels.min(axis=(1, 2), keepdims=True), np.ptp(channels, axis=(1, 2), keepdims=True)
    grey = ((channels - low) / np.where(span > 0, span, 1) * 255).astype(np.uint8)
    columns = math.ceil(math.sqrt(len(grey)))
    scale = max(1, side // (columns * grey.shape[2]))
    tiles = [np.pad(enlarge(tile, scale), ((0, gap), (0, gap)), constant_values=60) for tile in grey]
    tiles += [np.full_like(tiles[0], 60)] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[i:i + columns]) for i in range(0, len(tiles), columns)])


def encode(picture: np.ndarray) -> bytes:
    """uint8 (H,W,3) or (H,W) as JPEG: PNG would cost ten times the time. Full colour resolution keeps lines sharp."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=90, subsampling=0)
    return buffer.getvalue()
