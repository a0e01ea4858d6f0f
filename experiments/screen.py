"""What each choice of the recipe is worth: short paired runs on one split, judged on its validation patients.

    python tools/screen.py --out build/screen [NAME ...]

Every run changes one thing of `BASE` and sees as many slices. Networks that are trained already are only judged again.
Writes results/screen.csv (Dice per validation patient and run) and prints the table: mean, median, and the mean
difference from `base` with a 95 % interval by bootstrap over patients.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd

from lggseg import TrainConfig, evaluate, fit, load_checkpoint, open_cohort, split_patients
from lggseg.checkpoint import save_checkpoint
from lggseg.transforms import Stats, head_stats

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results" / "screen.csv"
LONGER = ROOT / "results" / "finetune.csv"  # the same comparison of runs that go on from trained networks; see README
STAGES = ROOT / "results" / "stages.csv"  # what each stage of the shipped weights brought; by tools/ship.py
BASE = TrainConfig(size=96, coarse_share=0, epochs=8, epoch_slices=2000, augment=1.0, robust=False)
RUNS = {
    "base": {},
    "augment_1.6": {"augment": 1.6},
    "augment_0.4": {"augment": 0.4},
    "zoom_0.4": {"zoom": 0.4},
    "context_0": {"context": 0},
    "size_128": {"size": 128},
    "size_128_coarse_64": {"size": 128, "coarse_size": 64, "coarse_share": 0.6},
    "focal_tversky": {"loss": "focal_tversky"},
    "dice": {"loss": "dice"},
    "growth_1.5": {"growth": 1.5},
    "features_24": {"features": 24},
    "depth_4": {"depth": 4},
    "balance_0": {"balance": 0.0},
    "balance_1": {"balance": 1.0},
    "tumour_share_0.3": {"tumour_share": 0.3},
    "lr_1e-3": {"lr": 1e-3},
    "context_0_coarse_64": {"context": 0, "size": 128, "coarse_size": 64, "coarse_share": 0.6},
    "robust": {"robust": True},
    "robust_coarse_64": {"robust": True, "size": 128, "coarse_size": 64, "coarse_share": 0.6},
    "whole_volume": {},  # and another `head_stats`, below
}


def whole_volume(image: np.ndarray, robust: bool = False) -> Stats:
    """Mean and standard deviation of all pixels of a volume uint8 (D,H,W,3), air and head alike."""
    return Stats(image.mean((0, 1, 2), np.float32), image.std((0, 1, 2), np.float32).clip(min=1.0))


def judge(name: str, cohort, train: list[str], valid: list[str], out: Path) -> pd.DataFrame:
    """Train one run, if that was not done in `out` before, and score its validation patients."""
    place, config = out / f"{name}.pt", replace(BASE, **RUNS[name])
    if not place.exists():
        model = config.model()
        history = fit(model, cohort, train, [], config)
        history.to_csv(out / f"{name}.log.csv", index=False)
        save_checkpoint(model, place)
    scores = evaluate(load_checkpoint(place), cohort, valid)
    seconds = pd.read_csv(out / f"{name}.log.csv").seconds.sum()
    return scores[["dice", "sensitivity", "precision"]].assign(run=name, train_seconds=round(seconds))


def keep(new: pd.DataFrame, path: Path | None = None) -> None:
    """Add a run to those stored in `path` (screen.csv), in place of an older one of its name.

    Reads the file anew each time, for others may run beside it.
    """
    path = path or RESULTS
    done = [pd.read_csv(path, index_col="patient")] if path.exists() else []
    pd.concat([*(old[old.run != new.run.iloc[0]] for old in done), new]).round(4).to_csv(path)


def interval(gain: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean, by bootstrap over patients (10,000 draws)."""
    picks = np.random.default_rng(0).integers(len(gain), size=(10_000, len(gain)))
    low, high = np.percentile(gain[picks].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def table(scores: pd.DataFrame, base: str = "base", seconds: str | None = "train_seconds") -> pd.DataFrame:
    """One row per run; `difference` is the mean over patients of Dice minus base's, `low` and `high` its interval."""
    dice, rows = scores.reset_index().pivot(index="patient", columns="run", values="dice"), {}
    for run in scores.run.unique():
        gain = (dice[run] - dice.get(base, float("nan"))).dropna().to_numpy()  # of the patients that both judged
        low, high = interval(gain) if len(gain) else (float("nan"), float("nan"))
        rows[run] = {"n": dice[run].count(), "mean": dice[run].mean(), "median": dice[run].median(),
                     "worst": dice[run].min(), "difference": gain.mean() if len(gain) else float("nan"),
                     "low": low, "high": high}
        if seconds:
            rows[run][seconds] = scores[seconds][scores.run == run].iloc[0]
    return pd.DataFrame.from_dict(rows, orient="index")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *RUNS],
                        help=f"train and judge these of {', '.join(RUNS)}; without a name, print what is stored")
    parser.add_argument("--data", help="cohort folder; see lggseg.open_cohort")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "screen")
    args = parser.parse_args()
    if args.names:
        args.out.mkdir(parents=True, exist_ok=True)
        cohort = open_cohort(args.data)
        train, valid = split_patients(cohort.patients, (2 / 3, 1 / 3))
    for name in args.names:
        stats = whole_volume if name == "whole_volume" else head_stats
        with mock.patch("lggseg.data.dataset.head_stats", stats), mock.patch("lggseg.predict.head_stats", stats):
            keep(judge(name, cohort, train, valid, args.out))
    print(table(pd.read_csv(RESULTS, index_col="patient")).round(3).to_string())
    print(table(pd.read_csv(LONGER, index_col="patient"), "start").round(3).to_string())
    stages = pd.read_csv(STAGES, index_col="patient")
    for earlier in ("coarse", "fine"):
        print(table(stages, earlier, None).round(3).to_string())


if __name__ == "__main__":
    main()
