"""Make the shipped weights and the committed results from a finished cross-validation: all of it, or nothing.

The weights, ensemble.pt or the one network of --network, become lggseg/weights/kaggle.pt; patients.csv, slices.csv and
choices.csv become lggseg/published/oof_*.csv, where oof stands for out of fold; and the out-of-fold scores are stamped
into the pages that tell of them. The networks of --halves, another run, become lggseg/weights/kaggle_halves.pt: a
network that has seen every patient can judge none of them, and the notebooks need somebody who can.
"""

import argparse
import re
from contextlib import ExitStack
from pathlib import Path

import pandas as pd

from lggseg import LggError, Segmenter, load_checkpoint
from lggseg.files import atomic_write

from .command import command, execute
from .plan import Run, read_run
from .tables import summary

ROOT = Path(__file__).resolve().parent.parent
TABLES = {"patients.csv": "oof_features.csv", "slices.csv": "oof_slices.csv", "choices.csv": "oof_choices.csv"}
PAGES = ("README.md", "lggseg/weights/README.md")


def release(run: Run, network: Path | None = None, halves: Run | None = None, bits: int = 8, root: Path = ROOT) -> str:
    """Write weights in `bits` a weight, tables and figures under `root`; returns the figures.

    Threshold and min_component_share of what is shipped are those that suit all the patients that the run judged.
    Raises LggError, before anything is written, where a run is not finished, the network was trained on others than
    it judged, the halves are not of the same patients, or a page has no place for the figures.
    """
    shipped = root / "lggseg" / "weights"
    ensemble = load_checkpoint(run.out / "ensemble.pt")
    weights = {shipped / "kaggle.pt": load_checkpoint(network).with_recipe(
        threshold=ensemble.recipe.threshold, min_component_share=ensemble.recipe.min_component_share)
        if network else ensemble}
    if halves:
        weights[shipped / "kaggle_halves.pt"] = load_checkpoint(halves.out / "ensemble.pt")
    tables = {name: (run.out / name).read_bytes() for name in TABLES if (run.out / name).exists()}
    judged = sorted(patient for fold in run.folds for patient in fold.held_out)
    if len(run.done()) < len(run.folds) or len(tables) < len(TABLES) or patients_of(run).patient.tolist() != judged:
        raise LggError(f"{run.out} is not finished: run the command that began it once more")
    for path, segmenter in weights.items():
        if segmenter.training_patients != judged:
            raise LggError(f"{path.name}: trained on {len(segmenter.training_patients)} patients, and the tables judge "
                           f"{len(judged)}; release networks that were trained on those of the tables")
    told = figures(patients_of(run))
    pages = {root / page: stamp(root / page, "oof", told) for page in PAGES}
    publish(weights, bits, {root / "lggseg" / "published" / TABLES[name]: content for name, content in tables.items()}
            | {page: text.encode() for page, text in pages.items()})
    return told


def publish(weights: dict[Path, Segmenter], bits: int, files: dict[Path, bytes]) -> None:
    """Write all files beside their places, then rename them: an error on the way changes nothing."""
    with ExitStack() as all_of_them:
        for path, segmenter in weights.items():
            segmenter.save(all_of_them.enter_context(atomic_write(path)), bits)
        for path, content in files.items():
            all_of_them.enter_context(atomic_write(path)).write_bytes(content)


def patients_of(run: Run) -> pd.DataFrame:
    """The run's patients.csv, in order."""
    return pd.read_csv(run.out / "patients.csv").sort_values("patient")


def figures(patients: pd.DataFrame) -> str:
    """The out-of-fold scores in words, over all patients and per fold."""
    folds = patients.groupby("fold").dice.mean()
    return (f"> {summary(patients.dice.to_numpy())}\n>\n"
            f"> Mean per fold: {', '.join(f'{value:.3f}' for value in folds)}")


def stamp(page: Path, name: str, content: str) -> str:
    """The page's text with `content` between `<!-- name -->` and `<!-- /name -->`; LggError without these markers."""
    text, found = re.subn(rf"(<!-- {name} -->).*?(<!-- /{name} -->)", lambda hit: f"{hit[1]}\n{content}\n{hit[2]}",
                          page.read_text(encoding="utf-8"), count=1, flags=re.DOTALL)
    if not found:
        raise LggError(f"{page} has no <!-- {name} --> ... <!-- /{name} --> to fill; put the markers where the figures "
                       "belong")
    return text


def options() -> argparse.ArgumentParser:
    parser = command("release", __doc__, data=False)
    parser.add_argument("run", metavar="RUN", help="folder of a finished cross-validation")
    parser.add_argument("--network", type=Path, metavar="FILE",
                        help="ship this network, such as a student of `experiments.distill`, in place of ensemble.pt")
    parser.add_argument("--halves", metavar="RUN", help="folder of a finished cross-validation of two small networks")
    parser.add_argument("--bits", type=int, default=8, choices=(8, 16, 32),
                        help="bits that a weight is stored in (default: 8)")
    return parser


def do(chosen: argparse.Namespace) -> None:
    halves = read_run(chosen.halves) if chosen.halves else None
    print(release(read_run(chosen.run), chosen.network, halves, chosen.bits))


def main(argv: list[str] | None = None) -> None:
    execute(options(), do, argv)


if __name__ == "__main__":
    main()
