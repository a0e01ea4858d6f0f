"""Corrections for many tests at once; p-values that are NaN were not tested, stay NaN and do not count."""

from collections.abc import Callable

import numpy as np
import scipy


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """q-values of p-values (n,), 0..1: the false discovery rate at which each would just be found.

    Benjamini and Hochberg 1995: p times the number of tests over its rank, and never above that of a larger p.

    >>> benjamini_hochberg(np.array([0.01, 0.04, np.nan, 0.03]))
    array([0.03, 0.04,  nan, 0.04])
    """
    return _of_the_tested(p, scipy.stats.false_discovery_control)


def bonferroni(p: np.ndarray) -> np.ndarray:
    """p-values (n,) times the number of tests, at most 1: bounds the chance of even one false positive.

    >>> bonferroni(np.array([0.01, 0.04, np.nan, 0.5]))
    array([0.03, 0.12,  nan, 1.  ])
    """
    return _of_the_tested(p, lambda tested: np.minimum(tested * len(tested), 1))


def _of_the_tested(p: np.ndarray, correct: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    corrected, tested = np.full(len(p), np.nan), ~np.isnan(p)
    corrected[tested] = correct(np.asarray(p)[tested])
    return corrected
