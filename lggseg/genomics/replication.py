"""Does a finding about shape and genes hold for outlines that a network drew?

`verdict` is the rule. It looks at the size of the effect alone: more patients make the answer more
certain, and do not change it.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy

from ..errors import LggError
from .association import association_table, category_codes
from .effect_size import Auc, auc

# Feature, cluster, and the bound on p that Buda, Saha and Mazurowski 2019 print.
CLAIMS = {
    ("bevr", "RNASeqCluster"): 0.0002,
    ("mf", "RNASeqCluster"): 0.005,
    ("asd", "RNASeqCluster"): 0.02,
    ("bevr", "MethylationCluster"): 0.02,
    ("bevr", "miRNACluster"): 0.02,
    ("bevr", "CNCluster"): 0.02,
    ("bevr", "COCCluster"): 0.02,
}

# The rule: how much of the lead over chance has to be kept for either word.
REPLICATED = 0.75
WEAKENED = 0.25


class Replication(NamedTuple):
    """What became of the finding when predicted outlines took the place of manual ones.

    Attributes
    ----------
    agreement : DataFrame
        Per feature: n, correlation r of predicted with manual values, and the ends low and high of
        its 95 % interval.
    claims : DataFrame
        Per pair of CLAIMS: the paper's bound, p by manual and by predicted outlines, and whether
        the claim holds for either.
    area : dict
        For "manual" and "predicted": the AUC of 1/BEVR for RNASeq cluster R2.
    bonferroni : dict
        For the same two: p of BEVR with RNASeq, corrected over all pairs.
    kept : KeptLead
        How much of the manual outlines' lead over chance the predicted ones keep.
    """

    agreement: pd.DataFrame
    claims: pd.DataFrame
    area: dict[str, Auc]
    bonferroni: dict[str, float]
    kept: "KeptLead"

    @property
    def verdict(self) -> str:
        """The outcome of the rule for the predicted outlines, as `verdict` gives it."""
        return verdict(self.kept.value)


class KeptLead(NamedTuple):
    """How much of the manual outlines' lead over chance the predicted ones keep.

    Attributes
    ----------
    value : float
        (AUC predicted - 0.5) / (AUC manual - 0.5): 1 all of it, 0 nothing, NaN where manual
        outlines have none.
    low, high : float
        The ends of its 95 % interval, by drawing the patients again, the same for both.
    same_word : float
        Fraction of the draws in which `verdict` says the same.
    """

    value: float
    low: float
    high: float
    same_word: float


def verdict(kept: float) -> str:
    """Apply the rule: how much of the lead over chance is kept?

    Parameters
    ----------
    kept : float
        As `kept_lead` gives it.

    Returns
    -------
    str
        "replicated" from 3/4, "weakened" from 1/4, else "not replicated"; "nothing to replicate"
        for NaN.

    Examples
    --------
    >>> verdict(0.8), verdict(0.5), verdict(-0.2)
    ('replicated', 'weakened', 'not replicated')
    """
    if np.isnan(kept):
        return "nothing to replicate"
    if kept >= REPLICATED:
        return "replicated"
    if kept >= WEAKENED:
        return "weakened"
    return "not replicated"


def kept_lead(
    manual: pd.Series,
    predicted: pd.Series,
    is_r2: pd.Series,
    resamples: int = 2000,
    seed: int = 0,
) -> KeptLead:
    """How much of the lead over chance in telling R2 by 1/BEVR predicted outlines keep.

    Parameters
    ----------
    manual, predicted : Series
        BEVR of the same patients. Those who miss either are left out.
    is_r2 : Series of bool
        Whether the patient's RNASeq cluster is R2.
    resamples : int
        Number of bootstrap samples.
    seed : int
        Of the random numbers.

    Returns
    -------
    KeptLead

    Examples
    --------
    >>> bevr = pd.Series([0.1, 0.2, 0.3, 0.4])
    >>> is_r2 = pd.Series([True, True, False, False])
    >>> kept_lead(bevr, bevr, is_r2).value, kept_lead(bevr, 1 - bevr, is_r2).value
    (1.0, -1.0)
    """
    both = pd.DataFrame({"manual": manual, "predicted": predicted}).dropna()
    labels = is_r2[both.index].to_numpy(bool)
    if labels.all() or not labels.any():
        return KeptLead(np.nan, np.nan, np.nan, np.nan)
    pairs = []
    for name in both:
        bevr = both[name].to_numpy()
        r2 = bevr[labels][:, None]
        others = bevr[~labels][None]
        wins = (r2 < others) + 0.5 * (r2 == others)
        pairs.append(wins - 0.5)
    leads = np.stack(pairs)
    value = quotient(leads.mean(axis=(1, 2)))
    random = np.random.default_rng(seed)
    draws = []
    for _ in range(resamples):
        rows = random.integers(leads.shape[1], size=leads.shape[1])
        columns = random.integers(leads.shape[2], size=leads.shape[2])
        draws.append(quotient(leads[:, rows][:, :, columns].mean(axis=(1, 2))))
    word = verdict(value)
    same = [verdict(draw) == word for draw in draws]
    if np.isnan(draws).all():
        return KeptLead(value, np.nan, np.nan, float(np.mean(same)))
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return KeptLead(value, float(low), float(high), float(np.mean(same)))


def quotient(leads: np.ndarray) -> float:
    """Lead of the predicted outlines over that of the manual ones; NaN where those have none."""
    manual, predicted = leads
    if manual <= 0:
        return np.nan
    return float(predicted / manual)


def replication(
    manual: pd.DataFrame, predicted: pd.DataFrame, clusters: pd.DataFrame
) -> Replication:
    """Compare manual and predicted outlines with each other, and both with the clusters.

    Parameters
    ----------
    manual, predicted : DataFrame
        asd, mf and bevr of the same patients, indexed by patient. A patient for whom the network
        found nothing (NaN) is left out wherever predicted values are used.
    clusters : DataFrame
        The genomic columns of data.csv, indexed by patient.

    Returns
    -------
    Replication

    Raises
    ------
    LggError
        If the two are not of the same patients, or a column that CLAIMS names is missing.
    """
    if set(manual.index) != set(predicted.index):
        raise LggError(
            "manual and predicted features are not of the same patients; give both for each"
        )
    needed = {cluster for _, cluster in CLAIMS}
    missing = sorted(needed - set(clusters))
    if missing:
        raise LggError(
            f"clusters lack the column {missing[0]}; give those of the data set's data.csv"
        )
    sources = {"manual": manual, "predicted": predicted.loc[manual.index]}
    tables = {}
    for name, features in sources.items():
        table = association_table(features, clusters)
        tables[name] = table.set_index(["feature", "cluster"])
    subtype = category_codes(clusters["RNASeqCluster"]).reindex(manual.index).dropna()
    area = {}
    bonferroni = {}
    for name, features in sources.items():
        area[name] = auc(1 / features.bevr[subtype.index], subtype == "2")
        bonferroni[name] = float(tables[name].p_bonferroni["bevr", "RNASeqCluster"])
    kept = kept_lead(
        manual.bevr[subtype.index], sources["predicted"].bevr[subtype.index], subtype == "2"
    )
    return Replication(
        agreement_table(manual, sources["predicted"]), claims_table(tables), area, bonferroni, kept
    )


def agreement_table(manual: pd.DataFrame, predicted: pd.DataFrame) -> pd.DataFrame:
    """One row per feature: what `correlation` says of manual and predicted values."""
    columns = {name: correlation(manual[name], predicted[name]) for name in manual}
    return pd.DataFrame(columns).T


def claims_table(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per claim of the paper: its bound, p from each table, and whether the claim holds."""
    claims = pd.DataFrame({"paper": CLAIMS})
    for name, table in tables.items():
        claims[name] = table.p_fisher
    claims = claims.loc[list(CLAIMS)]
    for name in tables:
        claims[f"{name}_holds"] = claims[name] < claims.paper
    return claims.rename_axis(["feature", "cluster"])


def correlation(a: pd.Series, b: pd.Series) -> dict[str, float]:
    """Pearson's correlation of two columns of the same patients.

    Parameters
    ----------
    a, b : Series
        Numbers, indexed by patient; patients who miss either are left out.

    Returns
    -------
    dict
        n, the number of patients; r; low and high, the ends of its 95 % interval (Fisher's z). All
        but n are NaN for fewer than two patients, or where a column is constant.

    Examples
    --------
    >>> column = pd.Series([1.0, 2, 3, 4, None])
    >>> {name: round(float(value), 2) for name, value in correlation(column, column**2).items()}
    {'n': 4.0, 'r': 0.98, 'low': 0.38, 'high': 1.0}
    """
    both = pd.concat([a, b], axis=1).dropna().to_numpy()
    if len(both) < 2 or not np.ptp(both, axis=0).all():
        return {"n": len(both), "r": np.nan, "low": np.nan, "high": np.nan}
    result = scipy.stats.pearsonr(both[:, 0], both[:, 1])
    low, high = result.confidence_interval()
    return {"n": len(both), "r": result.statistic, "low": low, "high": high}
