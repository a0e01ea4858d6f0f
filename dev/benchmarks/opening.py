"""Opening a cohort, against reading, resizing and normalising every file with scikit-image at every
start.
"""

import shutil
from pathlib import Path

import numpy as np
from skimage.io import imread
from skimage.transform import resize

from lggseg import GridSpec, SliceDataset
from lggseg.data import load_cohort

from . import ceiling
from .bench import Bench, folders
from .timing import Ratio, Row, in_child, rounds, share

SIZE = GridSpec().size
USUAL = "reading, resizing and normalising all with scikit-image"


def opened(root: str) -> None:
    """What a notebook does first: tables at hand, pictures a memory read away."""
    load_cohort(Path(root), progress=False)


def ready(root: str) -> None:
    """Every slice of every patient once, on the network's grid and normalised."""
    cohort = load_cohort(Path(root), progress=False)
    for _ in iter(SliceDataset(cohort, cohort.patients)):
        pass


def read_at_every_start(root: str) -> None:
    """The same slices as scripts make them: lists in memory, one after the other, stacked in the
    end.
    """
    images = []
    masks = []
    for folder in folders(Path(root)):
        depth = len([*folder.glob("*.tif")]) // 2
        names = [folder / f"{folder.name}_{k}" for k in range(1, depth + 1)]
        volume = np.stack(
            [resize(imread(f"{name}.tif"), (SIZE, SIZE), anti_aliasing=True) for name in names]
        )
        images.append((volume - volume.mean(axis=(0, 1, 2))) / (volume.std(axis=(0, 1, 2)) + 1e-6))
        masks += [resize(imread(f"{name}_mask.tif") > 0, (SIZE, SIZE), order=0) for name in names]
    np.concatenate(images).astype(np.float32), np.stack(masks)


def rows(bench: Bench) -> list[Row]:
    """Cold, warm and whole, in one set of rounds; each side in a process of its own."""
    root = bench.first(2 if bench.quick else 12)
    cache = bench.work / "cache"
    files = sorted(root.glob("*/*.tif"))

    def cold() -> tuple[float, float]:
        shutil.rmtree(cache, ignore_errors=True)
        return in_child(ready, str(root), LGGSEG_CACHE=str(cache))

    def warm() -> tuple[float, float]:
        return in_child(opened, str(root), LGGSEG_CACHE=str(cache))

    def whole() -> tuple[float, float]:
        return in_child(ready, str(root), LGGSEG_CACHE=str(cache))

    costs = rounds(
        min(3, bench.repeats),
        cold,
        warm,
        whole,
        lambda: in_child(read_at_every_start, str(root)),
        lambda: (ceiling.read(files), 1),
    )
    names = (
        "open cold, then every slice ready for the network",
        "open warm",
        "open warm, then every slice ready for the network",
    )
    return [
        Row(
            name,
            USUAL,
            Ratio.of(costs[:, 3, 0] / costs[:, i, 0]),
            Ratio.of(costs[:, 3, 1] / costs[:, i, 1]),
            "" if i == 1 else f"{share(costs[:, 4, 0] / costs[:, i, 0])} of a plain read",
        )
        for i, name in enumerate(names)
    ]
