"""The command `python -m lggseg.genomics`: the paper's table of shape and genomic clusters."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..data import open_cohort, read_clinical
from ..data.clinical import EMPTY, check_rows, read_table
from ..errors import LggError
from ..files import atomic_write
from . import (
    association_table,
    auc,
    category_codes,
    cohort_features,
    false_positive_rates,
    permuted_p_values,
)
from .association import FEATURES

MOST_PERMUTATIONS = 100_000


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the paper's table, from a cohort's masks or from a CSV of features.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the command line if not given.

    Raises
    ------
    LggError
        For input that cannot be used, and, before anything is measured, for output that cannot be
        written.
    """
    options = parse(arguments)
    check_outputs(options)
    label, features, clusters = read(options)
    table = association_table(features, clusters)
    print_table(label, features, table)
    report_r2(features, clusters)
    report_permutations(features, clusters, options.permutations)
    if options.out:
        write_csv(table.set_index("feature"), Path(options.out))
    if options.save_features:
        write_csv(features, Path(options.save_features))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog="python -m lggseg.genomics",
        description="Print the paper's table, from a cohort's masks or from a CSV of features.",
    )
    parser.add_argument("--data", help="cohort folder, or 'phantom'; see lggseg.open_cohort")
    parser.add_argument(
        "--features",
        metavar="CSV",
        help="columns patient, asd, mf, bevr, instead of measuring masks",
    )
    parser.add_argument(
        "--clusters", metavar="CSV", help="data.csv for --features; else that of the cohort"
    )
    parser.add_argument(
        "--permutations",
        type=int,
        default=1000,
        help="how many for the false-positive check; 0 skips it",
    )
    parser.add_argument("--out", metavar="CSV", help="write the table")
    parser.add_argument("--save-features", metavar="CSV", help="write the features")
    options = parser.parse_args(arguments)
    if not 0 <= options.permutations <= MOST_PERMUTATIONS:
        raise LggError(
            f"--permutations is {options.permutations}; give how many, up to "
            f"{MOST_PERMUTATIONS:,}, or 0 for none"
        )
    if options.clusters and not options.features:
        raise LggError(
            "--clusters goes with --features; without it, the cohort's own data.csv counts"
        )
    return options


def outputs(options: argparse.Namespace) -> list[Path]:
    """The files that the command is to write."""
    return [Path(path) for path in (options.out, options.save_features) if path]


def check_outputs(options: argparse.Namespace) -> None:
    """LggError if a file to write is also read, named twice, or cannot be written."""
    taken = {Path(path).resolve() for path in (options.features, options.clusters) if path}
    for path in outputs(options):
        place = path.resolve()
        if place in taken:
            raise LggError(
                f"{path} is named twice, and would be overwritten; "
                "choose another name for the output"
            )
        if place.is_dir() or not os.access(place.parent, os.W_OK):
            raise LggError(
                f"{path} cannot be written; name a file in a folder that exists and is yours"
            )
        taken.add(place)


def check_apart_from_cohort(root: Path, options: argparse.Namespace) -> None:
    """LggError if a file would be written among the patients."""
    for path in outputs(options):
        if root.resolve() in path.resolve().parents:
            raise LggError(
                f"{path} lies in the cohort's own folder; choose another place for the output"
            )


def read(options: argparse.Namespace) -> tuple[str, pd.DataFrame, pd.DataFrame]:
    """What the table is about, in words, its features and its clusters."""
    if options.features is None:
        cohort = open_cohort(options.data)
        check_apart_from_cohort(cohort.root, options)
        return cohort.label, cohort_features(cohort), cohort.clusters
    features = read_features(options.features)
    if options.clusters:
        table = Path(options.clusters)
        _, clusters = read_clinical(table)
    else:
        cohort = open_cohort(options.data)
        check_apart_from_cohort(cohort.root, options)
        table = Path("data.csv")
        clusters = cohort.clusters
    check_rows(table, clusters.index, features.index)
    return str(options.features), features, clusters


def read_features(path: str) -> pd.DataFrame:
    """Read asd, mf and bevr from a CSV with these columns and `patient`."""
    if not Path(path).is_file():
        raise LggError(f"{path} is no file; name a CSV with the columns patient, asd, mf and bevr")
    table = read_table(Path(path), "patient")
    missing = sorted(set(FEATURES) - set(table.columns))
    if missing:
        raise LggError(f"{path} lacks the columns {missing}; it needs patient, asd, mf and bevr")
    texts = table[FEATURES]
    texts = texts.mask(texts.isin(EMPTY)).astype(object)
    features = pd.DataFrame(index=texts.index)
    for name in FEATURES:
        numbers = pd.to_numeric(texts[name], errors="coerce")
        wrong = numbers.isna() & texts[name].notna()
        if wrong.any():
            patient = wrong.idxmax()
            raise LggError(
                f"{path}: {name} of {patient} is {texts[name][patient]!r}; "
                "it must be a number, or empty"
            )
        features[name] = numbers.astype(float)
    return features


def print_table(label: str, features: pd.DataFrame, table: pd.DataFrame) -> None:
    """Print what was measured and the association table."""
    print(f"{label}: {features.bevr.notna().sum()} tumours")
    medians = [f"{name} {value:.3f}" for name, value in features.median().items()]
    print(f"medians: {', '.join(medians)}\n")
    if not table.note.any():
        table = table.drop(columns="note")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.2g}"))
    print(
        "\nsmall: categories with fewer than five patients; "
        "tested, but none of them supports a claim alone"
    )


def report_r2(features: pd.DataFrame, clusters: pd.DataFrame) -> None:
    """Print the paper's AUC: 1/BEVR for RNASeq cluster R2 against the rest."""
    title = "AUC of 1/BEVR for R2 against the rest"
    if "RNASeqCluster" not in clusters:
        print(f"{title}: no column RNASeqCluster")
        return
    both = features.join(clusters["RNASeqCluster"], how="inner")
    both = both.dropna(subset=["bevr", "RNASeqCluster"])
    try:
        value, low, high = auc(1 / both.bevr, category_codes(both.RNASeqCluster) == "2")
    except LggError as error:
        print(f"{title}: {error}")
        return
    print(f"{title}: {value:.2f} (95 % interval {low:.2f} to {high:.2f}, n {len(both)})")


def report_permutations(features: pd.DataFrame, clusters: pd.DataFrame, permutations: int) -> None:
    """Print how often shuffled patients look associated; nothing for 0 permutations."""
    if not permutations:
        return
    p_values = permuted_p_values(features, clusters, permutations)
    if p_values.isna().all(axis=None):
        print("permutations: no pair could be tested")
        return
    rates = false_positive_rates(p_values)
    words = ", ".join(f"{name} {rate:.3f}" for name, rate in rates.items())
    print(f"{permutations} permutations, false positives at 0.05: {words}")


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as a CSV file, completely or not at all."""
    with atomic_write(path) as part:
        frame.to_csv(part)
    print("written:", path)


if __name__ == "__main__":
    try:
        main()
    except LggError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        raise SystemExit(2) from None
