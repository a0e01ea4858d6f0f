"""The viewer as one HTML page, for places where no kernel runs.

page.js in page.html does the drawing. Grey slices are stored with loss (WebP), masks exactly. Of a
probability map, what the threshold's slider needs is stored exactly: for each pixel, how many of
the slider's thresholds it reaches.
"""

import base64
import html
import io
import json
import math
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import LggError
from .colours import rgb
from .overlay import ABSENT, COLOURS, NAMES, VIEWS

QUALITY = 85  # of WebP; inside the head of real patients the mean error is then 2.4 of 255 levels
LONGEST = 16383  # pixels a side that WebP allows
DYES = ("#ff0000", "#00ff00", "#0000ff")  # of the three sequences shown as one colour picture


@dataclass(frozen=True)
class Case:
    """A patient on a page.

    Attributes
    ----------
    patient : str
        For the title.
    image : uint8 (slices, height, width, 3)
        As it is to look.
    truth : bool (slices, height, width), optional
    prediction : bool or float, 0 to 1 (slices, height, width), optional
    processed : bool (slices, height, width), optional
        The prediction after post-processing at the page's first threshold; if it is missing, the
        page only compares the probabilities with the threshold.
    missing : tuple of str
        Sequences ("pre", "post") that are copies of FLAIR.
    phantom : bool
        The scan is synthetic.
    notes : tuple of str
        More words for the title.
    start : int, optional
        Index of the slice to show first; that with the largest tumour area if not given.
    """

    patient: str
    image: np.ndarray
    truth: np.ndarray | None = None
    prediction: np.ndarray | None = None
    processed: np.ndarray | None = None
    missing: tuple[str, ...] = ()
    phantom: bool = False
    notes: tuple[str, ...] = ()
    start: int | None = None


@dataclass(frozen=True)
class Settings:
    """What the page's controls are set to first.

    Attributes
    ----------
    sequence : str
        A key of VIEWS.
    styles : dict
        For "truth" and "prediction", as in the menus of `SliceViewer`.
    opacity : float, 0 to 1
    threshold : float, 0 to 1
    width : int
        Of the picture, in CSS pixels.
    """

    sequence: str
    styles: dict[str, str]
    opacity: float
    threshold: float
    width: int


def build_page(cases: Iterable[Case], settings: Settings) -> str:
    """Make a whole HTML document that needs no network.

    To show it inside another page: ``<iframe srcdoc="{html.escape(page)}">``.

    Parameters
    ----------
    cases : iterable of Case
        Two or more get a menu of patients.
    settings : Settings

    Returns
    -------
    str
        The same for the same input. Names are escaped.

    Raises
    ------
    LggError
        If a scan has more slices than a picture can hold.
    """
    own = round(settings.threshold, 4)
    thresholds = sorted({step / 100 for step in range(101)} | {own})
    stored = [pack_case(case, settings, thresholds) for case in cases]
    data = {
        "cases": stored,
        "thresholds": [f"{threshold:.4f}".removesuffix("00") for threshold in thresholds],
        "own": thresholds.index(own),
        "sequence": settings.sequence,
        "styles": settings.styles,
        "opacity": settings.opacity,
        "names": NAMES,
        "colours": {name: rgb(colour) for name, colour in COLOURS.items()},
    }
    title = stored[0]["heading"]
    if len(stored) > 1:
        title += f" and {len(stored) - 1} more"
    text = json.dumps(data, separators=(",", ":"))
    parts = {
        "title": html.escape(title),
        "width": str(settings.width),
        "script": resource("page.js"),
        "data": text.replace("<", "\\u003c"),  # so that no name can hold </script>
    }
    template = resource("page.html")
    return re.sub("@(title|width|script|data)@", lambda found: parts[found[1]], template)


def resource(name: str) -> str:
    """Text of a file beside this one."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def pack_case(case: Case, settings: Settings, thresholds: list[float]) -> dict[str, Any]:
    """A case as plain values for page.js."""
    depth, height, width, _ = case.image.shape
    sprites, sprite_of = pack_image(case)
    mask = case.prediction
    graded = None
    predicted = case.prediction
    if case.prediction is not None and case.prediction.dtype != bool:
        mask = case.processed
        graded = deflated(levels(case.prediction, thresholds))
        predicted = case.prediction >= settings.threshold
    largest = largest_slice(depth, case.truth, predicted)
    start = case.start
    if start is None:
        start = largest
    heading = case.patient or "scan"
    if case.phantom:
        heading += " · PHANTOM (synthetic)"
    return {
        "patient": case.patient,
        "heading": heading,
        "notes": case.notes,
        "depth": depth,
        "height": height,
        "width": width,
        "columns": columns_of(depth),
        "scale": math.ceil(settings.width / width),
        "largest": largest,
        "start": start,
        "sprites": sprites,
        "sequences": {name: dyed(channels, sprite_of) for name, channels in VIEWS.items()},
        "missing": [ABSENT[name] for name in case.missing],
        "truth": packed_bits(case.truth),
        "mask": packed_bits(mask),
        "levels": graded,
    }


def largest_slice(depth: int, *masks: np.ndarray | None) -> int:
    """The slice with the largest area in the first mask that is not empty.

    Parameters
    ----------
    depth : int
        Number of slices.
    masks : bool (slices, height, width), or None

    Returns
    -------
    int
        Its index; the middle slice if all masks are empty or None.
    """
    for mask in masks:
        if mask is not None and mask.any():
            return int(mask.sum(axis=(1, 2)).argmax())
    return depth // 2


def levels(probability: np.ndarray, thresholds: list[float]) -> np.ndarray:
    """How many of the thresholds each pixel reaches.

    Parameters
    ----------
    probability : float, 0 to 1, of any shape
    thresholds : list of float, sorted, at most 255

    Returns
    -------
    uint8, of the same shape
        ``levels > i`` is ``probability >= thresholds[i]``.

    Examples
    --------
    >>> levels(np.array([0.0, 0.49, 0.5, 1.0]), [0.0, 0.5, 1.0])
    array([1, 1, 2, 3], dtype=uint8)
    """
    # In the precision of the map, as NumPy compares an array with a plain number.
    steps = np.array(thresholds).astype(probability.dtype)
    return np.searchsorted(steps, probability, side="right").astype(np.uint8)


def pack_image(case: Case) -> tuple[list[str], list[int]]:
    """Pictures of all slices; a sequence that equals another one is stored once.

    Returns
    -------
    sprites : list of str
        One ``data:`` address for each different sequence.
    sprite_of : list of int
        For each sequence, the number of its sprite.
    """
    different: list[np.ndarray] = []
    sprite_of = []
    for channel in np.moveaxis(case.image, -1, 0):
        number = len(different)
        for i, other in enumerate(different):
            if np.array_equal(channel, other):
                number = i
                break
        else:
            different.append(channel)
        sprite_of.append(number)
    sprites = []
    for channel in different:
        sprites.append(f"data:image/webp;base64,{coded(sprite(channel, case.patient))}")
    return sprites, sprite_of


def sprite(slices: np.ndarray, patient: str) -> bytes:
    """Slices uint8 (slices, height, width) in rows of one grey WebP picture."""
    depth, height, width = slices.shape
    columns = columns_of(depth)
    rows = math.ceil(depth / columns)
    if max(rows * height, columns * width) > LONGEST:
        raise LggError(
            f"{patient or 'the scan'}: {depth} slices of {height} x {width} are too many for a "
            f"page's pictures, which end at {LONGEST} pixels a side; "
            "give fewer slices, image[a:b]"
        )
    full = np.zeros((rows * columns, height, width), np.uint8)
    full[:depth] = slices
    grid = full.reshape(rows, columns, height, width).swapaxes(1, 2)
    picture = grid.reshape(rows * height, columns * width)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=QUALITY)
    return buffer.getvalue()


def columns_of(depth: int) -> int:
    """Slices in a row of the sprite: about as many as there are rows."""
    return math.ceil(math.sqrt(depth))


def dyed(channels: int | slice, sprite_of: list[int]) -> list[tuple[int, str]]:
    """The sprites whose sum shows one entry of VIEWS, each with its colour."""
    if isinstance(channels, int):
        return [(sprite_of[channels], "#ffffff")]
    return list(zip(sprite_of[channels], DYES))


def packed_bits(mask: np.ndarray | None) -> str | None:
    """A mask as text, eight pixels a byte; None stays None."""
    if mask is None:
        return None
    return deflated(np.packbits(mask))


def deflated(array: np.ndarray) -> str:
    """Bytes of an array, compressed, as text."""
    return coded(zlib.compress(array.tobytes(), 9))


def coded(data: bytes) -> str:
    """Bytes as base64 text."""
    return base64.b64encode(data).decode("ascii")
