"""Small cohorts to work on, and what lies in them as one number."""

import hashlib
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lggseg.data.clinical import CLUSTERS, CODEBOOK
from lggseg.data.cohort import Cohort, load_cohort

FOLDERS = {"TCGA_CS_4941_19960909": 3, "TCGA_HT_A61B_19991127": 2}  # and their slices


def write_cohort(root: Path, size: tuple[int, int] = (16, 20), times: int = 1) -> Path:
    """Two patients of noise with a square tumour, `times` as many slices as FOLDERS says, and their
    table.
    """
    rng = np.random.default_rng(0)
    for folder, depth in FOLDERS.items():
        (root / folder).mkdir(parents=True)
        for k in range(1, times * depth + 1):
            save(root / folder / f"{folder}_{k}.tif", rng.integers(0, 256, (*size, 3), np.uint8))
            mask = np.zeros(size, np.uint8)
            mask[4 : 4 + 3 * (k > 1), 5:9] = 255
            save(root / folder / f"{folder}_{k}_mask.tif", mask)
    header = ",".join(["Patient", *CLUSTERS, *CODEBOOK])
    rows = [folder[:12] + "," * header.count(",") for folder in FOLDERS]
    (root / "data.csv").write_text("\n".join([header, *rows]))
    return root


def save(path: Path, pixels: np.ndarray) -> None:
    """An array as a picture."""
    Image.fromarray(pixels).save(path)


def larger_cohort(place: Path) -> Path:
    """The folder of a cohort that takes a moment to pack, in `place`; the cache is there, too."""
    use_cache(place / "cache")
    return write_cohort(place / "kaggle_3m", (200, 180), times=8)


def use_cache(folder: Path) -> None:
    """Keep array caches there, in this process."""
    os.environ["LGGSEG_CACHE"] = str(folder)
    torch.set_num_threads(1)


def open_quietly(root: Path) -> Cohort:
    """The cohort in a folder."""
    return load_cohort(root, progress=False)


def pixels(cohort: Cohort) -> str:
    """SHA-256 over all images and masks."""
    state = hashlib.sha256()
    for volume in map(cohort.volume, cohort.patients):
        state.update(np.ascontiguousarray(volume.image))
        state.update(np.ascontiguousarray(volume.mask))
    return state.hexdigest()


def files(folder: Path) -> dict[str, str]:
    """SHA-256 of each file below a folder, by its relative path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
