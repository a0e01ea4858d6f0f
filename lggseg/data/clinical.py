"""data.csv, the table of genomic clusters and clinical fields, and its codebook."""

import csv
import difflib
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from ..errors import LggError
from ..patient_ids import patient_id
from .folder import check_plain

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
EMPTY = ("", "NA", "N/A", "NaN", "nan", "<NA>", "NULL", "null", "None")  # how programs write a field without value
WHOLE = re.compile(r"[0-9]{1,3}(\.0*)?")


def read_clinical(file: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(clinical, clusters) from data.csv: words and nullable integers, both indexed by patient.

    Codes may be written 1 or 1.0, ids with the folder's date or in small letters; an empty field is NaN (clinical)
    or <NA> (clusters). Raises LggError for a missing file or column, a patient twice, or a code the codebook lacks.
    """
    table = read_table(Path(file))
    if lost := [name for name in (*CLUSTERS, *CODEBOOK) if name not in table]:
        raise LggError(f"{file} lacks the columns {lost}; take data.csv from the archive as it is")
    numbers = pd.DataFrame({name: whole_numbers(table[name]) for name in (*CLUSTERS, *CODEBOOK)}, table.index)
    if (zero := numbers[list(CLUSTERS)].eq(0).fillna(False).stack()).any():
        patient, name = zero.idxmax()
        raise LggError(f"data.csv: {name} of {patient} is 0; clusters count from 1: leave it empty where it is unknown")
    clinical = pd.DataFrame({name: decode(numbers[column], words) for column, (name, words) in CODEBOOK.items()})
    return clinical, numbers[list(CLUSTERS)]


def read_table(path: Path, key: str = "Patient") -> pd.DataFrame:
    """All fields as text, indexed by the patients in column `key`: no guess at types, names or missing commas.

    A column without a name that is empty, or numbers the rows, is left out: pandas and Excel write such.
    """
    header, *rows = read_rows(path) or [[]]
    if key not in header or not rows:
        raise LggError(f"{path} holds no patient; it needs a header with a column {key} and a row for each, "
                       "separated by commas")
    for row in rows:
        if len(row) != len(header):
            raise LggError(f"{path}: {row[0]} has {len(row)} fields, the header {len(header)}; "
                           "every field needs its comma, also an empty one")
    for place in reversed(range(len(header))):
        if not header[place] and all(not row[place] or row[place].isdecimal() for row in rows):
            header, *rows = [row[:place] + row[place + 1:] for row in (header, *rows)]
    no_two(header, f"the columns of {path}")
    table = pd.DataFrame(rows, columns=header).set_index(key).rename(patient_id)
    no_two(table.index, f"the patients of {path}")
    return table


def check_rows(path: Path, rows: Iterable[str], patients: Iterable[str]) -> None:
    """LggError unless every patient has a row in the table `path`: without, a misspelt id would empty its fields."""
    if lost := sorted({*patients} - {*rows}):
        near = difflib.get_close_matches(lost[0], {*rows} - {*patients}, 1, 0.8)
        raise LggError(f"{path} has no row for {lost[0]}{f', nor for {len(lost) - 1} more' * (len(lost) > 1)}; "
                       f"{f'nearest to it is {near[0]!r}; ' if near else ''}every patient needs one, of the id and "
                       "commas alone where nothing is known: put the id right, or add the row")


def no_two(names: Iterable[str], what: str) -> None:
    """LggError if a name is empty or comes twice."""
    if odd := [name for name, times in Counter(names).items() if not name or times > 1]:
        raise LggError(f"{what}: {odd[0]!r} {'twice' if odd[0] else 'has no name'}; each needs a name of its own")


def read_rows(path: Path) -> list[list[str]]:
    """The rows of a CSV file that hold anything, their fields without spaces around."""
    try:
        check_plain(path)
        with path.open(newline="", encoding="utf-8-sig") as file:
            return [[field.strip() for field in row] for row in csv.reader(file, skipinitialspace=True, strict=True)
                    if any(row)]
    except (OSError, ValueError, csv.Error) as error:
        raise LggError(f"{path} cannot be read ({error}); it must be a table with commas, as the data set's data.csv "
                       "in the patients' folder is") from error


def whole_numbers(column: pd.Series) -> pd.arrays.IntegerArray:
    """Text such as "2" or "2.0" as nullable integers."""
    numbers = []
    for patient, text in column.items():
        if text not in EMPTY and not WHOLE.fullmatch(text):
            raise LggError(f"data.csv: {column.name} of {patient} is {text[:40]!r}; "
                           "it must be a whole number from 0 to 999, or empty")
        numbers.append(None if text in EMPTY else int(text.partition(".")[0]))
    return pd.array(numbers, dtype="Int64")


def decode(codes: pd.Series, words: dict[int, str] | None) -> pd.Series:
    """Codes as words, or as plain numbers where there is no codebook; NaN where empty."""
    if words is None:
        return codes.astype("float64")
    if (wrong := codes.notna() & ~codes.isin(list(words))).any():
        raise LggError(f"data.csv: {codes.name} of {wrong.idxmax()} is {codes[wrong.idxmax()]}; known codes: {words}")
    return codes.astype("float64").map(words)
