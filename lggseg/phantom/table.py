"""data.csv and the patients in it: clusters that overlap, and the irregularity planted in one of them."""

from dataclasses import replace

import numpy as np
import pandas as pd

from ..errors import LggError
from .patient import SCANNERS, Patient

PLANTED = ("RNASeqCluster", "MethylationCluster", "miRNACluster", "CNCluster", "COCCluster")
IRREGULARITY = {1: 0.45, 2: 0.9, 3: 0.15, 4: 0.25}  # of a tumour's margin, by RNASeq cluster: the planted truth
COLUMNS = ("Patient", "RNASeqCluster", "MethylationCluster", "miRNACluster", "CNCluster", "RPPACluster",
           "OncosignCluster", "COCCluster", "histological_type", "neoplasm_histologic_grade", "tumor_tissue_site",
           "laterality", "tumor_location", "gender", "age_at_initial_pathologic", "race", "ethnicity", "death01")
MISSING = {"RNASeqCluster": 0.16, "RPPACluster": 0.11, "ethnicity": 0.06, "OncosignCluster": 0.05, "CNCluster": 0.02,
           "race": 0.01, "MethylationCluster": 0.01}  # share of patients without a value

# How clusters overlap, and how often each code occurs: P(row's cluster -> column's cluster), codes from 1.
RNASEQ = (0.27, 0.31, 0.13, 0.29)
COC_OF_RNASEQ = {1: (0.95, 0.0, 0.05), 2: (0.15, 0.85, 0.0), 3: (0.0, 0.0, 1.0), 4: (0.6, 0.0, 0.4)}
CN_OF_COC = {1: (1.0, 0.0, 0.0), 2: (0.1, 0.9, 0.0), 3: (0.0, 0.0, 1.0)}
METHYLATION_OF_COC = {1: (0.04, 0.0, 0.3, 0.03, 0.63), 2: (0.05, 0.0, 0.05, 0.9, 0.0), 3: (0.0, 0.45, 0.55, 0.0, 0.0)}
MIRNA_OF_RNASEQ = {1: (0.25, 0.75, 0.0, 0.0), 2: (0.2, 0.15, 0.4, 0.25), 3: (0.0, 1.0, 0.0, 0.0),
                   4: (0.6, 0.4, 0.0, 0.0)}
INDEPENDENT = {"RPPACluster": (0.28, 0.31, 0.17, 0.24), "OncosignCluster": (0.28, 0.55, 0.17),
               "histological_type": (0.3, 0.27, 0.43), "neoplasm_histologic_grade": (0.47, 0.53),
               "laterality": (0.49, 0.02, 0.49), "tumor_location": (0.01, 0.57, 0.0, 0.02, 0.11, 0.29),
               "gender": (0.51, 0.49), "race": (0.0, 0.09, 0.91), "ethnicity": (0.03, 0.97)}


def plan_cohort(patients: int = 60, seed: int = 0) -> tuple[list[Patient], pd.DataFrame]:
    """Decide everything but the pixels: the patients, and data.csv with its 18 columns (Int64, NA where missing).

    Raises LggError unless `patients` is a whole number from 2 to 999 and `seed` one from 0.

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
    plan = grey_air(draw_plan(table, seed, rng), np.random.default_rng([seed, 8]))  # drawn apart: nothing else moves
    table["Patient"] = [patient.folder.rpartition("_")[0] for patient in plan]
    return plan, hide(table, rng)[list(COLUMNS)]


def draw_table(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Complete table of `n` patients; only the PLANTED columns depend on each other."""
    code = lambda shares: int(rng.choice(len(shares), p=np.array(shares) / sum(shares))) + 1  # noqa: E731
    table = pd.DataFrame({"RNASeqCluster": rng.permutation(quota(RNASEQ, n)) + 1})
    table["COCCluster"] = [code(COC_OF_RNASEQ[c]) for c in table["RNASeqCluster"]]
    table["CNCluster"] = [code(CN_OF_COC[c]) for c in table["COCCluster"]]
    table["MethylationCluster"] = [code(METHYLATION_OF_COC[c]) for c in table["COCCluster"]]
    table["miRNACluster"] = [code(MIRNA_OF_RNASEQ[c]) for c in table["RNASeqCluster"]]
    for column, shares in INDEPENDENT.items():
        table[column] = rng.permutation(quota(shares, n)) + 1
    table["tumor_tissue_site"] = 1
    table["age_at_initial_pathologic"] = rng.normal(46, 13, n).round().clip(20, 75).astype(int)
    table["death01"] = (rng.random(n) < 0.25).astype(int)
    return table.astype("Int64")


def quota(shares: tuple[float, ...], n: int) -> np.ndarray:
    """`n` category numbers from 0, in order, in the given shares as nearly as whole numbers allow.

    >>> quota((0.5, 0.3, 0.2), 10).tolist()
    [0, 0, 0, 0, 0, 1, 1, 1, 2, 2]
    """
    return np.searchsorted(np.cumsum(shares) / sum(shares), (np.arange(n) + 0.5) / n)


def count(share: float, n: int) -> int:
    """That share of `n`, but at least one."""
    return max(1, round(share * n))


def draw_plan(table: pd.DataFrame, seed: int, rng: np.random.Generator) -> list[Patient]:
    """One patient per row of the table, in its order: site, date, slices, irregularity and missing sequences."""
    n, sites = len(table), list(SCANNERS)
    site = rng.permutation(quota(tuple(scanner.share for scanner in SCANNERS.values()), n))
    copies = rng.permutation(n)  # the first few lack post-contrast, the very first also pre-contrast
    plan = []
    for i, row in enumerate(table.itertuples()):
        date = f"{rng.integers(1994, 2007)}{rng.integers(1, 13):02d}{rng.integers(1, 29):02d}"
        lacks = int(copies[i] < count(0.055, n)) + int(copies[i] < count(0.09, n))
        name = sites[site[i]]
        plan.append(Patient(f"TCGA_{name}_P{i + 1:03d}_{date}", name, (seed, i + 1),
                            int(rng.integers(*SCANNERS[name].slices, endpoint=True)), 2.0 - row.laterality,
                            row.tumor_location, max(0.05, IRREGULARITY[row.RNASeqCluster] + rng.normal(0, 0.12)),
                            ("pre", "post")[2 - lacks:]))
    return plan


def grey_air(plan: list[Patient], rng: np.random.Generator) -> list[Patient]:
    """Store pre-contrast with an offset in one patient of 15 who has it: air is grey there, at level 30 to 60.

    Where there are several, the one with the brightest air has a signed sequence, which needs the room below air.
    """
    scanned = [i for i, patient in enumerate(plan) if "pre" not in patient.missing]
    offset = {int(i): int(rng.integers(30, 61)) for i in rng.permutation(scanned)[:round(len(plan) / 15)]}
    signed = max(offset, key=offset.get) if len(offset) > 1 else None
    return [replace(patient, air=offset.get(i, 0), signed=i == signed) for i, patient in enumerate(plan)]


def hide(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Take away values as the real table lacks them; one patient keeps clusters but no clinical field."""
    for column, share in MISSING.items():
        table.loc[rng.permutation(len(table))[:count(share, len(table))], column] = pd.NA
    table.loc[rng.integers(len(table)), list(COLUMNS[8:])] = pd.NA
    return table.sort_values("Patient")
