"""What a cross-validation found, patient by patient: patients.csv, slices.csv and choices.csv in its folder.

Masks are made from the stored maps. Threshold and min_component_share of each fold are those that suit the patients of
the *other* folds, so nothing is chosen on the patient judged.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from lggseg import Cohort, LggError, shape_features
from lggseg.files import atomic_write
from lggseg.masks import bounding_box
from lggseg.measures.metrics import counts, scores
from lggseg.model.postprocess import components, postprocess

from .maps import run_maps
from .plan import Run

THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)  # 1, the heaviest only, would delete a tumour's second focus
PLAIN = (0.5, 0.0)  # where there is no other fold to choose by
AS_GOOD = 0.001  # of mean Dice: less is noise


def choices(probability: np.ndarray, truth: np.ndarray) -> pd.Series:
    """Dice of one patient's map (D,H,W) for every threshold and share that are tried; see `lggseg.model.postprocess`.

    Here an empty map of a patient without tumour counts as 0, at every choice alike, so it decides nothing.
    """
    box, found = bounding_box(probability >= min(THRESHOLDS)), {}
    for threshold in THRESHOLDS:
        labels, weight = components(probability[box], threshold)
        inside, size = (np.bincount(labels[where], minlength=len(weight) + 1)[1:] for where in (truth[box], labels > 0))
        for share in SHARES:
            kept = weight >= share * weight.max(initial=0)
            found[threshold, share] = 2 * inside[kept].sum() / max(1, size[kept].sum() + truth.sum())
    return pd.Series(found)


def choose(dice: pd.DataFrame) -> tuple[float, float]:
    """Threshold and share from one row of `choices` per patient, among those as good as the best.

    The threshold nearest to 0.5 wins, and after it the thorough clean-up: a stray blob costs little Dice, but ruins a
    tumour's shape (notebook 07). Without a patient it is `PLAIN`.
    """
    if dice.empty:
        return PLAIN
    mean = dice.mean()
    good = mean.index[mean >= mean.max() - AS_GOOD]
    threshold, share = min(good, key=lambda choice: (round(abs(choice[0] - 0.5), 3), -choice[1]))
    return float(threshold), float(share)  # checkpoints hold plain values


def write_tables(cohort: Cohort, run: Run) -> tuple[float, float]:
    """Write the tables of the folds that are done; returns threshold and share chosen on all their patients."""
    fold_of, tried = {}, {}
    for fold, patient, probability in run_maps(run):
        fold_of[patient], tried[patient] = fold, choices(probability, cohort.volume(patient).mask)
    if not tried:
        raise LggError(f"{run.out}: no fold is finished yet")
    dice, fold_of = pd.DataFrame(tried).T, pd.Series(fold_of)
    chosen = {fold: choose(dice[fold_of != fold]) for fold in fold_of.unique()}
    patients, slices = [], []
    for fold, patient, probability in run_maps(run):
        patients.append({"patient": patient, "fold": fold, **judge(cohort, patient, probability, *chosen[fold])})
        slices += per_slice(cohort, patient, postprocess(probability, *chosen[fold]))
    write_csv(pd.DataFrame(patients).sort_values("patient").round(6), run.out / "patients.csv")
    write_csv(pd.DataFrame(slices).sort_values(["patient", "k"]), run.out / "slices.csv")
    mean = dice.mean().rename("mean_dice").rename_axis(["threshold", "min_component_share"])
    write_csv(mean.round(4).reset_index(), run.out / "choices.csv")
    return choose(dice)


def judge(cohort: Cohort, patient: str, probability: np.ndarray, threshold: float, share: float) -> dict:
    """One row of patients.csv; `bevr_raw` is the shape before components are removed."""
    truth, mask = cohort.volume(patient).mask, postprocess(probability, threshold, share)
    return {**scores(mask, truth), "tumour_voxels": int(truth.sum()), "predicted_voxels": int(mask.sum()),
            **shape_features(mask), "bevr_raw": shape_features(probability >= threshold)["bevr"],
            "threshold": threshold, "min_component_share": share}


def per_slice(cohort: Cohort, patient: str, mask: np.ndarray) -> list[dict]:
    """Rows of slices.csv: pixels found, found wrongly, and missed, in each slice."""
    pairs = zip(mask, cohort.volume(patient).mask, strict=True)
    found = [counts(predicted, true) for predicted, true in pairs]
    return [{"patient": patient, "k": k, "tp": n.tp, "fp": n.fp, "fn": n.fn} for k, n in enumerate(found, 1)]


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """The table without its index, whole or not at all."""
    with atomic_write(path) as part:
        table.to_csv(part, index=False)


def summary(dice: np.ndarray, seed: int = 0) -> str:
    """Mean and median of Dice per patient, with 95 % intervals by bootstrap over patients (10,000 draws)."""
    dice = np.asarray(dice)[~np.isnan(dice)]
    draws = np.random.default_rng(seed).choice(dice, (10_000, len(dice)))
    parts = []
    for name, statistic in (("mean", np.mean), ("median", np.median)):
        low, high = np.percentile(statistic(draws, axis=1), [2.5, 97.5])
        parts.append(f"{name} {statistic(dice):.3f} ({low:.3f} to {high:.3f})")
    return f"Dice of {len(dice)} patients: {', '.join(parts)}, worst {dice.min():.3f}"


def told(run: Run) -> str:
    """The summary of a run's patients.csv, as a line."""
    return f"{run.out}, {len(run.done())} of {len(run.folds)} folds, out of fold: " + summary(
        pd.read_csv(run.out / "patients.csv").dice.to_numpy())
