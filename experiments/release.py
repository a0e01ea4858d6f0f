"""Make the shipped weights and the committed tables from a finished run: all of it, or nothing.

ensemble.pt becomes lggseg/weights/kaggle.pt; patients.csv, slices.csv and choices.csv become
lggseg/published/oof_*.csv, where oof stands for out of fold; and the out-of-fold scores are written
into the pages that show them.
"""

import argparse
from contextlib import ExitStack
from pathlib import Path

import pandas as pd

from lggseg import LggError, Segmenter, load_checkpoint
from lggseg.files import atomic_write

from .command import command, execute
from .plan import Run, read_run
from .tables import summary

ROOT = Path(__file__).resolve().parent.parent
TABLES = {
    "patients.csv": "oof_features.csv",
    "slices.csv": "oof_slices.csv",
    "choices.csv": "oof_choices.csv",
}
PAGES = ("README.md", "lggseg/weights/README.md")


def release(run: Run, bits: int = 8, root: Path = ROOT) -> str:
    """Write weights, tables and figures of a run into the project.

    Parameters
    ----------
    run : a finished cross-validation, or several joined
    bits : 8, 16 or 32 for each weight
    root : folder of the project

    Returns
    -------
    the figures, as they now stand in the pages

    Raises
    ------
    LggError
        before anything is written, where the run is not finished, the networks were trained on
        other patients than it judged, or a page has no place for the figures
    """
    segmenter = load_checkpoint(run.out / "ensemble.pt")
    check_finished(run)
    patients = read_patients(run)
    if segmenter.training_patients != patients.patient.tolist():
        raise LggError(
            f"{run.out}/ensemble.pt: trained on {len(segmenter.training_patients)} patients, and "
            f"the tables judge {len(patients)}; release networks that were trained on those of "
            "the tables"
        )

    text = figures(patients)
    files = {}
    for name, published in TABLES.items():
        files[root / "lggseg" / "published" / published] = (run.out / name).read_bytes()
    for page in PAGES:
        files[root / page] = stamp(root / page, "oof", text).encode()
    publish({root / "lggseg" / "weights" / "kaggle.pt": segmenter}, bits, files)
    return text


def check_finished(run: Run) -> None:
    """Raise LggError unless the run has judged all its patients and holds all tables."""
    folds_done = len(run.done()) == len(run.folds)
    tables_written = all((run.out / name).exists() for name in TABLES)
    wanted = sorted(patient for fold in run.folds for patient in fold.held_out)
    if not folds_done or not tables_written or read_patients(run).patient.tolist() != wanted:
        raise LggError(f"{run.out} is not finished: run the command that began it once more")


def publish(weights: dict[Path, Segmenter], bits: int, files: dict[Path, bytes]) -> None:
    """Write all files beside their places, then rename them: an error changes nothing."""
    with ExitStack() as all_files:
        for path, segmenter in weights.items():
            part = all_files.enter_context(atomic_write(path))
            segmenter.save(part, bits)
        for path, content in files.items():
            part = all_files.enter_context(atomic_write(path))
            part.write_bytes(content)


def read_patients(run: Run) -> pd.DataFrame:
    """The run's patients.csv, sorted by patient."""
    return pd.read_csv(run.out / "patients.csv").sort_values("patient")


def figures(patients: pd.DataFrame) -> str:
    """The out-of-fold scores as Markdown, over all patients and per fold."""
    means = patients.groupby("fold").dice.mean()
    per_fold = ", ".join(f"{mean:.3f}" for mean in means)
    return f"> {summary(patients.dice.to_numpy())}\n>\n> Mean per fold: {per_fold}"


def stamp(page: Path, name: str, content: str) -> str:
    """The page's text with `content` between `<!-- name -->` and `<!-- /name -->`.

    Raises LggError where the page lacks these markers.
    """
    start = f"<!-- {name} -->"
    end = f"<!-- /{name} -->"
    text = page.read_text(encoding="utf-8")
    before, found_start, rest = text.partition(start)
    _, found_end, after = rest.partition(end)
    if not found_start or not found_end:
        raise LggError(
            f"{page} has no {start} ... {end} to fill; put the markers where the figures belong"
        )
    return f"{before}{start}\n{content}\n{end}{after}"


def options() -> argparse.ArgumentParser:
    parser = command("release", __doc__, data=False)
    parser.add_argument("run", metavar="RUN", help="folder of a finished cross-validation")
    parser.add_argument(
        "--bits",
        type=int,
        default=8,
        choices=(8, 16, 32),
        help="bits that a weight is stored in (default: 8)",
    )
    return parser


def do(chosen: argparse.Namespace) -> None:
    print(release(read_run(chosen.run), chosen.bits))


def main(argv: list[str] | None = None) -> None:
    execute(options(), do, argv)


if __name__ == "__main__":
    main()
