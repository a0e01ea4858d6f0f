"""Is the shape of a tumour associated with its genomic subtype? Exact tests, corrections, effect sizes.

`python -m lggseg.genomics` measures a cohort's manual masks and prints the table of the 2019 paper.
"""

import argparse
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import gammaln, logsumexp
from statsmodels.stats.multitest import multipletests
from tqdm.auto import tqdm

from .data import Cohort, open_cohort, read_clinical
from .errors import LggError
from .shape import shape_features

SMALL = 5  # patients below which a category is too small to stand for itself
MOST_TABLES = 20_000_000  # beyond this an exact enumeration needs gigabytes


def cohort_features(cohort: Cohort, progress: bool = True) -> pd.DataFrame:
    """`asd`, `mf` and `bevr` of every manual mask: float, indexed by patient, NaN where there is no tumour."""
    bar = tqdm(cohort.patients, desc="Measuring shapes", unit="patient", disable=not progress)
    rows = [shape_features(cohort.volume(patient).mask) for patient in bar]
    return pd.DataFrame(rows, index=pd.Index(cohort.patients, name="patient"))


def association_table(features: pd.DataFrame, clusters: pd.DataFrame) -> pd.DataFrame:
    """Every column of `features` tested against every column of `clusters`, one row per pair.

    Both are indexed by patient; a pair uses the patients that have both values. Features are numeric;
    categories may be integers, floats ("1.0") or words. Columns of the result:

    feature, cluster, n    the pair, and its patients
    p_fisher               exact Freeman-Halton test, feature above against not above the pair's median
    p_kruskal, epsilon_sq  Kruskal-Wallis test, and its effect size H / (n - 1): 0 none, 1 full
    q_bh, p_bonferroni     p_fisher corrected over the rows of this table: false discovery rate, family-wise
    small                  categories with fewer than five patients, as "4 (n=3)"; they are tested all the same,
                           but no single one of them supports a claim

    A pair with fewer than two categories, or a constant feature, cannot be tested: its values are NaN
    and it does not count in the corrections. LggError for duplicate patients, none in common, or words
    as features.
    """
    features, codes = aligned(features, clusters)
    rows = [{"feature": f, "cluster": c, **compare(features[f], codes[c])} for f in features for c in codes]
    table = pd.DataFrame(rows)
    tested = table.p_fisher.notna()
    for column, method in {"q_bh": "fdr_bh", "p_bonferroni": "bonferroni"}.items():
        table[column] = np.nan
        if tested.any():
            table.loc[tested, column] = multipletests(table.p_fisher[tested], method=method)[1]
    return table[["feature", "cluster", "n", "p_fisher", "p_kruskal", "epsilon_sq", "q_bh", "p_bonferroni", "small"]]


def aligned(features: pd.DataFrame, clusters: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features as floats and clusters as text codes (None where missing), for the patients in both."""
    for name, frame in {"features": features, "clusters": clusters}.items():
        if frame.index.has_duplicates:
            twice = frame.index[frame.index.duplicated()][0]
            raise LggError(f"{name} has patient {twice} more than once; give each patient one row")
    shared = features.index.intersection(clusters.index)
    if len(shared) == 0:
        raise LggError("features and clusters have no patient in common; index both by ids such as TCGA_CS_4941")
    try:
        values = features.loc[shared].astype("Float64").astype(float)
    except (TypeError, ValueError) as error:
        raise LggError(f"features must be numbers, one column each: {error}") from error
    return values, clusters.loc[shared].apply(category_codes)


def category_codes(column: pd.Series) -> pd.Series:
    """Categories as text, so that 1, 1.0 and "1.0" are the same one; None where missing or blank."""
    def code(value: object) -> str | None:
        text = "" if pd.isna(value) else str(value).strip()
        return text.removesuffix(".0") or None
    return pd.Series([code(value) for value in column], index=column.index, dtype=object)


def compare(values: pd.Series, codes: pd.Series) -> dict[str, object]:
    """One row of the association table, without the corrections."""
    known = values.notna() & codes.notna()
    x, (group, names) = values[known].to_numpy(), pd.factorize(codes[known], sort=True)
    sizes = np.bincount(group, minlength=len(names))
    small = ", ".join(f"{name} (n={size})" for name, size in zip(names, sizes) if size < SMALL)
    row = {"n": len(x), "p_fisher": np.nan, "p_kruskal": np.nan, "epsilon_sq": np.nan, "small": small}
    if len(names) >= 2 and np.ptp(x) > 0:
        h, p = stats.kruskal(*[x[group == g] for g in range(len(names))])
        row |= {"p_fisher": freeman_halton(median_split(x, group)), "p_kruskal": p, "epsilon_sq": h / (len(x) - 1)}
    return row


def median_split(x: np.ndarray, group: np.ndarray) -> np.ndarray:
    """2 x k counts: patients not above, and above, the median of `x` (n,), per `group` (n,) numbered from 0."""
    high = x > np.median(x)
    return np.stack([np.bincount(group[~high], minlength=group.max() + 1),
                     np.bincount(group[high], minlength=group.max() + 1)])


def freeman_halton(table: np.ndarray) -> float:
    """Exact p of Fisher's test for a 2 x k table of counts (Freeman and Halton 1951).

    The chance, all margins kept, of a table no more likely than the one seen. Every table is
    enumerated, so the value repeats to the last digit.
    """
    table = np.asarray(table)
    if table.ndim != 2 or table.shape[0] != 2 or table.min() < 0 or table.sum() == 0:
        raise LggError(f"table is {table.shape}; it must be 2 x k counts, none negative, not all 0")
    columns = table.sum(axis=0)
    seen = log_choose(columns, table[1]).sum() - log_choose(table.sum(), table[1].sum())
    probable, cumulated = exact_null(tuple(np.sort(columns).tolist()), int(table[1].sum()))
    place = np.searchsorted(probable, seen + 1e-7, side="right")  # 1e-7: equals stay equal despite rounding
    return float(min(cumulated[place - 1], 1.0))


@lru_cache(maxsize=256)
def exact_null(columns: tuple[int, ...], high: int) -> tuple[np.ndarray, np.ndarray]:
    """Every 2 x k table with column sums `columns` and `high` in the second row: (rising log p, cumulated p).

    Column by column, partial tables that cannot reach `high` any more are dropped.
    """
    sums, log_p, rest = np.zeros(1, int), np.zeros(1), sum(columns)
    for size in columns:
        rest -= size
        take = np.arange(size + 1)
        if len(sums) * len(take) > MOST_TABLES:
            raise LggError(f"categories of {columns} patients give too many tables to enumerate; merge small ones")
        sums, log_p = np.add.outer(sums, take), np.add.outer(log_p, log_choose(size, take))
        possible = (sums <= high) & (sums + rest >= high)
        sums, log_p = sums[possible], log_p[possible]
    log_p = np.sort(log_p) - logsumexp(log_p)
    return log_p, np.exp(log_p).cumsum()


def log_choose(n: np.ndarray | int, k: np.ndarray | int) -> np.ndarray:
    """Natural logarithm of "n choose k"."""
    return gammaln(np.add(n, 1)) - gammaln(np.add(k, 1)) - gammaln(np.subtract(n, k) + 1)


def cramers_v(a: pd.Series, b: pd.Series) -> float:
    """Bias-corrected Cramer's V of two categorical columns (Bergsma 2013): 0 unrelated, 1 one gives the other.

    Patients missing either are left out; NaN where a column has a single category.
    """
    table = pd.crosstab(category_codes(a), category_codes(b)).to_numpy()
    n, (rows, columns) = table.sum(), table.shape
    if min(table.shape, default=0) < 2:
        return np.nan
    phi_sq = stats.chi2_contingency(table, correction=False).statistic / n
    phi_sq = max(0.0, phi_sq - (rows - 1) * (columns - 1) / (n - 1))  # what chance alone gives is taken off
    least = min(side - (side - 1) ** 2 / (n - 1) for side in (rows, columns))
    return float(np.sqrt(phi_sq / (least - 1)))


class Auc(NamedTuple):
    """Area under the ROC curve, and the ends of its bootstrap interval."""

    value: float
    low: float
    high: float


def auc(scores: Sequence[float], labels: Sequence[bool], resamples: int = 2000, level: float = 0.95,
        seed: int = 0) -> Auc:
    """Chance that a positive scores above a negative (ties half), with a percentile bootstrap interval.

    Positives and negatives are resampled separately, so no resample lacks either. NaN scores, and
    missing labels, are left out. LggError when no positive or no negative remains.
    """
    scores, labels = pd.Series(scores, dtype=float).to_numpy(), pd.Series(labels).astype("boolean")
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


def permuted_p_values(features: pd.DataFrame, clusters: pd.DataFrame, permutations: int = 1000,
                      seed: int = 0) -> pd.DataFrame:
    """`p_fisher` of every pair when patients' shapes are dealt out at random: one row per permutation.

    Whole patients are shuffled, so features stay tied to each other and so do clusters; only
    the link between the two is cut. Whatever then looks significant is a false positive.
    """
    features, codes = aligned(features, clusters)
    pairs = [(f, c) for f in features for c in codes]
    found, rng = np.full((permutations, len(pairs)), np.nan), np.random.default_rng(seed)
    orders = [rng.permutation(len(features)) for _ in range(permutations)]
    for j, (f, c) in enumerate(pairs):
        values, (group, _) = features[f].to_numpy(), pd.factorize(codes[c])
        for i, order in enumerate(orders):
            x = values[order]
            known = ~np.isnan(x) & (group >= 0)
            found[i, j] = freeman_halton(median_split(x[known], group[known]))
    return pd.DataFrame(found, columns=pd.MultiIndex.from_tuples(pairs, names=["feature", "cluster"]))


def false_positive_rates(p_values: pd.DataFrame, alpha: float = 0.05) -> dict[str, float]:
    """Shares of false positives in what `permuted_p_values` returns, at level `alpha`.

    "per test": of all tests; "any raw", "any q_bh", "any p_bonferroni": of all tables, those with
    at least one, without and with correction.
    """
    def any_corrected(method: str) -> float:
        return float(np.mean([multipletests(row, alpha, method)[0].any() for row in p_values.to_numpy()]))
    return {"per test": float((p_values < alpha).to_numpy().mean()),
            "any raw": float((p_values < alpha).any(axis=1).mean()),
            "any q_bh": any_corrected("fdr_bh"), "any p_bonferroni": any_corrected("bonferroni")}


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m lggseg.genomics`: the paper's table from a cohort's masks, or from a CSV of features."""
    options = parse(arguments)
    if options.features is None:
        cohort = open_cohort(options.cohort)
        label, features, clusters = cohort.label, cohort_features(cohort), cohort.clusters
    else:
        label, features = str(options.features), read_features(options.features)
        clusters = read_clinical(options.clusters)[1] if options.clusters else open_cohort(options.cohort).clusters
    table = association_table(features, clusters)
    print(f"{label}: {features.bevr.notna().sum()} tumours")
    print(f"medians: {', '.join(f'{name} {value:.3f}' for name, value in features.median().items())}\n")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.2g}"))
    print("\nsmall: categories with fewer than five patients; tested, but none of them supports a claim alone")
    report_r2(features, clusters)
    if options.permutations:
        rates = false_positive_rates(permuted_p_values(features, clusters, options.permutations))
        print(f"{options.permutations} permutations, false positives at 0.05:",
              ", ".join(f"{name} {rate:.3f}" for name, rate in rates.items()))
    for frame, path in ((table.set_index("feature"), options.out), (features, options.save_features)):
        if path:
            frame.to_csv(path)
            print("written:", path)


def report_r2(features: pd.DataFrame, clusters: pd.DataFrame) -> None:
    """Print the paper's AUC: 1/BEVR for RNASeq cluster R2 against the rest."""
    both = features.join(clusters["RNASeqCluster"], how="inner").dropna(subset=["bevr", "RNASeqCluster"])
    value, low, high = auc(1 / both.bevr, category_codes(both.RNASeqCluster) == "2")
    print(f"AUC of 1/BEVR for R2 against the rest: {value:.2f} (95 % interval {low:.2f} to {high:.2f}, n {len(both)})")


def read_features(path: str) -> pd.DataFrame:
    """`asd`, `mf` and `bevr` from a CSV with these columns and `patient`."""
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise LggError(f"{path} cannot be read as CSV: {error}") from error
    missing = {"patient", "asd", "mf", "bevr"} - set(frame.columns)
    if missing:
        raise LggError(f"{path} lacks the columns {sorted(missing)}; it needs patient, asd, mf and bevr")
    return frame.set_index("patient")[["asd", "mf", "bevr"]]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(prog="python -m lggseg.genomics", description=main.__doc__)
    parser.add_argument("--cohort", metavar="DIR", help="as open_cohort takes it; else $LGGSEG_DATA and so on")
    parser.add_argument("--features", metavar="CSV", help="columns patient, asd, mf, bevr, instead of measuring masks")
    parser.add_argument("--clusters", metavar="CSV", help="data.csv for --features; else the cohort's")
    parser.add_argument("--permutations", type=int, default=1000, help="for the false-positive check; 0 skips it")
    parser.add_argument("--out", metavar="CSV", help="write the table")
    parser.add_argument("--save-features", metavar="CSV", help="write the features")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        main()
    except LggError as error:
        raise SystemExit(f"Error: {error}") from None
