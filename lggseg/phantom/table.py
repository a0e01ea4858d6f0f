"""data.csv and the patients in it: clusters that overlap, and the irregularity planted in one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ..errors import LggError
from .patient import SCANNERS, Patient

# The planted truth: irregularity of a tumour's margin by RNASeq cluster.
IRREGULARITY = {1: 0.45, 2: 0.9, 3: 0.15, 4: 0.25}
PLANTED = ("RNASeqCluster", "MethylationCluster", "miRNACluster", "CNCluster", "COCCluster")
COLUMNS = (
    "Patient",
    "RNASeqCluster",
    "MethylationCluster",
    "miRNACluster",
    "CNCluster",
    "RPPACluster",
    "OncosignCluster",
    "COCCluster",
    "histological_type",
    "neoplasm_histologic_grade",
    "tumor_tissue_site",
    "laterality",
    "tumor_location",
    "gender",
    "age_at_initial_pathologic",
    "race",
    "ethnicity",
    "death01",
)
CLINICAL = COLUMNS[8:]
MISSING = {  # fraction of patients without a value
    "RNASeqCluster": 0.16,
    "RPPACluster": 0.11,
    "ethnicity": 0.06,
    "OncosignCluster": 0.05,
    "CNCluster": 0.02,
    "race": 0.01,
    "MethylationCluster": 0.01,
}

# How often each code occurs, codes from 1; and how clusters overlap: for each code of one column,
# the probabilities of the codes of another.
RNASEQ = (0.27, 0.31, 0.13, 0.29)
COC_OF_RNASEQ = {
    1: (0.95, 0.0, 0.05),
    2: (0.15, 0.85, 0.0),
    3: (0.0, 0.0, 1.0),
    4: (0.6, 0.0, 0.4),
}
CN_OF_COC = {
    1: (1.0, 0.0, 0.0),
    2: (0.1, 0.9, 0.0),
    3: (0.0, 0.0, 1.0),
}
METHYLATION_OF_COC = {
    1: (0.04, 0.0, 0.3, 0.03, 0.63),
    2: (0.05, 0.0, 0.05, 0.9, 0.0),
    3: (0.0, 0.45, 0.55, 0.0, 0.0),
}
MIRNA_OF_RNASEQ = {
    1: (0.25, 0.75, 0.0, 0.0),
    2: (0.2, 0.15, 0.4, 0.25),
    3: (0.0, 1.0, 0.0, 0.0),
    4: (0.6, 0.4, 0.0, 0.0),
}
INDEPENDENT = {  # columns that depend on nothing
    "RPPACluster": (0.28, 0.31, 0.17, 0.24),
    "OncosignCluster": (0.28, 0.55, 0.17),
    "histological_type": (0.3, 0.27, 0.43),
    "neoplasm_histologic_grade": (0.47, 0.53),
    "laterality": (0.49, 0.02, 0.49),
    "tumor_location": (0.01, 0.57, 0.0, 0.02, 0.11, 0.29),
    "gender": (0.51, 0.49),
    "race": (0.0, 0.09, 0.91),
    "ethnicity": (0.03, 0.97),
}


def plan_cohort(patients: int = 60, seed: int = 0) -> tuple[list[Patient], pd.DataFrame]:
    """Decide everything but the pixels.

    Parameters
    ----------
    patients : int
        How many, from 2 to 999.
    seed : int
        From 0. The same arguments give the same cohort.

    Returns
    -------
    plan : list of Patient
    table : DataFrame
        data.csv with its 18 columns; codes are Int64, <NA> where missing.

    Raises
    ------
    LggError
        If an argument is out of its range.

    Examples
    --------
    >>> plan, table = plan_cohort(patients=2)
    >>> plan[1].folder, plan[1].slices, table.shape
    ('TCGA_DU_P002_20001212', 22, (2, 18))
    """
    if not (isinstance(patients, int) and 2 <= patients <= 999):
        raise LggError(f"patients={patients!r}; it must be a whole number from 2 to 999")
    if not (isinstance(seed, int) and seed >= 0):
        raise LggError(f"seed={seed!r}; it must be a whole number, 0 or more")
    rng = np.random.default_rng([seed, 7])
    table = draw_table(patients, rng)
    plan = draw_plan(table, seed, rng)
    plan = grey_air(plan, np.random.default_rng([seed, 8]))  # its own numbers: no other draw moves
    table["Patient"] = [patient.folder.rpartition("_")[0] for patient in plan]
    return plan, hide(table, rng)[list(COLUMNS)]


def draw_table(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """The complete table of `n` patients. Only the PLANTED columns depend on each other."""
    table = pd.DataFrame({"RNASeqCluster": rng.permutation(quota(RNASEQ, n)) + 1})
    table["COCCluster"] = draw_codes(table["RNASeqCluster"], COC_OF_RNASEQ, rng)
    table["CNCluster"] = draw_codes(table["COCCluster"], CN_OF_COC, rng)
    table["MethylationCluster"] = draw_codes(table["COCCluster"], METHYLATION_OF_COC, rng)
    table["miRNACluster"] = draw_codes(table["RNASeqCluster"], MIRNA_OF_RNASEQ, rng)
    for column, fractions in INDEPENDENT.items():
        table[column] = rng.permutation(quota(fractions, n)) + 1
    table["tumor_tissue_site"] = 1
    age = rng.normal(46, 13, n).round().clip(20, 75)
    table["age_at_initial_pathologic"] = age.astype(int)
    table["death01"] = (rng.random(n) < 0.25).astype(int)
    return table.astype("Int64")


def draw_codes(
    column: pd.Series, probabilities: Mapping[int, Sequence[float]], rng: np.random.Generator
) -> list[int]:
    """A code for each patient, drawn with the probabilities that belong to the code in `column`."""
    codes = []
    for given in column:
        weights = probabilities[given]
        normalised = np.array(weights) / sum(weights)
        codes.append(int(rng.choice(len(weights), p=normalised)) + 1)
    return codes


def quota(fractions: Sequence[float], n: int) -> np.ndarray:
    """Divide `n` patients into categories, as near to the given fractions as whole numbers allow.

    Parameters
    ----------
    fractions : sequence of float
        One per category; they need not sum to 1.
    n : int

    Returns
    -------
    int (n,)
        Numbers of the categories from 0, in order.

    Examples
    --------
    >>> quota((0.5, 0.3, 0.2), 10).tolist()
    [0, 0, 0, 0, 0, 1, 1, 1, 2, 2]
    """
    ends = np.cumsum(fractions) / sum(fractions)
    middles = (np.arange(n) + 0.5) / n
    return np.searchsorted(ends, middles)


def count(fraction: float, n: int) -> int:
    """That fraction of `n`, but at least one."""
    return max(1, round(fraction * n))


def draw_plan(table: pd.DataFrame, seed: int, rng: np.random.Generator) -> list[Patient]:
    """One patient per row of the table: site, date, slices, irregularity, missing sequences."""
    n = len(table)
    sites = list(SCANNERS)
    fractions = [scanner.fraction for scanner in SCANNERS.values()]
    site_numbers = rng.permutation(quota(fractions, n))
    ranks = rng.permutation(n)  # the first few lack post-contrast, the very first also pre-contrast
    plan = []
    for i, row in enumerate(table.itertuples()):
        date = f"{rng.integers(1994, 2007)}{rng.integers(1, 13):02d}{rng.integers(1, 29):02d}"
        site = sites[site_numbers[i]]
        slices = rng.integers(*SCANNERS[site].slices, endpoint=True)
        irregularity = IRREGULARITY[row.RNASeqCluster] + rng.normal(0, 0.12)
        missing: tuple[str, ...] = ()
        if ranks[i] < count(0.055, n):
            missing = ("pre", "post")
        elif ranks[i] < count(0.09, n):
            missing = ("post",)
        patient = Patient(
            folder=f"TCGA_{site}_P{i + 1:03d}_{date}",
            site=site,
            key=(seed, i + 1),
            slices=int(slices),
            side=2.0 - row.laterality,
            location=row.tumor_location,
            irregularity=max(0.05, irregularity),
            missing=missing,
        )
        plan.append(patient)
    return plan


def grey_air(plan: list[Patient], rng: np.random.Generator) -> list[Patient]:
    """Store pre-contrast with an offset in one of 15 patients who have it.

    Air is grey there, at level 30 to 60. If there are several, the one with the brightest air has a
    signed sequence, which needs the room below air.
    """
    scanned = [i for i, patient in enumerate(plan) if "pre" not in patient.missing]
    chosen = rng.permutation(scanned)[: round(len(plan) / 15)].tolist()
    air = {i: int(rng.integers(30, 61)) for i in chosen}
    signed = None
    if len(air) > 1:
        signed = max(chosen, key=lambda i: air[i])
    changed = []
    for i, patient in enumerate(plan):
        changed.append(replace(patient, air=air.get(i, 0), signed=i == signed))
    return changed


def hide(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Take away values as the real table lacks them.

    One patient keeps the clusters, but has no clinical field.
    """
    n = len(table)
    for column, fraction in MISSING.items():
        hidden = rng.permutation(n)[: count(fraction, n)]
        table.loc[hidden, column] = pd.NA
    table.loc[rng.integers(n), list(CLINICAL)] = pd.NA
    return table.sort_values("Patient")
