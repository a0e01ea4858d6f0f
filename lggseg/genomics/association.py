"""Is the shape of a tumour associated with its genomic subtype? Tests of every pair."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy
from tqdm.auto import tqdm

from ..errors import LggError
from ..measures.shape import shape_features
from .corrections import benjamini_hochberg, bonferroni
from .fisher import freeman_halton

if TYPE_CHECKING:
    # The tests of tables need no images, nor PyTorch that comes with them.
    from ..data import Cohort

SMALL = 5  # a category with fewer patients supports no claim alone
FEATURES = ["asd", "mf", "bevr"]
COLUMNS = [
    "feature",
    "cluster",
    "n",
    "p_fisher",
    "p_kruskal",
    "epsilon_sq",
    "q_bh",
    "p_bonferroni",
    "small",
    "note",
]


def cohort_features(cohort: "Cohort", progress: bool = True) -> pd.DataFrame:
    """Measure the shape of every manual mask of a cohort.

    Parameters
    ----------
    cohort : Cohort
        As `open_cohort` returns it.
    progress : bool
        Show a progress bar.

    Returns
    -------
    DataFrame
        asd, mf and bevr, indexed by patient; NaN where there is no tumour.

    Examples
    --------
    >>> from types import SimpleNamespace  # stands for open_cohort()
    >>> volume = SimpleNamespace(mask=np.ones((1, 1, 1), bool))
    >>> cohort = SimpleNamespace(patients=["P1"], volume=lambda patient: volume)
    >>> cohort_features(cohort, progress=False).round(3)
             asd   mf   bevr
    patient
    P1       0.0  0.0  0.368
    """
    bar = tqdm(cohort.patients, desc="Measuring shapes", unit="patient", disable=not progress)
    rows = [shape_features(cohort.volume(patient).mask) for patient in bar]
    index = pd.Index(cohort.patients, name="patient")
    return pd.DataFrame(rows, index=index, columns=FEATURES)


def association_table(features: pd.DataFrame, clusters: pd.DataFrame) -> pd.DataFrame:
    """Test every column of `features` against every column of `clusters`.

    A pair uses the patients that have both values. A pair that cannot be tested does not count in
    the corrections.

    Parameters
    ----------
    features : DataFrame
        Finite numbers or NaN, indexed by patient.
    clusters : DataFrame
        Categories as integers, floats ("1.0") or words, indexed by patient.

    Returns
    -------
    DataFrame
        One row per pair, with the columns

        feature, cluster, n
            The pair, and its number of patients.
        p_fisher
            Exact test of Freeman and Halton: feature above against not above the pair's median.
        p_kruskal, epsilon_sq
            Test of Kruskal and Wallis, and its effect size H / (n - 1), 0 none to 1 full.
        q_bh, p_bonferroni
            p_fisher corrected over all rows, see `benjamini_hochberg` and `bonferroni`.
        small
            Categories with fewer than five patients, as "4 (n=3)". They are tested all the same,
            but none of them supports a claim alone.
        note
            Why p_fisher is NaN, if it is: fewer than two categories, a feature with one value
            only, or so many patients and categories that the exact test would not end.

    Raises
    ------
    LggError
        For a patient or column that is there twice, no patient in common, no column, and features
        that are words or infinite.

    Examples
    --------
    >>> patients = [f"P{i}" for i in range(8)]
    >>> bevr = [0.2, 0.3, 0.25, 0.3, 0.5, 0.6, 0.55, 0.4]
    >>> features = pd.DataFrame({"bevr": bevr}, index=patients)
    >>> clusters = pd.DataFrame({"RNA": [1, 1, 1, 1, 2, 2, 2, 2], "CN": [3] * 8}, index=patients)
    >>> table = association_table(features, clusters).set_index("cluster")
    >>> table[["n", "p_fisher", "p_kruskal", "epsilon_sq"]].round(3)
             n  p_fisher  p_kruskal  epsilon_sq
    cluster
    RNA      8     0.029       0.02       0.771
    CN       8       NaN        NaN         NaN
    >>> table.note["CN"], table.small["RNA"]
    ('fewer than two categories', '1 (n=4), 2 (n=4)')
    """
    features, codes = aligned(features, clusters)
    rows = []
    for feature in features:
        for cluster in codes:
            pair = {"feature": feature, "cluster": cluster}
            rows.append(pair | compare(features[feature], codes[cluster]))
    table = pd.DataFrame(rows)
    p = table.p_fisher.to_numpy()
    table["q_bh"] = benjamini_hochberg(p)
    table["p_bonferroni"] = bonferroni(p)
    return table[COLUMNS]


def aligned(features: pd.DataFrame, clusters: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Bring features and clusters into one form, for the patients that have both.

    Parameters
    ----------
    features, clusters : DataFrame
        As for `association_table`.

    Returns
    -------
    values : DataFrame
        The features as floats.
    codes : DataFrame
        The clusters as text, None where missing.

    Raises
    ------
    LggError
        As `association_table`.

    Examples
    --------
    >>> features = pd.DataFrame({"mf": [1, 2]}, ["P1", "P2"])
    >>> values, codes = aligned(features, pd.DataFrame({"RNA": [3.0]}, ["P2"]))
    >>> values.mf.to_dict(), codes.RNA.to_dict()
    ({'P2': 2.0}, {'P2': '3'})
    """
    _check_frame("features", features)
    _check_frame("clusters", clusters)
    shared = features.index.intersection(clusters.index)
    if len(shared) == 0:
        raise LggError(
            "features and clusters have no patient in common; index both by ids such as "
            "TCGA_CS_4941"
        )
    try:
        values = features.loc[shared].astype("Float64").astype(float)
    except (TypeError, ValueError) as error:
        raise LggError(f"features must be numbers, one column each: {error}") from error
    infinite = np.argwhere(np.isinf(values.to_numpy()))
    if len(infinite):
        row, column = infinite[0]
        raise LggError(
            f"feature {values.columns[column]} of patient {shared[row]} is infinite; "
            "give a finite number, or NaN where nothing was measured"
        )
    return values, clusters.loc[shared].apply(category_codes)


def _check_frame(name: str, frame: pd.DataFrame) -> None:
    """LggError unless this is a table in which no patient and no column is there twice."""
    if not isinstance(frame, pd.DataFrame) or frame.shape[1] == 0:
        raise LggError(f"{name} must be a DataFrame with at least one column and a row per patient")
    for kind, labels in {"patient": frame.index, "column": frame.columns}.items():
        if labels.has_duplicates:
            repeated = labels[labels.duplicated()][0]
            raise LggError(f"{name} has {kind} {repeated} more than once; keep one of each")


def category_codes(column: pd.Series) -> pd.Series:
    """Turn categories into text, so that 1, 1.0 and "1.0" are the same one.

    Parameters
    ----------
    column : Series
        Integers, floats or words.

    Returns
    -------
    Series
        Text, None where a value is missing or blank.

    Raises
    ------
    LggError
        For an infinite number.

    Examples
    --------
    >>> category_codes(pd.Series([1.0, "1", " R2 ", None, ""])).tolist()
    ['1', '1', 'R2', None, None]
    """
    codes: list[str | None] = []
    for value in column:
        text = ""
        if not pd.isna(value):
            text = str(value).strip()
        if text.lower().lstrip("+-") in ("inf", "infinity"):
            raise LggError(
                f"category {text} of {column.name} is no category; leave it blank where it is "
                "unknown"
            )
        codes.append(text.removesuffix(".0") or None)
    return pd.Series(codes, index=column.index, dtype=object)


def compare(values: pd.Series, codes: pd.Series) -> dict[str, object]:
    """Test one feature against one cluster.

    Parameters
    ----------
    values : Series
        The feature, float, indexed by patient.
    codes : Series
        The clusters of the same patients, as `category_codes` returns them.

    Returns
    -------
    dict
        A row of `association_table`, without the names and the corrections.

    Examples
    --------
    >>> row = compare(pd.Series([1.0, 2, 3, 4, np.nan]), pd.Series(["a", "a", "b", "b", "b"]))
    >>> row["n"], round(row["p_fisher"], 3), row["note"]
    (4, 0.333, '')
    """
    known = values.notna() & codes.notna()
    x = values[known].to_numpy()
    group, names = pd.factorize(codes[known], sort=True)
    sizes = np.bincount(group, minlength=len(names))
    small = [f"{name} (n={size})" for name, size in zip(names, sizes) if size < SMALL]
    row = {
        "n": len(x),
        "p_fisher": np.nan,
        "p_kruskal": np.nan,
        "epsilon_sq": np.nan,
        "small": ", ".join(small),
        "note": untestable(x, group),
    }
    if row["note"]:
        return row
    values_by_group = [x[group == number] for number in range(len(names))]
    h, row["p_kruskal"] = scipy.stats.kruskal(*values_by_group)
    row["epsilon_sq"] = h / (len(x) - 1)
    try:
        row["p_fisher"] = freeman_halton(median_split(x, group))
    except LggError as error:  # too many tables for the exact test; other pairs can be tested
        row["note"] = str(error)
    return row


def untestable(x: np.ndarray, group: np.ndarray) -> str:
    """Why a feature cannot be tested against groups.

    Parameters
    ----------
    x : float (n,)
        The feature of each patient.
    group : int (n,)
        The group of each patient, from 0.

    Returns
    -------
    str
        The reason; empty if it can be tested.

    Examples
    --------
    >>> group = np.array([0, 1])
    >>> untestable(np.array([1.0, 2.0]), group), untestable(np.array([1.0, 1.0]), group)
    ('', 'the feature has one value only')
    """
    if len(np.unique(group)) < 2:
        return "fewer than two categories"
    if np.ptp(x) == 0:
        return "the feature has one value only"
    return ""


def median_split(x: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Count patients not above, and above, the median of a feature, for each group.

    Parameters
    ----------
    x : float (n,)
        The feature of each patient.
    group : int (n,)
        The group of each patient, from 0.

    Returns
    -------
    int (2, groups)
        First row: not above the median; second row: above it.

    Examples
    --------
    >>> median_split(np.array([1.0, 2, 3, 4, 5]), np.array([0, 0, 1, 1, 1]))
    array([[2, 1],
           [0, 2]])
    """
    high = x > np.median(x)
    groups = group.max() + 1
    low_counts = np.bincount(group[~high], minlength=groups)
    high_counts = np.bincount(group[high], minlength=groups)
    return np.stack([low_counts, high_counts])
