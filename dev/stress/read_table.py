"""data.csv, damaged; tests/data/test_clinical.py has the ways in which programs write it whole."""

from pathlib import Path

import numpy as np

from lggseg.data.clinical import CLUSTERS, CODEBOOK, read_clinical

from .damage import damage_bytes

HEADER = ",".join(["Patient", *CLUSTERS, *CODEBOOK])
ROWS = [
    "TCGA_CS_4941,2,4,2,2,,3,2,1,2,1,3,2,2,67,3,2,1",
    "TCGA_HT_A61B,1,5,2,1,1,2,1,,,,,,,,,,",
]


def read_csv(rng: np.random.Generator, place: Path) -> str | None:
    """data.csv."""
    path = place / "data.csv"
    path.write_bytes(damage_bytes("\n".join([HEADER, *ROWS, ""]).encode(), rng))
    clinical, clusters = read_clinical(path)
    if not clinical.index.is_unique or not clinical.index.equals(clusters.index):
        return "a patient twice, or tables that do not fit each other"
    for name, (ours, words) in CODEBOOK.items():
        possible = range(1000) if words is None else words.values()
        if not set(clinical[ours].dropna()) <= set(possible):
            return f"{name} holds words of no codebook"
    return None
