"""Three numbers for the shape of a tumour: angular standard deviation, margin fluctuation, ellipsoid ratio.

ASD and MF read the outline of one slice, BEVR the whole volume. All three are pure numbers: they know
neither pixel size nor slice spacing, and the data set has none. A tumour of no voxels has no shape:
its features are NaN, and whatever counts or averages them leaves it out.

Sources: Mazurowski et al. 2017 (J Neuro-Oncology); Buda, Saha, Mazurowski 2019
(doi 10.1016/j.compbiomed.2019.05.002).
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage.measure import find_contours

from ..errors import LggError
from ..masks import bounding_box
from .ellipsoid import corners, enclosing_ellipsoid

SECTORS = 10  # of 36 degrees each
WINDOW = 0.1  # of the outline's points, for the moving average of MF


class Outline(NamedTuple):
    """The tumour's outline in its largest slice, and its boundary signal."""

    index: int  # the slice
    points: np.ndarray  # (n, 2), row and column in pixels, in order around the tumour, first point not repeated
    centroid: np.ndarray  # (2,), row and column of the mean tumour pixel
    radius: np.ndarray  # (n,), distance to the centroid over the mean distance: mean 1, no unit
    angle: np.ndarray  # (n,), radians in 0 .. 2 pi, from +x (columns) towards +y (rows, downwards)


def shape_features(mask: np.ndarray) -> dict[str, float]:
    """`asd`, `mf` and `bevr` of a tumour mask bool (D,H,W); all NaN when it is empty.

    >>> {name: round(value, 3) for name, value in shape_features(np.ones((4, 20, 20), bool)).items()}
    {'asd': 0.062, 'mf': 0.04, 'bevr': 0.368}
    """
    if _is_empty(mask):
        return dict.fromkeys(("asd", "mf", "bevr"), float("nan"))
    mask = mask[bounding_box(mask)]
    outline = largest_outline(mask)
    return {"asd": _asd(outline), "mf": _mf(outline), "bevr": _bevr(mask)}


def angular_standard_deviation(mask: np.ndarray) -> float:
    """ASD of the outline in the largest slice; no unit, from 0 (a disc), rarely above 0.3. `asd` for short.

    With r the distance of an outline point from the centroid over the mean distance, and S_1 .. S_10
    the points in ten sectors of 36 degrees, the first starting along +x:

        ASD = mean over non-empty s of sd(r in S_s)          (population SD)

    `mask` is bool (D,H,W); NaN when empty; LggError for another type or number of axes.

    >>> disc = np.hypot(*np.ogrid[-30:31, -30:31]) <= 30
    >>> round(asd(disc[None]), 3), round(asd(np.ones((1, 60, 60), bool)), 3)  # a square's corners stand out
    (0.008, 0.065)

    Traps: the SD must be taken within each sector and over every outline point. Keeping only the
    largest radius per degree makes ASD track the tumour's size. The sectors have a fixed origin, so
    ASD changes a little when the head is rotated, unless by a multiple of 36 degrees.
    """
    return float("nan") if _is_empty(mask) else _asd(largest_outline(mask[bounding_box(mask)]))


def margin_fluctuation(mask: np.ndarray) -> float:
    """MF of the outline in the largest slice; no unit, from 0 (smooth), rarely above 0.15. `mf` for short.

    With r as in `angular_standard_deviation`, in order around the outline, and m its moving average
    over a tenth of the points (rounded, made odd upwards), wrapped around at the ends:

        MF = sd(r - m)          (population SD)

    `mask` is bool (D,H,W); NaN when empty; LggError for another type or number of axes.

    >>> y, x = np.ogrid[-40:41, -40:41]
    >>> star = np.hypot(y, x) <= 30 + 6 * np.cos(12 * np.arctan2(y, x))  # twelve points
    >>> round(mf((np.hypot(y, x) <= 30)[None]), 3), round(mf(star[None]), 3)
    (0.008, 0.144)

    Traps: an average that does not wrap around invents fluctuation where the outline happens to
    start; an outline cut open by the image border does too, so slices are padded first.
    """
    return float("nan") if _is_empty(mask) else _mf(largest_outline(mask[bounding_box(mask)]))


def bounding_ellipsoid_volume_ratio(mask: np.ndarray) -> float:
    """BEVR; no unit, in 0 .. 1: 1 is a perfect ellipsoid, 0.37 a box. `bevr` for short.

        BEVR = volume of the tumour / volume of the smallest ellipsoid that encloses it

    over all voxels of all components. `mask` is bool (D,H,W); NaN when empty; LggError for another
    type or number of axes. Stretching space changes both volumes alike, so slice spacing cancels.

    >>> round(bevr(np.ones((3, 4, 5), bool)), 4)  # any box: 2 / (pi sqrt 3)
    0.3676

    Traps: the ellipsoid must enclose the voxels' corners, not centres (which inflates the ratio up to
    1.6 times, most for thin tumours); an ellipsoid from principal components is not the smallest one and
    does not cancel the spacing; a solver stopped early overstates it by some per cent; and a single
    false-positive voxel far away changes everything.
    """
    return float("nan") if _is_empty(mask) else _bevr(mask[bounding_box(mask)])


asd, mf, bevr = angular_standard_deviation, margin_fluctuation, bounding_ellipsoid_volume_ratio


def largest_outline(mask: np.ndarray) -> Outline:
    """Outline of the largest 8-connected piece in the slice with most tumour of a non-empty mask bool (D,H,W).

    The outline runs half-way between tumour and background pixels (marching squares at 0.5); where it
    falls into several contours, as around holes, it is the longest. Of equals, the first counts.

    >>> mask = np.zeros((3, 8, 8), bool)
    >>> mask[2, 4, 5] = True
    >>> outline = largest_outline(mask)
    >>> outline.index, outline.points.tolist()
    (2, [[4.5, 5.0], [4.0, 4.5], [3.5, 5.0], [4.0, 5.5]])
    """
    index = int(mask.sum(axis=(1, 2)).argmax())
    labels, _ = ndimage.label(mask[index], structure=np.ones((3, 3)))
    piece = labels == np.bincount(labels.flat)[1:].argmax() + 1
    contours = find_contours(np.pad(piece, 1).astype(float), 0.5)  # padded, so that the border closes it too
    points = max(contours, key=len)[:-1] - 1
    centroid = np.argwhere(piece).mean(axis=0)
    dy, dx = (points - centroid).T
    distance = np.hypot(dy, dx)
    return Outline(index, points, centroid, distance / distance.mean(), np.arctan2(dy, dx) % (2 * np.pi))


def sectors(angle: np.ndarray) -> np.ndarray:
    """Number 0 .. 9 of the 36-degree sector that holds each angle (radians, 0 .. 2 pi).

    >>> sectors(np.radians([10, 35, 37, 359]))
    array([0, 0, 1, 9])
    """
    return np.floor(angle * SECTORS / (2 * np.pi)).astype(int) % SECTORS


def smooth(radius: np.ndarray) -> np.ndarray:
    """Circular moving average of a boundary signal (n,) over a tenth of its points, made odd upwards.

    >>> smooth(np.eye(20)[0]).round(2)  # over three points
    array([0.33, 0.33, 0.  , 0.  , 0.  , 0.  , 0.  , 0.  , 0.  , 0.  , 0.  ,
           0.  , 0.  , 0.  , 0.  , 0.  , 0.  , 0.  , 0.  , 0.33])
    """
    window = round(WINDOW * len(radius))
    return ndimage.uniform_filter1d(radius, window + 1 - window % 2, mode="wrap")


def _asd(outline: Outline) -> float:
    sector = sectors(outline.angle)
    return float(np.mean([outline.radius[sector == s].std() for s in np.unique(sector)]))


def _mf(outline: Outline) -> float:
    return float(np.std(outline.radius - smooth(outline.radius)))


def _bevr(mask: np.ndarray) -> float:
    return float(mask.sum() / enclosing_ellipsoid(corners(mask)).volume)


def _is_empty(mask: np.ndarray) -> bool:
    """Whether `mask` holds no tumour; LggError unless it is bool (D,H,W)."""
    if not isinstance(mask, np.ndarray) or mask.ndim != 3 or mask.dtype != bool:
        what = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise LggError(f"mask is {what}; it must be a numpy array of bool (D, H, W): "
                       "mask > 0 makes it bool, mask[None] makes one slice a volume")
    return not mask.any()
