"""Where the head lies in a volume, and how bright it is, whatever the scanner or exporter did to the picture.

Neither the amount of air around the head nor a sequence's offset and gain change the answer, and a mirrored volume has
the mirrored answer. So the same head leads to the same grid; see `lggseg.prepare.network_grid`.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import LggError
from ..sequences import FLAIR

DIM = 0.3  # of the median tissue's brightness: what is darker counts as air
MARGIN = 1.06  # side of the square over the head's longer side: a little air around the scalp
Box = tuple[int, int, int]  # top, left and side of a square, in pixels; it may reach beyond the picture


@dataclass(frozen=True)
class Head:
    """What `find_head` sees in a volume of `shape` (D,H,W): all that the way to the network's grid needs."""

    shape: tuple[int, int, int]
    air: np.ndarray  # uint8 (D,3), level of the air per slice and sequence
    slices: np.ndarray  # int (n,), those that show a head, in order; none where the volume is empty
    box: Box  # around the head
    mirrored: bool  # FLAIR is heavier on the left of the picture, and the grid shows it mirrored
    source: tuple[int, int, int]  # channel that each sequence is taken from: FLAIR's where it is missing
    centre: np.ndarray  # float32 (3,), median of the tissue above air
    spread: np.ndarray  # float32 (3,), interquartile range over 1.349: a normal distribution's standard deviation

    @property
    def missing(self) -> list[str]:
        """The sequences that show nothing, in words."""
        return [name for s, name in ((0, "pre-contrast"), (2, "post-contrast")) if self.source[s] != s]


def find_head(image: np.ndarray) -> Head:
    """Look at a volume uint8 (D,H,W,3): the head's place, the air's level, the tissue's levels, missing sequences.

    The head is where FLAIR shows tissue. Raises LggError for another shape or type, and where there is no FLAIR to go
    by although the other sequences show something.

    >>> image = np.zeros((1, 40, 60, 3), np.uint8)
    >>> y, x = np.mgrid[:40, :60]
    >>> image[0, abs(y - 19.5) + abs(x - 29.5) <= 10] = 30, 60, 90
    >>> head = find_head(image + np.uint8(7))  # grey air
    >>> head.air.tolist(), head.box, head.centre.tolist()
    ([[7, 7, 7]], (9, 19, 22), [30.0, 60.0, 90.0])
    """
    check_volume(image)
    air = air_level(image)
    flair = above_air(image[..., FLAIR], air[:, FLAIR])
    bound = dim_level(np.bincount(flair[:, ::2, ::2].ravel(), minlength=256))
    if bound is None:
        return no_head(image, air)
    tissue = flair > bound
    area = np.count_nonzero(tissue, axis=(1, 2))
    slices = np.flatnonzero(20 * area >= area.max())
    box = head_box(tissue[slices])
    source, centre, spread = tissue_levels(image, air, tissue, slices, box)
    return Head(image.shape[:3], air, slices, box, heavier_left(flair, box), source, centre, spread)


def check_volume(image: np.ndarray) -> None:
    """Raise LggError unless `image` is an array uint8 (D,H,W,3) with at least one slice."""
    plain = isinstance(image, np.ndarray)
    if not plain or image.ndim != 4 or image.shape[-1] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        what = f"{image.dtype} {image.shape}" if plain else f"a {type(image).__name__}"
        raise LggError(f"image is {what}; it must be uint8 (D, H, W, 3), D >= 1, "
                       "the sequences in the order pre-contrast, FLAIR, post-contrast")


def no_head(image: np.ndarray, air: np.ndarray) -> Head:
    """The Head of a volume without FLAIR: no slice shows one. LggError if another sequence shows something."""
    if (image > air[:, None, None]).any():
        raise LggError("FLAIR, the second of the three sequences, shows nothing but the others do; the tumour is seen "
                       "in FLAIR: give the sequences in the order pre-contrast, FLAIR, post-contrast")
    return Head(image.shape[:3], air, np.arange(0), (0, 0, max(image.shape[1:3])), False, (0, 1, 2),
                np.zeros(3, np.float32), np.ones(3, np.float32))


def air_level(image: np.ndarray) -> np.ndarray:
    """Level of the air uint8 (D,3), per slice and sequence: the darkest tenth of the picture's rim.

    Some T1 are stored with an offset, and air is not black in them. A frame of one value holds no picture and is left
    out; a tenth, because a tight crop's rim is partly head.
    """
    rows, columns = inner(image), inner(image.swapaxes(1, 2))
    image = image[:, rows, columns]
    sides = image[:, :2], image[:, -2:], image[:, :, :2], image[:, :, -2:]
    rim = np.concatenate([side.reshape(len(image), -1, 3) for side in sides], axis=1)
    return np.sort(rim, axis=1)[:, rim.shape[1] // 10]


def inner(image: np.ndarray) -> slice:
    """Rows of (D,H,W,3) without those at either end that hold one value per slice and sequence; all if all do."""
    varied = (i for i in range(image.shape[1]) if (image[:, i] != image[:, i, :1]).any())
    first = next(varied, None)
    if first is None:
        return slice(None)
    last = next(i for i in reversed(range(image.shape[1])) if (image[:, i] != image[:, i, :1]).any())
    return slice(first, last + 1)


def above_air(image: np.ndarray, air: np.ndarray) -> np.ndarray:
    """Levels above the air of uint8 (D,H,W,...), for air (D,...); what is darker than air is 0."""
    level = np.repeat(air[:, None, None], image.shape[2], axis=2)  # whole rows: by threes NumPy takes ten times as long
    above = np.maximum(image, level)
    return np.subtract(above, level, out=above)


def dim_level(histogram: np.ndarray) -> float | None:
    """Level that parts air from tissue, given the counts of levels 0..255 above air; None where there is no tissue.

    It is DIM times the median of what lies above it, a fixed point found from above (as Ridler and Calvard's
    threshold is). However much air there is, it does not matter.
    """
    counts = np.append(0, histogram[1:])
    if counts.sum() == 0:
        return None
    level = 0.5 * quantile(counts, 0.95)  # tissue, unless 1 in 20 pixels are broken or 19 in 20 are air
    for _ in range(50):
        above = np.where(np.arange(len(counts)) > level, counts, 0)
        new = DIM * quantile(above, 0.5)
        if new >= level:
            break
        level = new
    return level


def quantile(histogram: np.ndarray, share: float) -> float:
    """Quantile of whole levels with these counts, each level spread over half a level to either side.

    >>> quantile(np.array([0, 0, 4, 4]), 0.5)
    2.5
    """
    edges = np.arange(len(histogram) + 1) - 0.5
    return float(np.interp(share * histogram.sum(), np.append(0, histogram.cumsum()), edges))


def head_box(tissue: np.ndarray) -> Box:
    """The square around the head, for tissue bool (n,H,W).

    A pixel counts where a quarter of the slices show tissue, a row or column where a twentieth of the widest one's
    pixels count: neither noise nor hot pixels do.
    """
    often = 4 * tissue.sum(axis=0, dtype=np.int32) >= len(tissue)
    (top, bottom), (left, right) = ends(often.sum(axis=1)), ends(often.sum(axis=0))
    side = int(np.ceil(MARGIN * max(bottom - top, right - left)))
    side += (side - right + left) % 2  # as much to the left as to the right, in a mirrored picture too
    return (top + bottom - side) // 2, (left + right - side) // 2, side


def ends(count: np.ndarray) -> tuple[int, int]:
    """First and one past the last of the rows that count, for the number of tissue pixels in each."""
    hits = np.flatnonzero(20 * count >= max(20, count.max()))
    return (int(hits[0]), int(hits[-1]) + 1) if len(hits) else (0, len(count))


def heavier_left(flair: np.ndarray, box: Box) -> bool:
    """Whether FLAIR levels (D,H,W) weigh more on the left of the box's middle: a mirrored volume's do on the right."""
    column = flair[:, ::4].sum(axis=(0, 1), dtype=np.int64)
    return bool(column @ (2 * np.arange(len(column)) + 1 - 2 * box[1] - box[2]) < 0)


def tissue_levels(image: np.ndarray, air: np.ndarray, tissue: np.ndarray, slices: np.ndarray,
                  box: Box) -> tuple[tuple[int, int, int], np.ndarray, np.ndarray]:
    """Source, centre and spread per sequence (see `Head`) where FLAIR shows tissue bool (D,H,W)."""
    rows, columns = (slice(max(0, start), start + box[2], 2) for start in box[:2])  # every second is enough
    inside = np.flatnonzero(tissue[:, rows, columns][slices])
    levels = above_air(image[:, rows, columns][slices], air[slices]).reshape(-1, 3).take(inside, axis=0)
    found = [centre_and_spread(np.bincount(levels[:, s], minlength=256)) for s in range(3)]
    source = tuple(FLAIR if found[s][1] == 0 else s for s in range(3))
    centre, spread = np.array([found[s] for s in source], np.float32).T
    return source, centre, spread


def centre_and_spread(histogram: np.ndarray) -> tuple[float, float]:
    """Median, and interquartile range over 1.349, of levels with these counts; spread 0 where all is air.

    The spread is at least a twentieth of the median: a flat picture must not divide by nearly nothing.
    """
    if histogram[1:].sum() == 0:
        return 0.0, 0.0
    low, middle, high = (quantile(histogram, share) for share in (0.25, 0.5, 0.75))
    return middle, max((high - low) / 1.349, 0.05 * middle)  # above 0: a level is spread over half a level each way
