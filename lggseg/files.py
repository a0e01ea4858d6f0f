"""Writing files so that they are either complete or not there, and checking folders beforehand."""

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

# Errors of a disk that is full or broken. Python raises them without the name of the file.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
ABANDONED = 3600  # seconds after which a temporary file must come from a process that was killed


@contextmanager
def atomic_write(path: Path | str, part: Path | None = None) -> Iterator[Path]:
    """Write a file under a temporary name, and rename it once it is complete.

    Whoever reads meanwhile sees the old file or the new one, never a half-written one. If the
    block fails, the old file stays. A process that is killed leaves its temporary file behind; the
    next write of the same file removes it if it is older than an hour.

    Parameters
    ----------
    path : Path or str
        The file to write. Its folder is made if need be.
    part : Path, optional
        The temporary file, beside `path`; ``<path>.<process id>.part`` if not given.

    Yields
    ------
    Path
        The temporary file, to write into.

    Raises
    ------
    LggError
        If the file cannot be written. Other errors of the block are passed on unchanged.
    """
    path = Path(path)
    if part is None:
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(path)
        try:
            yield part
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        if not comes_from_writing(error, path, part):
            raise
        reason = error.strerror or error
        raise LggError(
            f"{path} cannot be written: {reason}; make room, or name another place"
        ) from error


def comes_from_writing(error: OSError, path: Path, part: Path) -> bool:
    """Whether an error of the block in `atomic_write` is about its file, not about another one."""
    if not error.filename:
        return error.errno in DISK_ERRORS
    ours = {str(part)}
    ours.update(str(folder) for folder in path.parents)
    return str(error.filename) in ours


def remove_abandoned(path: Path) -> None:
    """Remove temporary files of `path` that were left more than an hour ago."""
    for part in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
        try:
            if time.time() - part.stat().st_mtime > ABANDONED:
                part.unlink()
        except OSError:  # another process removed it first, or we may not
            continue


@contextmanager
def temporary_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder in `parent` to build something in.

    Rename it, or what is in it, to keep the result. What is left when the block ends is removed.
    """
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_folder(folder: Path | str) -> None:
    """Make a folder if need be, and check that files can be written into it.

    To be called before work that takes hours.

    Raises
    ------
    LggError
        If nothing can be written there.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise LggError(f"{folder} cannot be written to: {reason}; name another folder") from error


def check_apart(out: Path, scans: Iterable[Path]) -> None:
    """Check that results written to the folder `out` do not mix with the scans they come from.

    Links are followed.

    Parameters
    ----------
    out : Path
        Folder for results; it need not exist.
    scans : iterable of Path
        Files or folders that were read.

    Raises
    ------
    LggError
        If `out` is one of the scans, or a folder above one.
    """
    for scan in scans:
        if is_or_holds(out, scan):
            example = out.resolve().parent / "found"
            raise LggError(
                f"--out {out}: holds the scan {scan}; "
                f"name a folder of its own for the results, such as {example}"
            )


def is_or_holds(folder: Path, path: Path) -> bool:
    """Whether `folder` is `path`, or a folder above it, by whatever name or link."""
    above = set()
    for name in (path.absolute(), path.resolve()):
        above.add(name)
        above.update(name.parents)
    if folder.resolve() in above:
        return True
    if not folder.exists():
        return False
    return any(place.exists() and folder.samefile(place) for place in above)
