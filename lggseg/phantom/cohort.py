"""The cohort's files, in the layout of the real data set."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from tqdm import tqdm

from ..errors import LggError
from ..files import temporary_folder
from .patient import Patient
from .scanning import draw_slices
from .table import plan_cohort

PHANTOM_VERSION = "6"  # goes up when pictures or table change: caches are named by it


def write_phantom_cohort(
    dest: str | os.PathLike[str], patients: int = 60, seed: int = 0, progress: bool = True
) -> Path:
    """Write a synthetic cohort in the layout of the real data set.

    It appears completely or not at all. The same arguments give the same bytes, on one platform.

    Parameters
    ----------
    dest : str or path
        Folder to write ``kaggle_3m`` into. If that is this very cohort already, it is kept.
    patients : int
        How many, from 2 to 999.
    seed : int
        From 0.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Path
        The folder ``kaggle_3m``.

    Raises
    ------
    LggError
        If another kaggle_3m is there, the folder cannot be written, or an argument is out of its
        range.

    Examples
    --------
    >>> write_phantom_cohort("phantoms", patients=4, progress=False).as_posix()
    'phantoms/kaggle_3m'
    """
    dest = Path(dest)
    target = dest / "kaggle_3m"
    note = describe(patients, seed)
    try:
        if target.exists():
            _check_note(target, note)
        else:
            plan, table = plan_cohort(patients, seed)
            _draw(target, plan, table, note, progress)
    except OSError as error:
        raise LggError(
            f"{dest} cannot be written ({error}); make room there, or choose another folder "
            "(for the cache, set LGGSEG_CACHE)"
        ) from error
    return target


def describe(patients: int, seed: int) -> str:
    """Text of PHANTOM.txt."""
    return (
        f"PHANTOM cohort, version {PHANTOM_VERSION}: "
        f"{patients} synthetic patients from seed {seed}.\n"
        "Drawn by lggseg.phantom. No picture and no number in this folder comes from a person.\n"
    )


def _check_note(target: Path, note: str) -> None:
    """LggError unless `target` is the cohort that the note describes."""
    marker = target / "PHANTOM.txt"
    if not marker.is_file() or marker.read_text() != note:
        raise LggError(
            f"{target} exists and is not the phantom cohort asked for; "
            "remove it or choose another folder"
        )


def _draw(
    target: Path, plan: list[Patient], table: pd.DataFrame, note: str, progress: bool
) -> None:
    """Write the planned cohort beside `target`, then rename it."""
    with temporary_folder(target.parent, ".phantom-") as temporary:
        _fill(temporary / "kaggle_3m", plan, table, note, progress)
        try:
            os.rename(temporary / "kaggle_3m", target)
        except OSError:  # another process was faster
            _check_note(target, note)


def _fill(
    folder: Path, plan: list[Patient], table: pd.DataFrame, note: str, progress: bool
) -> None:
    """Write all files of a cohort.

    In threads, not in processes: NumPy, SciPy and zlib release the lock, and nothing must be
    imported twice. The progress bar is written to stdout and removed at the end, so that the stored
    output of a notebook is the same with and without it.
    """
    folder.mkdir()
    table.to_csv(folder / "data.csv", index=False, lineterminator="\n")
    readme = "LGG Segmentation Dataset: PHANTOM, a synthetic stand-in\n"
    (folder / "README.md").write_text(readme)
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        done = pool.map(lambda patient: write_patient(folder, patient), plan)
        bar = tqdm(
            done,
            "drawing phantoms",
            total=len(plan),
            unit="patient",
            leave=False,
            file=sys.stdout,
            disable=not progress,
        )
        try:
            for _ in bar:
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    (folder / "PHANTOM.txt").write_text(note)


def write_patient(root: Path, patient: Patient) -> None:
    """Write one patient's folder: `<folder>_<k>.tif` and `<folder>_<k>_mask.tif`, k from 1."""
    folder = root / patient.folder
    folder.mkdir()
    for k, (image, mask) in enumerate(draw_slices(patient), start=1):
        name = f"{patient.folder}_{k}"
        write_tiff(folder / f"{name}.tif", image, "rgb")
        write_tiff(folder / f"{name}_mask.tif", mask, "minisblack")


def write_tiff(path: Path, pixels: np.ndarray, photometric: str) -> None:
    """Write a compressed TIFF. Level 1 takes a seventh of the time for 4 % more bytes."""
    tifffile.imwrite(
        path,
        pixels,
        compression="zlib",
        compressionargs={"level": 1},
        metadata=None,
        photometric=photometric,
    )
