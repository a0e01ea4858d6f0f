"""Is the shape of a tumour associated with its genomic subtype? Exact tests of every pair, with corrections."""

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
    from ..data import Cohort  # the tests of tables need no images, nor torch that comes with them

SMALL = 5  # patients below which a category is too small to stand for itself
COLUMNS = ["feature", "cluster", "n", "p_fisher", "p_kruskal", "epsilon_sq", "q_bh", "p_bonferroni", "small", "note"]


def cohort_features(cohort: "Cohort", progress: bool = True) -> pd.DataFrame:
    """`asd`, `mf` and `bevr` of every manual mask: float, indexed by patient, NaN where there is no tumour.

    >>> from types import SimpleNamespace  # stands for open_cohort()
    >>> volume = SimpleNamespace(mask=np.ones((1, 1, 1), bool))
    >>> cohort_features(SimpleNamespace(patients=["P1"], volume=lambda patient: volume), progress=False).round(3)
             asd   mf   bevr
    patient
    P1       0.0  0.0  0.368
    """
    bar = tqdm(cohort.patients, desc="Measuring shapes", unit="patient", disable=not progress)
    rows = [shape_features(cohort.volume(patient).mask) for patient in bar]
    return pd.DataFrame(rows, index=pd.Index(cohort.patients, name="patient"), columns=["asd", "mf", "bevr"])


def association_table(features: pd.DataFrame, clusters: pd.DataFrame) -> pd.DataFrame:
    """Every column of `features` tested against every column of `clusters`, one row per pair.

    Both are indexed by patient; a pair uses the patients that have both values. Features are finite numbers;
    categories may be integers, floats ("1.0") or words. Columns of the result:

    feature, cluster, n    the pair, and its patients
    p_fisher               exact Freeman-Halton test, feature above against not above the pair's median
    p_kruskal, epsilon_sq  Kruskal-Wallis test, and its effect size H / (n - 1): 0 none, 1 full
    q_bh, p_bonferroni     p_fisher corrected over the rows of this table: false discovery rate (Benjamini and
                           Hochberg 1995), family-wise error
    small                  categories with fewer than five patients, as "4 (n=3)"; they are tested all the same,
                           but no single one of them supports a claim
    note                   why p_fisher is NaN, if it is: fewer than two categories, a feature with one value only,
                           or categories so many and large that the exact test would not end

    A pair without p_fisher does not count in the corrections. LggError for duplicate patients or columns, no patient
    in common, no column, and features that are words or infinite.

    >>> patients = [f"P{i}" for i in range(8)]
    >>> features = pd.DataFrame({"bevr": [0.2, 0.3, 0.25, 0.3, 0.5, 0.6, 0.55, 0.4]}, index=patients)
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
    table = pd.DataFrame([{"feature": f, "cluster": c, **compare(features[f], codes[c])}
                          for f in features for c in codes])
    p = table.p_fisher.to_numpy()
    return table.assign(q_bh=benjamini_hochberg(p), p_bonferroni=bonferroni(p))[COLUMNS]


def aligned(features: pd.DataFrame, clusters: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features as floats and clusters as text codes (None where missing), for the patients in both.

    >>> values, codes = aligned(pd.DataFrame({"mf": [1, 2]}, ["P1", "P2"]), pd.DataFrame({"RNA": [3.0]}, ["P2"]))
    >>> values.mf.to_dict(), codes.RNA.to_dict()
    ({'P2': 2.0}, {'P2': '3'})
    """
    for name, frame in {"features": features, "clusters": clusters}.items():
        _check_frame(name, frame)
    shared = features.index.intersection(clusters.index)
    if len(shared) == 0:
        raise LggError("features and clusters have no patient in common; index both by ids such as TCGA_CS_4941")
    try:
        values = features.loc[shared].astype("Float64").astype(float)
    except (TypeError, ValueError) as error:
        raise LggError(f"features must be numbers, one column each: {error}") from error
    infinite = np.argwhere(np.isinf(values.to_numpy()))
    if len(infinite):
        row, column = infinite[0]
        raise LggError(f"feature {values.columns[column]} of patient {shared[row]} is infinite; "
                       "give a finite number, or NaN where nothing was measured")
    return values, clusters.loc[shared].apply(category_codes)


def _check_frame(name: str, frame: pd.DataFrame) -> None:
    if not isinstance(frame, pd.DataFrame) or frame.shape[1] == 0:
        raise LggError(f"{name} must be a DataFrame with at least one column and a row per patient")
    for kind, labels in {"patient": frame.index, "column": frame.columns}.items():
        if labels.has_duplicates:
            raise LggError(f"{name} has {kind} {labels[labels.duplicated()][0]} more than once; keep one of each")


def category_codes(column: pd.Series) -> pd.Series:
    """Categories as text, so that 1, 1.0 and "1.0" are the same one; None where missing or blank.

    LggError for an infinite number, which no category can be.

    >>> category_codes(pd.Series([1.0, "1", " R2 ", None, ""])).tolist()
    ['1', '1', 'R2', None, None]
    """
    def code(value: object) -> str | None:
        text = "" if pd.isna(value) else str(value).strip()
        if text.lower().lstrip("+-") in ("inf", "infinity"):
            raise LggError(f"category {text} of {column.name} is no category; leave it blank where it is unknown")
        return text.removesuffix(".0") or None
    return pd.Series([code(value) for value in column], index=column.index, dtype=object)


def compare(values: pd.Series, codes: pd.Series) -> dict[str, object]:
    """One row of the association table, without the corrections.

    `values` are floats, `codes` text from `category_codes`, of the same patients.

    >>> row = compare(pd.Series([1.0, 2, 3, 4, np.nan]), pd.Series(["a", "a", "b", "b", "b"]))
    >>> row["n"], round(row["p_fisher"], 3), row["note"]
    (4, 0.333, '')
    """
    known = values.notna() & codes.notna()
    x, (group, names) = values[known].to_numpy(), pd.factorize(codes[known], sort=True)
    sizes = np.bincount(group, minlength=len(names))
    small = ", ".join(f"{name} (n={size})" for name, size in zip(names, sizes) if size < SMALL)
    row = {"n": len(x), "p_fisher": np.nan, "p_kruskal": np.nan, "epsilon_sq": np.nan, "small": small,
           "note": untestable(x, group)}
    if not row["note"]:
        h, p = scipy.stats.kruskal(*[x[group == g] for g in range(len(names))])
        row |= {"p_kruskal": p, "epsilon_sq": h / (len(x) - 1)}
        try:
            row["p_fisher"] = freeman_halton(median_split(x, group))
        except LggError as error:  # too many tables: the other pairs can be tested all the same
            row["note"] = str(error)
    return row


def untestable(x: np.ndarray, group: np.ndarray) -> str:
    """Why features `x` (n,) cannot be tested against groups (n,) numbered from 0; "" where they can.

    >>> untestable(np.array([1.0, 2.0]), np.array([0, 1])), untestable(np.array([1.0, 1.0]), np.array([0, 1]))
    ('', 'the feature has one value only')
    """
    if len(np.unique(group)) < 2:
        return "fewer than two categories"
    return "" if np.ptp(x) > 0 else "the feature has one value only"


def median_split(x: np.ndarray, group: np.ndarray) -> np.ndarray:
    """2 x k counts: patients not above, and above, the median of `x` (n,), per `group` (n,) numbered from 0.

    >>> median_split(np.array([1.0, 2, 3, 4, 5]), np.array([0, 0, 1, 1, 1]))
    array([[2, 1],
           [0, 2]])
    """
    high = x > np.median(x)
    return np.stack([np.bincount(group[~high], minlength=group.max() + 1),
                     np.bincount(group[high], minlength=group.max() + 1)])
