"""What is found in an own scan, as files: masks, probabilities, overlays, measures. What is not ours is not touched.

The folder keeps a list of the files that were written into it, with their digests (`RESULTS`). A later run replaces
these and removes what it does not write again; a file that is not on the list, or was changed since, stands in its way
and is named before anything is written.
"""

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage

from ..errors import LggError
from ..files import atomic_write, check_apart
from ..measures.metrics import scores
from ..measures.shape import shape_features
from ..sequences import FLAIR
from ..viewer.colours import PREDICTION, rgb
from .grid import to_square
from .nifti import write_nifti
from .pictures import plain
from .read import RESULTS, OwnScan

PART = "lggseg-part"  # a file while it is being written
KINDS = ("mask", "probability", "overlay")


def result_names(scan: OwnScan) -> list[str]:
    """Names of all files that `result_files` may make."""
    pictures = [f"{name}_{kind}.png" for name in scan.names for kind in KINDS]
    return pictures + (["mask.nii.gz", "probability.nii.gz"] if in_space(scan) else []) + ["measures.csv"]


def in_space(scan: OwnScan) -> bool:
    """Whether results come as NIfTI, too: the scan tells where it lies, and nibabel is there."""
    return scan.grid is not None and find_spec("nibabel") is not None


def result_files(scan: OwnScan, probability: np.ndarray, mask: np.ndarray, measures: pd.Series) -> dict[str, bytes]:
    """Content of each file by its name, for probability float32 and mask bool, both (D,H,W) on the scan's own pixels.

    Per slice NAME: NAME_mask.png (0 and 255), NAME_probability.png (255 is 1), and NAME_overlay.png where something was
    found. A scan that lies in space also gives mask.nii.gz (uint8) and probability.nii.gz (float32) on its own grid.
    """
    files = {}
    for name, pixels, p, m in zip(scan.names, scan.image, probability, mask):
        files[f"{name}_mask.png"] = png(m.astype(np.uint8) * 255)
        files[f"{name}_probability.png"] = png(np.rint(255 * p).astype(np.uint8))
        if m.any():
            files[f"{name}_overlay.png"] = png(drawn(pixels, m))
    if in_space(scan):
        for name, values in (("mask", mask.astype(np.uint8)), ("probability", probability)):
            files[f"{name}.nii.gz"] = write_nifti(values, scan.grid, scan.header, Path(f"{name}.nii.gz"))
    return files | {"measures.csv": measures.to_frame().T.to_csv(index=False).encode()}


def measure(scan: OwnScan, mask: np.ndarray) -> pd.Series:
    """Measures of a mask bool (D,H,W) of a scan: size, shape (on square pixels), scores where there is a truth."""
    square = to_square(255 * mask[..., None].astype(np.uint8), scan.pixel)[..., 0] > 127
    volume = {"tumour_ml": mask.sum() * scan.grid.voxel} if scan.grid else {}
    return pd.Series({"slices": len(mask), "tumour_slices": int(mask.any((1, 2)).sum()),
                      "tumour_voxels": int(mask.sum()), **volume, **shape_features(square),
                      **(scores(mask, scan.truth) if scan.truth is not None else {})}, dtype=object)


def drawn(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """FLAIR of a slice uint8 (H,W,3) with the outline of a mask (H,W) in colour, uint8 (H,W,3)."""
    picture = np.repeat(pixels[..., FLAIR, None], 3, axis=2)
    inside = ndimage.binary_erosion(mask)
    picture[mask & ~inside] = rgb(PREDICTION)
    return picture


def png(pixels: np.ndarray) -> bytes:
    """A uint8 (H,W) or (H,W,3) as a PNG file's content."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def check_place(out: Path, scan: Iterable[Path], names: Iterable[str]) -> None:
    """Raise LggError unless files of these names may be written into the folder `out`, which is made if need be.

    It must not be or hold a file or folder of the scan; what stands in the way must be ours; the disk must let us.
    """
    check_apart(out, scan)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
        ours_and_intact(out, names)
    except OSError as error:
        raise LggError(f"--out {out}: cannot be written to ({error.strerror or error}); name another folder") from error


def ours_and_intact(out: Path, names: Iterable[str]) -> dict[str, list[str]]:
    """The list of our files in `out`: digests by name. LggError where a file in the way is not ours, or has changed."""
    ours, wanted = listed(out), {plain(name) for name in names}
    for file in sorted(out.iterdir()):
        if file.name in ours:
            if not file.is_file() or file.is_symlink() or digest(file.read_bytes()) not in ours[file.name]:
                raise LggError(f"--out {out}: {file.name} was changed since an earlier run wrote it; move it away, "
                               "or name another folder")
        elif plain(file.name) in wanted:
            raise LggError(f"--out {out}: holds a {file.name} that this command did not write; name another folder")
    if long := [name for name in names if len(os.fsencode(name)) > 250]:
        raise LggError(f"{long[0]}: a file name too long for the disk; shorten the names of the slices")
    return ours


def listed(out: Path) -> dict[str, list[str]]:
    """Digests by file name, as the list in the folder has them; none where there is no list."""
    if not (out / RESULTS).exists():
        return {}
    try:
        if not (out / RESULTS).is_file():
            raise ValueError("no plain file")  # a pipe would be waited for
        files = json.loads((out / RESULTS).read_bytes())["files"]
        return {name: [*map(str, digests)] for name, digests in files.items() if Path(name).name == name}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LggError(f"{out / RESULTS}: damaged, so what an earlier run wrote there is not known; name another folder"
                       ) from error


def write_results(files: dict[str, bytes], out: Path) -> None:
    """Write files into `out` in place of those of an earlier run, whole files only; LggError as `check_place`.

    Should it be stopped half-way, the list names the old files and the new, and the next run clears up.
    """
    try:
        ours = ours_and_intact(out, files)
        new = {name: [digest(content)] for name, content in files.items()}
        put(out / RESULTS, list_of({name: ours.get(name, []) + new.get(name, []) for name in {**ours, **new}}, False))
        for name in ours.keys() - new.keys():
            (out / name).unlink(missing_ok=True)
        for name, content in files.items():
            put(out / name, content)
        put(out / RESULTS, list_of(new, True))
    except OSError as error:
        raise LggError(f"--out {out}: cannot be written to ({error.strerror or error}); make room, or name another "
                       "folder, and run again") from error


def list_of(files: dict[str, list[str]], complete: bool) -> bytes:
    """The list's content."""
    content = {"written by": "python -m lggseg.predict", "complete": complete, "files": files}
    return json.dumps(content, indent=1).encode()


def put(file: Path, content: bytes) -> None:
    """Write a file so that it is there as a whole or not at all."""
    with atomic_write(file, file.with_name(PART)) as part:
        part.write_bytes(content)


def digest(content: bytes) -> str:
    """SHA-256."""
    return hashlib.sha256(content).hexdigest()
