"""The cohort's files, in the layout of the real data set."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import tifffile
from tqdm import tqdm

from ..errors import LggError
from ..files import temporary_folder
from .patient import Patient
from .scanning import draw_slices
from .table import plan_cohort

PHANTOM_VERSION = "6"  # goes up whenever pictures or table change: caches are named by it


def write_phantom_cohort(dest: str | os.PathLike, patients: int = 60, seed: int = 0, progress: bool = True) -> Path:
    """Write `dest`/kaggle_3m, a synthetic cohort in the real layout, and return its path.

    It appears complete or not at all. The same arguments give the same bytes (on one platform). A
    kaggle_3m that is this very cohort is returned as it is; any other one raises LggError, as does a folder
    that cannot be written.

    >>> write_phantom_cohort("phantoms", patients=4, progress=False).as_posix()
    'phantoms/kaggle_3m'
    """
    dest = Path(dest)
    target, note = dest / "kaggle_3m", describe(patients, seed)
    try:
        return _accept(target, note) if target.exists() else _draw(target, *plan_cohort(patients, seed), note, progress)
    except OSError as error:
        raise LggError(f"{dest} cannot be written ({error}); make room there, or choose another folder "
                       "(for the cache, set LGGSEG_CACHE)") from error


def _draw(target: Path, plan: list[Patient], table: pd.DataFrame, note: str, progress: bool) -> Path:
    """Write the planned cohort beside `target`, then rename it."""
    with temporary_folder(target.parent, ".phantom-") as temporary:
        _fill(temporary / "kaggle_3m", plan, table, note, progress)
        try:
            os.rename(temporary / "kaggle_3m", target)
        except OSError:  # someone else was quicker
            return _accept(target, note)
    return target


def describe(patients: int, seed: int) -> str:
    """Text of PHANTOM.txt."""
    return (f"PHANTOM cohort, version {PHANTOM_VERSION}: {patients} synthetic patients from seed {seed}.\n"
            "Drawn by lggseg.phantom. No picture and no number in this folder comes from a person.\n")


def _accept(target: Path, note: str) -> Path:
    marker = target / "PHANTOM.txt"
    if not (marker.is_file() and marker.read_text() == note):
        raise LggError(f"{target} exists and is not the phantom cohort asked for; remove it or choose another folder")
    return target


def _fill(folder: Path, plan: list[Patient], table: pd.DataFrame, note: str, progress: bool) -> None:
    folder.mkdir()
    table.to_csv(folder / "data.csv", index=False, lineterminator="\n")
    (folder / "README.md").write_text("LGG Segmentation Dataset: PHANTOM, a synthetic stand-in\n")
    # Threads, not processes: numpy, scipy and zlib release the lock, and nothing must be imported twice.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        try:
            done = pool.map(lambda patient: write_patient(folder, patient), plan)
            bar = tqdm(done, "drawing phantoms", len(plan), unit="patient", leave=False, file=sys.stdout,
                       disable=not progress)  # on stdout and not left: stored outputs stay the same
            list(bar)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    (folder / "PHANTOM.txt").write_text(note)


def write_patient(root: Path, patient: Patient) -> None:
    """Write one patient's folder: `<folder>_<k>.tif` and `<folder>_<k>_mask.tif`, k from 1."""
    folder = root / patient.folder
    folder.mkdir()
    for k, (image, mask) in enumerate(draw_slices(patient), start=1):
        for end, pixels in (("", image), ("_mask", mask)):  # level 1: a seventh of the time for 4 % more bytes
            tifffile.imwrite(folder / f"{patient.folder}_{k}{end}.tif", pixels, compression="zlib", metadata=None,
                             compressionargs={"level": 1}, photometric="minisblack" if end else "rgb")
