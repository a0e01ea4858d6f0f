"""What is found in an own scan, as files: masks, probabilities, overlays, measures.

The folder keeps a list of the files that were written into it, with their digests (`RESULTS`). A
later run replaces these and removes what it does not write again. A file that is not on the list,
or was changed since, stands in its way, and is named before anything is written.
"""

import hashlib
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


def check_place(out: Path, scan: Iterable[Path], names: Iterable[str]) -> None:
    """Raise LggError unless files of these names may be written into the folder `out`.

    It is made if need be. It must not be or hold a file or folder of the scan; what stands in the
    way must be ours; the disk must let us.
    """
    check_apart(out, scan)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
        our_files(out, names)
    except OSError as error:
        raise LggError(
            f"--out {out}: cannot be written to ({error.strerror or error}); name another folder"
        ) from error


def our_files(out: Path, names: Iterable[str]) -> dict[str, list[str]]:
    """Digests of our files in `out`, by name; LggError where one in the way is not ours, or
    changed.
    """
    ours: dict[str, list[str]] = {}
    try:
        if (out / RESULTS).exists():
            if not (out / RESULTS).is_file():
                raise ValueError("no plain file")  # a pipe would be waited for
            listed = json.loads((out / RESULTS).read_bytes())["files"]
            ours = {
                name: [*map(str, all_of)]
                for name, all_of in listed.items()
                if Path(name).name == name
            }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LggError(
            f"{out / RESULTS}: damaged, so what an earlier run wrote there is not known; name "
            "another folder"
        ) from error
    wanted = {plain(name) for name in names}
    for file in sorted(out.iterdir()):
        intact = file.is_file() and not file.is_symlink()
        if file.name in ours:
            if not intact or digest(file.read_bytes()) not in ours[file.name]:
                raise LggError(
                    f"--out {out}: {file.name} was changed since an earlier run wrote it; move it "
                    "away, or name another folder"
                )
        elif plain(file.name) in wanted:
            raise LggError(
                f"--out {out}: holds a {file.name} that this command did not write; name another "
                "folder"
            )
    too_long = [name for name in names if len(os.fsencode(name)) > 250]
    if too_long:
        raise LggError(f"{too_long[0]}: too long a name for the disk; shorten the slices' names")
    return ours


def write_results(files: dict[str, bytes], out: Path) -> None:
    """Write files into `out` in place of those of an earlier run; LggError as `check_place`.

    Stopped half-way, the list names the old files and the new, and the next run clears up.
    """
    try:
        ours = our_files(out, files)
        new = {name: [digest(content)] for name, content in files.items()}
        both = {name: ours.get(name, []) + new.get(name, []) for name in {**ours, **new}}
        put(out / RESULTS, list_of(both, complete=False))
        for name in ours.keys() - new.keys():
            (out / name).unlink(missing_ok=True)
        for name, content in files.items():
            put(out / name, content)
        put(out / RESULTS, list_of(new, complete=True))
    except OSError as error:
        raise LggError(
            f"--out {out}: cannot be written to ({error.strerror or error}); make room, or name "
            "another folder, and run again"
        ) from error


def list_of(files: dict[str, list[str]], complete: bool) -> bytes:
    """The list's content."""
    written_by = "python -m lggseg.predict"
    content = {"written by": written_by, "complete": complete, "files": files}
    return json.dumps(content, indent=1).encode()


def put(file: Path, content: bytes) -> None:
    """Write a file so that it is there as a whole or not at all."""
    with atomic_write(file, file.with_name(PART)) as part:
        part.write_bytes(content)


def digest(content: bytes) -> str:
    """SHA-256."""
    return hashlib.sha256(content).hexdigest()
