"""Dice of the folds' networks on their own training patients, beside Dice out of fold.

What is missing even on training patients is not for want of patients. A patient is judged twice,
without augmentation and at threshold 0.5: by the network that never saw them, from the stored map,
and by one that was trained on them.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from lggseg import Cohort, dice, load_checkpoint, open_cohort

from .command import command, execute, positive
from .compare import print_table, write_scores
from .maps import run_maps
from .plan import Run, read_run

THRESHOLD = 0.5


def out_of_fold(run: Run, cohort: Cohort) -> Iterator[dict]:
    """Rows patient, run, dice by networks that never saw the patient."""
    for _, patient, probability in run_maps(run):
        score = dice(probability >= THRESHOLD, cohort.volume(patient).mask)
        yield {"patient": patient, "run": "never_seen", "dice": score}


def fitted(run: Run, cohort: Cohort, every: int = 1) -> Iterator[dict]:
    """Rows patient, run, dice by the first network that was trained on the patient.

    Parameters
    ----------
    run : a cross-validation, one fold of which is finished
    cohort : its patients
    every : judge only every Nth patient
    """
    networks = [load_checkpoint(run.network(k)) for k in run.done()]
    for patient in tqdm(cohort.patients[::every], "training patients", leave=False):
        trained_on = [network for network in networks if patient in network.training_patients]
        if trained_on:
            volume = cohort.volume(patient)
            mask = trained_on[0].probability(volume.image) >= THRESHOLD
            yield {"patient": patient, "run": "trained_on", "dice": dice(mask, volume.mask)}


def options() -> argparse.ArgumentParser:
    parser = command("fitted", __doc__)
    parser.add_argument(
        "run", metavar="RUN", help="folder of a cross-validation, one fold of which is finished"
    )
    parser.add_argument(
        "--every",
        type=positive,
        default=1,
        metavar="N",
        help="judge only every Nth patient (default: 1)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="also write Dice per patient and run to a CSV file"
    )
    return parser


def do(chosen: argparse.Namespace) -> None:
    run = read_run(chosen.run)
    cohort = open_cohort(chosen.data)
    rows = [*out_of_fold(run, cohort), *fitted(run, cohort, chosen.every)]
    scores = pd.DataFrame(rows)
    print_table(scores)
    if chosen.out:
        write_scores(scores, chosen.out)


def main(argv: list[str] | None = None) -> None:
    execute(options(), do, argv)


if __name__ == "__main__":
    main()
