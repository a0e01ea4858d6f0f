"""How strong a link is: Cramer's V of two columns of categories, AUC of a score for two groups."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy

from ..errors import LggError
from .association import category_codes


def cramers_v(a: pd.Series, b: pd.Series) -> float:
    """Cramer's V of two columns of categories, corrected for bias.

    Patients without a value in either column are left out.

    Parameters
    ----------
    a, b : Series
        Categories of the same patients, in any form that `category_codes` takes.

    Returns
    -------
    float
        0 if the columns are unrelated, 1 if one follows from the other; NaN if a column has a
        single category, or a category for every patient.

    References
    ----------
    Bergsma 2013, Journal of the Korean Statistical Society 42.

    Examples
    --------
    >>> cramers_v(pd.Series([1, 1, 1, 2, 2, 2]), pd.Series(["a", "a", "a", "b", "b", "b"]))
    1.0
    >>> cramers_v(pd.Series([1, 1, 2, 2]), pd.Series(["a", "b", "a", "b"]))
    0.0
    """
    table = pd.crosstab(category_codes(a), category_codes(b)).to_numpy()
    if min(table.shape) < 2:
        return float("nan")
    n = table.sum()
    rows, columns = table.shape
    phi_squared = scipy.stats.chi2_contingency(table, correction=False).statistic / n
    by_chance = (rows - 1) * (columns - 1) / (n - 1)
    corrected_phi_squared = max(0.0, phi_squared - by_chance)
    corrected_rows = rows - (rows - 1) ** 2 / (n - 1)
    corrected_columns = columns - (columns - 1) ** 2 / (n - 1)
    smaller = min(corrected_rows, corrected_columns)
    if smaller <= 1:
        return float("nan")
    return float(np.sqrt(corrected_phi_squared / (smaller - 1)))


class Auc(NamedTuple):
    """Area under the ROC curve, and the ends of its bootstrap interval; all from 0 to 1."""

    value: float
    low: float
    high: float


def auc(
    scores: Sequence[float],
    labels: Sequence[bool],
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Auc:
    """Area under the ROC curve: the chance that a positive patient scores above a negative one.

    Equal scores count half. The interval is a percentile bootstrap by `scipy.stats.bootstrap`;
    positives and negatives are drawn separately, so that no resample lacks either. Patients
    without a score or label are left out.

    Parameters
    ----------
    scores : sequence of float, one per patient
    labels : sequence of bool, one per patient
        True for positive patients.
    resamples : int
        Number of bootstrap samples, at least 2.
    level : float
        Of the interval, between 0 and 1.
    seed : int
        Of the random numbers.

    Returns
    -------
    Auc

    Raises
    ------
    LggError
        If scores are not numbers, labels not True or False, there are more of one than of the
        other, no positive or no negative patient, or an option is out of its range.

    References
    ----------
    Efron and Tibshirani 1993, An Introduction to the Bootstrap.

    Examples
    --------
    >>> auc([0.9, 0.6, 0.7, 0.2], [True, True, False, False]).value  # 3 of 4 pairs in right order
    0.75
    """
    try:
        values = pd.Series(scores, dtype=float).to_numpy()
        is_positive = pd.Series(labels).astype("boolean")
    except (TypeError, ValueError) as error:
        raise LggError(
            f"auc takes scores that are numbers and labels that are True or False: {error}"
        ) from error
    if len(values) != len(is_positive) or resamples < 2 or not 0 < level < 1:
        raise LggError(
            f"auc has {len(values)} scores, {len(is_positive)} labels, {resamples} resamples and "
            f"level {level}; it needs a label for each score, two resamples, and a level between 0 "
            "and 1"
        )
    has_score = ~np.isnan(values)
    positives = values[has_score & is_positive.fillna(False).to_numpy(bool)]
    negatives = values[has_score & ~is_positive.fillna(True).to_numpy(bool)]
    if len(positives) == 0 or len(negatives) == 0:
        raise LggError(
            f"auc has {len(positives)} positive and {len(negatives)} negative patients; "
            "it needs at least one of each"
        )
    interval = scipy.stats.bootstrap(
        (_at_least_two(positives), _at_least_two(negatives)),
        _area,
        vectorized=True,
        n_resamples=resamples,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    value = _area(positives, negatives, axis=0)
    return Auc(float(value), float(interval.low), float(interval.high))


def _area(positives: np.ndarray, negatives: np.ndarray, axis: int) -> np.ndarray:
    """Fraction of pairs in which the positive scores higher, by the ranks of all scores.

    This is the statistic U of Mann and Whitney over the number of pairs.
    """
    count = positives.shape[axis]
    pairs = count * negatives.shape[axis]
    ranks = scipy.stats.rankdata(np.concatenate([positives, negatives], axis), axis=axis)
    rank_sum = np.take(ranks, np.arange(count), axis).sum(axis)
    return (rank_sum - count * (count + 1) / 2) / pairs


def _at_least_two(scores: np.ndarray) -> np.ndarray:
    """Scores that `scipy.stats.bootstrap` accepts: a single one is given twice.

    The area is the same, and so are those of all resamples.
    """
    if len(scores) == 1:
        return np.repeat(scores, 2)
    return scores
