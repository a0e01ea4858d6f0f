"""Dice of each held-out patient as scanned, and as other scanners would have shown them.

Each SOURCE is the folder of a cross-validation or a file of weights; a patient is judged by the networks that never saw
them, of all sources together. The changes are those of `lggseg.prepare.scanner`. Under --out lie then the members' maps
of every patient and change, one table per patient, and robustness.csv with all rows. A command that was stopped goes on
where it was; with --part 1/2 and --part 2/2 two processes share the work.

The harsh changes are judged, too, for `experiments.trust`, and count in none of the figures here. What decides between
recipes is the mean over patients of (clean + mean of the changes) / 2. A catastrophe is a changed
scan with Dice below 0.5 where the scan itself has above 0.7. Intervals are 95 %, by bootstrap over patients.
"""

import argparse
import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from lggseg import Cohort, LggError, Segmenter, Volume, dice, load_checkpoint, open_cohort
from lggseg.files import atomic_write
from lggseg.measures.trust import signs
from lggseg.model.postprocess import postprocess
from lggseg.prepare.head_finder import find_head
from lggseg.prepare.scanner import HARSH_CHANGES, SCANNER_CHANGES, scan_again

from .command import command, execute
from .compare import difference
from .maps import check, from_bytes, read_maps, to_bytes, write_maps
from .plan import Run, read_run
from .tables import write_csv

CLEAN = "clean"
VERSIONS = (CLEAN, *SCANNER_CHANGES, *HARSH_CHANGES)
FAILED, GOOD = 0.5, 0.7  # a catastrophe is below the first where the clean scan is above the second


class Judges:
    """Networks of several sources, of which each patient gets those that never saw them.

    Parameters
    ----------
    sources : folders of cross-validations, and files of weights
    """

    def __init__(self, sources: list[Path]):
        self.runs = [read_run(source) for source in sources if source.is_dir()]
        self.files = [load_checkpoint(source) for source in sources if not source.is_dir()]

    def patients(self, cohort: Cohort) -> list[str]:
        """The patients that every cross-validation has judged so far; all of the cohort where there is none."""
        judged = [finished(run) for run in self.runs]
        return [
            patient for patient in cohort.patients if all(patient in theirs for theirs in judged)
        ]

    def of(self, patient: str) -> list[Segmenter]:
        """The networks that never saw the patient; LggError where a source has none."""
        chosen = [network_of(run, fold_of(run, patient)) for run in self.runs]
        chosen += [segmenter.without(patient) for segmenter in self.files]
        for segmenter in chosen:
            check([patient], segmenter.training_patients, Path(patient))
        return chosen


def finished(run: Run) -> set[str]:
    """The patients whose fold's network is trained."""
    return {patient for k in run.done() for patient in run.folds[k].held_out}


def fold_of(run: Run, patient: str) -> int:
    """The fold that holds a patient out; LggError where none does."""
    for k, fold in enumerate(run.folds):
        if patient in fold.held_out:
            return k
    raise LggError(
        f"{run.out}: {patient} is held out in no fold; give a run that judges this patient"
    )


@lru_cache(maxsize=16)
def read_network(path: Path) -> Segmenter:
    """A checkpoint, read once."""
    return load_checkpoint(path)


def network_of(run: Run, k: int) -> Segmenter:
    """The network of a fold."""
    return read_network(run.network(k))


def version(name: str, volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Image and mask of a patient as one of VERSIONS shows them."""
    image = np.ascontiguousarray(volume.image)
    mask = np.asarray(volume.mask)
    if name == CLEAN:
        return image, mask
    return scan_again(name, image, mask)


def member_maps(segmenters: list[Segmenter], image: np.ndarray) -> np.ndarray:
    """Probability by each network of all segmenters, as bytes: uint8 (members, slices, height, width)."""
    found = []
    for segmenter in segmenters:
        for network, patients in zip(segmenter.networks, segmenter.patients, strict=True):
            member = Segmenter(network, segmenter.recipe, [patients])
            found.append(to_bytes(member.probability(image)))
    return np.stack(found)


def judge(
    segmenters: list[Segmenter], volume: Volume, maps: Path, threshold: float, share: float
) -> pd.DataFrame:
    """One row per version of a patient: Dice of the members' mean and of each member, and the signs of trouble.

    The members' maps are read from a file, which is made where it is not there yet.
    """
    stored = dict(read_maps(maps)) if maps.exists() else {}
    new = {}
    rows = []
    for name in VERSIONS:
        image, truth = version(name, volume)
        if stored:
            members = stored[name]
        else:
            new[name] = member_maps(segmenters, image)
            members = from_bytes(new[name])
        mask = postprocess(members.mean(axis=0), threshold, share)
        row = {"patient": volume.patient, "change": name, "dice": dice(mask, truth)}
        for i, member in enumerate(members):
            row[f"dice_{i}"] = dice(postprocess(member, threshold, share), truth)
        rows.append(row | signs(members, mask, image, find_head(image), threshold))
    if new:
        seen = {patient for segmenter in segmenters for patient in segmenter.training_patients}
        check([volume.patient], seen, maps)
        write_maps(new, seen, maps)
    return pd.DataFrame(rows)


def measure(
    cohort: Cohort, judges: Judges, out: Path, part: tuple[int, int], threshold: float, share: float
) -> None:
    """Judge the patients of one part that are not judged yet."""
    number, parts = part
    for patient in tqdm(judges.patients(cohort)[number - 1 :: parts], "robustness"):
        table = out / "patients" / f"{patient}.csv"
        if table.exists():
            continue
        maps = out / "maps" / f"{patient}.npz"
        rows = judge(judges.of(patient), cohort.volume(patient), maps, threshold, share)
        write_csv(rows.round(6), table)


def claim(out: Path, settings: dict) -> None:
    """Remember what the folder's tables were made with; LggError where they were made with something else."""
    path = out / "robustness.json"
    if path.exists():
        there = json.loads(path.read_text(encoding="utf-8"))
        changed = [name for name in settings if there.get(name) != settings[name]]
        if changed:
            raise LggError(
                f"{out} holds tables made with other {', '.join(changed)}; choose another --out, or delete "
                "this folder"
            )
        return
    with atomic_write(path) as part:
        part.write_text(json.dumps(settings, indent=1), encoding="utf-8")


def read_table(out: Path) -> pd.DataFrame:
    """All rows of the patients judged so far; LggError where there is none."""
    paths = sorted((out / "patients").glob("*.csv"))
    if not paths:
        raise LggError(f"{out}: no patient is judged yet")
    return pd.concat([pd.read_csv(path) for path in paths], ignore_index=True)


def score(table: pd.DataFrame, column: str = "dice") -> pd.DataFrame:
    """One row per patient: clean, changed (mean), both (their mean), worst, and the number of catastrophes."""
    dices = table.pivot(index="patient", columns="change", values=column)
    dices = dices.drop(columns=dices.columns.intersection([*HARSH_CHANGES]))
    changed = dices.drop(columns=CLEAN)
    found = pd.DataFrame({"clean": dices[CLEAN], "changed": changed.mean(axis=1)})
    found["both"] = (found.clean + found.changed) / 2
    found["worst"] = dices.min(axis=1)
    fell = changed.lt(FAILED).sum(axis=1)
    found["catastrophes"] = fell.where(found.clean > GOOD, 0)
    return found


def interval(values: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean of one value per patient, by bootstrap."""
    draws = np.random.default_rng(0).choice(values, (10_000, len(values)))
    low, high = np.percentile(draws.mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row for the members' mean and one per member: the figures that are printed."""
    columns = [name for name in table if name == "dice" or name.startswith("dice_")]
    rows = {}
    for column in columns:
        each = score(table, column)
        low, high = interval(each.both.to_numpy())
        rows[column] = {
            "patients": len(each),
            "clean": each.clean.mean(),
            "changed": each.changed.mean(),
            "both": each.both.mean(),
            "low": low,
            "high": high,
            "worst": each.worst.mean(),
            "catastrophes": each.catastrophes.sum(),
        }
    return pd.DataFrame.from_dict(rows, orient="index").astype(
        {"patients": int, "catastrophes": int}
    )


def comparison(table: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Per figure: mean of this table's patients minus the other's, patient by patient, with its interval."""
    gain = (
        score(table)[["clean", "changed", "both", "worst"]]
        - score(other)[["clean", "changed", "both", "worst"]]
    )
    rows = {name: difference(values.dropna().to_numpy()) for name, values in gain.items()}
    return pd.DataFrame.from_dict(rows, orient="index").astype({"shared": int})


def told(table: pd.DataFrame) -> Iterator[str]:
    """The figures, as lines."""
    yield summary(table).round(3).to_string()
    columns = [name for name in table if name == "dice" or name.startswith("dice_")]
    by_change = table.groupby("change", sort=False)[columns].mean()
    yield by_change.assign(worst=table.groupby("change").dice.min()).round(3).to_string()


def part_of(text: str) -> tuple[int, int]:
    """Number and count of `--part 1/2`."""
    number, _, parts = text.partition("/")
    if not (number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text!r} is no part such as 1/2")
    return int(number), int(parts)


def options() -> argparse.ArgumentParser:
    parser = command("robustness", __doc__)
    parser.add_argument(
        "sources",
        nargs="+",
        type=Path,
        metavar="SOURCE",
        help="folder of a cross-validation, or file of weights",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for maps and tables"
    )
    parser.add_argument(
        "--part",
        type=part_of,
        default=(1, 1),
        metavar="I/N",
        help="judge every N-th patient only, from the I-th (default: 1/1)",
    )
    parser.add_argument(
        "--threshold", type=float, default=0.5, help="from which a voxel is tumour (default: 0.5)"
    )
    parser.add_argument(
        "--share",
        type=float,
        default=0.5,
        help="of the strongest component's weight, that a component needs to stay (default: 0.5)",
    )
    parser.add_argument(
        "--against",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="other folders of this command, to compare with patient by patient",
    )
    return parser


def do(chosen: argparse.Namespace) -> None:
    settings = {
        "sources": [str(source.resolve()) for source in chosen.sources],
        "threshold": chosen.threshold,
        "share": chosen.share,
    }
    claim(chosen.out, settings)
    measure(
        open_cohort(chosen.data),
        Judges(chosen.sources),
        chosen.out,
        chosen.part,
        chosen.threshold,
        chosen.share,
    )
    table = read_table(chosen.out)
    write_csv(table, chosen.out / "robustness.csv")
    for text in told(table):
        print(text, end="\n\n")
    for other in chosen.against:
        print(f"minus {other}")
        print(comparison(table, read_table(other)).round(3).to_string(), end="\n\n")


def main(argv: list[str] | None = None) -> None:
    execute(options(), do, argv)


if __name__ == "__main__":
    main()
