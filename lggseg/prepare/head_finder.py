"""Where the head lies in a volume, and how bright its inside is, whatever the scanner did.

Air is never clean: magnitude MRI has Rician noise there, some exporters brighten the dark end,
motion leaves ghosts, and some sequences are stored with an offset, so that air is grey and tissue
may lie on both sides of it. So the head is looked for in a smoothed picture of all sequences
together, air is a level per slice and sequence, and nothing is clipped at that level. Grey values
are measured in the inner head: the brain without scalp and skull, which differ most between
scanners.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ..errors import LggError
from ..masks import largest_piece
from ..sequences import FLAIR, MriSequence

SMOOTH = 5  # pixels a side of the window that noise is averaged over
DIM = 0.4  # of the median tissue's brightness: what is darker counts as air in a slice
EDGE = 0.3  # of the way from air to tissue: where the head ends, in all slices together
MARGIN = 1.06  # side of the square over the head's longer side: a little air around the scalp
PEEL = 1 / 12  # of the square's side: scalp and skull, peeled off before grey values are measured
THIN = 0.03  # of the picture's side: what is thinner, as the ghost of a scalp, is no head


class Box(NamedTuple):
    """A square of a picture, in pixels; it may reach beyond the picture's edges."""

    top: int
    left: int
    side: int


@dataclass(frozen=True)
class Head:
    """What `find_head` sees in a volume: all that the way to the network's grid needs.

    Attributes
    ----------
    shape : (slices, height, width) of the volume
    air : float32 (slices, 3), grey level of the air per slice and sequence
    slices : int (n,), the slices that show a head, in order; none where the volume is empty
    box : the square around the head
    mirrored : FLAIR weighs more on the left of the picture, and the grid shows it mirrored
    source : channel that each sequence is taken from: FLAIR's where it is missing
    centre : float32 (3,), mean of the inner head's grey levels, counted from air
    spread : float32 (3,), their standard deviation
    doubts : what is implausible about the head, in words; empty where nothing is
    """

    shape: tuple[int, int, int]
    air: np.ndarray
    slices: np.ndarray
    box: Box
    mirrored: bool
    source: tuple[int, int, int]
    centre: np.ndarray
    spread: np.ndarray
    doubts: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """Names of the sequences that show nothing."""
        return [sequence.title for sequence in MriSequence if self.source[sequence] != sequence]


def find_head(image: np.ndarray) -> Head:
    """Find the head in a volume: its place, the level of air, the grey values of its inside.

    The head is where FLAIR shows tissue.

    Parameters
    ----------
    image : uint8 (slices, height, width, 3), the sequences in the order pre-contrast, FLAIR,
        post-contrast

    Returns
    -------
    Head

    Raises
    ------
    LggError
        for another shape or type, and where FLAIR shows nothing although the other sequences do

    Examples
    --------
    >>> image = np.zeros((1, 80, 120, 3), np.uint8)
    >>> y, x = np.mgrid[:80, :120]
    >>> image[0, np.hypot(y - 39.5, x - 59.5) <= 30] = 30, 60, 90
    >>> head = find_head(image + np.uint8(7))  # grey air
    >>> head.air.tolist(), tuple(head.box), head.centre.round().tolist()
    ([[7.0, 7.0, 7.0]], (8, 28, 64), [30.0, 60.0, 90.0])
    """
    check_volume(image)
    rows = content_rows(image)
    columns = content_rows(image.swapaxes(1, 2))
    smooth = [smoothed(image[:, rows, columns, sequence]) for sequence in MriSequence]
    air = np.stack([air_level(one) for one in smooth], axis=1)
    shown = [np.ptp(one) > 0 for one in smooth]
    if not shown[FLAIR]:
        return no_head(image, air, shown)
    signal = joint_signal(smooth, air, shown)
    tissue = signal > tissue_bound(signal)
    area = np.count_nonzero(tissue, axis=(1, 2))
    slices = np.flatnonzero(20 * area >= area.max())
    box_in_content = head_box(signal[slices])
    side = box_in_content.side
    flair = smooth[FLAIR] - air[:, FLAIR, None, None]
    mirrored = heavier_left(np.where(tissue, flair, 0), box_in_content)
    source, centre, spread = grey_values(smooth, air, tissue, slices, side)
    doubts = implausible(tissue[slices], side, image.shape[1:3], centre[FLAIR])
    box = Box(box_in_content.top + rows.start, box_in_content.left + columns.start, side)
    return Head(image.shape[:3], air, slices, box, mirrored, source, centre, spread, doubts)


def check_volume(image: np.ndarray) -> None:
    """Raise LggError unless `image` is an array uint8 (slices, height, width, 3) and not empty."""
    if not isinstance(image, np.ndarray):
        found = f"a {type(image).__name__}"
    elif image.ndim != 4 or image.shape[-1] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        found = f"{image.dtype} {image.shape}"
    else:
        return
    raise LggError(
        f"image is {found}; it must be uint8 (D, H, W, 3), D >= 1, "
        "the sequences in the order pre-contrast, FLAIR, post-contrast"
    )


def no_head(image: np.ndarray, air: np.ndarray, shown: list[bool]) -> Head:
    """The Head of a volume without FLAIR. LggError if another sequence shows something."""
    if any(shown):
        raise LggError(
            "FLAIR, the second of the three sequences, shows nothing but the others do; the tumour "
            "is seen in FLAIR: give the sequences in the order pre-contrast, FLAIR, post-contrast"
        )
    box = Box(0, 0, max(image.shape[1:3]))
    return Head(
        image.shape[:3],
        air,
        np.arange(0),
        box,
        False,
        (0, 1, 2),
        np.zeros(3, np.float32),
        np.ones(3, np.float32),
    )


def content_rows(image: np.ndarray) -> slice:
    """Rows of (slices, height, width, 3) between the first and the last that hold more than one
    value.

    A frame around the picture has one value per slice and sequence. Where all rows do, all are
    returned.
    """
    height = image.shape[1]
    first = first_varied(image, range(height))
    last = first_varied(image, range(height - 1, -1, -1))
    if first is None or last is None:
        return slice(0, height)
    return slice(first, last + 1)


def first_varied(image: np.ndarray, rows: range) -> int | None:
    """The first of these rows that holds more than one value; None if there is none."""
    for row in rows:
        if (image[:, row] != image[:, row, :1]).any():
            return row
    return None


def smoothed(levels: np.ndarray) -> np.ndarray:
    """Levels (slices, height, width), float32, averaged over SMOOTH x SMOOTH pixels of a slice."""
    return ndimage.uniform_filter(levels.astype(np.float32), (1, SMOOTH, SMOOTH), mode="nearest")


def air_level(smooth: np.ndarray) -> np.ndarray:
    """Level of the air in each slice of smoothed levels (slices, height, width), float32 (slices,).

    It is the darkest tenth of the picture's rim, two pixels wide: a tenth, because the rim of a
    tight crop is partly head.
    """
    sides = smooth[:, :2], smooth[:, -2:], smooth[:, :, :2], smooth[:, :, -2:]
    rim = np.concatenate([side.reshape(len(smooth), -1) for side in sides], axis=1)
    return np.sort(rim, axis=1)[:, rim.shape[1] // 10]


def above_air(image: np.ndarray, air: np.ndarray) -> np.ndarray:
    """Grey levels counted from air, float32 (slices, height, width, ...), for air (slices, ...).

    What is darker than air is below 0: in a signed sequence tissue lies on both sides of it.

    >>> above_air(np.uint8([[[5, 30]]]), np.float32([10]))
    array([[[-5., 20.]]], dtype=float32)
    """
    return image - air[:, None, None]


def joint_signal(smooth: list[np.ndarray], air: np.ndarray, shown: list[bool]) -> np.ndarray:
    """How far the sequences together are from air: 0 in air, about 1 in tissue.

    Each sequence counts alike: the head is then found where one of them is too noisy or too dark to
    show it. FLAIR counts again for a sequence that shows nothing, as it does in the data set.

    Parameters
    ----------
    smooth : per sequence, float32 (slices, height, width)
    air : float32 (slices, 3)
    shown : per sequence, whether it shows anything

    Returns
    -------
    float32 (slices, height, width)
    """
    total = np.zeros_like(smooth[FLAIR])
    for sequence in MriSequence:
        source = sequence if shown[sequence] else FLAIR
        distance = np.abs(above_air(smooth[source], air[:, source]))
        scale = max(np.quantile(distance[:, ::4, ::4], 0.9), 0.1 * distance.max())
        total += distance / scale
    return total / len(MriSequence)


def tissue_bound(signal: np.ndarray) -> float:
    """Level that parts air from tissue in a signal (slices, height, width).

    It is DIM times the median of what lies above it, a fixed point found from above (as Ridler and
    Calvard's threshold is). However much air there is, it does not matter.
    """
    levels = np.sort(signal[:, ::2, ::2], axis=None)
    levels = levels[np.searchsorted(levels, 0.01) :]
    if not len(levels):
        return 0.0
    bound = 0.5 * levels[int(0.95 * (len(levels) - 1))]  # tissue, unless 19 in 20 pixels are air
    for _ in range(50):
        tissue = levels[np.searchsorted(levels, bound) :]
        lower = DIM * tissue[len(tissue) // 2]
        if lower >= bound:
            break
        bound = lower
    return float(bound)


def head_box(signal: np.ndarray) -> Box:
    """The square around the head, for the signal (n, height, width) of the slices that show one.

    A pixel counts by what it shows in a quarter of the slices: noise is far weaker there than in a
    single slice. What is thinner than a scalp's ghost is taken away, and of the rest the largest
    piece is the head.
    """
    from skimage.filters import threshold_otsu  # here, since it takes long to import

    often = np.quantile(signal, 0.75, axis=0)
    parted = threshold_otsu(np.minimum(often, np.quantile(often, 0.95)))
    air = np.median(often[often <= parted])
    tissue = np.median(often[often > parted])
    head = largest_piece(without_thin_parts(often > air + EDGE * (tissue - air)))
    top, bottom = ends(head.sum(axis=1))
    left, right = ends(head.sum(axis=0))
    side = int(np.ceil(MARGIN * max(bottom - top, right - left)))
    # As much to the left as to the right, in a mirrored picture too.
    side += (side - right + left) % 2
    return Box((top + bottom - side) // 2, (left + right - side) // 2, side)


def without_thin_parts(region: np.ndarray) -> np.ndarray:
    """The region bool (height, width) without parts thinner than THIN; the region itself if nothing
    is left.
    """
    width = 2 * round(THIN * min(region.shape) / 2) + 1
    opened = ndimage.binary_opening(np.pad(region, width, mode="edge"), np.ones((width, width)))
    opened = opened[width:-width, width:-width]
    return opened if opened.any() else region


def ends(count: np.ndarray) -> tuple[int, int]:
    """First and one past the last row with at least a twentieth of the fullest row's pixels."""
    hits = np.flatnonzero(20 * count >= max(20, count.max()))
    return (int(hits[0]), int(hits[-1]) + 1) if len(hits) else (0, len(count))


def heavier_left(flair: np.ndarray, box: Box) -> bool:
    """Whether FLAIR's tissue (slices, height, width) weighs more on the left of the box's middle
    than on the right.
    """
    column = flair.sum(axis=(0, 1), dtype=np.float64)
    distance = 2 * np.arange(len(column)) + 1 - 2 * box.left - box.side
    return bool(column @ distance < 0)


def grey_values(
    smooth: list[np.ndarray], air: np.ndarray, tissue: np.ndarray, slices: np.ndarray, side: int
) -> tuple[tuple[int, int, int], np.ndarray, np.ndarray]:
    """Source, centre and spread per sequence (see `Head`), measured in the inner head."""
    inside = inner_head(tissue[slices, ::2, ::2], side / 2)
    centre = np.zeros(3, np.float32)
    spread = np.zeros(3, np.float32)
    for sequence in MriSequence:
        values = above_air(smooth[sequence][slices, ::2, ::2], air[slices, sequence])[inside]
        centre[sequence] = values.mean()
        if np.ptp(values) > 0:
            # A flat picture must not divide by nearly nothing.
            spread[sequence] = max(values.std(), 0.05 * abs(centre[sequence]))
    source = [sequence if spread[sequence] > 0 else FLAIR for sequence in MriSequence]
    pre, flair, post = map(int, source)
    return (pre, flair, post), centre[source], spread[source]


def inner_head(tissue: np.ndarray, side: float) -> np.ndarray:
    """The brain without scalp and skull, roughly: tissue bool (n, height, width), filled, then
    peeled.

    Parameters
    ----------
    tissue : bool (n, height, width)
    side : of the head's square, in the same pixels

    Returns
    -------
    bool (n, height, width); the tissue itself where peeling leaves nothing
    """
    inside = np.zeros_like(tissue)
    for one, result in zip(tissue, inside, strict=True):
        closed = ndimage.binary_closing(np.pad(one, 3), iterations=3)[3:-3, 3:-3]
        filled = ndimage.binary_fill_holes(closed | one)
        result[:] = ndimage.distance_transform_edt(filled) > PEEL * side
    return inside if inside.any() else tissue


def implausible(
    tissue: np.ndarray, side: int, size: tuple[int, int], centre: float
) -> tuple[str, ...]:
    """What is odd about a head, and what to do, in words.

    Parameters
    ----------
    tissue : bool (n, height, width)
    side : of the head's square
    size : height and width of the picture
    centre : mean of the inner head's FLAIR, counted from air
    """
    doubts = []
    height, width = size
    percent = round(100 * np.count_nonzero(tissue) / (len(tissue) * height * width))
    if percent < 5:
        doubts.append(f"tissue fills only {percent} % of the picture: crop the scan to the head")
    if percent > 80:
        doubts.append(
            f"tissue fills {percent} % of the picture, so air cannot be told from it: give the "
            "scan with air around the head"
        )
    elif side >= MARGIN * max(size):
        doubts.append(
            "the head is as large as the picture: give the scan with air around the head, and "
            "check whether that air is noisy"
        )
    if centre <= 0:
        doubts.append(
            "air is not darker than tissue in FLAIR: check whether its grey levels are inverted"
        )
    return tuple(doubts)
