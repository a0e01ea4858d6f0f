"""data.csv, as people's programs write it, and damaged."""

from pathlib import Path

import numpy as np
import pandas as pd

from lggseg.data.clinical import CLUSTERS, CODEBOOK, EMPTY, read_clinical

from .damage import read_by, rot


def written(number: int | None, rng: np.random.Generator) -> str:
    """A code in one of the ways that programs have."""
    text = (
        str(rng.choice(EMPTY))
        if number is None
        else str(rng.choice([f"{number}", f"{number}.0", f"{number}."]))
    )
    return str(rng.choice([text, text, f'"{text}"', f" {text}", f"{text} "]))


def read_csv(rng: np.random.Generator, place: Path) -> str | None:
    """data.csv."""
    columns = [str(name) for name in rng.permutation([*CLUSTERS, *CODEBOOK])]
    patients = [f"TCGA_CS_{4000 + i}" for i in range(rng.integers(1, 9))]
    codes = {
        name: [int(code) for code in CODEBOOK[name][1] or range(20, 80)]
        if name in CODEBOOK
        else range(1, 7)
        for name in columns
    }
    rows = [
        [None if rng.random() < 0.2 else int(rng.choice(codes[name])) for name in columns]
        for _ in patients
    ]
    lines = [",".join(["Patient", *columns])]
    lines += [
        ",".join([patient, *(written(code, rng) for code in row)])
        for patient, row in zip(patients, rows)
    ]
    text = str(rng.choice(["\n", "\r\n"])).join([*lines, *([""] * rng.integers(3))])
    path, spoilt = place / "data.csv", rng.random() < 0.5
    content = text.encode(str(rng.choice(["utf-8", "utf-8-sig"])))
    path.write_bytes(rot(content, rng) if spoilt else content)
    clinical, clusters = read_by(read_clinical, path, whole=not spoilt)
    if not clinical.index.is_unique or not clinical.index.equals(clusters.index):
        return "a patient twice, or tables that do not fit each other"
    for name, (ours, words) in CODEBOOK.items():
        if not set(clinical[ours].dropna()) <= set(words.values() if words else range(1000)):
            return f"{name} holds words of no codebook"
    if not spoilt:
        return compare(clinical, clusters, patients, columns, rows)


def compare(
    clinical: pd.DataFrame,
    clusters: pd.DataFrame,
    patients: list[str],
    columns: list[str],
    rows: list[list[int | None]],
) -> str | None:
    """Where the tables differ from what was written."""
    for patient, row in zip(patients, rows):
        for name, code in zip(columns, row):
            ours, words = CODEBOOK.get(name, (name, None))
            found = (clusters if name in CLUSTERS else clinical)[ours][patient]
            right = words[code] if words and code is not None else code
            if (pd.isna(found) and right is not None) or (not pd.isna(found) and found != right):
                return f"{name} of {patient} is {found}, and {right} was written"
