"""Packings killed: what stands under a pack's name is whole, and the broom takes the rest."""

import os
import shutil
import tempfile
from pathlib import Path

from lggseg.data.cache_folder import HOUR, sweep, unfinished

from .cohorts import larger_cohort, opened, pixels, use_cache
from .killing import kill_again_and_again
from .report import Clock, Row


def pack(root: Path, cache: Path) -> None:
    """Open a cohort, which packs it unless that was done."""
    use_cache(cache)
    opened(root)


def age(folder: Path) -> None:
    """Let a folder and all in it look two hours old."""
    for path in (folder, *folder.rglob("*")):
        stamp = path.stat().st_mtime - 2 * HOUR
        os.utime(path, (stamp, stamp))


class Packings:
    """Packs of one cohort in one cache."""

    def __init__(self, place: Path):
        self.root, self.cache = larger_cohort(place), place / "cache"
        self.truth = pixels(opened(self.root))
        self.remove()

    def job(self):
        return pack, (self.root, self.cache)

    def remove(self) -> None:
        for folder in self.cache.glob("packed/[!.]*"):
            shutil.rmtree(folder)

    def killed(self) -> str | None:
        """A pack under its name must be a whole one: it is taken as such."""
        if [*self.cache.glob("packed/[!.]*")]:
            return self.completed()

    def completed(self) -> str | None:
        before = [folder.stat().st_ino for folder in self.cache.glob("packed/[!.]*")]
        found = pixels(opened(self.root))
        after = [folder.stat().st_ino for folder in self.cache.glob("packed/[!.]*")]
        for folder in unfinished(self.cache):
            age(folder)
        sweep(self.cache)
        left = unfinished(self.cache)
        self.remove()
        if found != self.truth or before != after or left:
            return f"packing: pixels right: {found == self.truth}, as found: {before == after}, left behind: {left}"


def packings(clock: Clock) -> Row:
    """Kills of a packing."""
    with tempfile.TemporaryDirectory() as place:
        return kill_again_and_again("packing, killed", Packings(Path(place)), 30, clock)
