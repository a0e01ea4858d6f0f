"""Pictures from arrays in milliseconds: grey windows, lines and fills, JPEG bytes.

Neither matplotlib nor widgets are needed.
"""

import io
import math
from typing import Any

import numpy as np
from PIL import Image

from ..masks import bounding_box
from ..sequences import POST, PRE, MriSequence
from .colours import PREDICTION, TRUTH, rgb

# What the viewer's menu offers, and which channels it shows.
VIEWS: dict[str, int | slice] = {sequence.title: int(sequence) for sequence in MriSequence}
VIEWS["all three as colours"] = slice(None)

ABSENT = {sequence.key: sequence.title for sequence in (PRE, POST)}  # sequences that may be missing
NAMES = {"truth": "manual mask", "prediction": "prediction"}
COLOURS = {"truth": TRUTH, "prediction": PREDICTION}


def as_array(value: Any) -> np.ndarray:
    """Anything like an array as one, such as a PyTorch tensor on a GPU or with a gradient."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if value.is_floating_point():
            value = value.float()  # NumPy has no bfloat16
    return np.asarray(value)


def windowed(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map grey values linearly so that `low` becomes black and `high` white.

    Parameters
    ----------
    pixels : uint8, of any shape
    low, high : 0 to 255

    Returns
    -------
    uint8, of the same shape
    """
    table = (np.arange(256) - low) / max(high - low, 1) * 255
    return table.clip(0, 255).astype(np.uint8)[pixels]


def boundary(mask: np.ndarray, width: int = 1, outside: bool = False) -> np.ndarray:
    """The line along the border of a mask.

    The truth is drawn inside and the prediction outside: where both agree, both stay visible.

    Parameters
    ----------
    mask : bool (height, width)
    width : int
        Of the line, in pixels.
    outside : bool
        Draw the line just outside the mask, not just inside.

    Returns
    -------
    bool (height, width)
    """
    if outside:
        here = ~mask
        there = mask
    else:
        here = mask
        there = ~mask
    wide = np.pad(there, width, constant_values=not outside)
    middle = slice(width, -width)
    above = wide[: -2 * width, middle]
    below = wide[2 * width :, middle]
    left = wide[middle, : -2 * width]
    right = wide[middle, 2 * width :]
    return here & (above | below | left | right)


def blend(picture: np.ndarray, weight: np.ndarray, colour: str) -> None:
    """Mix a colour into a picture, in place.

    It computes with whole numbers, one channel at a time: that is three times as fast.

    Parameters
    ----------
    picture : uint8 (height, width, 3)
    weight : float (height, width)
        From 0, nothing of the colour, to 1, only the colour.
    colour : str
        As "#RRGGBB".
    """
    paint = (256 * weight + 0.5).astype(np.uint16)
    for channel, strength in enumerate(rgb(colour)):
        painted = paint * np.uint16(strength) + np.uint16(128)
        picture[..., channel] = (picture[..., channel] * (256 - paint) + painted) >> 8


def part(
    picture: np.ndarray, weight: np.ndarray, scale: int, margin: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Cut out the part of a picture where there is something to draw.

    Tumours are small: drawing on the part is several times as fast as drawing on the whole.

    Parameters
    ----------
    picture : uint8 (height * scale, width * scale, 3)
    weight : (height, width)
        Not 0 where something is to be drawn.
    scale : int
        How much larger the picture is.
    margin : int
        Pixels of `weight` to add on every side.

    Returns
    -------
    view : uint8
        That part of the picture; drawing on it changes the picture.
    weight : of the same size
        The weight there.
    """
    rows, columns = bounding_box(weight, margin)
    view = picture[
        scale * rows.start : scale * rows.stop, scale * columns.start : scale * columns.stop
    ]
    return view, enlarge(weight[rows, columns], scale)


def enlarge(pixels: np.ndarray, scale: int) -> np.ndarray:
    """Repeat each pixel of an array (height, width) `scale` times down and across."""
    return pixels.repeat(scale, axis=0).repeat(scale, axis=1)


def upscale(pixels: np.ndarray, scale: int) -> np.ndarray:
    """Enlarge a picture and interpolate, so that pixels do not show as tiles.

    Parameters
    ----------
    pixels : uint8 (height, width) or (height, width, 3)
    scale : int

    Returns
    -------
    uint8 (height * scale, width * scale, 3)
    """
    height, width = pixels.shape[:2]
    picture = Image.fromarray(pixels)
    picture = picture.resize((scale * width, scale * height), Image.Resampling.BILINEAR)
    return np.array(picture.convert("RGB"))


def channel_tiles(channels: np.ndarray, side: int = 448, gap: int = 2) -> np.ndarray:
    """Show channels as grey tiles in rows.

    Each channel has its own grey scale, from its smallest value (black) to its largest (white):
    tiles show patterns, and their strengths cannot be compared. A constant channel is black.

    Parameters
    ----------
    channels : float (channels, height, width)
    side : int
        Width to fill, in pixels, as far as whole-number enlargement allows.
    gap : int
        Pixels between tiles.

    Returns
    -------
    uint8 (height, width)
    """
    low = channels.min(axis=(1, 2), keepdims=True)
    span = np.ptp(channels, axis=(1, 2), keepdims=True)
    grey = ((channels - low) / np.where(span > 0, span, 1) * 255).astype(np.uint8)
    columns = math.ceil(math.sqrt(len(grey)))
    scale = max(1, side // (columns * grey.shape[2]))
    tiles = []
    for channel in grey:
        tiles.append(np.pad(enlarge(channel, scale), ((0, gap), (0, gap)), constant_values=60))
    while len(tiles) % columns:
        tiles.append(np.full_like(tiles[0], 60))
    rows = []
    for first in range(0, len(tiles), columns):
        rows.append(np.hstack(tiles[first : first + columns]))
    return np.vstack(rows)


def encode(picture: np.ndarray) -> bytes:
    """A picture uint8 (height, width, 3) or (height, width) as JPEG.

    PNG would take ten times as long. Colours are stored at full resolution, so that lines stay
    sharp.
    """
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=90, subsampling=0)
    return buffer.getvalue()
