"""How strong is a link? Cramer's V between two columns of categories, AUC of a score between two groups."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy

from ..errors import LggError
from .association import category_codes


def cramers_v(a: pd.Series, b: pd.Series) -> float:
    """Bias-corrected Cramer's V of two categorical columns (Bergsma 2013): 0 unrelated, 1 one gives the other.

    Patients missing either are left out; NaN where a column has a single category, or every patient one of its own.

    >>> cramers_v(pd.Series([1, 1, 1, 2, 2, 2]), pd.Series(["a", "a", "a", "b", "b", "b"]))
    1.0
    >>> cramers_v(pd.Series([1, 1, 2, 2]), pd.Series(["a", "b", "a", "b"]))
    0.0
    """
    table = pd.crosstab(category_codes(a), category_codes(b)).to_numpy()
    n, (rows, columns) = table.sum(), table.shape
    if min(table.shape) < 2:
        return float("nan")
    phi_sq = scipy.stats.chi2_contingency(table, correction=False).statistic / n
    phi_sq = max(0.0, phi_sq - (rows - 1) * (columns - 1) / (n - 1))  # what chance alone gives is taken off
    least = min(side - (side - 1) ** 2 / (n - 1) for side in (rows, columns))
    return float(np.sqrt(phi_sq / (least - 1))) if least > 1 else float("nan")


class Auc(NamedTuple):
    """Area under the ROC curve, and the ends of its bootstrap interval."""

    value: float
    low: float
    high: float


def auc(scores: Sequence[float], labels: Sequence[bool], resamples: int = 2000, level: float = 0.95,
        seed: int = 0) -> Auc:
    """Chance that a positive scores above a negative (ties half), with a percentile bootstrap interval; all in 0..1.

    Positives and negatives are resampled separately, so no resample lacks either (Efron and Tibshirani 1993). NaN
    scores, and missing labels, are left out. LggError for two lengths, scores that are no numbers, labels that are
    no bools, no positive or no negative, no resample, and a level that is not between 0 and 1.

    >>> auc([0.9, 0.6, 0.7, 0.2], [True, True, False, False]).value  # 3 of 4 pairs are in the right order
    0.75
    """
    try:
        scores, labels = pd.Series(scores, dtype=float).to_numpy(), pd.Series(labels).astype("boolean")
    except (TypeError, ValueError) as error:
        raise LggError(f"auc takes scores that are numbers and labels that are True or False: {error}") from error
    if len(scores) != len(labels) or resamples < 1 or not 0 < level < 1:
        raise LggError(f"auc has {len(scores)} scores, {len(labels)} labels, {resamples} resamples and level {level}; "
                       "it needs a label for each score, a resample, and a level between 0 and 1")
    known = ~np.isnan(scores) & labels.notna().to_numpy()
    positive = labels.fillna(False).to_numpy(bool)
    x, y = scores[known & positive], scores[known & ~positive]
    if len(x) == 0 or len(y) == 0:
        raise LggError(f"auc has {len(x)} positive and {len(y)} negative patients; it needs at least one of each")
    wins = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    rng = np.random.default_rng(seed)
    u, v = (rng.multinomial(k, np.full(k, 1 / k), resamples) / k for k in wins.shape)  # how often each is drawn
    low, high = np.quantile(((u @ wins) * v).sum(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return Auc(float(wins.mean()), float(low), float(high))
