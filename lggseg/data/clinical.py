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

CLUSTERS = (
    "RNASeqCluster",
    "MethylationCluster",
    "miRNACluster",
    "CNCluster",
    "RPPACluster",
    "OncosignCluster",
    "COCCluster",
)

# Column of data.csv: (our name, word of each code), checked against TCGA's clinical table.
CODEBOOK: dict[str, tuple[str, dict[int, str] | None]] = {
    "histological_type": (
        "histology",
        {1: "astrocytoma", 2: "oligoastrocytoma", 3: "oligodendroglioma"},
    ),
    "neoplasm_histologic_grade": ("grade", {1: "G2", 2: "G3"}),
    "tumor_tissue_site": ("tissue_site", {1: "central nervous system"}),
    "laterality": ("laterality", {1: "left", 2: "midline", 3: "right"}),
    "tumor_location": (
        "location",
        {1: "cerebellum", 2: "frontal", 4: "occipital", 5: "parietal", 6: "temporal"},
    ),
    "gender": ("gender", {1: "female", 2: "male"}),
    "age_at_initial_pathologic": ("age", None),
    "race": ("race", {2: "black", 3: "white"}),
    "ethnicity": ("ethnicity", {1: "hispanic", 2: "not hispanic"}),
    "death01": ("died", {0: "no", 1: "yes"}),
}

# How programs write a field that has no value.
EMPTY = ("", "NA", "N/A", "NaN", "nan", "<NA>", "NULL", "null", "None")
WHOLE_NUMBER = re.compile(r"[0-9]{1,3}(\.0*)?")


def read_clinical(file: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the data set's data.csv.

    Codes may be written as 1 or 1.0, ids with the date of the folder or in small letters.

    Parameters
    ----------
    file : str or Path
        A table with commas: the column Patient, those of CLUSTERS and those of CODEBOOK.

    Returns
    -------
    clinical : DataFrame
        Indexed by patient: words, and age in years; NaN where a field is empty.
    clusters : DataFrame
        Indexed by patient: nullable integers from 1, <NA> where a field is empty.

    Raises
    ------
    LggError
        If the file or a column is missing, a patient is there twice, or a code is not in the
        codebook.
    """
    table = read_table(Path(file))
    columns = [*CLUSTERS, *CODEBOOK]
    missing = [name for name in columns if name not in table]
    if missing:
        raise LggError(
            f"{file} lacks the columns {missing}; take data.csv from the archive as it is"
        )
    numbers = pd.DataFrame({name: whole_numbers(table[name]) for name in columns}, table.index)
    clusters = numbers[list(CLUSTERS)]
    check_clusters(clusters)
    clinical = pd.DataFrame(
        {name: decode(numbers[column], words) for column, (name, words) in CODEBOOK.items()}
    )
    return clinical, clusters


def read_table(path: Path, key: str = "Patient") -> pd.DataFrame:
    """Read a table with one row per patient; nothing is guessed.

    A column without a name that is empty, or numbers the rows, is left out: pandas and Excel write
    such columns.

    Parameters
    ----------
    path : Path
        A CSV file with a header.
    key : str
        The column that holds the patients' ids.

    Returns
    -------
    DataFrame
        All fields as text, indexed by patient.

    Raises
    ------
    LggError
        If the file cannot be read, holds no patient, a name or id twice, or a row with too many or
        too few fields.
    """
    rows = read_rows(path)
    if len(rows) < 2 or key not in rows[0]:
        raise LggError(
            f"{path} holds no patient; it needs a header with a column {key} and a row for each, "
            f"separated by commas, and begins with {','.join(rows[0])[:40] if rows else ''!r}"
        )
    header = rows.pop(0)
    if len({len(row) for row in rows}) == 1:
        drop_trailing_commas(header, rows)
    for row in rows:
        if len(row) != len(header):
            raise LggError(
                f"{path}: {row[0]} has {len(row)} fields, the header {len(header)}; "
                "every field needs its comma, also an empty one"
            )
    fields = pd.DataFrame(rows)
    kept = [i for i, name in enumerate(header) if name or not is_index_column(fields[i])]
    fields = fields[kept]
    fields.columns = pd.Index([header[i] for i in kept])
    check_unique(fields.columns, f"the columns of {path}")
    table = fields.set_index(key).rename(patient_id)
    check_unique(table.index, f"the patients of {path}")
    return table


def drop_trailing_commas(header: list[str], rows: list[list[str]]) -> None:
    """Remove empty fields at the end where the header has them and no row does, or the reverse."""
    width = min(len(header), len(rows[0]))
    if not any(any(row[width:]) for row in [header, *rows]):
        for row in [header, *rows]:
            del row[width:]


def read_rows(path: Path) -> list[list[str]]:
    """The rows of a CSV file that hold anything; spaces around fields are removed."""
    rows = []
    try:
        check_plain(path)
        with path.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.reader(file, skipinitialspace=True, strict=True):
                if any(row):
                    rows.append([field.strip() for field in row])
    except (OSError, ValueError, csv.Error) as error:
        raise LggError(
            f"{path} cannot be read ({error}); it must be a table with commas, "
            "as the data set's data.csv in the patients' folder is"
        ) from error
    return rows


def is_index_column(fields: pd.Series) -> bool:
    """Whether all fields of a column are empty or whole numbers, as in an index by pandas."""
    return all(not field or field.isdecimal() for field in fields)


def check_rows(path: Path, rows: Iterable[str], patients: Iterable[str]) -> None:
    """Check that a table has a row for every patient.

    Without this check, a misspelt id would silently leave a patient without values.

    Parameters
    ----------
    path : Path
        The table, for the error.
    rows : iterable of str
        The patients that it has a row for.
    patients : iterable of str
        The patients that need one.

    Raises
    ------
    LggError
        If a row is missing; the message names the patient, and a row that may be meant.
    """
    present = set(rows)
    needed = set(patients)
    missing = sorted(needed - present)
    if not missing:
        return
    problem = f"{path} has no row for {missing[0]}"
    if len(missing) > 1:
        problem += f", nor for {len(missing) - 1} more"
    similar = difflib.get_close_matches(missing[0], present - needed, n=1, cutoff=0.8)
    if similar:
        problem += f"; nearest to it is {similar[0]!r}"
    raise LggError(
        f"{problem}; every patient needs one, of the id and commas alone where nothing is known: "
        "put the id right, or add the row"
    )


def check_unique(names: Iterable[str], what: str) -> None:
    """LggError if a name is empty, or is there twice."""
    for name, times in Counter(names).items():
        if not name:
            raise LggError(f"{what}: {name!r} has no name; each needs a name of its own")
        if times > 1:
            raise LggError(f"{what}: {name!r} twice; each needs a name of its own")


def check_clusters(clusters: pd.DataFrame) -> None:
    """LggError if a cluster is 0: they count from 1."""
    is_zero = clusters.eq(0).fillna(False).stack()
    if is_zero.any():
        patient, name = is_zero.idxmax()
        raise LggError(
            f"data.csv: {name} of {patient} is 0; clusters count from 1: "
            "leave it empty where it is unknown"
        )


def whole_numbers(column: pd.Series) -> pd.arrays.IntegerArray:
    """Text such as "2" or "2.0" as nullable integers from 0 to 999."""
    numbers: list[int | None] = []
    for patient, text in column.items():
        if text in EMPTY:
            numbers.append(None)
        elif WHOLE_NUMBER.fullmatch(text):
            numbers.append(int(text.partition(".")[0]))
        else:
            raise LggError(
                f"data.csv: {column.name} of {patient} is {text[:40]!r}; "
                "it must be a whole number from 0 to 999, or empty"
            )
    return pd.array(numbers, dtype="Int64")


def decode(codes: pd.Series, words: dict[int, str] | None) -> pd.Series:
    """Codes as words, or as plain numbers if there are no words for them; NaN where empty."""
    if words is None:
        return codes.astype("float64")
    unknown = codes.notna() & ~codes.isin(list(words))
    if unknown.any():
        patient = unknown.idxmax()
        raise LggError(
            f"data.csv: {codes.name} of {patient} is {codes[patient]}; known codes: {words}"
        )
    return codes.astype("float64").map(words)
