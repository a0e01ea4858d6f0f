"""Make the shipped weights and the committed results from a finished cross-validation.

    make weights
    python tools/ship.py build/crossval --stages build/coarse build/fine build/mixed

Copies ensemble.pt to lggseg/weights/kaggle.pt and the tables to results/oof_*.csv, and writes the out-of-fold
figures into README and model card. With `--stages`, the Dice of every patient on the way there goes into
results/stages.csv; `make screen` prints what each stage brought.
"""

import argparse
import shutil
from pathlib import Path

import pandas as pd
from frame import stamp
from screen import STAGES, keep

from lggseg.checkpoint import load_checkpoint
from lggseg.crossval import summary
from lggseg.errors import LggError

ROOT = Path(__file__).resolve().parent.parent
TABLES = {"patients.csv": "oof_features.csv", "slices.csv": "oof_slices.csv", "choices.csv": "oof_choices.csv"}


def figures(patients: pd.DataFrame) -> str:
    """The out-of-fold scores in words, over all patients and per fold."""
    folds = patients.groupby("fold").dice.mean()
    return (f"> {summary(patients.dice.to_numpy())}\n>\n"
            f"> Mean per fold: {', '.join(f'{value:.3f}' for value in folds)}")


def ship(out: Path, root: Path = ROOT) -> None:
    """Copy weights and tables of the cross-validation in `out`, and stamp its figures."""
    ensemble, patients = load_checkpoint(out / "ensemble.pt"), pd.read_csv(out / "patients.csv")
    if sorted(patients.patient) != ensemble.training_patients or any(not (out / name).exists() for name in TABLES):
        raise LggError(f"{out} is not finished: run `python -m lggseg.crossval --out {out}` once more")
    pages = [root / "README.md", root / "lggseg" / "weights" / "README.md"]
    texts = [stamp(page.read_text(encoding="utf-8"), "oof", figures(patients)) for page in pages]
    for source, target in TABLES.items():
        shutil.copy(out / source, root / "results" / target)
    shutil.copy(out / "ensemble.pt", root / "lggseg" / "weights" / "kaggle.pt")
    for page, text in zip(pages, texts):
        page.write_text(text, encoding="utf-8")
    print(figures(patients))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the cross-validation")
    parser.add_argument("--stages", type=Path, nargs="*", default=[], help="folders of the cross-validations before it")
    args = parser.parse_args()
    ship(args.out)
    for folder in [*args.stages, args.out] if args.stages else []:
        keep(pd.read_csv(folder / "patients.csv", index_col="patient")[["dice"]].assign(run=folder.name), STAGES)
