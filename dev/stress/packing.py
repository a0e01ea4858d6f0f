"""Making array caches, killed: what has its final name is complete, and the rest can be cleared."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from lggseg.data.cache_folder import clear

from .cohorts import larger_cohort, open_quietly, pixels, use_cache
from .killing import kill_again_and_again
from .report import Clock, Row


def pack(root: Path, cache: Path) -> None:
    """Open a cohort, which makes its array cache unless that was done."""
    use_cache(cache)
    open_quietly(root)


class Packings:
    """Array caches of one cohort in one cache folder."""

    def __init__(self, place: Path):
        self.root = larger_cohort(place)
        self.cache = place / "cache"
        self.truth = pixels(open_quietly(self.root))
        self.remove()

    def job(self) -> tuple[Callable, tuple]:
        return pack, (self.root, self.cache)

    def complete_caches(self) -> list[Path]:
        """Folders that have their final name."""
        return [*self.cache.glob("packed/[!.]*")]

    def remove(self) -> None:
        for folder in self.complete_caches():
            shutil.rmtree(folder)

    def killed(self) -> str | None:
        """What has its final name must be complete: it is used as such."""
        if self.complete_caches():
            return self.completed()
        return None

    def completed(self) -> str | None:
        before = [folder.stat().st_ino for folder in self.complete_caches()]
        found = pixels(open_quietly(self.root))
        after = [folder.stat().st_ino for folder in self.complete_caches()]
        clear(self.cache)
        left = [*self.cache.glob("packed/*")]
        if found == self.truth and before == after and not left:
            return None
        return (
            f"packing: pixels right: {found == self.truth}, as found: {before == after}, "
            f"left behind: {left}"
        )


def packings(clock: Clock) -> Row:
    """Kills while an array cache is made."""
    with tempfile.TemporaryDirectory() as place:
        return kill_again_and_again("packing, killed", Packings(Path(place)), 30, clock)
