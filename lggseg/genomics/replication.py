"""Does a finding about shape and genes hold for outlines that a network drew?

The rule was fixed before anybody looked at the outcome.
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
    """

    agreement: pd.DataFrame
    claims: pd.DataFrame
    area: dict[str, Auc]
    bonferroni: dict[str, float]

    @property
    def verdict(self) -> str:
        """The outcome of the rule for the predicted outlines, as `verdict` gives it."""
        return verdict(self.bonferroni["predicted"], self.area["predicted"].low)


def verdict(p_bonferroni: float, auc_low: float) -> str:
    """Apply the rule: is BEVR linked to RNASeq, and does it tell R2 from the rest?

    Parameters
    ----------
    p_bonferroni : float
        p of BEVR with RNASeq after Bonferroni's correction; below 0.05 counts as linked.
    auc_low : float
        Lower end of the interval of the AUC; above 0.5 counts as telling them apart.

    Returns
    -------
    str
        "replicated" if both hold, "weakened" if one does, else "not replicated".

    Examples
    --------
    >>> verdict(0.01, 0.7), verdict(0.2, 0.7), verdict(0.2, 0.4)
    ('replicated', 'weakened', 'not replicated')
    """
    significant = p_bonferroni < 0.05
    discriminates = auc_low > 0.5
    if significant and discriminates:
        return "replicated"
    if significant or discriminates:
        return "weakened"
    return "not replicated"


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
    return Replication(
        agreement_table(manual, sources["predicted"]), claims_table(tables), area, bonferroni
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
