"""The exercises of notebook 07: blobs and features, post-processing, limits of agreement, missed
tumours, power.
"""

from typing import Any

import numpy as np
import pandas as pd

from .base import Wrong, called, close, number, numbers, words
from .nb05 import known

POWER = 0.654  # of exercise 5, from 100,000 simulated studies
STUDIES = 1000  # as many as a reader simulates
SAME = (
    "every missed tumour is given the same BEVR; the worst side is another for R2 than for the "
    "others."
)


def unchanged(answer: Any) -> str | None:
    names = [answer] if isinstance(answer, str) else answer
    if not np.iterable(names):
        raise Wrong(
            f'a set of names such as {{"asd"}} is wanted here, this is a {type(answer).__name__}.'
        )
    told = {words(name) for name in names}
    if unknown := told - {"asd", "mf", "bevr"}:
        return f"{', '.join(sorted(unknown))}: the features are called asd, mf and bevr."
    if "bevr" in told:
        return "BEVR looks at all voxels, and the ellipsoid has to reach the blob."
    if told == {"asd", "mf"}:
        return None
    return "one more: which slice, and which piece of it, do ASD and MF look at?"


def pieces_left(answer: Any) -> str | None:
    told = tuple(numbers(answer, 2))
    hints = {
        (2, 1): "the other way round: a share of 0 asks nothing of a piece.",
        (1, 1): "with a share of 0 no piece is too light.",
        (0, 2): "the heaviest piece always stays.",
        (2, 2): "a share of 1 asks for the heaviest's weight; the second is slightly lighter.",
        (0, 1): "the heaviest piece always stays, and a share of 0 removes nothing.",
    }
    if told == (1, 2):
        return None
    return hints.get(told, "there are two pieces: try postprocess() on a small array.")


def limits(answer: Any) -> str | None:
    manual = np.array([1.0, 2, 3, 4, 6])
    predicted = np.array([1.5, 2, 3.5, 5, 6.2])
    difference = predicted - manual
    told = numbers(called(answer, manual, predicted), 2)
    right = band(difference)
    mistakes = [
        (band(-difference), "predicted minus manual, not the other way round."),
        (right[::-1], "the lower limit comes first."),
        (right - difference.mean(), "the limits lie around the bias, not around 0."),
        (band(difference, ddof=0), "the sample's standard deviation, ddof=1, as in pandas."),
        (
            band(difference, 1.96 / np.sqrt(5)),
            "that is how sure the bias is; the limits hold patients: no √n.",
        ),
        (band(difference, 1), "that holds two thirds; for 95 % take 1.96 standard deviations."),
        (band(difference, 2), "1.96, not 2."),
        (
            np.quantile(difference, [0.025, 0.975]),
            "quantiles, but mean ± 1.96 standard deviations is wanted.",
        ),
    ]
    if not np.allclose(told, right):
        for wrong, hint in mistakes:
            if np.allclose(told, wrong):
                return hint
        return "mean ± 1.96 SD of the differences."
    told = numbers(called(answer, np.append(manual, 2), np.append(predicted, np.nan)), 2)
    if np.allclose(told, right):
        return None
    return "a missed tumour, NaN, must be left out of bias and deviation."


def band(difference: np.ndarray, width: float = 1.96, ddof: int = 1) -> np.ndarray:
    return difference.mean() + np.array([-width, width]) * difference.std(ddof=ddof)


def worst_auc(answer: Any) -> str | None:
    bevr = np.array([0.2, 0.3, np.nan, 0.3, 0.5, 0.6, np.nan, 0.25])
    r2 = np.array([True, True, True, False, False, False, False, False])
    told = number(called(answer, pd.Series(bevr), pd.Series(r2)))
    right = wins(filled(bevr, r2, 9, 0), r2)
    seen = ~np.isnan(bevr)
    mistakes = [
        (
            wins(bevr[seen], r2[seen]),
            "missed tumours are left out here, as if they had never come.",
        ),
        (wins(filled(bevr, r2, 0, 9), r2), "that is the best case: R2 has the small BEVR."),
        *(
            (wins(np.where(seen, bevr, one), r2), SAME)
            for one in (0, 9, np.nanmedian(bevr), np.nanmean(bevr))
        ),
        (1 - right, "the other way round: a pair is won where R2 has the smaller BEVR."),
        (wins(filled(bevr, r2, 9, 0), r2, tie=0), "a tie counts half."),
        (wins(filled(bevr, r2, 9, 0), r2, tie=1), "a tie counts half."),
    ]
    if not close(told, right, 1e-6):
        return f"for a small table it returns {told:.3f}: " + known(
            told, mistakes, "a missed R2 loses all its pairs, a missed other wins all of its own."
        )
    whole = np.where(seen, bevr, 0.4)
    told = number(called(answer, pd.Series(whole), pd.Series(r2)))
    if close(told, wins(whole, r2), 1e-6):
        return None
    return "where nobody is missed it must be the usual AUC."


def filled(bevr: np.ndarray, r2: np.ndarray, of_r2: float, of_others: float) -> np.ndarray:
    """BEVR with a number in place of NaN."""
    return np.where(np.isnan(bevr), np.where(r2, of_r2, of_others), bevr)


def wins(bevr: np.ndarray, r2: np.ndarray, tie: float = 0.5) -> float:
    """AUC of 1/BEVR: the share of pairs, one R2 and one other, in which R2 has the smaller BEVR."""
    mine = bevr[r2, None]
    other = bevr[None, ~r2]
    return float(((mine < other) + tie * (mine == other)).mean())


def power(answer: Any) -> str | None:
    """Right within three standard deviations of the reader's simulation."""
    told = number(answer)
    tolerance = 3 * np.sqrt(POWER * (1 - POWER) / STUDIES)
    if 1 < told <= 100:
        return "as a share from 0 to 1, not in per cent."
    if close(told / STUDIES, POWER, tolerance):
        return "that is how many studies; divide by the number of all."
    if close(told, POWER, tolerance):
        return None
    if close(told, 1 - POWER, tolerance):
        return "that is about the share of studies that miss the difference."
    mistakes = [
        (
            0.05,
            0.03,
            "is there a difference in your simulation? R2 is drawn around -1, the others around 0.",
        ),
        (0.786, 0.03, "that is a one-sided test; leave mannwhitneyu as it is, two-sided."),
        (0.938, 0.03, "that is twice the patients: 10 of R2 and 20 others in each study."),
    ]
    for value, width, hint in mistakes:
        if close(told, value, width):
            return hint
    return (
        "draw 10 numbers around -1 and 20 around 0, SD 1; mannwhitneyu; count p below 0.05 over "
        "1,000 studies."
    )


RULES = {"1": unchanged, "2": pieces_left, "3": limits, "4": worst_auc, "5": power}
