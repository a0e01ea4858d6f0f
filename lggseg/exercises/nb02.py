"""The exercises of notebook 02: false alarms, an exact test, one wrong voxel, area under the curve,
q values.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..genomics import benjamini_hochberg
from ..measures.shape import bounding_ellipsoid_volume_ratio
from .base import called, close, number, numbers, rounded

TESTS = 21
LEVEL = 0.05


def false_alarm(answer: Any) -> str | None:
    told = number(answer)
    silent = (1 - LEVEL) ** TESTS
    if close(told, 1 - silent, 0.006):
        return None
    if close(told, TESTS * LEVEL, 0.006):
        return (
            "a chance above 1? Chances of things that may happen together do not add up; ask for "
            "the opposite."
        )
    if close(told, silent, 0.006):
        return "that is the chance that all 21 stay silent."
    if close(told, LEVEL, 0.006):
        return "that is the chance for one test."
    if rounded(told, 1 - silent, 2):
        return "close, but give two digits."
    if 1 < told <= 100:
        return "as a number from 0 to 1, not in per cent."
    return "how likely is it that a test stays silent? That all 21 do?"


def exact_p(answer: Any) -> str | None:
    told = number(answer)
    hints = {
        0.05: "there is a second table that is just as unlikely: the mirror image.",
        10.0: "not in per cent.",
        0.5: "the four tables are not equally likely: count the ways to deal that lead to each.",
        0.25: "the four tables are not equally likely: count the ways to deal that lead to each.",
        0.125: "the number of high labels is fixed: three of six, not a coin for each patient.",
        0.25**3: "the number of high labels is fixed: three of six, not a coin for each patient.",
    }
    for wrong, hint in hints.items():
        if close(told, wrong, 0.004):
            return hint
    if close(told, 0.1, 0.004):
        return None
    return "there are 20 ways to choose three of six patients; how many count?"


def one_wrong_voxel(answer: Any, mask: np.ndarray) -> str | None:
    told = number(answer)
    spoilt = mask.copy()
    spoilt[0, 0, 0] = True
    before = bounding_ellipsoid_volume_ratio(mask)
    after = bounding_ellipsoid_volume_ratio(spoilt)
    mistakes = [
        (before / after, "the other way round: after, divided by before."),
        (1.0, "it changes; is the voxel [0, 0, 0] set, and in a copy of the mask of `full`?"),
        (100 * after / before, "as a number, not in per cent."),
        (after, "that is BEVR after; divide it by BEVR before."),
        (before, "that is BEVR before; divide BEVR after by it."),
        (after - before, "that is the difference; divide instead."),
        (before - after, "that is the difference; divide instead."),
    ]
    if close(told, after / before, 0.01 * after / before + 0.0005):
        return None
    if rounded(told, after / before, 3):
        return "close, but give three digits."
    near = [hint for wrong, hint in mistakes if close(told, wrong, 0.01 * abs(wrong))]
    return near[0] if near else 'shape_features(mask)["bevr"], before and after the voxel is set.'


CURVES = [
    ([0.9, 0.6, 0.7, 0.2], [1, 1, 0, 0]),
    ([1, 2, 3, 4], [0, 0, 1, 1]),
    ([2, 2, 3, 1, 2], [1, 0, 0, 0, 1]),
    ([5, 1, 4, 4, 2, 4], [1, 1, 1, 0, 0, 0]),
    ([1, 2, 3, 4], [1, 1, 0, 1]),
]


def area_under_curve(answer: Any) -> str | None:
    cases = [(np.array(scores, float), np.array(labels, bool)) for scores, labels in CURVES]
    told = [single(answer, case) for case in cases]
    variants = {
        "ties count half, not one.": pairs(1),
        "ties count half; yours count nothing.": pairs(0),
        "an area below 0.5 is an answer, too: do not turn it round.": lambda s, y: max(
            pairs(0.5)(s, y), 1 - pairs(0.5)(s, y)
        ),
        "the other way round: the positive shall be higher.": lambda s, y: 1 - pairs(0.5)(s, y),
        "that is the number of pairs; divide it by how many there are.": lambda s, y: (
            pairs(0.5)(s, y) * y.sum() * (~y).sum()
        ),
        "divide by pairs of a positive and a negative, not by all pairs.": lambda s, y: (
            pairs(0.5)(s, y) * y.sum() * (~y).sum() / len(y) ** 2
        ),
    }
    return compared(
        told,
        [pairs(0.5)(*case) for case in cases],
        {hint: [wrong(*case) for case in cases] for hint, wrong in variants.items()},
    )


def single(function: Any, case: tuple) -> np.ndarray:
    """What a reader's function makes of a case, as an array of one number."""
    return np.array([number(called(function, *case))])


def pairs(tie: float) -> Callable:
    """AUC by counting pairs, a tie counting `tie`."""

    def area(scores: np.ndarray, labels: np.ndarray) -> float:
        above = scores[labels][:, None] - scores[~labels]
        return float(np.mean((above > 0) + tie * (above == 0)))

    return area


P_VALUES = [
    [0.01, 0.04, 0.03, 0.5, 0.002],
    [0.9, 0.2, 0.85, 0.001, 0.21, 0.22],
    [0.04, 0.01, 0.03, 0.02],
    [0.3],
]


def q_values(answer: Any) -> str | None:
    cases = [np.array(p) for p in P_VALUES]
    told = [numbers(called(answer, p), len(p)) for p in cases]
    variants = {
        "that is Bonferroni: divide by the rank, too.": lambda p: p * len(p),
        "right numbers, but sorted; put them back into the order of p.": lambda p: np.sort(
            benjamini_hochberg(p)
        ),
        "with `order = np.argsort(p)`, write `found[order] = q`, not `q[order]`.": lambda p: (
            np.sort(benjamini_hochberg(p))[np.argsort(p)]
        ),
        "the last step is missing: no q may be larger than the q of a larger p.": raw_q,
        "last step the wrong way: begin at the largest p, keep the smallest q.": lambda p: ranked(
            p, lambda q: np.maximum.accumulate(q)
        ),
        "last step: begin at the largest p; yours lets the smallest q win.": lambda p: ranked(
            p, lambda q: np.minimum.accumulate(q)
        ),
        "the rank counts from 1 for the smallest p, not for the largest.": lambda p: (
            p * len(p) / (len(p) - np.argsort(np.argsort(p)))
        ),
    }
    # q values end at 1 anyway; so a mistake may be cut off there or not.
    capped = [np.minimum(q, 1) for q in told]
    return compared(
        capped,
        [benjamini_hochberg(p) for p in cases],
        {hint: [np.minimum(wrong(p), 1) for p in cases] for hint, wrong in variants.items()},
    )


def ranked(p: np.ndarray, step: Callable) -> np.ndarray:
    """p m / k sorted by p, then `step`, in the order of p again."""
    order = np.argsort(p)
    return step(np.sort(p) * len(p) / np.arange(1, len(p) + 1))[np.argsort(order)]


def raw_q(p: np.ndarray) -> np.ndarray:
    return ranked(p, lambda q: q)


def compared(told: Sequence, right: Sequence, wrong: dict[str, Sequence]) -> str | None:
    """None if `told` is `right` case by case, else the hint whose values it has, else what the
    first miss should be.
    """

    def same(values: Sequence) -> bool:
        return all(np.allclose(a, b, atol=1e-6) for a, b in zip(told, values))

    if same(right):
        return None
    hints = [hint for hint, values in wrong.items() if same(values)]
    if hints:
        return hints[0]
    return "it fails a test of small examples; try it on three values that you can do by hand."


RULES = {"1": false_alarm, "2": exact_p, "3": one_wrong_voxel, "4": area_under_curve, "5": q_values}
