"""Cross-validation by patient: every patient is judged by a network that never saw them.

`python -m lggseg.crossval --out DIR` trains one network per fold and goes on where it was stopped. DIR then holds
patients.csv (scores and shape features per patient), slices.csv (counts per slice), and ensemble.pt,
the folds' networks as one: trained on everybody, so for new patients only.
"""

import argparse
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from .checkpoint import Ensemble, load_checkpoint, save_checkpoint
from .data import Cohort, fold_patients, open_cohort
from .metrics import counts, scores
from .predict import clean, predict_volume
from .shape import shape_features
from .train import TrainConfig, add_options, fit


def cross_validate(cohort: Cohort, config: TrainConfig, folds: int = 4, progress: bool = True) -> nn.Module:
    """Train and judge each fold under `config.out`; returns the ensemble of the folds' networks.

    No fold validates while it trains, so nothing is chosen on the patients it is judged on: the
    last epoch's averaged weights count. A fold whose files are there is not trained again.
    """
    out, members = Path(config.out), []
    for fold, held_out in enumerate(fold_patients(cohort.patients, folds)):
        place = out / f"fold{fold}"
        train = [patient for patient in cohort.patients if patient not in set(held_out)]
        if not (place / "probability.npz").exists():
            mine = replace(config, out=str(place), seed=config.seed + fold)
            model = mine.model()
            fit(model, cohort, train, [], mine, progress)
            save_probabilities(model, cohort, held_out, place / "probability.npz")
        members.append(load_checkpoint(place / "last.pt"))
        write_tables(cohort, out, folds, members[0].recipe)
    ensemble = Ensemble(members)
    save_checkpoint(ensemble, out / "ensemble.pt", half=True)
    return ensemble


def save_probabilities(model: nn.Module, cohort: Cohort, patients: list[str], path: Path) -> None:
    """Probabilities of these patients as bytes (255 is 1), so that post-processing can be studied at leisure."""
    found = {patient: np.rint(255 * predict_volume(model, cohort.volume(patient).image)).astype(np.uint8)
             for patient in patients}
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, **found)
    part.replace(path)


def read_probabilities(out: Path | str, folds: int) -> dict[str, tuple[int, np.ndarray]]:
    """patient -> (fold, probability float32 (D,H,W)) of the folds that are done."""
    found = {}
    for fold in range(folds):
        path = Path(out) / f"fold{fold}" / "probability.npz"
        if path.exists():
            with np.load(path) as file:
                found |= {patient: (fold, file[patient].astype(np.float32) / 255) for patient in file.files}
    return found


def write_tables(cohort: Cohort, out: Path, folds: int, recipe) -> None:
    """patients.csv and slices.csv of the folds that are done."""
    patients, slices = [], []
    for patient, (fold, probability) in read_probabilities(out, folds).items():
        truth, mask = cohort.volume(patient).mask, clean(probability, recipe.threshold, recipe.keep)
        patients.append({"patient": patient, "fold": fold, **scores(mask, truth), "tumour_voxels": int(truth.sum()),
                         "predicted_voxels": int(mask.sum()), **shape_features(mask)})
        slices += [{"patient": patient, "k": k + 1, **counts(m, t)._asdict()}
                   for k, (m, t) in enumerate(zip(mask, truth, strict=True))]
    pd.DataFrame(patients).sort_values("patient").round(6).to_csv(out / "patients.csv", index=False)
    pd.DataFrame(slices).drop(columns="tn").sort_values(["patient", "k"]).to_csv(out / "slices.csv", index=False)


def summary(dice: np.ndarray, seed: int = 0) -> str:
    """Mean and median of Dice per patient, with 95 % intervals by bootstrap over patients (10,000 draws)."""
    draws = np.random.default_rng(seed).choice(dice, (10_000, len(dice)))
    parts = []
    for name, statistic in (("mean", np.mean), ("median", np.median)):
        low, high = np.percentile(statistic(draws, axis=1), [2.5, 97.5])
        parts.append(f"{name} {statistic(dice):.3f} ({low:.3f} to {high:.3f})")
    return f"Dice of {len(dice)} patients: {', '.join(parts)}, worst {dice.min():.3f}"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m lggseg.crossval", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="cohort folder, or 'phantom'; see lggseg.open_cohort")
    parser.add_argument("--folds", type=int, default=4)
    add_options(parser)
    args = parser.parse_args(argv)
    config = TrainConfig(**{field.name: getattr(args, field.name) for field in fields(TrainConfig)})
    if not config.out:
        parser.error("--out is needed: the folder that a stopped run goes on from")
    cross_validate(open_cohort(args.data), config, args.folds)
    print("out of fold,", summary(pd.read_csv(Path(config.out) / "patients.csv").dice.to_numpy()))


if __name__ == "__main__":
    main()
