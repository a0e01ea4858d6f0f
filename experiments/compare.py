"""Dice of several runs, patient by patient: which is better, and how sure is it?

Each source is the folder of a cross-validation, or a CSV with the columns patient, run, dice. The
difference is the mean over the patients that both runs judged of Dice minus the base's; low and
high are its 95 % interval by bootstrap over patients (10,000 draws).
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from lggseg import LggError
from lggseg.files import atomic_write

from .command import command, execute

COLUMNS = ["patient", "run", "dice"]


def read_scores(source: Path | str) -> pd.DataFrame:
    """The Dice scores of a CSV file, or of a cross-validation's folder.

    Parameters
    ----------
    source : CSV file with the columns patient, run, dice; or a folder, whose name is then the run's

    Returns
    -------
    columns patient, run, dice; one row per patient and run

    Raises
    ------
    LggError
        where the table cannot be read or lacks a column
    """
    source = Path(source)
    path = source / "patients.csv" if source.is_dir() else source
    try:
        scores = pd.read_csv(path)
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise LggError(
            f"{path}: not a readable table ({error}); give a CSV file, or the folder of a "
            "cross-validation"
        ) from error
    if source.is_dir():
        scores["run"] = source.resolve().name
    for name in COLUMNS:
        if name not in scores:
            raise LggError(f"{path} lacks the column {name}; it must have {', '.join(COLUMNS)}")
    return scores[COLUMNS]


def write_scores(scores: pd.DataFrame, path: Path | str) -> None:
    """Write the scores as one CSV file that `read_scores` reads."""
    with atomic_write(path) as part:
        scores[COLUMNS].round(4).to_csv(part, index=False)


def one_column_per_run(scores: pd.DataFrame) -> pd.DataFrame:
    """One row per patient and one column per run, in the order they come.

    NaN where a run did not judge the patient. Raises LggError where a run judges a patient twice.
    """
    twice = scores[scores.duplicated(["patient", "run"])]
    if len(twice):
        first = twice.iloc[0]
        raise LggError(
            f"{first.patient} has two scores in the run {first.run}; a run judges each patient once"
        )
    dice = scores.pivot(index="patient", columns="run", values="dice")
    return dice[scores.run.unique()]


def table(scores: pd.DataFrame, base: str | None = None) -> pd.DataFrame:
    """Compare runs with one of them.

    Parameters
    ----------
    scores : columns patient, run, dice; scores that are NaN are left out
    base : name of the run that the others are compared with; the first one without it

    Returns
    -------
    one row per run: n, mean, median, worst; then `shared`, the number of patients that the run and
    the base both judged, and difference, low, high over these

    Raises
    ------
    LggError
        where no run is called `base`, or a run judges a patient twice
    """
    dice = one_column_per_run(scores)
    if base is None:
        base = dice.columns[0]
    if base not in dice:
        raise LggError(f"no run is called {base!r}; there are {', '.join(dice.columns)}")
    rows = {}
    for run, scores_of_run in dice.items():
        gain = (scores_of_run - dice[base]).dropna()
        rows[run] = {
            "n": scores_of_run.count(),
            "mean": scores_of_run.mean(),
            "median": scores_of_run.median(),
            "worst": scores_of_run.min(),
            **difference(gain.to_numpy()),
        }
    return pd.DataFrame.from_dict(rows, orient="index").astype({"n": int, "shared": int})


def difference(gain: np.ndarray) -> dict[str, float]:
    """Mean of the patients' gains (n,) and its 95 % interval by bootstrap; NaN without patients."""
    if len(gain) == 0:
        return {"shared": 0, "difference": np.nan, "low": np.nan, "high": np.nan}
    low, high = interval(gain, np.mean)
    return {"shared": len(gain), "difference": gain.mean(), "low": low, "high": high}


def interval(values: np.ndarray, statistic: Callable[..., np.ndarray]) -> tuple[float, float]:
    """95 % interval of a statistic by bootstrap over patients: percentiles of 10,000 draws.

    Parameters
    ----------
    values : (patients,)
    statistic : np.mean, np.median, or another function that takes `axis`

    Examples
    --------
    >>> low, high = interval(np.array([0.0, 1.0]), np.mean)
    >>> float(low), float(high)
    (0.0, 1.0)
    """
    if len(values) == 1:  # every draw of one patient is the same
        return values[0], values[0]
    found = stats.bootstrap(
        (values,), statistic, n_resamples=10_000, method="percentile", rng=np.random.default_rng(0)
    )
    return found.confidence_interval.low, found.confidence_interval.high


def print_table(scores: pd.DataFrame, base: str | None = None) -> None:
    """Print the comparison."""
    rounded = table(scores, base).round(3)
    without_minus_zero = rounded.mask(rounded == 0, 0)
    print(without_minus_zero.to_string())


def options() -> argparse.ArgumentParser:
    parser = command("compare", __doc__, data=False)
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="folder of a cross-validation, or CSV file"
    )
    parser.add_argument(
        "--base",
        metavar="RUN",
        help="the run that the others are compared with (default: the first)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="also write the scores to one CSV file"
    )
    return parser


def do(chosen: argparse.Namespace) -> None:
    scores = pd.concat([read_scores(source) for source in chosen.sources])
    print_table(scores, chosen.base)
    if chosen.out:
        write_scores(scores, chosen.out)


def main(argv: list[str] | None = None) -> None:
    execute(options(), do, argv)


if __name__ == "__main__":
    main()
