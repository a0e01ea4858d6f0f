"""What the choices made after training are worth.

These are threshold, removal of small components, mirror image, and size of the grid.

Each patient is judged by networks that never saw them: from the maps that the cross-validation
stored, and for another grid or the mirror image by what is left of ensemble.pt `without` the
patient. The base, `chosen`, has the threshold and share that suit the patients of the other folds;
every other run changes one thing of it.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from lggseg import Cohort, LggError, Segmenter, Volume, dice, load_checkpoint, open_cohort
from lggseg.model.postprocess import postprocess

from .command import command, execute, positive
from .compare import print_table, write_scores
from .maps import from_bytes, run_maps, to_bytes
from .plan import Run, read_run
from .tables import PLAIN, THRESHOLDS


def clean_ups(threshold: float, share: float) -> dict[str, tuple[float, float]]:
    """Threshold and share of each run, from those that were chosen."""
    return {
        "chosen": (threshold, share),
        "plain": PLAIN,
        "threshold_0.5": (0.5, share),
        "all_components": (threshold, 0.0),
        "strongest_component": (threshold, 1.0),
    }


def from_stored_maps(run: Run, cohort: Cohort) -> Iterator[dict]:
    """Rows patient, run, dice of all runs that the stored maps are enough for.

    `best_threshold` takes for each patient the threshold that suits them best: an upper limit,
    since it needs the truth.
    """
    chosen = read_choices(run)
    for _, patient, probability in run_maps(run):
        truth = cohort.volume(patient).mask
        threshold, share = chosen[patient]
        for name, (its_threshold, its_share) in clean_ups(threshold, share).items():
            mask = postprocess(probability, its_threshold, its_share)
            yield {"patient": patient, "run": name, "dice": dice(mask, truth)}
        of_each_threshold = [
            dice(postprocess(probability, tried, share), truth) for tried in THRESHOLDS
        ]
        yield {"patient": patient, "run": "best_threshold", "dice": np.max(of_each_threshold)}


def predicted_again(run: Run, cohort: Cohort, name: str, **change: object) -> Iterator[dict]:
    """Rows patient, run, dice where the networks predict again.

    Parameters
    ----------
    run : a finished cross-validation
    cohort : its patients
    name : what to call the change
    change : fields of the recipe, such as `flip=True`
    """
    ensemble = load_checkpoint(run.out / "ensemble.pt")
    chosen = read_choices(run)
    for patient in tqdm(sorted(chosen), name, leave=False):
        volume = cohort.volume(patient)
        threshold, share = chosen[patient]
        mask = postprocess(unseen_map(ensemble, volume, **change), threshold, share)
        yield {"patient": patient, "run": name, "dice": dice(mask, volume.mask)}


def unseen_map(ensemble: Segmenter, volume: Volume, **change: object) -> np.ndarray:
    """Map of a patient by the networks that never saw them, with a change of recipe.

    Rounded to bytes, as stored maps are.
    """
    judge = ensemble.without(volume.patient).with_recipe(**change)
    return from_bytes(to_bytes(judge.probability(volume.image)))


def read_choices(run: Run) -> dict[str, tuple[float, float]]:
    """Threshold and share that were chosen for each patient, on others."""
    try:
        rows = pd.read_csv(run.out / "patients.csv", index_col="patient")
        return {
            patient: (row.threshold, row.min_component_share) for patient, row in rows.iterrows()
        }
    except (OSError, ValueError, AttributeError) as error:
        raise LggError(
            f"{run.out}/patients.csv: not a readable table ({error}); make it with "
            f"`python -m experiments.ensemble {run.out}`"
        ) from error


def options() -> argparse.ArgumentParser:
    parser = command("postprocessing", __doc__)
    parser.add_argument("run", metavar="RUN", help="folder of a finished cross-validation")
    parser.add_argument(
        "--mirror", action="store_true", help="also average with the mirror image's prediction"
    )
    parser.add_argument(
        "--sizes",
        type=positive,
        nargs="+",
        default=[],
        metavar="N",
        help="also predict on grids of so many pixels a side",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="also write Dice per patient and run to a CSV file"
    )
    return parser


def do(chosen: argparse.Namespace) -> None:
    run = read_run(chosen.run)
    cohort = open_cohort(chosen.data)
    rows = list(from_stored_maps(run, cohort))
    for size in chosen.sizes:
        rows.extend(predicted_again(run, cohort, f"size_{size}", size=size))
    if chosen.mirror:
        rows.extend(predicted_again(run, cohort, "mirror", flip=True))
    scores = pd.DataFrame(rows)
    print_table(scores, "chosen")
    if chosen.out:
        write_scores(scores, chosen.out)


def main(argv: list[str] | None = None) -> None:
    execute(options(), do, argv)


if __name__ == "__main__":
    main()
