"""The cache: where packs and phantoms are kept, how large it may grow, and the broom.

    python -m lggseg.data.cache_folder           tells where it is and what it holds
    python -m lggseg.data.cache_folder --clean   removes what is of no use any more
"""

import argparse
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from ..errors import LggError
from ..files import temporary_folder

HOUR = 3600  # seconds; what was touched within the last one may still be at work
MONTH = 30 * 24 * HOUR
BUILDING = ".building-"  # how the names of folders begin that are not complete yet
PACK = re.compile(r"[0-9]+-[0-9a-f]{24}")  # name of a pack; what is called otherwise is not ours to remove


def cache_folder() -> Path:
    """Where packs and phantoms are kept: $LGGSEG_CACHE, else lggseg in the user's cache folder."""
    if named := os.environ.get("LGGSEG_CACHE"):
        return Path(os.path.expanduser(named))
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "lggseg"


def cache_limit() -> float:
    """Bytes above which the cache drops what was not used for longest: $LGGSEG_CACHE_GB gigabytes, else 20."""
    given = os.environ.get("LGGSEG_CACHE_GB") or "20"
    try:
        limit = 1e9 * float(given)
    except ValueError:
        limit = -1
    if not limit >= 0:
        raise LggError(f"LGGSEG_CACHE_GB={given}: it must be a number of gigabytes, such as 20")
    return limit


@contextmanager
def writing(cache: Path) -> Iterator[None]:
    """For a block that writes to the cache: what the operating system refuses becomes an LggError."""
    try:
        yield
    except OSError as error:
        raise LggError(f"the cache {cache} cannot be written ({error}); make room there, "
                       "or set LGGSEG_CACHE to another folder") from error


@dataclass(frozen=True)
class Entry:
    """A pack or a phantom cohort: what it was made from (itself, if from nothing), last use, size in bytes."""

    folder: Path
    source: str
    used: float
    size: int


def entries(cache: Path) -> list[Entry]:
    """What the cache holds, least recently used first."""
    marks = {folder: folder / "index.json" for folder in packs(cache) if (folder / "index.json").exists()}
    marks |= {mark.parents[1]: mark for mark in cache.glob("phantom/[!.]*/kaggle_3m/PHANTOM.txt")}
    found = []
    for folder, mark in marks.items():
        with suppress(OSError):  # another process may have removed it
            found.append(Entry(folder, source_of(folder), mark.stat().st_mtime, size(folder)))
    return sorted(found, key=lambda entry: entry.used)


def unfinished(cache: Path) -> list[Path]:
    """Folders that builds and removals work in or have left behind, and packs that were found damaged."""
    patterns = ("packed/.building-*", "phantom/.building-*", "phantom/*/.phantom-*")
    found = [folder for pattern in patterns for folder in cache.glob(pattern)]
    return found + [folder for folder in packs(cache) if not (folder / "index.json").exists()]


def packs(cache: Path) -> list[Path]:
    """Folders of packs, whole or not."""
    return [folder for folder in cache.glob("packed/*") if PACK.fullmatch(folder.name)]


def source_of(folder: Path) -> str:
    """The cohort's folder that a pack was made from; `folder` itself where that is not known."""
    try:
        return str(json.loads((folder / "index.json").read_text())["root"])
    except (OSError, ValueError, KeyError, TypeError):
        return str(folder)


def stats(folder: Path) -> Iterator[os.stat_result]:
    """Of the folder and all that lies in it."""
    for place, _, names in os.walk(folder):
        for name in ("", *names):
            with suppress(OSError):
                yield os.stat(os.path.join(place, name))


def size(folder: Path) -> int:
    """Bytes of all files in it."""
    return sum(stat.st_size for stat in stats(folder) if S_ISREG(stat.st_mode))


def touch(mark: Path) -> None:
    """Note that what `mark` belongs to is in use."""
    with suppress(OSError):  # a cache that can only be read works too
        os.utime(mark)


def sweep(cache: Path, spare: float = HOUR) -> None:
    """Remove what is of no use. What was used in the last `spare` seconds stays.

    Of no use are packs whose folder is gone or was packed again since, whatever nobody used for a month, and
    what an interrupted build left more than an hour ago; above `cache_limit` the least recently used goes too.
    """
    now, limit, found = time.time(), cache_limit(), entries(cache)
    for folder in unfinished(cache):
        if now - max((stat.st_mtime for stat in stats(folder)), default=now) > HOUR:
            shutil.rmtree(folder, ignore_errors=True)
    newest = {entry.source: entry for entry in found}
    total = sum(entry.size for entry in found)
    for entry in found:
        useless = not os.path.exists(entry.source) or newest[entry.source] is not entry or now - entry.used > MONTH
        if (useless or total > limit) and now - entry.used >= spare and remove(entry.folder):
            total -= entry.size


def remove(folder: Path) -> bool:
    """Take a folder from its place at once, then delete its files; False if a program holds it open (on Windows)."""
    try:
        with temporary_folder(folder.parent, BUILDING) as grave:
            folder.rename(grave / folder.name)
    except OSError:
        return False
    return True


def report(cache: Path) -> str:
    """Place, size and content of the cache, a line each."""
    lines = [f"{cache}: {size(cache) / 1e6:,.1f} MB of at most {cache_limit() / 1e6:,.0f} MB"]
    for entry in entries(cache):
        day = time.strftime("%Y-%m-%d", time.localtime(entry.used))
        made = "" if entry.source == str(entry.folder) else f", of {entry.source}"
        lines += [f"{entry.size / 1e6:10,.1f} MB  used {day}  {entry.folder.relative_to(cache)}{made}"]
    if left := unfinished(cache):
        lines += [f"{sum(map(size, left)) / 1e6:10,.1f} MB  builds at work, or interrupted within the last hour"]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m lggseg.data.cache_folder",
                                     description="The cache of packed cohorts and phantoms. Nothing in it is lost for "
                                                 "good: what is needed is made again.")
    parser.add_argument("--clean", action="store_true", help="remove packs of folders that are gone or have changed, "
                        "what nobody used for a month, what interrupted builds left, and all above the limit")
    options, cache = parser.parse_args(arguments), cache_folder()
    try:
        if options.clean:
            sweep(cache, spare=0)
        print(report(cache))
    except LggError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
