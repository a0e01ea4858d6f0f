"""The viewer as one HTML string, for pages behind which no kernel runs: pictures, masks and a little JavaScript.

Drawing is done by page.js in page.html. Grey slices are stored lossily (WebP), masks exactly, and a probability map as
what the threshold's slider needs of it, exactly: per pixel, how many of the slider's thresholds it reaches.
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

import numpy as np
from PIL import Image

from ..errors import LggError
from .colours import rgb
from .overlay import ABSENT, COLOURS, NAMES, VIEWS

QUALITY = 85  # of WebP: on real patients the mean error inside the head is then about 2.4 of 255 grey levels
LONGEST = 16383  # pixels a side that WebP allows
DYES = ("#ff0000", "#00ff00", "#0000ff")  # of the three sequences shown as one colour picture


@dataclass(frozen=True)
class Case:
    """A patient on a page.

    image       uint8 (D,H,W,3), as it is to look
    truth       bool (D,H,W) or None
    prediction  bool or float 0..1 (D,H,W) or None
    processed   bool (D,H,W): the prediction post-processed, for the page's first threshold; None where it is only cut
    missing     sequences ("pre", "post") that are copies of FLAIR;  notes  more words for the title
    start       index of the slice shown first; the one with the largest tumour area if None
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
    """What the page's controls are set to first; `width` of the picture in CSS pixels, `styles` as in SliceViewer."""

    sequence: str
    styles: dict[str, str]
    opacity: float
    threshold: float
    width: int


def build_page(cases: Iterable[Case], settings: Settings) -> str:
    """A whole HTML document, the same bytes for the same input; needs no network, and escapes every name.

    Two or more cases get a menu of patients. Inside another page: `<iframe srcdoc="{html.escape(page)}">`.
    """
    own = round(settings.threshold, 4)
    thresholds = sorted({step / 100 for step in range(101)} | {own})
    stored = [pack_case(case, settings, thresholds) for case in cases]
    data = {"cases": stored, "thresholds": [f"{t:.4f}".removesuffix("00") for t in thresholds],
            "own": thresholds.index(own), "sequence": settings.sequence, "styles": settings.styles,
            "opacity": settings.opacity, "names": NAMES, "colours": {name: rgb(c) for name, c in COLOURS.items()}}
    title = stored[0]["heading"] if len(stored) == 1 else f"{stored[0]['heading']} and {len(stored) - 1} more"
    parts = {"title": html.escape(title), "width": str(settings.width), "script": resource("page.js"),
             "data": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")}  # no </script> in a name
    return re.sub("@(title|width|script|data)@", lambda found: parts[found[1]], resource("page.html"))


def resource(name: str) -> str:
    """Text of a file beside this one."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def pack_case(case: Case, settings: Settings, thresholds: list[float]) -> dict:
    """A case as plain values for page.js."""
    depth, height, width, _ = case.image.shape
    sprites, which = pack_image(case)
    graded = case.prediction is not None and case.prediction.dtype != bool
    mask = case.processed if graded else case.prediction
    largest = largest_slice(depth, case.truth, case.prediction >= settings.threshold if graded else case.prediction)
    words = [case.patient or "scan", "PHANTOM (synthetic)" if case.phantom else ""]
    return {"patient": case.patient, "heading": " · ".join(filter(None, words)), "notes": case.notes,
            "depth": depth, "height": height, "width": width, "columns": columns_of(depth),
            "scale": math.ceil(settings.width / width), "largest": largest,
            "start": largest if case.start is None else case.start,
            "sprites": sprites, "sequences": {name: dyed(channels, which) for name, channels in VIEWS.items()},
            "missing": [ABSENT[name] for name in case.missing],
            "truth": None if case.truth is None else deflated(np.packbits(case.truth)),
            "mask": None if mask is None else deflated(np.packbits(mask)),
            "levels": deflated(levels(case.prediction, thresholds)) if graded else None}


def largest_slice(depth: int, *masks: np.ndarray | None) -> int:
    """Index of the slice with the largest area in the first of the masks (D,H,W) that has any; else the middle."""
    for mask in masks:
        if mask is not None and mask.any():
            return int(mask.sum(axis=(1, 2)).argmax())
    return depth // 2


def levels(probability: np.ndarray, thresholds: list[float]) -> np.ndarray:
    """How many of the sorted thresholds each pixel reaches, uint8; `levels > i` is `probability >= thresholds[i]`.

    >>> levels(np.array([0.0, 0.49, 0.5, 1.0]), [0.0, 0.5, 1.0])
    array([1, 1, 2, 3], dtype=uint8)
    """
    steps = np.array(thresholds).astype(probability.dtype)  # as numpy compares an array with a plain number
    return np.searchsorted(steps, probability, side="right").astype(np.uint8)


def pack_image(case: Case) -> tuple[list[str], list[int]]:
    """Pictures of all slices, one per different sequence, as data: addresses; and which one each sequence has."""
    different, which = [], []
    for channel in np.moveaxis(case.image, -1, 0):
        same = [i for i, other in enumerate(different) if np.array_equal(channel, other)]
        which.append(same[0] if same else len(different))
        different += [] if same else [channel]
    return [f"data:image/webp;base64,{coded(sprite(channel, case.patient))}" for channel in different], which


def sprite(slices: np.ndarray, patient: str) -> bytes:
    """Slices uint8 (D,H,W) in rows of one grey WebP picture; LggError if it would be too large for one."""
    depth, height, width = slices.shape
    columns = columns_of(depth)
    full = np.zeros((math.ceil(depth / columns) * columns, height, width), np.uint8)
    full[:depth] = slices
    rows = full.reshape(-1, columns, height, width).swapaxes(1, 2)
    picture = rows.reshape(-1, columns * width)
    if max(picture.shape) > LONGEST:
        raise LggError(f"{patient or 'the scan'}: {depth} slices of {height} x {width} are too many for a page's "
                       f"pictures, which end at {LONGEST} pixels a side; give fewer slices, image[a:b]")
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=QUALITY)
    return buffer.getvalue()


def columns_of(depth: int) -> int:
    """Slices in a row of the sprite: as many as rows, so that it is about square."""
    return math.ceil(math.sqrt(depth))


def dyed(channels: int | slice, which: list[int]) -> list[tuple[int, str]]:
    """The sprites whose sum shows one entry of VIEWS, and the colour of each."""
    if isinstance(channels, int):
        return [(which[channels], "#ffffff")]
    return list(zip(which[channels], DYES))


def deflated(array: np.ndarray) -> str:
    """Bytes of an array, compressed, as text."""
    return coded(zlib.compress(array.tobytes(), 9))


def coded(data: bytes) -> str:
    """Bytes as base64 text."""
    return base64.b64encode(data).decode("ascii")
