"""How often would chance alone find an association?

The same tests, with the patients' shapes dealt out at random.
"""

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pandas as pd

from ..errors import LggError
from .association import aligned, median_split, untestable
from .corrections import benjamini_hochberg, bonferroni
from .fisher import exact_p_values


def permuted_p_values(
    features: pd.DataFrame, clusters: pd.DataFrame, permutations: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """p-values of every pair after the patients' shapes are dealt out at random.

    Whole patients are shuffled: features stay tied to each other, and so do clusters. Only the
    link between the two is cut, so whatever then looks significant is a false positive.

    Parameters
    ----------
    features, clusters : DataFrame
        As for `association_table`.
    permutations : int
        How often to shuffle, at least 1.
    seed : int
        Of the random numbers.

    Returns
    -------
    DataFrame
        One row per permutation, one column per pair (feature, cluster); NaN where
        `association_table` could not test the pair.

    Raises
    ------
    LggError
        As `association_table`, and for fewer permutations than 1.

    Examples
    --------
    >>> patients = [f"P{i}" for i in range(8)]
    >>> features = pd.DataFrame({"bevr": range(8)}, index=patients)
    >>> clusters = pd.DataFrame({"RNA": [1, 1, 1, 1, 2, 2, 2, 2]}, index=patients)
    >>> permuted_p_values(features, clusters, permutations=3).round(3)
    feature   bevr
    cluster    RNA
    0        1.000
    1        0.486
    2        0.486
    """
    if permutations < 1:
        raise LggError(f"permutations is {permutations}; give 1 or more")
    features, codes = aligned(features, clusters)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(features)) for _ in range(permutations)]
    found = {}
    for feature in features:
        values = features[feature].to_numpy()
        for cluster in codes:
            group, _ = pd.factorize(codes[cluster])
            found[feature, cluster] = _shuffled(values, group, orders)
    return pd.DataFrame(found).rename_axis(columns=["feature", "cluster"])


def _shuffled(values: np.ndarray, group: np.ndarray, orders: list[np.ndarray]) -> np.ndarray:
    """p for each order of the patients' values (n,) against their groups (n,), -1 where missing."""
    tables = {}
    for i, order in enumerate(orders):
        shuffled = values[order]
        known = ~np.isnan(shuffled) & (group >= 0)
        if not untestable(shuffled[known], group[known]):
            tables[i] = median_split(shuffled[known], group[known])
    p = np.full(len(orders), np.nan)
    with suppress(LggError):  # too many tables: `association_table` notes that; p stays NaN
        p[list(tables)] = exact_p_values(tables.values())
    return p


def false_positive_rates(p_values: pd.DataFrame, alpha: float = 0.05) -> dict[str, float]:
    """How often shuffled patients look associated.

    Parameters
    ----------
    p_values : DataFrame
        What `permuted_p_values` returns.
    alpha : float
        p below it counts as positive, 0 to 1.

    Returns
    -------
    dict
        "per test", the fraction of tests that are positive; "any raw", "any q_bh" and
        "any p_bonferroni", the fraction of permutations with at least one positive test, without
        and with either correction.

    Raises
    ------
    LggError
        If there is no test.

    Examples
    --------
    >>> p_values = pd.DataFrame([[0.01, 0.5], [0.04, 0.6]])  # two permutations of two pairs
    >>> false_positive_rates(p_values)
    {'per test': 0.5, 'any raw': 1.0, 'any q_bh': 0.5, 'any p_bonferroni': 0.5}
    """
    tables = p_values.to_numpy(float)
    tested = tables[~np.isnan(tables)]
    if tested.size == 0:
        raise LggError("none of the permuted pairs could be tested; association_table notes why")

    def any_positive(correct: Callable[[np.ndarray], np.ndarray]) -> float:
        return float(np.mean([(correct(table) < alpha).any() for table in tables]))

    return {
        "per test": float((tested < alpha).mean()),
        "any raw": any_positive(lambda p: p),
        "any q_bh": any_positive(benjamini_hochberg),
        "any p_bonferroni": any_positive(bonferroni),
    }
