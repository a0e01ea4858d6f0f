"""What the rows work on: patients, real or phantom, and how often each side is measured."""

import shutil
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lggseg.data import load_cohort
from lggseg.data.cohort import Cohort, Volume
from lggseg.patient_ids import PATIENT_FOLDER


@dataclass
class Bench:
    """The folder of patients `root`, in how many rounds, and whether only to show that the command
    works.
    """

    root: Path
    repeats: int = 5
    quick: bool = False

    @cached_property
    def cohort(self) -> Cohort:
        return load_cohort(self.root, progress=False)

    @cached_property
    def work(self) -> Path:
        """A folder for this run."""
        return Path(tempfile.mkdtemp(prefix="lggseg-bench-"))

    def first(self, patients: int) -> Path:
        """A folder of the first so many patients: links to theirs."""
        return linked(self.root, patients, self.work / f"first-{patients}")

    def patient(self) -> Volume:
        """The patient of middle depth among those who have all sequences and a tumour."""
        table = self.cohort.summary
        whole = table[
            ~table.pre_missing & ~table.post_missing & (table.tumour_voxels > 0)
        ].sort_values("slices")
        return self.cohort.volume(whole.index[len(whole) // 2])

    def close(self) -> None:
        """Remove what this run wrote."""
        if "work" in self.__dict__:
            shutil.rmtree(self.work)


def folders(root: Path) -> list[Path]:
    """The patients' folders, by name."""
    return sorted(folder for folder in root.iterdir() if PATIENT_FOLDER.fullmatch(folder.name))


def linked(root: Path, patients: int, place: Path) -> Path:
    """`place` as a cohort of another's first patients: its table, and links to their folders."""
    if not place.exists():
        place.mkdir(parents=True)
        for entry in [*folders(root)[:patients], root / "data.csv"]:
            (place / entry.name).symlink_to(entry.resolve())
    return place
