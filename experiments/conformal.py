"""Outer and inner outlines with a guarantee over patients, from counts of voxels by probability.

An outer outline misses at most TOLERATED of a tumour's voxels, an inner one takes in healthy voxels
of at most TOLERATED of the tumour's size. Their thresholds are calibrated on other patients so that
either fails for at most RISK of new ones (conformal risk control, arXiv 2208.02814).
"""

import numpy as np
import pandas as pd

RISK = 0.1
TOLERATED = 0.1
HIGHEST = 255  # byte of the probability 1


def outlines(counts: pd.DataFrame, groups: list[list[str]]) -> pd.DataFrame:
    """Each patient by thresholds that were calibrated on the other groups.

    Parameters
    ----------
    counts : one row per patient and byte 0 to 255, which is the probability times 255; columns
        patient, byte, voxels, tumour
    groups : of patients

    Returns
    -------
    DataFrame
        patient; low, from which probability on a voxel is in the outer outline; high, above which
        it is in the inner one. As fractions of the tumour's voxels: missed by the outer outline,
        taken (healthy voxels in the inner one), outer_size (voxels in the outer one), inner_size
        (tumour in the inner one).
    """
    of_patient = {name: rows.sort_values("byte") for name, rows in counts.groupby("patient")}
    outer = {name: highest_outer(rows) for name, rows in of_patient.items()}
    inner = {name: lowest_inner(rows) for name, rows in of_patient.items()}
    result = []
    for held_out in groups:
        others = [name for name in of_patient if name not in held_out]
        low = of_rank([outer[name] for name in others])
        high = HIGHEST - of_rank([HIGHEST - inner[name] for name in others])
        for name in held_out:
            result.append({"patient": name, **judged(of_patient[name], low, high)})
    return pd.DataFrame(result).sort_values("patient", ignore_index=True)


def of_rank(values: list[int], risk: float = RISK) -> int:
    """The value of rank (n + 1) risk from below, rounded down; 0, which always holds, for rank 0.

    >>> of_rank([5, 3, 8, 1, 9, 7, 2, 6, 4])
    1
    >>> of_rank([5, 3, 8])
    0
    """
    rank = int((len(values) + 1) * risk + 1e-9)
    if rank == 0:
        return 0
    return sorted(values)[rank - 1]


def highest_outer(rows: pd.DataFrame) -> int:
    """The highest byte from which on an outline misses at most TOLERATED of the tumour."""
    tumour = rows.tumour.to_numpy()
    missed = np.cumsum(tumour) - tumour  # below each byte
    return int(np.flatnonzero(missed <= TOLERATED * tumour.sum())[-1])


def lowest_inner(rows: pd.DataFrame) -> int:
    """The lowest byte above which lie healthy voxels of at most TOLERATED of the tumour's size."""
    healthy = (rows.voxels - rows.tumour).to_numpy()
    above = healthy.sum() - np.cumsum(healthy)
    return int(np.flatnonzero(above <= TOLERATED * rows.tumour.sum())[0])


def judged(rows: pd.DataFrame, low: int, high: int) -> dict[str, float]:
    """What both outlines of a patient hold, as fractions of the tumour's voxels."""
    outer = rows.byte >= low
    inner = rows.byte > high
    size = rows.tumour.sum()
    return {
        "low": low / HIGHEST,
        "high": high / HIGHEST,
        "missed": rows.tumour[~outer].sum() / size,
        "taken": (rows.voxels - rows.tumour)[inner].sum() / size,
        "outer_size": rows.voxels[outer].sum() / size,
        "inner_size": rows.tumour[inner].sum() / size,
    }
