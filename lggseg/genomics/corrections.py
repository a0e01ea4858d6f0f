"""Corrections for many tests at once.

A p-value that is NaN was not tested: it stays NaN, and does not count as a test.
"""

from collections.abc import Callable

import numpy as np
import scipy


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Correct p-values so that the false discovery rate is bounded.

    The q-value is p times the number of tests over its rank, and never above that of a larger p.

    Parameters
    ----------
    p : float (n,), 0 to 1, NaN where nothing was tested

    Returns
    -------
    float (n,), 0 to 1
        The false discovery rate at which each would just count as found.

    References
    ----------
    Benjamini and Hochberg 1995, Journal of the Royal Statistical Society B 57.

    Examples
    --------
    >>> benjamini_hochberg(np.array([0.01, 0.04, np.nan, 0.03]))
    array([0.03, 0.04,  nan, 0.04])
    """
    return _correct_tested(p, scipy.stats.false_discovery_control)


def bonferroni(p: np.ndarray) -> np.ndarray:
    """Correct p-values so that the chance of even one false positive is bounded.

    Parameters
    ----------
    p : float (n,), 0 to 1, NaN where nothing was tested

    Returns
    -------
    float (n,), 0 to 1
        Each p times the number of tests, at most 1.

    Examples
    --------
    >>> bonferroni(np.array([0.01, 0.04, np.nan, 0.5]))
    array([0.03, 0.12,  nan, 1.  ])
    """
    return _correct_tested(p, lambda tested: np.minimum(tested * len(tested), 1))


def _correct_tested(p: np.ndarray, correct: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Apply a correction to the p-values that are not NaN."""
    is_tested = ~np.isnan(p)
    corrected = np.full(len(p), np.nan)
    corrected[is_tested] = correct(np.asarray(p)[is_tested])
    return corrected
