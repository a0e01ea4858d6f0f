"""data.csv, the table of genomic clusters and clinical fields, and its codebook."""

from pathlib import Path

import pandas as pd

from ..errors import LggError

CLUSTERS = ("RNASeqCluster", "MethylationCluster", "miRNACluster", "CNCluster", "RPPACluster", "OncosignCluster",
            "COCCluster")

# data.csv's own column -> (our name, code -> word); codes checked against TCGA's clinical table
CODEBOOK = {
    "histological_type": ("histology", {1: "astrocytoma", 2: "oligoastrocytoma", 3: "oligodendroglioma"}),
    "neoplasm_histologic_grade": ("grade", {1: "G2", 2: "G3"}),
    "tumor_tissue_site": ("tissue_site", {1: "central nervous system"}),
    "laterality": ("laterality", {1: "left", 2: "midline", 3: "right"}),
    "tumor_location": ("location", {1: "cerebellum", 2: "frontal", 4: "occipital", 5: "parietal", 6: "temporal"}),
    "gender": ("gender", {1: "female", 2: "male"}),
    "age_at_initial_pathologic": ("age", None),
    "race": ("race", {2: "black", 3: "white"}),
    "ethnicity": ("ethnicity", {1: "hispanic", 2: "not hispanic"}),
    "death01": ("died", {0: "no", 1: "yes"}),
}


def read_clinical(csv: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(clinical, clusters) from data.csv: words and nullable integers, both indexed by patient.

    Codes may be written 1 or 1.0; an empty field is NaN (clinical) or <NA> (clusters). Raises
    LggError for a missing file or column, a patient twice, or a code the codebook lacks.
    """
    try:
        table = pd.read_csv(csv, dtype=str, index_col="Patient", skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise LggError(f"{csv} cannot be read ({error}); the patients' folder needs the data set's data.csv, "
                       "a table with a column Patient") from error
    if lost := [name for name in (*CLUSTERS, *CODEBOOK) if name not in table]:
        raise LggError(f"{csv} lacks the columns {lost}; take data.csv from the archive as it is")
    if table.index.has_duplicates:
        raise LggError(f"{csv} has {table.index[table.index.duplicated()][0]} twice; one row per patient")
    numbers = table[[*CLUSTERS, *CODEBOOK]].apply(whole_numbers)
    clinical = pd.DataFrame({name: decode(numbers[column], words) for column, (name, words) in CODEBOOK.items()})
    return clinical, numbers[list(CLUSTERS)]


def whole_numbers(column: pd.Series) -> pd.Series:
    """Text such as "2" or "2.0" as nullable integers."""
    numbers = pd.to_numeric(column, errors="coerce")
    if (wrong := (numbers.isna() & column.notna()) | (numbers % 1 > 0)).any():
        raise LggError(f"data.csv: {column.name} of {wrong.idxmax()} is {column[wrong.idxmax()]!r}; "
                       "it must be a whole number or empty")
    return numbers.astype("Int64")


def decode(codes: pd.Series, words: dict[int, str] | None) -> pd.Series:
    """Codes as words, or as plain numbers where there is no codebook; NaN where empty."""
    if words is None:
        return codes.astype("float64")
    if (wrong := codes.notna() & ~codes.isin(list(words))).any():
        raise LggError(f"data.csv: {codes.name} of {wrong.idxmax()} is {codes[wrong.idxmax()]}; known codes: {words}")
    return codes.astype("float64").map(words)
