"""Dice of several runs, patient by patient: which is better, and how sure is it?

Each source is the folder of a cross-validation, or a CSV with the columns patient, run, dice. The difference is the
mean over the patients that both runs judged of Dice minus the base's; low and high are its 95 % interval by bootstrap
over patients (10,000 draws).
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from lggseg import LggError
from lggseg.files import atomic_write

from .command import command, execute

COLUMNS = ["patient", "run", "dice"]


def read_scores(source: Path | str) -> pd.DataFrame:
    """Columns patient, run, dice of a CSV, or of a cross-validation's folder, whose name is then the run's."""
    source = Path(source)
    path = source / "patients.csv" if source.is_dir() else source
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise LggError(f"{path}: no readable table ({error}); give a CSV file, or the folder of a "
                       "cross-validation") from error
    if source.is_dir():
        table = table.assign(run=source.resolve().name)
    if missing := [name for name in COLUMNS if name not in table]:
        raise LggError(f"{path} lacks the column {missing[0]}; it must have {', '.join(COLUMNS)}")
    return table[COLUMNS]


def paired(scores: pd.DataFrame) -> pd.DataFrame:
    """One row per patient and one column per run, in the order they come, NaN where a run did not judge the patient."""
    twice = scores[scores.duplicated(["patient", "run"])]
    if len(twice):
        patient, run = twice.iloc[0][["patient", "run"]]
        raise LggError(f"{patient} has two scores in the run {run}; a run judges each patient once")
    return scores.pivot(index="patient", columns="run", values="dice")[scores.run.unique()]


def table(scores: pd.DataFrame, base: str | None = None) -> pd.DataFrame:
    """One row per run: n, mean, median, worst, and difference, low, high against `base`, the first run unless named.

    `shared` is the number of patients that the difference speaks of. Scores that are NaN are left out.
    """
    dice = paired(scores)
    base = base or dice.columns[0]
    if base not in dice:
        raise LggError(f"no run is called {base!r}; there are {', '.join(dice.columns)}")
    rows = {run: {"n": mine.count(), "mean": mine.mean(), "median": mine.median(), "worst": mine.min(),
                  **difference((mine - dice[base]).dropna().to_numpy())} for run, mine in dice.items()}
    return pd.DataFrame.from_dict(rows, orient="index").astype({"n": int, "shared": int})


def difference(gain: np.ndarray) -> dict[str, float]:
    """Mean of the patients' gains (n,), and its 95 % interval by bootstrap; NaN without patients."""
    if len(gain) == 0:
        return {"shared": 0, "difference": np.nan, "low": np.nan, "high": np.nan}
    draws = np.random.default_rng(0).integers(len(gain), size=(10_000, len(gain)))
    low, high = np.percentile(gain[draws].mean(axis=1), [2.5, 97.5])
    return {"shared": len(gain), "difference": gain.mean(), "low": low, "high": high}


def keep(scores: pd.DataFrame, path: Path | str) -> None:
    """Write the scores as one CSV that `read_scores` reads."""
    with atomic_write(path) as part:
        scores[COLUMNS].round(4).to_csv(part, index=False)


def show(scores: pd.DataFrame, base: str | None = None) -> None:
    """Print the table."""
    rounded = table(scores, base).round(3)
    print(rounded.mask(rounded == 0, 0).to_string())  # no -0.000


def options() -> argparse.ArgumentParser:
    parser = command("compare", __doc__, data=False)
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="folder of a cross-validation, or CSV file")
    parser.add_argument("--base", metavar="RUN", help="the run that the others are compared with (default: the first)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="keep the scores as one CSV file, too")
    return parser


def do(chosen: argparse.Namespace) -> None:
    scores = pd.concat([read_scores(source) for source in chosen.sources])
    show(scores, chosen.base)
    if chosen.out:
        keep(scores, chosen.out)


def main(argv: list[str] | None = None) -> None:
    execute(options(), do, argv)


if __name__ == "__main__":
    main()
