"""What the choices made after training are worth: threshold, removal of small components, mirror image, grid size.

Each patient is judged by networks that never saw them: from the maps that the cross-validation stored, and for another
grid or the mirror image by what is left of ensemble.pt `without` the patient. The base, `chosen`, has the threshold and
share that suit the patients of the other folds; every other run changes one thing of it.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from lggseg import Cohort, LggError, Segmenter, Volume, dice, load_checkpoint, open_cohort
from lggseg.model.postprocess import postprocess

from .command import command, execute, positive
from .compare import keep, show
from .maps import from_bytes, run_maps, to_bytes
from .plan import Run, read_run
from .tables import THRESHOLDS

# what each run makes of the threshold and share that were chosen
CLEANED: dict[str, Callable[[float, float], tuple[float, float]]] = {
    "chosen": lambda threshold, share: (threshold, share),
    "plain": lambda threshold, share: (0.5, 0.0),
    "threshold_0.5": lambda threshold, share: (0.5, share),
    "all_components": lambda threshold, share: (threshold, 0.0),
    "strongest_component": lambda threshold, share: (threshold, 1.0),
}


def cleaned(run: Run, cohort: Cohort) -> Iterator[dict]:
    """Rows patient, run, dice of all runs that the stored maps are enough for.

    `best_threshold` takes for each patient the threshold that suits them best: a ceiling, for it needs the truth.
    """
    chosen = choices_of(run)
    for _, patient, probability in run_maps(run):
        truth, (threshold, share) = cohort.volume(patient).mask, chosen[patient]
        for name, change in CLEANED.items():
            mask = postprocess(probability, *change(threshold, share))
            yield {"patient": patient, "run": name, "dice": dice(mask, truth)}
        best = np.max([dice(postprocess(probability, t, share), truth) for t in THRESHOLDS])
        yield {"patient": patient, "run": "best_threshold", "dice": best}


def predicted(run: Run, cohort: Cohort, name: str, **change: object) -> Iterator[dict]:
    """Rows patient, run, dice where the networks predict anew with a change of their recipe."""
    ensemble, chosen = load_checkpoint(run.out / "ensemble.pt"), choices_of(run)
    for patient in tqdm(sorted(chosen), name, leave=False):
        volume = cohort.volume(patient)
        mask = postprocess(unseen_map(ensemble, volume, **change), *chosen[patient])
        yield {"patient": patient, "run": name, "dice": dice(mask, volume.mask)}


def unseen_map(ensemble: Segmenter, volume: Volume, **change: object) -> np.ndarray:
    """Map of a patient by the networks that never saw them, with a change of recipe; as precise as stored maps."""
    return from_bytes(to_bytes(ensemble.without(volume.patient).with_recipe(**change).probability(volume.image)))


def choices_of(run: Run) -> dict[str, tuple[float, float]]:
    """Threshold and share that were chosen for each patient, on others."""
    try:
        rows = pd.read_csv(run.out / "patients.csv", index_col="patient")
        return {patient: (row.threshold, row.min_component_share) for patient, row in rows.iterrows()}
    except (OSError, ValueError, AttributeError) as error:
        raise LggError(f"{run.out}/patients.csv: no readable table ({error}); make it with "
                       f"`python -m experiments.ensemble {run.out}`") from error


def options() -> argparse.ArgumentParser:
    parser = command("postprocessing", __doc__)
    parser.add_argument("run", metavar="RUN", help="folder of a finished cross-validation")
    parser.add_argument("--mirror", action="store_true", help="also average with the mirror image's prediction")
    parser.add_argument("--sizes", type=positive, nargs="+", default=[], metavar="N",
                        help="also predict on grids of so many pixels a side")
    parser.add_argument("--out", type=Path, metavar="FILE", help="keep Dice per patient and run as a CSV file")
    return parser


def do(chosen: argparse.Namespace) -> None:
    run, cohort = read_run(chosen.run), open_cohort(chosen.data)
    changes = {f"size_{size}": {"size": size} for size in chosen.sizes}
    changes |= {"mirror": {"flip": True}} if chosen.mirror else {}
    rows = list(cleaned(run, cohort))
    for name, change in changes.items():
        rows += predicted(run, cohort, name, **change)
    scores = pd.DataFrame(rows)
    show(scores, "chosen")
    if chosen.out:
        keep(scores, chosen.out)


def main(argv: list[str] | None = None) -> None:
    execute(options(), do, argv)


if __name__ == "__main__":
    main()
