"""What a cross-validation found, patient by patient.

These are patients.csv, slices.csv and choices.csv in its folder. Masks are made from the stored
maps. Threshold and min_component_share of each fold are those that suit the patients of the *other*
folds, so nothing is chosen on the patient judged.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from lggseg import Cohort, LggError, shape_features
from lggseg.files import atomic_write
from lggseg.masks import bounding_box
from lggseg.measures.metrics import counts, scores
from lggseg.model.postprocess import components, postprocess

from .compare import interval
from .maps import run_maps
from .plan import Run

THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)  # 1, the heaviest only, would delete a second focus
PLAIN = (0.5, 0.0)  # threshold and share where there is no other fold to choose by
AS_GOOD = 0.001  # a smaller difference of mean Dice is noise


def choices(probability: np.ndarray, truth: np.ndarray) -> pd.Series:
    """Dice of one patient's map for every threshold and share that are tried.

    The same as `dice(postprocess(probability, threshold, share), truth)` for each, but components
    are labelled once per threshold. An empty map of a patient without tumour counts as 0 here, at
    every choice alike, so it decides nothing.

    Parameters
    ----------
    probability : (D, H, W)
    truth : bool (D, H, W)

    Returns
    -------
    Dice, indexed by (threshold, share)
    """
    box = bounding_box(probability >= min(THRESHOLDS))
    tumour_voxels = truth.sum()
    found = {}
    for threshold in THRESHOLDS:
        labels, weight = components(probability[box], threshold)
        bins = len(weight) + 1  # label 0 is what no component holds
        voxels = np.bincount(labels.ravel(), minlength=bins)[1:]
        hits = np.bincount(labels[truth[box]], minlength=bins)[1:]
        heaviest = weight.max(initial=0)
        for share in SHARES:
            kept = weight >= share * heaviest
            sizes = voxels[kept].sum() + tumour_voxels
            found[threshold, share] = 2 * hits[kept].sum() / max(1, sizes)
    return pd.Series(found)


def choose(dice: pd.DataFrame) -> tuple[float, float]:
    """Choose threshold and share among those that are as good as the best.

    The threshold nearest to 0.5 wins, and then the largest share: a stray component costs little
    Dice, but ruins a tumour's shape (notebook 07).

    Parameters
    ----------
    dice : one row of `choices` per patient; without a row the answer is PLAIN
    """
    if dice.empty:
        return PLAIN
    mean = dice.mean()
    good = mean.index[mean >= mean.max() - AS_GOOD]
    threshold, share = min(good, key=_distance_from_the_usual)
    return float(threshold), float(share)  # plain numbers, for a checkpoint


def _distance_from_the_usual(choice: tuple[float, float]) -> tuple[float, float]:
    """Smallest where the threshold is nearest to 0.5, and then where the share is largest."""
    threshold, share = choice
    return round(abs(threshold - 0.5), 3), -share


def write_tables(cohort: Cohort, run: Run) -> tuple[float, float]:
    """Write the tables of the folds that are done.

    Returns
    -------
    threshold and min_component_share that suit all the patients of these folds

    Raises
    ------
    LggError
        where no fold is finished
    """
    folds = {}
    tried = {}
    for fold, patient, probability in run_maps(run):
        folds[patient] = fold
        tried[patient] = choices(probability, cohort.volume(patient).mask)
    if not tried:
        raise LggError(f"{run.out}: no fold is finished yet")
    dice = pd.DataFrame(tried).T
    fold_of = pd.Series(folds)
    chosen = {}
    for fold in fold_of.unique():
        others = dice[fold_of != fold]
        chosen[fold] = choose(others)

    patients = []
    slices = []
    for fold, patient, probability in run_maps(run):
        truth = cohort.volume(patient).mask
        threshold, share = chosen[fold]
        mask = postprocess(probability, threshold, share)
        raw_mask = probability >= threshold
        patients.append(
            {
                "patient": patient,
                "fold": fold,
                **scores(mask, truth),
                "tumour_voxels": int(truth.sum()),
                "predicted_voxels": int(mask.sum()),
                **shape_features(mask),
                "bevr_raw": shape_features(raw_mask)["bevr"],  # before components are removed
                "threshold": threshold,
                "min_component_share": share,
            }
        )
        slices.extend(slice_rows(patient, mask, truth))
    write_csv(pd.DataFrame(patients).sort_values("patient").round(6), run.out / "patients.csv")
    write_csv(pd.DataFrame(slices).sort_values(["patient", "k"]), run.out / "slices.csv")
    mean = dice.mean().rename("mean_dice").rename_axis(["threshold", "min_component_share"])
    write_csv(mean.round(4).reset_index(), run.out / "choices.csv")
    return choose(dice)


def slice_rows(patient: str, mask: np.ndarray, truth: np.ndarray) -> list[dict]:
    """Rows of slices.csv: pixels found, found wrongly, and missed, in each slice."""
    rows = []
    for k, (predicted, true) in enumerate(zip(mask, truth, strict=True), start=1):
        found = counts(predicted, true)
        rows.append({"patient": patient, "k": k, "tp": found.tp, "fp": found.fp, "fn": found.fn})
    return rows


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """The table without its index, whole or not at all."""
    with atomic_write(path) as part:
        table.to_csv(part, index=False)


def summary(dice: np.ndarray) -> str:
    """Mean and median of Dice per patient, with 95 % intervals by bootstrap over patients."""
    dice = np.asarray(dice)
    dice = dice[~np.isnan(dice)]
    parts = []
    for name, statistic in (("mean", np.mean), ("median", np.median)):
        low, high = interval(dice, statistic)
        parts.append(f"{name} {statistic(dice):.3f} ({low:.3f} to {high:.3f})")
    return f"Dice of {len(dice)} patients: {', '.join(parts)}, worst {dice.min():.3f}"


def run_summary(run: Run) -> str:
    """The summary of a run's patients.csv, as a line."""
    dice = pd.read_csv(run.out / "patients.csv").dice.to_numpy()
    return f"{run.out}, {len(run.done())} of {len(run.folds)} folds, out of fold: {summary(dice)}"
