"""Dice of each held-out patient as scanned, and as other scanners would have shown them.

Each SOURCE is the folder of a cross-validation, a file of weights, or DIR/maps of an earlier
command; a patient is judged by the networks that never saw them, of all sources together. The
changes are those of `lggseg.prepare.scanner`. Under --out lie then the members' maps of every
patient and change, one table per patient, and robustness.csv with all rows. A command that was
stopped goes on where it was; with --part 1/2 and --part 2/2 two processes share the work.

The harsh changes are judged, too, for `experiments.trust`, and count in none of the figures here.
What decides between recipes is the mean over patients of (clean + mean of the changes) / 2. A
catastrophe is a changed scan with Dice below 0.5 where the scan itself has above 0.7. Intervals
are 95 %, by bootstrap over patients.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from lggseg import Cohort, LggError, Segmenter, Volume, dice, load_checkpoint, open_cohort
from lggseg.files import atomic_write
from lggseg.measures.trust import signs
from lggseg.model.postprocess import postprocess
from lggseg.prepare.head_finder import Head, find_head
from lggseg.prepare.scanner import HARSH_CHANGES, SCANNER_CHANGES, scan_again

from .command import command, execute
from .compare import difference, interval, write_scores
from .maps import check, from_bytes, read_maps, to_bytes, write_maps
from .plan import Run, read_run
from .tables import write_csv

CLEAN = "clean"
TOGETHER = "together"  # all members' mean, where a judge is named; the others are numbers
VERSIONS = (CLEAN, *SCANNER_CHANGES, *HARSH_CHANGES)
SETTINGS = "robustness.json"
# a catastrophe is below the first where the clean scan is above the second
FAILED = 0.5
GOOD = 0.7


@dataclass(frozen=True)
class Version:
    """A patient as one of VERSIONS shows them.

    Attributes
    ----------
    name : of the version
    image : uint8 (slices, height, width, 3)
    truth : bool (slices, height, width), the manual mask
    head : what `find_head` finds in the image
    """

    name: str
    image: np.ndarray
    truth: np.ndarray
    head: Head


def version(name: str, volume: Volume) -> Version:
    """A patient as one of VERSIONS shows them."""
    image = np.ascontiguousarray(volume.image)
    truth = np.asarray(volume.mask)
    if name != CLEAN:
        image, truth = scan_again(name, image, truth)
    return Version(name, image, truth, find_head(image))


class Judges:
    """Who judges: networks, of which each patient gets those that never saw them, and maps made
    before.

    Parameters
    ----------
    sources : folders of cross-validations, files of weights, and folders of maps
    """

    def __init__(self, sources: list[Path]):
        self.runs = [read_run(source) for source in sources if (source / "run.json").exists()]
        self.files_of_weights = [
            load_checkpoint(source) for source in sources if not source.is_dir()
        ]
        self.folders = [
            source for source in sources if source.is_dir() and not (source / "run.json").exists()
        ]
        for folder in self.folders:
            if not any(folder.glob("*.npz")):
                raise LggError(f"{folder} holds neither a cross-validation nor maps of patients")

    def patients(self, cohort: Cohort) -> list[str]:
        """The patients that every source can judge so far."""
        judged = [finished(run) for run in self.runs]
        judged += [{path.stem for path in folder.glob("*.npz")} for folder in self.folders]
        return [
            patient for patient in cohort.patients if all(patient in theirs for theirs in judged)
        ]

    def networks(self, patient: str) -> list[Segmenter]:
        """The networks that never saw the patient; LggError where a source has none."""
        chosen = [network_of(run, fold_of(run, patient)) for run in self.runs]
        chosen += [segmenter.without(patient) for segmenter in self.files_of_weights]
        for segmenter in chosen:
            check([patient], segmenter.training_patients, Path(patient))
        return chosen

    def files(self, patient: str, folder: Path) -> list[Path]:
        """Files of maps of a patient: those made before, and in `folder` that of the networks."""
        name = f"{patient}.npz"
        paths = [other / name for other in self.folders]
        if self.runs or self.files_of_weights:
            paths.append(folder / name)
        return paths

    def maps(self, volume: Volume, folder: Path) -> Iterator[tuple[Version, np.ndarray]]:
        """Each version of a patient, and the maps of all members.

        What the networks predict is kept in `folder`; it is read from there if it was kept before.

        Parameters
        ----------
        volume : the patient
        folder : for the maps of the networks

        Yields
        ------
        the version, and float32 (members, slices, height, width)
        """
        paths = self.files(volume.patient, folder)
        own = folder / f"{volume.patient}.npz"
        networks = []
        if own in paths and not own.exists():
            networks = self.networks(volume.patient)
            paths.remove(own)
        stored = [read_maps(path) for path in paths]
        predicted = {}
        for name in VERSIONS:
            shown = version(name, volume)
            members = [next_map(maps, path, name) for maps, path in zip(stored, paths, strict=True)]
            if networks:
                predicted[name] = member_maps(networks, shown)
                members.append(from_bytes(predicted[name]))
            yield shown, np.concatenate(members)
        if networks:
            seen = set()
            for segmenter in networks:
                seen.update(segmenter.training_patients)
            write_maps(predicted, seen, own)


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


def member_maps(segmenters: list[Segmenter], shown: Version) -> np.ndarray:
    """Probability by each network of all segmenters, as bytes.

    Returns
    -------
    uint8 (members, slices, height, width)
    """
    maps = []
    for segmenter in segmenters:
        probability = segmenter.member_probabilities(shown.image, head=shown.head)
        maps.append(to_bytes(probability))
    return np.concatenate(maps)


def next_map(maps: Iterator[tuple[str, np.ndarray]], path: Path, name: str) -> np.ndarray:
    """The next entry of a file of maps; LggError unless it is of the version `name`."""
    found, members = next(maps, ("", np.empty(0)))
    if found != name:
        raise LggError(
            f"{path} holds other changes than those of today; delete it, and start again"
        )
    return members


def judge(
    patient: str, shown: Version, members: np.ndarray, threshold: float, share: float
) -> list[dict]:
    """Dice and signs of trouble of one version: a row for the members together, and for each alone.

    Parameters
    ----------
    patient : id
    shown : the version
    members : float32 (members, slices, height, width)
    threshold, share : for `postprocess`
    """
    judges = {TOGETHER: members}
    if len(members) > 1:
        for i in range(len(members)):
            judges[str(i)] = members[i : i + 1]
    rows = []
    for who, chosen in judges.items():
        mask = postprocess(chosen.mean(axis=0), threshold, share)
        row = {"patient": patient, "change": shown.name, "judge": who}
        row["dice"] = dice(mask, shown.truth)
        rows.append(row | signs(chosen, mask, shown.image, shown.head, threshold))
    return rows


def measure(
    cohort: Cohort, judges: Judges, out: Path, part: tuple[int, int], threshold: float, share: float
) -> None:
    """Judge the patients of one part that are not judged yet."""
    for patient in tqdm(part_of_patients(judges.patients(cohort), part), "judge"):
        table = out / "patients" / f"{patient}.csv"
        if not table.exists():
            volume = cohort.volume(patient)
            rows = []
            for shown, members in judges.maps(volume, out / "maps"):
                rows += judge(patient, shown, members, threshold, share)
            write_csv(pd.DataFrame(rows).round(6), table)


def part_of_patients(patients: list[str], part: tuple[int, int]) -> list[str]:
    """Every `part[1]`-th patient, from the `part[0]`-th."""
    return patients[part[0] - 1 :: part[1]]


def claim(out: Path, settings: dict) -> None:
    """Remember what the folder's tables were made with; LggError where they were made with
    something else.
    """
    path = out / SETTINGS
    if path.exists():
        there = read_settings(out)
        changed = [name for name in settings if there.get(name) != settings[name]]
        if changed:
            raise LggError(
                f"{out} holds tables made with other {', '.join(changed)}; choose another --out, "
                "or delete this folder"
            )
        return
    with atomic_write(path) as part:
        part.write_text(json.dumps(settings, indent=1), encoding="utf-8")


def read_settings(out: Path) -> dict:
    """What the folder's tables were made with; LggError where it holds none."""
    try:
        return json.loads((out / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LggError(
            f"{out} holds no tables of rough scans ({error}); make them with "
            f"`python -m experiments.robustness RUN --out {out}`"
        ) from error


def read_table(out: Path) -> pd.DataFrame:
    """All rows of the patients judged so far; LggError where there is none."""
    paths = sorted((out / "patients").glob("*.csv"))
    if not paths:
        raise LggError(f"{out}: no patient is judged yet")
    return pd.concat([pd.read_csv(path, dtype={"judge": str}) for path in paths], ignore_index=True)


def score(table: pd.DataFrame, who: str = TOGETHER) -> pd.DataFrame:
    """One row per patient: clean, changed (mean), both (their mean), worst, and the number of
    catastrophes.
    """
    counted = table[(table.judge == who) & ~table.change.isin([*HARSH_CHANGES])]
    dices = counted.pivot(index="patient", columns="change", values="dice")
    changed = dices.drop(columns=CLEAN)
    found = pd.DataFrame({"clean": dices[CLEAN], "changed": changed.mean(axis=1)})
    found["both"] = (found.clean + found.changed) / 2
    found["worst"] = dices.min(axis=1)
    fell = changed.lt(FAILED).sum(axis=1)
    found["catastrophes"] = fell.where(found.clean > GOOD, 0)
    return found


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per judge: the figures that are printed."""
    rows = {}
    for who in table.judge.unique():
        each = score(table, who)
        low, high = interval(each.both.to_numpy(), np.mean)
        rows[who] = {
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
    """Per figure: mean of this table's patients minus the other's, patient by patient, with its
    interval.
    """
    figures = ["clean", "changed", "both", "worst"]
    gain = score(table)[figures] - score(other)[figures]
    rows = {name: difference(values.dropna().to_numpy()) for name, values in gain.items()}
    return pd.DataFrame.from_dict(rows, orient="index").astype({"shared": int})


def report(table: pd.DataFrame) -> Iterator[str]:
    """The figures, as lines: one table of judges, one of changes."""
    yield summary(table).round(3).to_string()
    by_change = table.pivot_table(index="change", columns="judge", values="dice", sort=False)
    together = table[table.judge == TOGETHER].groupby("change").dice
    yield by_change.assign(worst=together.min()).round(3).to_string()


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
        "--maps-only",
        action="store_true",
        help="write only the members' maps, for a later command that joins them",
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
    parser.add_argument(
        "--scores",
        type=Path,
        metavar="FILE",
        help="also write Dice per patient and change to a CSV file, for `experiments.compare`",
    )
    return parser


def do(chosen: argparse.Namespace) -> None:
    settings = {
        "sources": [str(source.resolve()) for source in chosen.sources],
        "threshold": chosen.threshold,
        "share": chosen.share,
    }
    claim(chosen.out, settings)
    cohort = open_cohort(chosen.data)
    judges = Judges(chosen.sources)
    if chosen.maps_only:
        for patient in tqdm(part_of_patients(judges.patients(cohort), chosen.part), "predict"):
            if (chosen.out / "maps" / f"{patient}.npz").exists():
                continue
            for _ in judges.maps(cohort.volume(patient), chosen.out / "maps"):
                pass  # each version's maps are kept as soon as all are there
        return
    measure(cohort, judges, chosen.out, chosen.part, chosen.threshold, chosen.share)
    table = read_table(chosen.out)
    write_csv(table, chosen.out / "robustness.csv")
    for text in report(table):
        print(text, end="\n\n")
    if chosen.scores:
        together = table[table.judge == TOGETHER]
        write_scores(together.rename(columns={"change": "run"}), chosen.scores)
    for other in chosen.against:
        print(f"minus {other}")
        print(comparison(table, read_table(other)).round(3).to_string(), end="\n\n")


def main(argv: list[str] | None = None) -> None:
    execute(options(), do, argv)


if __name__ == "__main__":
    main()
