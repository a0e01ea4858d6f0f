"""Folders of patients with what people and programs do to them, and damaged files in the cache."""

import os
import shutil
from pathlib import Path

import numpy as np

from .cohorts import open_quietly, pixels, save, use_cache, write_cohort
from .damage import damage_bytes, read_by


def disturb(root: Path, rng: np.random.Generator) -> bool:
    """Do one thing to the cohort; True where the pixels of its patients must stay readable as they
    are.
    """
    files = sorted(root.rglob("*.tif"))
    file = files[rng.integers(len(files))]
    size = tuple(map(int, rng.integers(1, 30, 2)))
    deeds = [
        (False, lambda: file.unlink()),
        (False, lambda: file.rename(file.with_name(f"x{file.name}"))),
        (False, lambda: file.rename(file.with_suffix(".tiff"))),
        (False, lambda: (file.unlink(), file.symlink_to(root / "nowhere"))),
        (False, lambda: (file.unlink(), file.symlink_to(file))),
        (False, lambda: (file.unlink(), file.mkdir())),
        (False, lambda: (file.unlink(), os.mkfifo(file))),
        (False, lambda: (file.unlink(), file.symlink_to("/dev/zero"))),
        (False, lambda: save(file, np.zeros((*size, 3), np.uint8))),
        (
            False,
            lambda: file.with_name(
                f"{file.parent.name}_{10 ** int(rng.integers(2, 30))}.tif"
            ).write_bytes(b""),
        ),
        (False, lambda: shutil.copytree(file.parent, root / f"{file.parent.name[:13]}20000101")),
        (False, lambda: (root / "TCGA_nobody").mkdir()),
        (False, lambda: (root / "data.csv").unlink()),
        (False, lambda: (root / "data.csv").write_text("Patient\n")),
        (True, lambda: (root / ".DS_Store").write_bytes(rng.bytes(50))),
        (True, lambda: (file.parent / f"._{file.name}").write_bytes(rng.bytes(50))),
        (True, lambda: (file.parent / "Thumbs.db").write_bytes(rng.bytes(50))),
        (True, lambda: (root / "TCGA_list.txt").write_text("a list")),
        (True, lambda: (root / "notes").mkdir()),
        (True, lambda: os.utime(file, (0, 0))),
    ]
    harmless, deed = deeds[rng.integers(len(deeds))]
    deed()
    return harmless


def read_cohort(rng: np.random.Generator, place: Path) -> str | None:
    """folders of patients."""
    root = place / "cohort" / "kaggle_3m"
    shutil.rmtree(root.parent, ignore_errors=True)
    shutil.rmtree(place / "cache", ignore_errors=True)
    use_cache(place / "cache")
    write_cohort(root)
    if rng.random() < 0.5:
        file = sorted(root.rglob("*.tif"))[rng.integers(10)]
        file.write_bytes(damage_bytes(file.read_bytes(), rng))
        return check(open_quietly(root))
    right = pixels(open_quietly(root))
    if disturb(root, rng):
        if pixels(read_by(open_quietly, root, whole=True)) == right:
            return None
        return "something harmless changed the pixels"
    cohort = open_quietly(root)
    return check(cohort) or f"an incomplete cohort was opened: {cohort}"


def check(cohort) -> str | None:
    """What the tables of a cohort say against its volumes."""
    for patient in cohort.patients:
        volume = cohort.volume(patient)
        row = cohort.summary.loc[patient]
        if volume.image.shape != (*volume.mask.shape, 3) or row.slices != len(volume.mask):
            return f"{patient} has another size than the table says"
        if row.tumour_voxels != volume.mask.sum():
            return f"{patient} has another tumour than the table says"


def read_pack(rng: np.random.Generator, place: Path) -> str | None:
    """array caches."""
    root = place / "packed" / "kaggle_3m"
    if not root.exists():
        write_cohort(root)
    cohort = open_quietly(root)
    right = PIXELS.setdefault(place, pixels(cohort))
    folder = cohort.arrays.folder
    file = folder / str(rng.choice(["images.npy", "masks.npy", "index.json"]))
    file.write_bytes(damage_bytes(file.read_bytes(), rng))
    if pixels(open_quietly(root)) != right:
        return f"a damaged {file.name} was taken for whole"


PIXELS = {}  # of the cohort that was packed in a place
