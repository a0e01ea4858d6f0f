"""Three numbers for the shape of a tumour, by which the 2019 paper describes it.

They are the angular standard deviation (ASD), the margin fluctuation (MF) and the bounding
ellipsoid volume ratio (BEVR). ASD and MF are read off the outline in one slice, BEVR is of the
whole volume. None has a unit: they know neither pixel size nor slice spacing, and the data set has
none. An empty mask has no shape: its features are NaN, and are to be left out of counts and
averages.

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
NEIGHBOURS = np.ones((3, 3))  # 8 of them: pixels that touch at a corner belong together


class Outline(NamedTuple):
    """The tumour's outline in its largest slice, and its boundary signal.

    Attributes
    ----------
    index : int
        The slice.
    points : float (n, 2)
        Row and column in pixels, in order around the tumour; the first point is not repeated.
    centroid : float (2,)
        Mean row and column of the tumour's pixels.
    radius : float (n,)
        Distance of each point from the centroid, divided by the mean distance.
    angle : float (n,)
        Direction of each point from the centroid in radians, 0 to 2 pi, from +x (columns) towards
        +y (rows, downwards).
    """

    index: int  # type: ignore[assignment]  # tuples have a method of this name
    points: np.ndarray
    centroid: np.ndarray
    radius: np.ndarray
    angle: np.ndarray


def shape_features(mask: np.ndarray) -> dict[str, float]:
    """Measure the three shape features of a tumour.

    Parameters
    ----------
    mask : bool (slices, height, width)

    Returns
    -------
    dict
        asd, mf and bevr; all NaN if the mask is empty.

    Raises
    ------
    LggError
        If the mask has another type or number of axes.

    Examples
    --------
    >>> features = shape_features(np.ones((4, 20, 20), bool))
    >>> {name: round(value, 3) for name, value in features.items()}
    {'asd': 0.062, 'mf': 0.04, 'bevr': 0.368}
    """
    if _is_empty(mask):
        return dict.fromkeys(("asd", "mf", "bevr"), float("nan"))
    mask = mask[bounding_box(mask)]
    outline = largest_outline(mask)
    return {"asd": _asd(outline), "mf": _mf(outline), "bevr": _bevr(mask)}


def angular_standard_deviation(mask: np.ndarray) -> float:
    """Angular standard deviation of the outline in the largest slice; `asd` for short.

    With r the distance of an outline point from the centroid over the mean distance, and S_1 ..
    S_10 the points in ten sectors of 36 degrees, the first starting along +x:

        ASD = mean over non-empty s of sd(r in S_s)          (population SD)

    Parameters
    ----------
    mask : bool (slices, height, width)

    Returns
    -------
    float
        From 0 (a disc), rarely above 0.3; NaN if the mask is empty.

    Raises
    ------
    LggError
        If the mask has another type or number of axes.

    Notes
    -----
    The SD must be taken within each sector, and over every outline point: keeping only the largest
    radius per degree makes ASD follow the tumour's size. The sectors have a fixed origin, so ASD
    changes a little when the head is rotated, unless by a multiple of 36 degrees.

    Examples
    --------
    >>> disc = np.hypot(*np.ogrid[-30:31, -30:31]) <= 30
    >>> square = np.ones((60, 60), bool)  # its corners stand out
    >>> round(asd(disc[None]), 3), round(asd(square[None]), 3)
    (0.008, 0.065)
    """
    if _is_empty(mask):
        return float("nan")
    return _asd(largest_outline(mask[bounding_box(mask)]))


def margin_fluctuation(mask: np.ndarray) -> float:
    """Margin fluctuation of the outline in the largest slice; `mf` for short.

    With r as in `angular_standard_deviation`, in order around the outline, and m its moving average
    over a tenth of the points (rounded, made odd upwards), wrapped around at the ends:

        MF = sd(r - m)          (population SD)

    Parameters
    ----------
    mask : bool (slices, height, width)

    Returns
    -------
    float
        From 0 (smooth), rarely above 0.15; NaN if the mask is empty.

    Raises
    ------
    LggError
        If the mask has another type or number of axes.

    Notes
    -----
    An average that does not wrap around invents fluctuation where the outline happens to start. An
    outline that is cut open by the image border does so, too, so slices are padded first.

    Examples
    --------
    >>> y, x = np.ogrid[-40:41, -40:41]
    >>> disc = np.hypot(y, x) <= 30
    >>> star = np.hypot(y, x) <= 30 + 6 * np.cos(12 * np.arctan2(y, x))  # twelve points
    >>> round(mf(disc[None]), 3), round(mf(star[None]), 3)
    (0.008, 0.144)
    """
    if _is_empty(mask):
        return float("nan")
    return _mf(largest_outline(mask[bounding_box(mask)]))


def bounding_ellipsoid_volume_ratio(mask: np.ndarray) -> float:
    """Bounding ellipsoid volume ratio of a tumour; `bevr` for short.

        BEVR = volume of the tumour / volume of the smallest ellipsoid that encloses it

    over all voxels of all components. Stretching space changes both volumes alike, so that slice
    spacing cancels.

    Parameters
    ----------
    mask : bool (slices, height, width)

    Returns
    -------
    float
        From 0 to 1: 1 is a perfect ellipsoid, 0.37 a box; NaN if the mask is empty.

    Raises
    ------
    LggError
        If the mask has another type or number of axes.

    Notes
    -----
    The ellipsoid must enclose the voxels' corners: enclosing their centres inflates the ratio by up
    to 1.6 times, most for thin tumours. An ellipsoid from principal components is not the smallest
    one, and does not cancel the spacing. A solver that is stopped early overstates the ratio by
    some per cent. And a single false-positive voxel far away changes everything.

    Examples
    --------
    >>> round(bevr(np.ones((3, 4, 5), bool)), 4)  # any box: 2 / (pi sqrt 3)
    0.3676
    """
    if _is_empty(mask):
        return float("nan")
    return _bevr(mask[bounding_box(mask)])


asd = angular_standard_deviation
mf = margin_fluctuation
bevr = bounding_ellipsoid_volume_ratio


def largest_outline(mask: np.ndarray) -> Outline:
    """Outline of the largest 8-connected piece in the slice with most tumour.

    The outline runs half-way between tumour and background pixels (marching squares at 0.5). If
    there are several contours, as around holes, it is the longest. Of equals, the first counts.

    Parameters
    ----------
    mask : bool (slices, height, width), not empty

    Returns
    -------
    Outline

    Examples
    --------
    >>> mask = np.zeros((3, 8, 8), bool)
    >>> mask[2, 4, 5] = True
    >>> outline = largest_outline(mask)
    >>> outline.index, outline.points.tolist()
    (2, [[4.5, 5.0], [4.0, 4.5], [3.5, 5.0], [4.0, 5.5]])
    """
    index = int(mask.sum(axis=(1, 2)).argmax())
    labels, _ = ndimage.label(mask[index], structure=NEIGHBOURS)
    largest = np.bincount(labels.flat)[1:].argmax() + 1
    piece = labels == largest
    padded = np.pad(piece, 1).astype(float)  # so that the image border closes the outline, too
    contours = find_contours(padded, 0.5)
    points = max(contours, key=len)[:-1] - 1
    centroid = np.argwhere(piece).mean(axis=0)
    dy, dx = (points - centroid).T
    distance = np.hypot(dy, dx)
    radius = distance / distance.mean()
    angle = np.arctan2(dy, dx) % (2 * np.pi)
    return Outline(index, points, centroid, radius, angle)


def sectors(angle: np.ndarray) -> np.ndarray:
    """The sector of 36 degrees that each direction lies in.

    Parameters
    ----------
    angle : float (n,), in radians, 0 to 2 pi

    Returns
    -------
    int (n,), 0 to 9

    Examples
    --------
    >>> sectors(np.radians([10, 35, 37, 359]))
    array([0, 0, 1, 9])
    """
    return np.floor(angle * SECTORS / (2 * np.pi)).astype(int) % SECTORS


def smooth(radius: np.ndarray) -> np.ndarray:
    """Moving average of a boundary signal over a tenth of its points, wrapped around at the ends.

    Parameters
    ----------
    radius : float (n,)

    Returns
    -------
    float (n,)
        Each value averaged with its neighbours; the number averaged over is made odd upwards.

    Examples
    --------
    >>> smooth(np.eye(20)[0]).round(2)  # over three points
    array([0.33, 0.33, 0.  , 0.  , 0.  , 0.  , 0.  , 0.  , 0.  , 0.  , 0.  ,
           0.  , 0.  , 0.  , 0.  , 0.  , 0.  , 0.  , 0.  , 0.33])
    """
    window = round(WINDOW * len(radius))
    if window % 2 == 0:
        window += 1
    return ndimage.uniform_filter1d(radius, window, mode="wrap")


def _asd(outline: Outline) -> float:
    sector = sectors(outline.angle)
    return float(np.mean([outline.radius[sector == s].std() for s in np.unique(sector)]))


def _mf(outline: Outline) -> float:
    return float(np.std(outline.radius - smooth(outline.radius)))


def _bevr(mask: np.ndarray) -> float:
    return float(mask.sum() / enclosing_ellipsoid(corners(mask)).volume)


def _is_empty(mask: np.ndarray) -> bool:
    """Whether a mask holds no tumour; LggError unless it is bool (slices, height, width)."""
    if not isinstance(mask, np.ndarray):
        found = type(mask).__name__
    else:
        found = f"{mask.dtype} {mask.shape}"
        if mask.ndim == 3 and mask.dtype == bool:
            return not mask.any()
    raise LggError(
        f"mask is {found}; it must be a numpy array of bool (D, H, W): "
        "mask > 0 makes it bool, mask[None] makes one slice a volume"
    )
