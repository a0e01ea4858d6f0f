"""The exercises of notebook 05: Dice from IoU, the laziest network, pieces found, surface Dice, an
honest threshold.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from ..measures.metrics import dice
from .base import called, close, number, numbers, rounded

SMALLEST = 5  # tumours, in exercise 2


def dice_from_iou(answer: Any) -> str | None:
    for value in (0.5, 0.8, 0.0, 1.0, 0.123):
        told = number(called(answer, value))
        right = 2 * value / (1 + value)
        if not close(told, right, 1e-6):
            mistakes = [
                (value / (2 - value), "that is IoU from Dice, the other way round."),
                (2 * value, "twice IoU is more than 1 for a good mask."),
                (round(right, 2), "do not round."),
            ]
            return f"for {value} it returns {told:g}: " + known(
                told, mistakes, "solve IoU = Dice / (2 - Dice) for Dice."
            )
    return None


def laziest(answer: Any, cohort: Any) -> str | None:
    per_slice, per_patient = numbers(answer, 2)
    if not close(per_patient, 0, 1e-9):
        return (
            "per patient, each volume holds a tumour and nothing is drawn: "
            "what is Dice, one of both empty?"
        )
    by_size = cohort.summary.tumour_voxels.sort_values().index
    empty = [~cohort.volume(name).mask.any(axis=(1, 2)) for name in by_size]
    smallest = empty[:SMALLEST]
    right = float(np.concatenate(smallest).mean())
    mean_of_patients = float(np.mean([one.mean() for one in smallest]))
    everybody = float(np.concatenate(empty).mean())
    mistakes = [
        (mean_of_patients, "that is the mean of patients; take all slices."),
        (1 - right, "per slice, that is the share of slices with tumour; those earn 0."),
        (100 * right, "as a share from 0 to 1, not in per cent."),
        (everybody, f"that is the whole cohort; take the {SMALLEST} smallest tumours."),
        (0, "per slice, nothing against nothing earns 1 under this rule."),
    ]
    # A mistake may come so close to the right number that three digits do not tell them apart.
    differs = not close(right, mean_of_patients, 1e-9)
    if differs and close(per_slice, mean_of_patients, 1e-9):
        return mistakes[0][1]
    if close(per_slice, right, 0.00051):
        return None
    if rounded(per_slice, right, 3):
        return "close, but give three digits."
    return known(
        per_slice,
        mistakes,
        "per slice: what does an empty slice earn, and what one with tumour?",
        0.00051,
    )


def pieces_found(answer: Any) -> str | None:
    def found(prediction: np.ndarray, truth: np.ndarray) -> float:
        return number(called(answer, prediction, truth))

    truth, prediction = two_masks()
    told = found(prediction, truth)
    mistakes = [
        (
            2 / 4,
            "voxels that touch at a corner are one piece: 26 neighbours, structure np.ones((3, 3, "
            "3)).",
        ),
        (2 / 5, "pieces go on from slice to slice: label the volume, not each slice."),
        (4 / 7, "that is a share of the prediction's pieces; label the truth."),
        (4 / 3, "a piece that is hit in several places counts once: label the truth."),
        (3 / 3, "the background has a label, too, 0, and is no piece."),
        (
            1 / 3,
            "those are the pieces that were missed; those found are wanted, and the background is "
            "none.",
        ),
        (0, "a piece need not be covered: one voxel will do."),
        (2, "a share is wanted, not the number of pieces."),
        (float((prediction & truth).sum() / truth.sum()), "those are voxels; count pieces."),
    ]
    if not close(told, 2 / 3, 1e-6):
        return f"of 3 pieces the prediction touches 2, and it returns {told:g}: " + known(
            told, mistakes, "label the truth, and count the labels under the prediction."
        )
    if not close(told := found(truth, truth), 1, 1e-6):
        return f"a perfect prediction finds every piece, 1, and it returns {told:g}."
    if not close(told := found(np.zeros_like(truth), truth), 0, 1e-6):
        return f"an empty prediction finds no piece, 0, and it returns {told:g}."
    if not close(told := found(np.ones_like(truth), truth), 1, 1e-6):
        return (
            f"a prediction of everything finds every piece, 1, and it returns {told:g}: label the "
            "truth."
        )
    return empty_truth(answer, prediction)


def empty_truth(answer: Any, prediction: np.ndarray) -> str | None:
    """What is wrong with the share of the pieces of a truth that has none."""
    try:
        told = answer(prediction, np.zeros_like(prediction))
    except ZeroDivisionError:
        return "an empty truth has no piece to be found, NaN, and it divides by zero."
    if told is None:
        return "an empty truth has no piece to be found: return NaN, not None."
    if np.isnan(number(told)):
        return None
    return f"an empty truth has no piece to be found, NaN, and it returns {told:g}."


def two_masks() -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction, bool (4,9,9): the truth has three pieces, the prediction seven and
    touches two of them.

    The truth's first piece is held together by a corner and hit in three places, its second goes on
    in the next slice, its third is missed.
    """
    truth, prediction = np.zeros((2, 4, 9, 9), bool)
    truth[1, 1:6, 1:6] = truth[2, 6, 6] = truth[:2, 8, 8] = truth[3, 8, 0] = True
    prediction[1, [1, 1, 5], [1, 5, 1]] = prediction[0, 8, 8] = prediction[3, 0, ::4] = True
    return truth, prediction


def surface_dice(answer: Any) -> str | None:
    truth, prediction = squares()
    surfaces = surface(prediction), surface(truth)
    if close(number(called(answer, prediction, truth, 2)), dice(prediction, truth), 1e-6):
        return (
            "that is Dice of the masks; count surface pixels, and how far they are from the other "
            "surface."
        )
    for tolerance in (1, 2, 0, 3):
        told = number(called(answer, prediction, truth, tolerance))
        right = within(*surfaces, tolerance, np.less_equal)
        if not close(told, right, 1e-6):
            return f"with tolerance {tolerance} it returns {told:.3f}: " + known(
                told,
                surface_mistakes(prediction, truth, tolerance),
                "count on both surfaces, divide by both sizes.",
            )
    if not close(told := number(called(answer, truth, truth, 0)), 1, 1e-6):
        return f"for a perfect prediction it returns {told:g} instead of 1."
    return None


def squares() -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction, bool (24,24), of unlike size, their surfaces 0 to 9 pixels apart."""
    truth, prediction = np.zeros((2, 24, 24), bool)
    truth[4:16, 4:14] = True
    prediction[5:18, 4:12] = prediction[20:22, 20:22] = True
    return truth, prediction


def surface(mask: np.ndarray) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(mask)


def shares(
    one: np.ndarray, other: np.ndarray, tolerance: float, rule: Callable
) -> tuple[np.ndarray, np.ndarray]:
    """For each pixel of `one`, and of `other`, whether it lies within `tolerance` of the other
    mask.
    """
    return tuple(
        rule(ndimage.distance_transform_edt(~b)[a], tolerance)
        for a, b in ((one, other), (other, one))
    )


def within(one: np.ndarray, other: np.ndarray, tolerance: float, rule: Callable) -> float:
    """Surface Dice of two surfaces, or of what is given in their place."""
    return float(np.concatenate(shares(one, other, tolerance, rule)).mean())


def surface_mistakes(
    prediction: np.ndarray, truth: np.ndarray, tolerance: float
) -> list[tuple[float, str]]:
    surfaces = surface(prediction), surface(truth)
    there, back = (float(part.mean()) for part in shares(*surfaces, tolerance, np.less_equal))
    return [
        (there, "that is one direction only: from the prediction to the truth."),
        (back, "that is one direction only: from the truth to the prediction."),
        (
            (there + back) / 2,
            "that is the mean of two shares; put the pixels of both surfaces into one.",
        ),
        (
            within(*surfaces, tolerance, np.less),
            "a pixel exactly at the tolerance is within it: <=.",
        ),
        (
            within(prediction, truth, tolerance, np.less_equal),
            "those are all pixels of the masks; surfaces only.",
        ),
        (
            1 - within(*surfaces, tolerance, np.less_equal),
            "that is the share outside the tolerance.",
        ),
    ]


def honest_score(answer: Any) -> str | None:
    curves = pd.DataFrame(CURVES, index=[0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    valid = list("abf")
    rest = list("cde")
    told = number(called(answer, curves, valid, rest))
    of_valid = curves[valid].mean(axis=1)
    of_rest = curves[rest].mean(axis=1)
    of_all = curves.mean(axis=1)
    chosen = of_valid.idxmax()
    if close(told, of_rest[chosen], 1e-6):
        return None
    mistakes = [
        (of_rest.max(), "that threshold was chosen on the patients it is judged on."),
        (of_valid.max(), "that is the score of the patients it was chosen on."),
        (
            of_rest[of_all.idxmax()],
            "that threshold was chosen on everybody, those judged among them.",
        ),
        (of_all.max(), "that is chosen and judged on everybody."),
        (chosen, "that is the threshold; its score."),
        (of_all[chosen], "that is the mean over everybody; report on `rest` only."),
        (
            curves[rest].max().mean(),
            "that is every patient's own best threshold: nobody knows it beforehand.",
        ),
        (curves.loc[chosen, rest].median(), "the mean is wanted here, that is the median."),
        (
            of_rest[curves[valid].median(axis=1).idxmax()],
            "choose by their mean, not by their median.",
        ),
        (
            of_rest[curves[valid].max(axis=1).idxmax()],
            "choose by their mean, not by the best of them.",
        ),
        (of_rest[of_valid.idxmin()], "that threshold is the worst for `valid`, not the best."),
    ]
    hint = known(
        told, mistakes, "choose by the mean of `valid`, then look at the mean of `rest` there."
    )
    return f"on a small table it returns {told:.3f}: {hint}"


# No two mistakes lead to the same number: of the patients a, b and f the best threshold is 0.4 by
# the mean, and another by the median, by the maximum, for c, d and e, and for all.
CURVES = {
    "a": [0.21, 0.87, 0.49, 0.68, 0.93, 0.83],
    "b": [0.95, 0.82, 0.94, 0.30, 0.47, 0.40],
    "c": [0.29, 0.34, 0.46, 0.56, 0.93, 0.44],
    "d": [0.55, 0.73, 0.41, 0.93, 0.75, 0.87],
    "e": [0.75, 0.55, 0.38, 0.71, 0.74, 0.91],
    "f": [0.79, 0.40, 0.71, 0.52, 0.21, 0.72],
}


def known(
    told: float, mistakes: list[tuple[float, str]], otherwise: str, tolerance: float = 1e-6
) -> str:
    """The hint of the first mistake that leads to `told`."""
    return next((hint for value, hint in mistakes if close(told, value, tolerance)), otherwise)


RULES = {"1": dice_from_iou, "2": laziest, "3": pieces_found, "4": surface_dice, "5": honest_score}
