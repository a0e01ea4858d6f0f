"""Trainings killed: gone on with, they give what an unkilled one gives, bit for bit."""

import shutil
import tempfile
from pathlib import Path

from lggseg import build_model
from lggseg.model.checkpoint import digest, read_checkpoint
from lggseg.training.config import TrainConfig
from lggseg.training.fit import fit

from .cohorts import open_quietly, use_cache, write_cohort
from .killing import kill_again_and_again, run
from .report import Clock, Row


def tiny(out: Path | str, epochs: int, epoch_slices: int) -> TrainConfig:
    """Settings of a training of seconds."""
    return TrainConfig(
        size=16,
        coarse_share=0,
        block=1,
        context=0,
        features=2,
        depth=2,
        epochs=epochs,
        epoch_slices=epoch_slices,
        batch=2,
        workers=0,
        device="cpu",
        out=str(out),
    )


def train(root: Path, out: Path, cache: Path) -> None:
    """A training of seconds, which goes on with what it finds in `out`."""
    use_cache(cache)
    cohort = open_quietly(root)
    config = tiny(out, epochs=5, epoch_slices=8)
    fit(
        build_model(config),
        cohort,
        cohort.patients[:1],
        cohort.patients[1:],
        config,
        progress=False,
    )


def digests(out: Path) -> dict[str, str]:
    """Digest of what each file holds, but for the seconds that an epoch took; raises for a file
    that is not whole.
    """
    found = {path.name: read_checkpoint(path) for path in out.glob("*.pt")}
    for row in found.get("resume.pt", {}).get("history", []):
        row.pop("seconds")
    found.get("resume.pt", {}).get("identity", {}).pop("out", None)
    if (out / "log.csv").exists():
        lines = [line.rpartition(",")[0] for line in (out / "log.csv").read_text().splitlines()]
    else:
        lines = []
    return {name: digest(content) for name, content in found.items()} | {"log.csv": digest(lines)}


class Trainings:
    """One run, killed and gone on with until it is complete; then the next."""

    def __init__(self, place: Path):
        self.root = write_cohort(place / "kaggle_3m")
        self.out = place / "out"
        self.cache = place / "cache"
        run(train, (self.root, place / "unkilled", self.cache))
        self.truth = digests(place / "unkilled")

    def job(self):
        return train, (self.root, self.out, self.cache)

    def killed(self) -> str | None:
        digests(self.out)

    def completed(self) -> str | None:
        found = digests(self.out)
        shutil.rmtree(self.out)
        if wrong := [name for name in self.truth if found.get(name) != self.truth[name]]:
            return (
                f"a training that was killed and went on has another {', '.join(wrong)} than an "
                "unkilled one"
            )


def trainings(clock: Clock) -> Row:
    """Kills of a training."""
    with tempfile.TemporaryDirectory() as place:
        return kill_again_and_again("training, killed", Trainings(Path(place)), 30, clock)
