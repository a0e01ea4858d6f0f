"""The cache folder, where array caches and the phantom cohort are kept.

    python -m lggseg.data.cache_folder            tells where it is and how large it is
    python -m lggseg.data.cache_folder --clear    empties it

Nothing in it is lost for good: what is needed again is made again.
"""

import argparse
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import LggError
from ..files import temporary_folder

UNFINISHED = ".building-"  # how the name of a folder begins that is still being written
ARRAY_CACHE = re.compile(r"[0-9]+-[0-9a-f]{24}")  # <format>-<fingerprint of the files>
PHANTOM_COHORT = re.compile(r"[0-9]+-[0-9]+")  # <version>-<seed>


def cache_folder() -> Path:
    """Where the cache is: $LGGSEG_CACHE, else ``lggseg`` in the user's cache folder.

    Returns
    -------
    Path
        The folder; it need not exist yet.
    """
    named = os.environ.get("LGGSEG_CACHE")
    if named:
        return Path(os.path.expanduser(named))
    users_caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(users_caches)) / "lggseg"


@contextmanager
def explain_write_errors(cache: Path) -> Iterator[None]:
    """For a block that writes to the cache: turn errors of the operating system into LggError."""
    try:
        yield
    except OSError as error:
        raise LggError(
            f"the cache {cache} cannot be written ({error}); "
            "make room there, or set LGGSEG_CACHE to another folder"
        ) from error


def contents(cache: Path) -> list[Path]:
    """The folders that this package made in the cache, complete or not.

    The cache may be a folder that holds other things as well: those are left alone.
    """
    found = []
    for folder in cache.glob("packed/*"):
        if ARRAY_CACHE.fullmatch(folder.name) or folder.name.startswith(UNFINISHED):
            found.append(folder)
    for folder in cache.glob("phantom/*"):
        if PHANTOM_COHORT.fullmatch(folder.name) or folder.name.startswith(UNFINISHED):
            found.append(folder)
    return sorted(found)


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:  # removed meanwhile
                continue
    return total


def remove(folder: Path) -> None:
    """Remove a folder of the cache, renaming it first, so that nobody finds half of it.

    Raises
    ------
    OSError
        If it cannot be renamed. On Windows that is so while a program has one of its files open.
    """
    with temporary_folder(folder.parent, UNFINISHED) as doomed:
        folder.rename(doomed / folder.name)


def clear(cache: Path) -> None:
    """Remove everything that this package made in the cache.

    Raises
    ------
    LggError
        If a folder is in use, or may not be removed.
    """
    for folder in contents(cache):
        try:
            remove(folder)
        except OSError as error:
            raise LggError(
                f"{folder} cannot be removed ({error}); "
                "close the notebooks and programs that have this cohort open"
            ) from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Tell where the cache is and how large, after emptying it if asked to."""
    parser = argparse.ArgumentParser(
        prog="python -m lggseg.data.cache_folder",
        description="Tell where the cache is and how large it is. Nothing in it is lost for good: "
        "what is needed again is made again.",
    )
    parser.add_argument(
        "--clear", action="store_true", help="empty it; not while a cohort is being opened"
    )
    options = parser.parse_args(arguments)
    cache = cache_folder()
    if options.clear:
        try:
            clear(cache)
        except LggError as error:
            parser.error(str(error))
    megabytes = sum(size(folder) for folder in contents(cache)) / 1e6
    print(f"{cache}: {megabytes:,.1f} MB")


if __name__ == "__main__":
    main()
