"""Files that are there as a whole, or not at all."""

import errno
import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import LggError

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # what `write` raises, without the name of its file
ABANDONED = 3600  # seconds after which a half-written neighbour belongs to a process that was killed


@contextmanager
def atomic_write(path: Path | str, part: Path | None = None) -> Iterator[Path]:
    """A neighbour of `path` to write into, renamed to `path` once all is written; its folder is made if need be.

    A reader sees the old file or the new one, and an error leaves the old. What a killed process left half-written
    beside it goes after an hour, with the next file of that name. The neighbour is `part` where that is given. Raises
    LggError where the place cannot be written; what else the block raises stays as it is.
    """
    path = Path(path)
    part = part or path.with_name(f"{path.name}.{os.getpid()}.part")  # two processes may write the same file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path)
        try:
            yield part
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        ours = {None, str(part), *map(str, path.parents)}
        if (error.filename and str(error.filename)) not in ours or not error.filename and error.errno not in DISK:
            raise
        raise LggError(f"{path} cannot be written: {error.strerror or error}; make room, or name another place"
                       ) from error


@contextmanager
def temporary_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A fresh folder in `parent` for one build, to be renamed once it is complete; what is left of it is removed."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_folder(folder: Path | str) -> None:
    """Raise LggError unless files can be written into `folder`, which is made if need be: before the hours of work."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise LggError(f"{folder} cannot be written to: {error.strerror or error}; name another folder") from error


def check_apart(out: Path, scans: Iterable[Path]) -> None:
    """Raise LggError where the folder `out` is or holds one of these scans, by whatever path.

    Results do not go there.
    """
    for scan in scans:
        above = {place for path in (scan.absolute(), scan.resolve()) for place in (path, *path.parents)}
        known = [place for place in above if place.exists()]
        if out.resolve() in above or (out.exists() and any(out.samefile(place) for place in known)):
            raise LggError(f"--out {out}: holds the scan {scan}; name a folder of its own for the results, such as "
                           f"{out.resolve().parent / 'found'}")


def sweep(path: Path) -> None:
    """Remove neighbours of `path` that were left half-written more than an hour ago."""
    for part in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
        try:
            if time.time() - part.stat().st_mtime > ABANDONED:
                part.unlink()
        except OSError:  # another process was faster, or it is not ours to remove
            continue
