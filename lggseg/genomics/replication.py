"""Does a finding about shape and genes hold for outlines that a network drew? The rule, fixed before anybody looks."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy

from ..errors import LggError
from .association import association_table, category_codes
from .effect_size import Auc, auc

# Feature, cluster, and the bound on p that the paper prints (Buda, Saha and Mazurowski 2019).
CLAIMS = {("bevr", "RNASeqCluster"): 0.0002, ("mf", "RNASeqCluster"): 0.005, ("asd", "RNASeqCluster"): 0.02,
          ("bevr", "MethylationCluster"): 0.02, ("bevr", "miRNACluster"): 0.02, ("bevr", "CNCluster"): 0.02,
          ("bevr", "COCCluster"): 0.02}


class Replication(NamedTuple):
    """What became of a finding when predicted outlines took the place of manual ones."""

    agreement: pd.DataFrame  # per feature: n, r of predicted with manual, and the ends low, high of its 95 % interval
    claims: pd.DataFrame  # per pair of CLAIMS: n, paper's bound, p of manual and predicted, and whether each holds
    area: dict[str, Auc]  # "manual" and "predicted": AUC of 1/BEVR for RNASeq cluster R2
    bonferroni: dict[str, float]  # the same two: p of BEVR with RNASeq, corrected over all pairs

    @property
    def verdict(self) -> str:
        """The rule's word for the predicted outlines."""
        return verdict(self.bonferroni["predicted"], self.area["predicted"].low)


def verdict(p_bonferroni: float, auc_low: float) -> str:
    """The rule: BEVR goes along with RNASeq at 0.05 after Bonferroni, and the AUC's interval lies above 0.5.

    >>> verdict(0.01, 0.7), verdict(0.2, 0.7), verdict(0.2, 0.4)
    ('replicated', 'weakened', 'not replicated')
    """
    return ("not replicated", "weakened", "replicated")[int(p_bonferroni < 0.05) + int(auc_low > 0.5)]


def replication(manual: pd.DataFrame, predicted: pd.DataFrame, clusters: pd.DataFrame) -> Replication:
    """Manual and predicted features (asd, mf, bevr) of the same patients, held against each other and the clusters.

    All are indexed by patient. Patients without a predicted shape (NaN) are left out of what speaks of predicted ones.
    LggError where the two are not of the same patients, or the clusters lack a column that CLAIMS names.
    """
    if set(manual.index) != set(predicted.index):
        raise LggError("manual and predicted features are not of the same patients; give both for each")
    if missing := sorted({cluster for _, cluster in CLAIMS} - set(clusters)):
        raise LggError(f"clusters lack the column {missing[0]}; give those of the data set's data.csv")
    sources = {"manual": manual, "predicted": predicted.loc[manual.index]}
    tables = {name: association_table(features, clusters).set_index(["feature", "cluster"])
              for name, features in sources.items()}
    claims = pd.DataFrame({"paper": CLAIMS} | {name: table.p_fisher for name, table in tables.items()}).loc[[*CLAIMS]]
    for name in sources:
        claims[f"{name}_holds"] = claims[name] < claims.paper
    subtype = category_codes(clusters["RNASeqCluster"]).reindex(manual.index).dropna()
    return Replication(
        pd.DataFrame({name: correlation(manual[name], predicted[name]) for name in manual}).T,
        claims.rename_axis(["feature", "cluster"]),
        {name: auc(1 / features.bevr[subtype.index], subtype == "2") for name, features in sources.items()},
        {name: float(table.p_bonferroni["bevr", "RNASeqCluster"]) for name, table in tables.items()})


def correlation(a: pd.Series, b: pd.Series) -> dict[str, float]:
    """Pearson's r of two columns of the same patients, its 95 % interval (Fisher's z), and the number n of pairs.

    NaN where there are less than two, or one column is constant.

    >>> column = pd.Series([1.0, 2, 3, 4, None])
    >>> {name: round(float(value), 2) for name, value in correlation(column, column**2).items()}
    {'n': 4.0, 'r': 0.98, 'low': 0.38, 'high': 1.0}
    """
    both = pd.concat([a, b], axis=1).dropna().to_numpy()
    if len(both) < 2 or not np.ptp(both, axis=0).all():
        return {"n": len(both), "r": np.nan, "low": np.nan, "high": np.nan}
    r = scipy.stats.pearsonr(*both.T)
    low, high = r.confidence_interval()
    return {"n": len(both), "r": r.statistic, "low": low, "high": high}
