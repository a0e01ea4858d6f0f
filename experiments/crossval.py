"""Cross-validation by patient: every patient is judged by a network that never saw them.

`python -m experiments.crossval --out DIR` trains one network per fold and goes on where it was stopped. DIR then holds
patients.csv (scores and shape features per patient), slices.csv (counts per slice), choices.csv (what threshold and
clean-up would do), and ensemble.pt, the folds' networks as one: trained on everybody, so for new patients only.
`--join DIR DIR` writes these files for several finished cross-validations of the same folds, whose networks then answer
together.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from lggseg import Cohort, LggError, TrainConfig, fit, fold_patients, load_checkpoint, open_cohort, shape_features
from lggseg.config import add_options, config_of
from lggseg.metrics import counts, scores
from lggseg.postprocess import components, postprocess
from lggseg.segmenter import Segmenter
from lggseg.train import check_patients

THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)  # 1, the heaviest only, would delete a tumour's second focus


def cross_validate(cohort: Cohort, config: TrainConfig, folds: int = 4, progress: bool = True) -> Segmenter:
    """Train and judge each fold under `config.out`, then join them; returns the ensemble of the folds' networks."""
    for fold in range(folds):
        if train_fold(cohort, config, fold, folds, progress) or fold == folds - 1:
            chosen = write_tables(cohort, config.out, folds)
    return join_folds([config.out], config.out, folds, *chosen)


def train_fold(cohort: Cohort, config: TrainConfig, fold: int, folds: int, progress: bool = True) -> bool:
    """Train one fold's network and predict the patients it never saw; returns False if that was done before.

    No fold validates while it trains, so nothing is chosen on the patients it is judged on: the
    last epoch's averaged weights count.
    """
    if not 0 <= fold < folds:
        raise LggError(f"fold {fold}: with {folds} folds they are numbered from 0 to {folds - 1}")
    place, held_out = Path(config.out) / f"fold{fold}", fold_patients(cohort.patients, folds)[fold]
    train = [patient for patient in cohort.patients if patient not in set(held_out)]
    if (place / "probability.npz").exists():
        check_fold(place, train)
        return False
    start = config.start and str(Path(config.start) / f"fold{fold}" / "last.pt")
    mine = replace(config, out=str(place), seed=config.seed + fold, start=start)
    model = mine.model()
    check_patients(train, held_out, model.training_patients)
    fit(model, cohort, train, [], mine, progress)
    save_probabilities(model, cohort, held_out, place / "probability.npz")
    return True


def check_fold(place: Path, train: list[str]) -> None:
    """Raise LggError if the fold that is done in `place` was trained on others than `train`."""
    if load_checkpoint(place / "last.pt").training_patients != sorted(train):
        raise LggError(f"{place} was made with another cohort or number of folds; choose another `out` folder, "
                       "or delete this one to start again")


def join(cohort: Cohort, parts: list[Path | str], out: Path | str, folds: int = 4) -> Segmenter:
    """Make one ensemble of finished cross-validations of the same folds; writes all files under `out`.

    A patient is judged by the mean of those networks, one of each part, that never saw them.
    Raises LggError where a part is not finished or has other folds.
    """
    for fold, held_out in enumerate(fold_patients(cohort.patients, folds)):
        for part in parts:
            check_fold(Path(part) / f"fold{fold}", [name for name in cohort.patients if name not in set(held_out)])
            if not (Path(part) / f"fold{fold}" / "probability.npz").exists():
                raise LggError(f"{part} lacks fold {fold}; finish it with `python -m experiments.crossval --out {part}`")
    Path(out).mkdir(parents=True, exist_ok=True)
    return join_folds(parts, out, folds, *write_tables(cohort, out, folds, parts))


def join_folds(parts: list[Path | str], out: Path | str, folds: int, threshold: float, share: float) -> Segmenter:
    """Write ensemble.pt: the folds' networks of all parts as one, with this threshold and min_component_share.

    Networks of several parts are stored in 8 bits, not 16, and do without the mirror image: neither size nor time grow.
    """
    members = [load_checkpoint(Path(part) / f"fold{fold}" / "last.pt") for part in parts for fold in range(folds)]
    one = len(parts) == 1
    recipe = replace(members[0].recipe, threshold=threshold, min_component_share=share,
                     flip=members[0].recipe.flip and one)
    ensemble = Segmenter([member.networks[0] for member in members], recipe, [m.training_patients for m in members])
    ensemble.save(Path(out) / "ensemble.pt", bits=16 if one else 8)
    return ensemble


def save_probabilities(model: Segmenter, cohort: Cohort, patients: list[str], path: Path) -> None:
    """Probabilities of these patients as bytes (255 is 1), so that post-processing can be studied at leisure."""
    found = {patient: np.rint(255 * model.probability(cohort.volume(patient).image)).astype(np.uint8)
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


def mean_probabilities(parts: list[Path | str], folds: int) -> dict[str, tuple[int, np.ndarray]]:
    """As `read_probabilities`, averaged over several cross-validations of the same folds."""
    found = [read_probabilities(part, folds) for part in parts]
    return {patient: (fold, np.mean([maps[patient][1] for maps in found], axis=0))
            for patient, (fold, _) in found[0].items()}


def choices(probability: np.ndarray, truth: np.ndarray) -> pd.Series:
    """Dice of one patient's map (D,H,W) for every threshold and share that are tried; see `lggseg.postprocess`.

    Here an empty map of a patient without tumour counts as 0, at every choice alike, so it decides nothing.
    """
    found = {}
    for threshold in THRESHOLDS:
        labels, weight = components(probability, threshold)
        inside, size = (np.bincount(labels[where], minlength=len(weight) + 1)[1:] for where in (truth, labels > 0))
        for share in SHARES:
            kept = weight >= share * weight.max(initial=0)
            found[threshold, share] = 2 * inside[kept].sum() / max(1, size[kept].sum() + truth.sum())
    return pd.Series(found)


def choose(dice: pd.DataFrame) -> tuple[float, float]:
    """Threshold and share from one row of `choices` per patient, among those as good as the best.

    As good is a mean Dice within 0.001: less is noise. Then the threshold nearest to 0.5 wins, and after it the
    thorough clean-up: a stray blob costs little Dice, but ruins a tumour's shape (notebook 06).
    """
    mean = dice.mean()
    good = mean.index[mean >= mean.max() - 0.001]
    threshold, share = min(good, key=lambda choice: (round(abs(choice[0] - 0.5), 3), -choice[1]))
    return float(threshold), float(share)  # checkpoints hold plain values


def write_tables(cohort: Cohort, out: Path | str, folds: int, parts: list | None = None) -> tuple[float, float]:
    """patients.csv, slices.csv and choices.csv of the folds that are done; returns threshold and share chosen on all.

    `parts` are the folders with the folds, `out` itself unless given.

    Each patient's mask is made with the threshold and share chosen on the *other* folds (0.5 and 0 as long
    as there are none), so that the scores stay honest: nothing was chosen on the patient judged.
    """
    out, found = Path(out), mean_probabilities(parts or [out], folds)
    tried = pd.DataFrame({p: choices(map_, cohort.volume(p).mask) for p, (_, map_) in found.items()}).T
    tried.mean().rename("mean_dice").rename_axis(["threshold", "min_component_share"]).round(4).to_csv(out / "choices.csv")
    fold_of = pd.Series({patient: fold for patient, (fold, _) in found.items()})
    chosen = {f: choose(tried[fold_of != f]) if (fold_of != f).any() else (0.5, 0.0) for f in fold_of.unique()}
    patients, slices = [], []
    for patient, (fold, probability) in found.items():
        truth, (threshold, share) = cohort.volume(patient).mask, chosen[fold]
        mask = postprocess(probability, threshold, share)
        patients.append({
            "patient": patient, "fold": fold, **scores(mask, truth), "tumour_voxels": int(truth.sum()),
            "predicted_voxels": int(mask.sum()), **shape_features(mask),
            "bevr_raw": shape_features(probability >= threshold)["bevr"], "threshold": threshold, "min_component_share": share})
        slices += [{"patient": patient, "k": k + 1, **counts(m, t)._asdict()}
                   for k, (m, t) in enumerate(zip(mask, truth, strict=True))]
    pd.DataFrame(patients).sort_values("patient").round(6).to_csv(out / "patients.csv", index=False)
    pd.DataFrame(slices).drop(columns="tn").sort_values(["patient", "k"]).to_csv(out / "slices.csv", index=False)
    return choose(tried)


def summary(dice: np.ndarray, seed: int = 0) -> str:
    """Mean and median of Dice per patient, with 95 % intervals by bootstrap over patients (10,000 draws)."""
    draws = np.random.default_rng(seed).choice(dice, (10_000, len(dice)))
    parts = []
    for name, statistic in (("mean", np.mean), ("median", np.median)):
        low, high = np.percentile(statistic(draws, axis=1), [2.5, 97.5])
        parts.append(f"{name} {statistic(dice):.3f} ({low:.3f} to {high:.3f})")
    return f"Dice of {len(dice)} patients: {', '.join(parts)}, worst {dice.min():.3f}"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.crossval", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="cohort folder, or 'phantom'; see lggseg.open_cohort")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--join", nargs="+", metavar="DIR", help="train nothing, but join these into one ensemble")
    parser.add_argument("--fold", type=int, help="train only this fold, from 0: processes can share the folds")
    add_options(parser)
    args = parser.parse_args(argv)
    config = config_of(args)
    if not config.out:
        parser.error("--out is needed: the folder that a stopped run goes on from")
    cohort = open_cohort(args.data)
    if args.fold is not None:
        train_fold(cohort, config, args.fold, args.folds)
        return
    if args.join:
        join(cohort, args.join, config.out, args.folds)
    else:
        cross_validate(cohort, config, args.folds)
    print("out of fold,", summary(pd.read_csv(Path(config.out) / "patients.csv").dice.to_numpy()))


if __name__ == "__main__":
    main()
