"""Judge shipped weights on the patients of a cohort that they never saw.

Whoever has all 110 patients of the data set can run it: the shipped weights learned from 80, and
the other 30 judge them. Printed are mean, median and worst Dice with 95 % intervals by bootstrap
over patients, then the same by hospital; --out keeps one row per patient.
"""

import argparse
from pathlib import Path

import pandas as pd

from lggseg import (
    Cohort,
    LggError,
    Segmenter,
    evaluate,
    load_checkpoint,
    load_pretrained,
    open_cohort,
)

from .command import command, execute
from .tables import summary, write_csv


def unseen_patients(segmenter: Segmenter, cohort: Cohort) -> list[str]:
    """The patients of the cohort that no network learned from; LggError where there is none."""
    unseen = [patient for patient in cohort.patients if patient not in segmenter.training_patients]
    if not unseen:
        raise LggError(
            f"the weights were trained on all {len(cohort.patients)} patients of this cohort; "
            "give one with others, such as the whole data set"
        )
    return unseen


def by_hospital(scores: pd.DataFrame) -> pd.DataFrame:
    """Number of patients, mean, median and worst Dice of each hospital, which is the second part of
    a patient's id.
    """
    hospital = scores.index.str.split("_").str[1].rename("hospital")
    return scores.dice.groupby(hospital).agg(["size", "mean", "median", "min"])


def options() -> argparse.ArgumentParser:
    parser = command("unseen", __doc__)
    parser.add_argument(
        "--weights",
        default="kaggle",
        metavar="NAME",
        help=(
            "kaggle or phantom, as they come with the package, or the path of a checkpoint "
            "(default: kaggle)"
        ),
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="keep one row per patient as a CSV file"
    )
    return parser


def do(chosen: argparse.Namespace) -> None:
    load = load_checkpoint if Path(chosen.weights).is_file() else load_pretrained
    segmenter = load(chosen.weights)
    cohort = open_cohort(chosen.data)
    patients = unseen_patients(segmenter, cohort)
    scores = evaluate(segmenter, cohort, patients)
    print(
        f"{chosen.weights} (networks: {len(segmenter.networks)}), patients never seen in training. "
        + summary(scores.dice.to_numpy())
    )
    print(by_hospital(scores).round(3).to_string())
    if chosen.out:
        write_csv(scores.round(6).reset_index(), chosen.out)


def main(argv: list[str] | None = None) -> None:
    execute(options(), do, argv)


if __name__ == "__main__":
    main()
