"""How often would chance alone find an association? The same tests, with the patients' shapes dealt out at random."""

import numpy as np
import pandas as pd

from ..errors import LggError
from .association import aligned, median_split, untestable
from .corrections import benjamini_hochberg, bonferroni
from .fisher import exact_p_values


def permuted_p_values(features: pd.DataFrame, clusters: pd.DataFrame, permutations: int = 1000,
                      seed: int = 0) -> pd.DataFrame:
    """`p_fisher` of every pair when patients' shapes are dealt out at random: one row per permutation.

    Whole patients are shuffled, so features stay tied to each other and so do clusters; only
    the link between the two is cut. Whatever then looks significant is a false positive. Columns are the pairs
    (feature, cluster); NaN where `association_table` could not test the pair. Arguments and errors as there.

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
    groups = {c: pd.factorize(codes[c])[0] for c in codes}
    found = {(f, c): _shuffled(features[f].to_numpy(), group, orders) for f in features for c, group in groups.items()}
    return pd.DataFrame(found).rename_axis(columns=["feature", "cluster"])


def _shuffled(values: np.ndarray, group: np.ndarray, orders: list[np.ndarray]) -> np.ndarray:
    """p of each order of the patients' values (n,) against groups (n,), which are -1 where missing."""
    p, tables = np.full(len(orders), np.nan), {}
    for i, order in enumerate(orders):
        x = values[order]
        known = ~np.isnan(x) & (group >= 0)
        if not untestable(x[known], group[known]):
            tables[i] = median_split(x[known], group[known])
    try:
        p[list(tables)] = exact_p_values(tables.values())
    except LggError:  # too many tables, as `association_table` notes it: this pair stays NaN
        pass
    return p


def false_positive_rates(p_values: pd.DataFrame, alpha: float = 0.05) -> dict[str, float]:
    """Shares of false positives in what `permuted_p_values` returns, at level `alpha`, 0..1.

    "per test": of all tests; "any raw", "any q_bh", "any p_bonferroni": of all tables, those with
    at least one, without and with correction. LggError when there is no test.

    >>> p_values = pd.DataFrame([[0.01, 0.5], [0.04, 0.6]])  # two permutations of two pairs
    >>> false_positive_rates(p_values)
    {'per test': 0.5, 'any raw': 1.0, 'any q_bh': 0.5, 'any p_bonferroni': 0.5}
    """
    tables = p_values.to_numpy(float)
    if np.isnan(tables).all():
        raise LggError("none of the permuted pairs could be tested; association_table notes why")

    def any_below(correct) -> float:
        return float(np.mean([(correct(table) < alpha).any() for table in tables]))
    return {"per test": float((tables[~np.isnan(tables)] < alpha).mean()), "any raw": any_below(lambda p: p),
            "any q_bh": any_below(benjamini_hochberg), "any p_bonferroni": any_below(bonferroni)}
