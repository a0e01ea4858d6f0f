"""What the choices made after training are worth.

These are threshold, removal of small components, mirror image, and size of the grid.

Each patient is judged by networks that never saw them: from the maps that the cross-validation
stored, and for another grid or the mirror image by what is left of ensemble.pt `without` the
patient. The base, `chosen`, has the threshold and share that suit the patients of the other folds;
every other run changes one thing of it. The runs `weight_...` weigh a component otherwise than by
the sum of its probability above the threshold, each with the share that suits the other folds.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from lggseg import Cohort, LggError, Segmenter, Volume, dice, load_checkpoint, open_cohort
from lggseg.masks import bounding_box
from lggseg.model.postprocess import components, postprocess

from .command import command, execute, positive
from .compare import print_table, write_scores
from .maps import from_bytes, run_maps, to_bytes
from .plan import Run, read_run
from .tables import AS_GOOD, PLAIN, THRESHOLDS

CERTAIN = 0.95  # probability from which a voxel counts for the weight `certain`
SHARES_TRIED = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


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


def component_weights(probability: np.ndarray, threshold: float) -> dict[str, np.ndarray]:
    """Rules for the weight of a mask's components: for each rule the weight of component 1, 2, ...

    `above` is the rule of `postprocess`; `voxels` counts all alike, `certain` those from CERTAIN;
    `contrast` is the sum of squares above the threshold.
    """
    labels, above = components(probability, threshold)
    labels = labels.ravel()
    values = probability.ravel()
    bins = len(above) + 1
    return {
        "above": above,
        "voxels": np.bincount(labels, minlength=bins)[1:],
        "certain": np.bincount(labels, values >= CERTAIN, minlength=bins)[1:],
        "contrast": np.bincount(labels, (values - threshold) ** 2, minlength=bins)[1:],
    }


def dice_by_weight(probability: np.ndarray, truth: np.ndarray, threshold: float) -> pd.Series:
    """Dice of one patient's map for every rule of weights and share, indexed by (rule, share)."""
    box = bounding_box(probability >= threshold)
    labels, _ = components(probability[box], threshold)
    found = {}
    for rule, weight in component_weights(probability[box], threshold).items():
        for share in SHARES_TRIED:
            kept = np.append(False, weight >= share * weight.max(initial=0))
            mask = np.zeros(truth.shape, bool)
            mask[box] = kept[labels]
            found[rule, share] = dice(mask, truth)
    return pd.Series(found)


def by_weight(run: Run, cohort: Cohort) -> Iterator[dict]:
    """Rows patient, run, dice for each rule of weights, with the share that suits other folds."""
    chosen = read_choices(run)
    folds = {}
    tried = {}
    for fold, patient, probability in run_maps(run):
        folds[patient] = fold
        threshold, _ = chosen[patient]
        tried[patient] = dice_by_weight(probability, cohort.volume(patient).mask, threshold)
    table = pd.DataFrame(tried).T
    fold_of = pd.Series(folds)
    for rule in table.columns.unique(level=0):
        for fold in fold_of.unique():
            mean = table.loc[fold_of != fold, rule].mean()
            share = mean.index[mean >= mean.max() - AS_GOOD].max()
            for patient, value in table.loc[fold_of == fold, (rule, share)].items():
                yield {"patient": patient, "run": f"weight_{rule}", "dice": value}


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
    rows = [*from_stored_maps(run, cohort), *by_weight(run, cohort)]
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
