"""A cohort of a few small slices, written file by file in the layout of the real data set."""

from itertools import chain

import numpy as np
from PIL import Image

from lggseg.data import array_cache
from lggseg.data.clinical import CLUSTERS, CODEBOOK
from lggseg.data.cohort import load_cohort

HEADER = ",".join(["Patient", *CLUSTERS, *CODEBOOK])
FIRST, SECOND = "TCGA_CS_4941_19960909", "TCGA_HT_A61B_19991127"


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def write_patient(root, folder, depth=12, size=(16, 20), seed=0):
    """A folder of noise with a square tumour of k pixels' side on slice k = 3 and 4;
    returns image and mask.
    """
    image = np.random.default_rng(seed).integers(0, 256, (depth, *size, 3), dtype=np.uint8)
    mask = np.zeros((depth, *size), bool)
    for k in (3, 4):
        mask[k - 1, :k, :k] = True
    for k in range(1, depth + 1):
        save(root / folder / f"{folder}_{k}.tif", image[k - 1])
        save(root / folder / f"{folder}_{k}_mask.tif", mask[k - 1].astype(np.uint8) * 255)
    return image, mask


def write_cohort(root):
    """Two patients, 12 and 4 slices of 16 x 20 pixels, and their table."""
    write_patient(root, FIRST)
    write_patient(root, SECOND, depth=4, seed=1)
    (root / "README.md").write_text("LGG Segmentation Dataset\n")
    (root / "data.csv").write_text(
        f"{HEADER}\n"
        "TCGA_CS_4941,2,4,2,2,,3,2,1,2,1,3,2,2,67,3,2,1\n"
        "TCGA_HT_A61B,1.0,5,2,1,1,2,1,,,,,,,,,,\n"
    )


def write_row(root, patient):
    """A row without values for another patient."""
    with (root / "data.csv").open("a") as table:
        table.write(f"{patient}{HEADER.count(',') * ','}\n")


def same(a, b):
    pairs = [(a.volume(patient), b.volume(patient)) for patient in chain(a.patients, b.patients)]
    return all(
        np.array_equal(u.image, v.image) and np.array_equal(u.mask, v.mask) for u, v in pairs
    )


def spy_on_builds(monkeypatch):
    builds, write_array_cache = [], array_cache.write_array_cache
    monkeypatch.setattr(
        array_cache,
        "write_array_cache",
        lambda *args: [builds.append(args), write_array_cache(*args)],
    )
    return builds


def load_volumes(root):
    """(image, mask) of each patient, copied from the cache."""
    cohort = load_cohort(root, progress=False)
    volumes = [cohort.volume(patient) for patient in cohort.patients]
    assert [int(volume.mask.sum()) for volume in volumes] == cohort.summary.tumour_voxels.tolist()
    return [(np.array(volume.image), np.array(volume.mask)) for volume in volumes]
