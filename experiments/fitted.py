"""How well the folds' networks do on their own training patients: what is left there is not for want of patients.

A patient is judged twice, without augmentation and at threshold 0.5: by the network that never saw them, from the
stored map, and by one that was trained on them.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from lggseg import Cohort, dice, load_checkpoint, open_cohort

from .command import command, execute, positive
from .compare import keep, show
from .maps import run_maps
from .plan import Run, read_run


def out_of_fold(run: Run, cohort: Cohort) -> Iterator[dict]:
    """Rows patient, run, dice by networks that never saw the patient."""
    for _, patient, probability in run_maps(run):
        yield {"patient": patient, "run": "never_seen", "dice": dice(probability >= 0.5, cohort.volume(patient).mask)}


def fitted(run: Run, cohort: Cohort, every: int = 1) -> Iterator[dict]:
    """Rows patient, run, dice by the first network that was trained on the patient; of `every` Nth patient only."""
    networks = [load_checkpoint(run.network(k)) for k in run.done()]
    for patient in tqdm(cohort.patients[::every], "training patients", leave=False):
        mine = next((network for network in networks if patient in network.training_patients), None)
        if mine:
            volume = cohort.volume(patient)
            score = dice(mine.probability(volume.image) >= 0.5, volume.mask)
            yield {"patient": patient, "run": "trained_on", "dice": score}


def options() -> argparse.ArgumentParser:
    parser = command("fitted", __doc__)
    parser.add_argument("run", metavar="RUN", help="folder of a cross-validation, one fold of which is finished")
    parser.add_argument("--every", type=positive, default=1, metavar="N", help="only every Nth patient (default: 1)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="keep Dice per patient and run as a CSV file")
    return parser


def do(chosen: argparse.Namespace) -> None:
    run, cohort = read_run(chosen.run), open_cohort(chosen.data)
    scores = pd.DataFrame([*out_of_fold(run, cohort), *fitted(run, cohort, chosen.every)])
    show(scores)
    if chosen.out:
        keep(scores, chosen.out)


def main(argv: list[str] | None = None) -> None:
    execute(options(), do, argv)


if __name__ == "__main__":
    main()
