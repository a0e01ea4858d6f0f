"""How well a predicted mask matches the truth: bool arrays of one shape and any dimension.

The rule for empty masks holds for every measure. If prediction and truth are both empty, a measure
is undefined, NaN: leave it out of means, and say how many were left out. If one of them is empty,
the ratios are 0 and the Hausdorff distance is infinite.

Masks of another type (0/255 files, probabilities) and of two shapes are refused with LggError.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ..errors import LggError
from ..masks import bounding_box


class Counts(NamedTuple):
    """Numbers of pixels.

    Attributes
    ----------
    tp : int
        True positive: tumour in both masks.
    fp : int
        False positive: tumour in the prediction only.
    fn : int
        False negative: tumour in the truth only.
    tn : int
        True negative: tumour in neither.
    """

    tp: int
    fp: int
    fn: int
    tn: int


def counts(prediction: np.ndarray, truth: np.ndarray) -> Counts:
    """Compare two masks pixel by pixel.

    Parameters
    ----------
    prediction, truth : bool arrays of one shape, any dimension

    Returns
    -------
    Counts

    Raises
    ------
    LggError
        For masks of another type, or of two shapes.

    Examples
    --------
    >>> prediction, truth = np.array([1, 1, 1, 0, 0], bool), np.array([0, 1, 1, 1, 0], bool)
    >>> counts(prediction, truth)
    Counts(tp=2, fp=1, fn=1, tn=1)
    """
    _check(prediction, truth)
    tp = int(np.count_nonzero(prediction & truth))
    fp = int(np.count_nonzero(prediction)) - tp
    fn = int(np.count_nonzero(truth)) - tp
    return Counts(tp, fp, fn, prediction.size - tp - fp - fn)


def dice(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Dice coefficient 2 TP / (2 TP + FP + FN), the overlap over the mean of the two sizes.

    Parameters
    ----------
    prediction, truth : bool arrays of one shape, any dimension

    Returns
    -------
    float
        From 0 to 1; see above for empty masks.

    Raises
    ------
    LggError
        For masks of another type, or of two shapes.

    References
    ----------
    Dice 1945, Ecology 26.

    Examples
    --------
    >>> prediction, truth = np.array([1, 1, 1, 0, 0], bool), np.array([0, 1, 1, 0, 0], bool)
    >>> dice(prediction, truth)
    0.8
    >>> dice(truth & False, truth & False)
    nan
    """
    return _ratios(counts(prediction, truth))["dice"]


def iou(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union TP / (TP + FP + FN), the Jaccard index; equal to Dice / (2 - Dice).

    Parameters
    ----------
    prediction, truth : bool arrays of one shape, any dimension

    Returns
    -------
    float
        From 0 to 1; see above for empty masks.

    Raises
    ------
    LggError
        For masks of another type, or of two shapes.

    Examples
    --------
    >>> prediction, truth = np.array([1, 1, 1, 0, 0], bool), np.array([0, 1, 1, 1, 0], bool)
    >>> iou(prediction, truth)
    0.5
    """
    return _ratios(counts(prediction, truth))["iou"]


def sensitivity(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Fraction of the true pixels that were found, TP / (TP + FN); also called recall.

    Parameters
    ----------
    prediction, truth : bool arrays of one shape, any dimension

    Returns
    -------
    float
        From 0 to 1; see above for empty masks.

    Raises
    ------
    LggError
        For masks of another type, or of two shapes.

    Examples
    --------
    >>> prediction, truth = np.array([1, 0, 0, 0, 0], bool), np.array([1, 1, 1, 1, 0], bool)
    >>> sensitivity(prediction, truth)
    0.25
    """
    return _ratios(counts(prediction, truth))["sensitivity"]


def precision(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Fraction of the predicted pixels that are true, TP / (TP + FP).

    Parameters
    ----------
    prediction, truth : bool arrays of one shape, any dimension

    Returns
    -------
    float
        From 0 to 1; see above for empty masks.

    Raises
    ------
    LggError
        For masks of another type, or of two shapes.

    Examples
    --------
    >>> prediction, truth = np.array([1, 1, 1, 1, 0], bool), np.array([1, 1, 1, 0, 0], bool)
    >>> precision(prediction, truth)
    0.75
    """
    return _ratios(counts(prediction, truth))["precision"]


def hausdorff95(
    prediction: np.ndarray, truth: np.ndarray, spacing: Sequence[float] | None = None
) -> float:
    """95th percentile Hausdorff distance between the surfaces of two masks.

    The surface of a mask is its pixels with a face neighbour outside it; the image border counts as
    outside. From every surface pixel of one mask the distance to the other surface is taken, and
    the other way round. The larger of the two 95th percentiles is returned, as MONAI does it.

    Parameters
    ----------
    prediction, truth : bool arrays of one shape, any dimension
    spacing : sequence of float, optional
        The pixel's size along each axis; 1 if not given (the LGG data set has none).

    Returns
    -------
    float
        From 0 to infinity, in pixels or the unit of `spacing`; see above for empty masks.

    Raises
    ------
    LggError
        For masks of another type or of two shapes, and for a spacing that is not one positive
        number per axis.

    Examples
    --------
    >>> prediction, truth = np.array([[1, 0, 0, 0, 0]], bool), np.array([[0, 0, 0, 1, 0]], bool)
    >>> hausdorff95(prediction, truth), hausdorff95(prediction, truth, spacing=(1, 0.5))
    (3.0, 1.5)
    >>> hausdorff95(prediction, truth & False)
    inf
    """
    _check(prediction, truth)
    sizes = _check_spacing(spacing, truth.ndim)
    empty = [not prediction.any(), not truth.any()]
    if all(empty):
        return float("nan")
    if any(empty):
        return float("inf")
    box = bounding_box(prediction | truth)  # most of a scan is empty
    one = _surface(prediction[box])
    other = _surface(truth[box])
    return max(_directed95(one, other, sizes), _directed95(other, one, sizes))


def scores(
    prediction: np.ndarray, truth: np.ndarray, spacing: Sequence[float] | None = None
) -> dict[str, float]:
    """All measures at once.

    Parameters
    ----------
    prediction, truth : bool arrays of one shape, any dimension
    spacing : sequence of float, optional
        As for `hausdorff95`.

    Returns
    -------
    dict
        dice, iou, sensitivity, precision and hd95, each as its own function returns it.

    Raises
    ------
    LggError
        As `hausdorff95`.

    Examples
    --------
    >>> prediction, truth = np.array([[1, 1, 1, 0]], bool), np.array([[0, 1, 1, 1]], bool)
    >>> {name: round(value, 2) for name, value in scores(prediction, truth).items()}
    {'dice': 0.67, 'iou': 0.5, 'sensitivity': 0.67, 'precision': 0.67, 'hd95': 0.9}
    """
    return {**_ratios(counts(prediction, truth)), "hd95": hausdorff95(prediction, truth, spacing)}


def _ratios(n: Counts) -> dict[str, float]:
    """The four ratios. Without a true positive they are 0, or undefined if both masks are empty."""
    if n.tp == 0:
        value = float("nan")
        if n.fp or n.fn:
            value = 0.0
        return dict.fromkeys(("dice", "iou", "sensitivity", "precision"), value)
    return {
        "dice": 2 * n.tp / (2 * n.tp + n.fp + n.fn),
        "iou": n.tp / (n.tp + n.fp + n.fn),
        "sensitivity": n.tp / (n.tp + n.fn),
        "precision": n.tp / (n.tp + n.fp),
    }


def _surface(mask: np.ndarray) -> np.ndarray:
    """Bool array of the mask's surface pixels."""
    return mask & ~ndimage.binary_erosion(mask)


def _directed95(source: np.ndarray, goal: np.ndarray, spacing: np.ndarray) -> float:
    """95th percentile of the distances from the pixels of `source` to the nearest one of `goal`.

    It uses a distance map, because SciPy's KDTree can crash on points that lie on a grid.
    """
    distance = ndimage.distance_transform_edt(~goal, sampling=spacing)
    return float(np.percentile(distance[source], 95))


def _check(prediction: np.ndarray, truth: np.ndarray) -> None:
    """LggError unless these are bool arrays of one shape."""
    for name, mask in (("prediction", prediction), ("truth", truth)):
        kind = f"a {type(mask).__name__}"
        if isinstance(mask, np.ndarray):
            kind = f"a {mask.dtype} array"
        if kind != "a bool array":
            raise LggError(
                f"{name} is {kind}; masks must be bool arrays: compare 0/255 files with "
                "`mask > 0`, probabilities with `probability >= 0.5`"
            )
    if prediction.shape != truth.shape or truth.ndim == 0:
        raise LggError(
            f"prediction is {prediction.shape}, truth is {truth.shape}; the shapes must be equal, "
            "with at least one axis: predict on the volume's own grid"
        )


def _check_spacing(spacing: Sequence[float] | None, ndim: int) -> np.ndarray:
    """The pixel's size along each axis; 1 if no spacing is given."""
    if spacing is None:
        return np.ones(ndim)
    rule = f"spacing is {spacing}; give one positive number for each of the {ndim} axes"
    try:
        sizes = np.asarray(spacing, float)
    except (TypeError, ValueError) as error:
        raise LggError(rule) from error
    if sizes.shape != (ndim,) or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise LggError(rule)
    return sizes
