"""Drawings of phantoms killed: the cohort is there as a whole or not at all."""

import shutil
import tempfile
from pathlib import Path

from lggseg.phantom import write_phantom_cohort

from .cohorts import files
from .killing import kill_again_and_again
from .report import Clock, Row

PATIENTS = 2


def draw(place: Path) -> None:
    """Draw the phantoms, unless they are there."""
    write_phantom_cohort(place, PATIENTS, seed=5, progress=False)


class Drawings:
    """Phantoms drawn into one folder."""

    def __init__(self, place: Path):
        self.place = place / "phantoms"
        self.target = place / "phantoms" / "kaggle_3m"
        draw(place / "unkilled")
        self.truth = files(place / "unkilled" / "kaggle_3m")

    def job(self):
        return draw, (self.place,)

    def killed(self) -> str | None:
        if self.target.exists():
            return self.completed()

    def completed(self) -> str | None:
        found = files(self.target)
        shutil.rmtree(self.place)
        if found != self.truth:
            return (
                f"phantoms: {len(found)} files, not the {len(self.truth)} of an unkilled drawing, "
                "or other ones"
            )


def drawings(clock: Clock) -> Row:
    """Kills of a drawing."""
    with tempfile.TemporaryDirectory() as place:
        return kill_again_and_again("drawing, killed", Drawings(Path(place)), 20, clock)
