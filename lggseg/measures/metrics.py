"""How well a predicted mask matches the truth: bool arrays of one shape and any dimension.

The empty-mask rule, for every measure here: where prediction and truth are both empty the measure is
undefined, NaN (leave it out of means, and say how many were left out); where one of them is
empty, the ratios are 0 and the Hausdorff distance is infinite.

Masks of another type (0/255 files, probabilities) and masks of two shapes are refused with LggError.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ..errors import LggError
from ..masks import bounding_box


class Counts(NamedTuple):
    """Numbers of pixels: true positive, false positive, false negative, true negative."""

    tp: int
    fp: int
    fn: int
    tn: int


def counts(prediction: np.ndarray, truth: np.ndarray) -> Counts:
    """Compare two bool arrays of one shape pixel by pixel.

    >>> prediction, truth = np.array([1, 1, 1, 0, 0], bool), np.array([0, 1, 1, 1, 0], bool)
    >>> counts(prediction, truth)
    Counts(tp=2, fp=1, fn=1, tn=1)
    """
    _check(prediction, truth)
    tp = np.count_nonzero(prediction & truth)
    fp, fn = np.count_nonzero(prediction) - tp, np.count_nonzero(truth) - tp
    return Counts(*(int(n) for n in (tp, fp, fn, prediction.size - tp - fp - fn)))


def dice(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Dice coefficient 2 TP / (2 TP + FP + FN), 0..1: the overlap over the mean of the two sizes (Dice 1945).

    >>> prediction, truth = np.array([1, 1, 1, 0, 0], bool), np.array([0, 1, 1, 0, 0], bool)
    >>> dice(prediction, truth)
    0.8
    >>> dice(truth & False, truth & False)
    nan
    """
    return _ratios(counts(prediction, truth))["dice"]


def iou(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union TP / (TP + FP + FN), 0..1, the Jaccard index; = Dice / (2 - Dice).

    >>> prediction, truth = np.array([1, 1, 1, 0, 0], bool), np.array([0, 1, 1, 1, 0], bool)
    >>> iou(prediction, truth)
    0.5
    """
    return _ratios(counts(prediction, truth))["iou"]


def sensitivity(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Share of the true pixels that were found, TP / (TP + FN), 0..1; also called recall.

    >>> prediction, truth = np.array([1, 0, 0, 0, 0], bool), np.array([1, 1, 1, 1, 0], bool)
    >>> sensitivity(prediction, truth)
    0.25
    """
    return _ratios(counts(prediction, truth))["sensitivity"]


def precision(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Share of the predicted pixels that are true, TP / (TP + FP), 0..1.

    >>> prediction, truth = np.array([1, 1, 1, 1, 0], bool), np.array([1, 1, 1, 0, 0], bool)
    >>> precision(prediction, truth)
    0.75
    """
    return _ratios(counts(prediction, truth))["precision"]


def hausdorff95(prediction: np.ndarray, truth: np.ndarray, spacing: Sequence[float] | None = None) -> float:
    """95th percentile Hausdorff distance between the two surfaces, 0..infinity, in pixels or `spacing`'s unit.

    The surface of a mask is its pixels with a face neighbour outside it (the image border counts as outside). From
    every surface pixel of one mask the distance to the other surface is taken: the larger of the two directions'
    95th percentiles is returned, as MONAI does it. `spacing` is the pixel's size along each axis (the LGG
    data set has none); LggError unless it has one positive number per axis.

    >>> prediction, truth = np.array([[1, 0, 0, 0, 0]], bool), np.array([[0, 0, 0, 1, 0]], bool)
    >>> hausdorff95(prediction, truth), hausdorff95(prediction, truth, spacing=(1, 0.5))
    (3.0, 1.5)
    >>> hausdorff95(prediction, truth & False)
    inf
    """
    _check(prediction, truth)
    spacing = _check_spacing(spacing, truth.ndim)
    if not (prediction.any() and truth.any()):
        return float("inf") if prediction.any() or truth.any() else float("nan")
    box = bounding_box(prediction | truth)  # most of a scan is empty
    one, other = _surface(prediction[box]), _surface(truth[box])
    return max(_directed95(one, other, spacing), _directed95(other, one, spacing))


def scores(prediction: np.ndarray, truth: np.ndarray, spacing: Sequence[float] | None = None) -> dict[str, float]:
    """All measures at once: dice, iou, sensitivity, precision, hd95; each as its own function gives it.

    >>> prediction, truth = np.array([[1, 1, 1, 0]], bool), np.array([[0, 1, 1, 1]], bool)
    >>> {name: round(value, 2) for name, value in scores(prediction, truth).items()}
    {'dice': 0.67, 'iou': 0.5, 'sensitivity': 0.67, 'precision': 0.67, 'hd95': 0.9}
    """
    return {**_ratios(counts(prediction, truth)), "hd95": hausdorff95(prediction, truth, spacing)}


def _ratios(n: Counts) -> dict[str, float]:
    """The four ratios; with no true positive they are 0 or, without any positive at all, undefined."""
    if n.tp == 0:
        value = 0.0 if n.fp or n.fn else float("nan")
        return dict.fromkeys(("dice", "iou", "sensitivity", "precision"), value)
    return {"dice": 2 * n.tp / (2 * n.tp + n.fp + n.fn), "iou": n.tp / (n.tp + n.fp + n.fn),
            "sensitivity": n.tp / (n.tp + n.fn), "precision": n.tp / (n.tp + n.fp)}


def _surface(mask: np.ndarray) -> np.ndarray:
    """Bool array of the mask's surface pixels."""
    return mask & ~ndimage.binary_erosion(mask)


def _directed95(source: np.ndarray, goal: np.ndarray, spacing: np.ndarray) -> float:
    """95th percentile of the distances from the pixels of `source` to the nearest one of `goal`.

    By a distance map: SciPy's KDTree can crash on points that lie on a grid.
    """
    distance = ndimage.distance_transform_edt(~goal, sampling=spacing)
    return float(np.percentile(distance[source], 95))


def _check(prediction: np.ndarray, truth: np.ndarray) -> None:
    for name, mask in (("prediction", prediction), ("truth", truth)):
        if not isinstance(mask, np.ndarray) or mask.dtype != bool:
            kind = f"a {mask.dtype} array" if isinstance(mask, np.ndarray) else f"a {type(mask).__name__}"
            raise LggError(f"{name} is {kind}; masks must be bool arrays: "
                           "compare 0/255 files with `mask > 0`, probabilities with `probability >= 0.5`")
    if prediction.shape != truth.shape or truth.ndim == 0:
        raise LggError(f"prediction is {prediction.shape}, truth is {truth.shape}; the shapes must be equal, "
                       "with at least one axis: predict on the volume's own grid")


def _check_spacing(spacing: Sequence[float] | None, ndim: int) -> np.ndarray:
    """One size per axis; pixels are 1 wide where nothing else is said."""
    try:
        sizes = np.ones(ndim) if spacing is None else np.asarray(spacing, float)
    except (TypeError, ValueError):
        sizes = np.zeros(ndim)
    if sizes.shape != (ndim,) or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise LggError(f"spacing is {spacing}; give one positive number for each of the {ndim} axes")
    return sizes
