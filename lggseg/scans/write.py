"""What is found in an own scan, as files: masks, probabilities, overlays, measures.

A folder that is not empty is refused. The folder keeps a list of the files that were written into
it (`RESULTS`); with `overwrite` a later run replaces these, and touches nothing else.
"""

import io
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage

from ..errors import LggError
from ..files import atomic_write, check_apart
from ..sequences import FLAIR
from ..viewer.colours import PREDICTION, rgb
from .own_scan import OwnScan
from .pictures import plain
from .read import RESULTS

PART = "lggseg-part"  # a file while it is being written
KINDS = ("mask", "probability", "overlay")


def result_names(scan: OwnScan) -> list[str]:
    """Names of all files that `result_files` may make."""
    names = [f"{name}_{kind}.png" for name in scan.names for kind in KINDS]
    return [*names, "measures.csv", *(["mask.nii.gz", "probability.nii.gz"] if scan.grid else [])]


def result_files(
    scan: OwnScan, probability: np.ndarray, mask: np.ndarray, measures: pd.Series
) -> dict[str, bytes]:
    """Content of each file by its name, for probability float32 and mask bool, both (D,H,W).

    Per slice NAME: NAME_mask.png (0 and 255), NAME_probability.png (255 is 1), and NAME_overlay.png
    where something was found. A scan that tells where it lies also gives mask.nii.gz (uint8) and
    probability.nii.gz (float32) on its own grid.
    """
    files = {"measures.csv": measures.to_frame().T.to_csv(index=False).encode()}
    for name, pixels, chance, found in zip(scan.names, scan.image, probability, mask):
        files[f"{name}_mask.png"] = png(found.astype(np.uint8) * 255)
        files[f"{name}_probability.png"] = png(np.rint(255 * chance).astype(np.uint8))
        if found.any():
            files[f"{name}_overlay.png"] = png(outlined(pixels[..., FLAIR], found))
    if scan.grid:
        from .nifti import write_nifti

        for name, values in (("mask", mask.astype(np.uint8)), ("probability", probability)):
            files[f"{name}.nii.gz"] = write_nifti(values, scan.grid, scan.header)
    return files


def outlined(grey: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A slice uint8 (H,W) with the outline of a mask (H,W) in colour, uint8 (H,W,3)."""
    picture = np.repeat(grey[..., None], 3, axis=2)
    picture[mask & ~ndimage.binary_erosion(mask)] = rgb(PREDICTION)
    return picture


def png(pixels: np.ndarray) -> bytes:
    """A uint8 (H,W) or (H,W,3) as a PNG file's content."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def check_place(
    out: Path, scan: Iterable[Path], names: Iterable[str], overwrite: bool = False
) -> None:
    """Make the folder `out`, and check that results may be written into it.

    Parameters
    ----------
    out : folder for the results
    scan : files and folders that the scan was read from
    names : of the files that will be written
    overwrite : whether results of an earlier run may be replaced

    Raises
    ------
    LggError
        if `out` is or holds the scan, cannot be written to, or is not empty; with `overwrite`, if
        it holds no results of an earlier run, or somebody else's file of one of the names
    """
    check_apart(out, scan)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
        there = sorted(file.name for file in out.iterdir() if file.name != PART)
    except OSError as error:
        raise LggError(
            f"--out {out}: cannot be written to ({error.strerror or error}); name another folder"
        ) from error
    for name in names:
        if len(os.fsencode(name)) > 250:
            raise LggError(f"{name}: too long a name for the disk; shorten the slices' names")
    if not there:
        return
    if not overwrite:
        raise LggError(
            f"--out {out}: is not empty, it holds {there[0]}; name another folder, or say "
            "--overwrite to replace what an earlier run wrote there"
        )
    ours = earlier_results(out)
    wanted = {plain(name) for name in names}
    for name in there:
        if name not in ours and plain(name) in wanted:
            raise LggError(
                f"--out {out}: holds a {name} that this command did not write; name another folder"
            )


def earlier_results(out: Path) -> list[str]:
    """Names of the files that an earlier run wrote into `out`, the list of them included.

    Raises
    ------
    LggError
        where there is no list, or a damaged one
    """
    file = out / RESULTS
    try:
        if not file.is_file():  # a pipe would be waited for
            raise ValueError("no such file")
        names = json.loads(file.read_bytes())["files"]
        if not all(Path(name).name == name for name in names):
            raise ValueError("a name leads out of the folder")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise LggError(
            f"{file}: is missing or damaged, so what an earlier run wrote there is not known; name "
            "another folder"
        ) from error
    return [*names, RESULTS]


def write_results(files: dict[str, bytes], out: Path) -> None:
    """Write files into `out`, for which `check_place` was called, and remove earlier results.

    Stopped half-way, the list names the old files and the new, and the next run clears up.
    """
    try:
        earlier = []
        if (out / RESULTS).exists():
            earlier = [name for name in earlier_results(out) if name != RESULTS]
        put(out / RESULTS, list_of({*earlier, *files}, complete=False))
        for name in set(earlier) - files.keys():
            (out / name).unlink(missing_ok=True)
        for name, content in files.items():
            put(out / name, content)
        put(out / RESULTS, list_of(files, complete=True))
    except OSError as error:
        raise LggError(
            f"--out {out}: cannot be written to ({error.strerror or error}); make room, or name "
            "another folder, and run again"
        ) from error


def list_of(names: Iterable[str], complete: bool) -> bytes:
    """The list's content."""
    written_by = "python -m lggseg.predict"
    content = {"written by": written_by, "complete": complete, "files": sorted(names)}
    return json.dumps(content, indent=1).encode()


def put(file: Path, content: bytes) -> None:
    """Write a file so that it is there as a whole or not at all."""
    with atomic_write(file, file.with_name(PART)) as part:
        part.write_bytes(content)
