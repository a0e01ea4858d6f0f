"""A synthetic cohort, drawn from a seed and written in the layout of the real data set.

Nobody is in these pictures: heads are level sets, folds and margins are thresholded noise. Lengths are in head
units (1 = half the head's length from brow to occiput); x points to the patient's left, which is the picture's
right, y to the back, z to the top. A level is positive inside a structure and about the distance to its border.
"""

import math
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from scipy import ndimage
from tqdm import tqdm

from .errors import LggError

PHANTOM_VERSION = "4"  # goes up whenever pictures or table change: caches are named by it
PLANTED = ("RNASeqCluster", "MethylationCluster", "miRNACluster", "CNCluster", "COCCluster")
IRREGULARITY = {1: 0.45, 2: 0.9, 3: 0.15, 4: 0.25}  # of a tumour's margin, by RNASeq cluster: the planted truth
COLUMNS = ("Patient", "RNASeqCluster", "MethylationCluster", "miRNACluster", "CNCluster", "RPPACluster",
           "OncosignCluster", "COCCluster", "histological_type", "neoplasm_histologic_grade", "tumor_tissue_site",
           "laterality", "tumor_location", "gender", "age_at_initial_pathologic", "race", "ethnicity", "death01")
MISSING = {"RNASeqCluster": 0.16, "RPPACluster": 0.11, "ethnicity": 0.06, "OncosignCluster": 0.05, "CNCluster": 0.02,
           "race": 0.01, "MethylationCluster": 0.01}  # share of patients without a value

# How clusters overlap, and how often each code occurs: P(row's cluster -> column's cluster), codes from 1.
RNASEQ = (0.27, 0.31, 0.13, 0.29)
COC_OF_RNASEQ = {1: (0.95, 0.0, 0.05), 2: (0.15, 0.85, 0.0), 3: (0.0, 0.0, 1.0), 4: (0.6, 0.0, 0.4)}
CN_OF_COC = {1: (1.0, 0.0, 0.0), 2: (0.1, 0.9, 0.0), 3: (0.0, 0.0, 1.0)}
METHYLATION_OF_COC = {1: (0.04, 0.0, 0.3, 0.03, 0.63), 2: (0.05, 0.0, 0.05, 0.9, 0.0), 3: (0.0, 0.45, 0.55, 0.0, 0.0)}
MIRNA_OF_RNASEQ = {1: (0.25, 0.75, 0.0, 0.0), 2: (0.2, 0.15, 0.4, 0.25), 3: (0.0, 1.0, 0.0, 0.0),
                   4: (0.6, 0.4, 0.0, 0.0)}
INDEPENDENT = {"RPPACluster": (0.28, 0.31, 0.17, 0.24), "OncosignCluster": (0.28, 0.55, 0.17),
               "histological_type": (0.3, 0.27, 0.43), "neoplasm_histologic_grade": (0.47, 0.53),
               "laterality": (0.49, 0.02, 0.49), "tumor_location": (0.01, 0.57, 0.0, 0.02, 0.11, 0.29),
               "gender": (0.51, 0.49), "race": (0.0, 0.09, 0.91), "ethnicity": (0.03, 0.97)}


@dataclass(frozen=True)
class Scanner:
    """What a site's pictures have in common."""

    share: float  # of the cohort's patients
    slices: tuple[int, int]
    radius: float  # pixels per head unit
    gain: float  # grey levels of fat, about
    noise: float  # standard deviation, grey levels
    contrast: float  # bend of the grey scale, 0 is none
    blur: float  # share of a pixel's signal that each neighbour gets


SCANNERS = {"CS": Scanner(0.145, (18, 22), 110, 200, 3.0, 0.0, 0.2),
            "DU": Scanner(0.41, (20, 25), 95, 225, 4.0, 0.25, 0.16),
            "EZ": Scanner(0.009, (16, 17), 100, 160, 6.0, -0.1, 0.23),
            "FG": Scanner(0.127, (18, 22), 100, 235, 2.5, 0.15, 0.13),
            "HT": Scanner(0.309, (16, 20), 106, 185, 5.0, -0.1, 0.23)}


@dataclass(frozen=True)
class Patient:
    """What is decided before anything is drawn."""

    folder: str
    site: str
    key: tuple[int, int]  # (cohort's seed, patient's number): seeds every draw
    slices: int
    side: float  # -1 right, 0 midline, 1 left
    location: int  # code of data.csv
    irregularity: float
    missing: tuple[str, ...]

    def rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([*self.key, purpose])


# ---------------------------------------------------------------------------------------------------------- files

def write_phantom_cohort(dest: str | os.PathLike, patients: int = 60, seed: int = 0, progress: bool = True) -> Path:
    """Write `dest`/kaggle_3m, a synthetic cohort in the real layout, and return its path.

    It appears complete or not at all. The same arguments give the same bytes (on one platform). A
    kaggle_3m that is this very cohort is returned as it is; any other one raises LggError.
    """
    dest = Path(dest)
    target, note = dest / "kaggle_3m", describe(patients, seed)
    if target.exists():
        return _accept(target, note)
    plan, table = plan_cohort(patients, seed)
    dest.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".phantom-", dir=dest))
    try:
        _fill(temporary / "kaggle_3m", plan, table, note, progress)
        try:
            os.rename(temporary / "kaggle_3m", target)
        except OSError:  # someone else was quicker
            return _accept(target, note)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
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


# ---------------------------------------------------------------------------------------------------------- table

def plan_cohort(patients: int = 60, seed: int = 0) -> tuple[list[Patient], pd.DataFrame]:
    """Decide everything but the pixels: the patients, and data.csv with its 18 columns (Int64, NA where missing)."""
    if not (isinstance(patients, int) and 2 <= patients <= 999):
        raise LggError(f"patients={patients!r}; it must be a whole number from 2 to 999")
    if not (isinstance(seed, int) and seed >= 0):
        raise LggError(f"seed={seed!r}; it must be a whole number, 0 or more")
    rng = np.random.default_rng([seed, 7])
    table = draw_table(patients, rng)
    plan = draw_plan(table, seed, rng)
    table["Patient"] = [patient.folder.rpartition("_")[0] for patient in plan]
    return plan, hide(table, rng)[list(COLUMNS)]


def draw_table(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Complete table of `n` patients; only the PLANTED columns depend on each other."""
    code = lambda shares: int(rng.choice(len(shares), p=np.array(shares) / sum(shares))) + 1  # noqa: E731
    table = pd.DataFrame({"RNASeqCluster": rng.permutation(quota(RNASEQ, n)) + 1})
    table["COCCluster"] = [code(COC_OF_RNASEQ[c]) for c in table["RNASeqCluster"]]
    table["CNCluster"] = [code(CN_OF_COC[c]) for c in table["COCCluster"]]
    table["MethylationCluster"] = [code(METHYLATION_OF_COC[c]) for c in table["COCCluster"]]
    table["miRNACluster"] = [code(MIRNA_OF_RNASEQ[c]) for c in table["RNASeqCluster"]]
    for column, shares in INDEPENDENT.items():
        table[column] = rng.permutation(quota(shares, n)) + 1
    table["tumor_tissue_site"] = 1
    table["age_at_initial_pathologic"] = rng.normal(46, 13, n).round().clip(20, 75).astype(int)
    table["death01"] = (rng.random(n) < 0.25).astype(int)
    return table.astype("Int64")


def quota(shares: tuple[float, ...], n: int) -> np.ndarray:
    """`n` category numbers from 0, in order, in the given shares as nearly as whole numbers allow."""
    return np.searchsorted(np.cumsum(shares) / sum(shares), (np.arange(n) + 0.5) / n)


def count(share: float, n: int) -> int:
    return max(1, round(share * n))


def draw_plan(table: pd.DataFrame, seed: int, rng: np.random.Generator) -> list[Patient]:
    n, sites = len(table), list(SCANNERS)
    site = rng.permutation(quota(tuple(scanner.share for scanner in SCANNERS.values()), n))
    copies = rng.permutation(n)  # the first few lack post-contrast, the very first also pre-contrast
    plan = []
    for i, row in enumerate(table.itertuples()):
        date = f"{rng.integers(1994, 2007)}{rng.integers(1, 13):02d}{rng.integers(1, 29):02d}"
        lacks = int(copies[i] < count(0.055, n)) + int(copies[i] < count(0.09, n))
        name = sites[site[i]]
        plan.append(Patient(f"TCGA_{name}_P{i + 1:03d}_{date}", name, (seed, i + 1),
                            int(rng.integers(*SCANNERS[name].slices, endpoint=True)), 2.0 - row.laterality,
                            row.tumor_location, max(0.05, IRREGULARITY[row.RNASeqCluster] + rng.normal(0, 0.12)),
                            ("pre", "post")[2 - lacks:]))
    return plan


def hide(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Take away values as the real table lacks them; one patient keeps clusters but no clinical field."""
    for column, share in MISSING.items():
        table.loc[rng.permutation(len(table))[:count(share, len(table))], column] = pd.NA
    table.loc[rng.integers(len(table)), list(COLUMNS[8:])] = pd.NA
    return table.sort_values("Patient")


# ------------------------------------------------------------------------------------------------------- geometry

def noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: tuple[float, ...] | float) -> np.ndarray:
    """Smooth Gaussian noise float32 of mean 0 and standard deviation 1."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma, mode="wrap", truncate=3)
    return (field - field.mean()) / field.std()


def resample(field: np.ndarray, size: int) -> np.ndarray:
    """Linear interpolation of the last two axes to `size` pixels each (exact sums: the same on every run)."""
    for axis in (-2, -1):
        length = field.shape[axis]
        place = ((np.arange(size) + 0.5) * length / size - 0.5).clip(0, length - 1)
        low = np.minimum(place.astype(int), length - 2)
        weight = (place - low).astype(np.float32).reshape((-1, 1) if axis == -2 else (-1,))
        field = np.take(field, low, axis) * (1 - weight) + np.take(field, low + 1, axis) * weight
    return field


def ball(x, y, z, centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    """Level of an ellipsoid."""
    parts = (((p - c) / r) ** 2 for p, c, r in zip((x, y, z), centre, radii, strict=True))
    return (1 - np.sqrt(sum(parts))) * min(radii[:2])


def coordinates(patient: Patient, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Head coordinates x, y (D,size,size), z (D,1,1) of all pixels: shifted, turned, scaled and gently warped."""
    rng, scanner = patient.rng(0), SCANNERS[patient.site]
    z = np.linspace(-0.62, 0.95, patient.slices, dtype=np.float32)[:, None, None] + rng.uniform(-0.03, 0.02)
    pixel = (np.arange(size, dtype=np.float32) + 0.5) * (256 / size) - 128
    radius, angle = scanner.radius * rng.uniform(0.96, 1.04), rng.normal(0, 0.05)
    across, down = (pixel[None, :] - rng.normal(0, 3)) / radius, (pixel[:, None] - rng.normal(0, 3)) / radius
    warp = [0.02 * resample(noise(rng, (patient.slices, 12, 12), (2, 1.2, 1.2)), size) for _ in range(2)]
    x = across * math.cos(angle) + down * math.sin(angle) + warp[0]
    y = down * math.cos(angle) - across * math.sin(angle) + warp[1]
    return x * (1 - 0.1 * y), y, z


def cerebrum(x, y, z) -> np.ndarray:
    """Level of the hemispheres: a dome above, two temporal lobes below."""
    dome = ball(x, y, z, (0, 0, 0.05), (0.72, 0.9, np.where(z > 0.05, np.float32(0.85), np.float32(0.58))))
    return np.maximum(dome, ball(np.abs(x), y, z, (0.37, -0.12, -0.3), (0.29, 0.4, 0.34)))


def cerebellum(x, y, z) -> np.ndarray:
    """Level of the cerebellum."""
    return ball(x, y, z, (0, 0.43, -0.58), (0.56, 0.42, 0.4)) - 0.03 * np.exp(-((x / 0.05) ** 2))


def ventricles(x, y, z, width: float) -> np.ndarray:
    """Level of the lateral ventricles (a butterfly), the third and the fourth."""
    side = np.abs(x)
    middle = 0.05 + (1.1 - 1.5 * np.clip(z, 0, 0.4)) * (y - 0.03) ** 2
    ends = np.maximum(0, np.abs(y - 0.03) - 0.3) + np.maximum(0, np.abs(z - 0.12) - 0.18)
    lateral = width * (0.025 + 0.06 * np.abs(y - 0.03)) - np.abs(side - middle) - ends
    third = ball(x, y, z, (0, 0.02, -0.12), (0.02 * width, 0.16, 0.16))
    return np.maximum(np.maximum(lateral, third), ball(x, y, z, (0, 0.3, -0.5), (0.07 * width, 0.05, 0.12)))


# --------------------------------------------------------------------------------------------------------- tumour

CENTRES = {1: (0.25, 0.48, -0.5), 2: (0.32, -0.42, 0.2), 4: (0.28, 0.58, 0.1), 5: (0.36, 0.3, 0.4),
           6: (0.42, -0.05, -0.22)}  # by tumor_location, of the left side


def tumour_level(patient: Patient, x, y, z, width: float) -> np.ndarray:
    """Level of the tumour on a grid: ellipsoids whose margin is displaced by noise, grown to a drawn volume.

    The volume (1 to 13 % of the brain) is set through the threshold, so irregularity does not change it.
    """
    rng = patient.rng(1)
    brain = np.maximum(cerebrum(x, y, z), cerebellum(x, y, z))
    allowed = np.minimum(brain - 0.03, -0.015 - ventricles(x, y, z, width)) > 0
    share = np.exp(rng.uniform(np.log(0.013), np.log(0.13)))
    parts = int(rng.choice([1, 2, 3], p=[0.86, 0.08, 0.06]))
    level = margin(patient, rng, parts, (x, y, z), 0.72 * share ** (1 / 3))
    inside, voxels = level[allowed], int(share * (brain > 0).sum())
    level = np.where(allowed, level, -9) - np.partition(inside, -voxels)[-voxels]
    return np.where(largest_parts(level > 0, parts), level, np.minimum(level, -0.01)).astype(np.float32)


def margin(patient: Patient, rng: np.random.Generator, parts: int, at: tuple, radius: float) -> np.ndarray:
    """Distance from the surface of one to three ellipsoids, displaced by coarse and fine noise."""
    side = patient.side or rng.choice([-0.3, 0.3])
    centre = np.array(CENTRES[patient.location]) * (side, 1, 1) + rng.normal(0, 0.05, 3)
    level = ball(*at, centre.tolist(), (radius * np.array([1.1, 1.1, 0.8]) * np.exp(rng.normal(0, 0.1, 3))).tolist())
    for _ in range(parts - 1):
        offset = rng.normal(0, 1, 3) * (1, 1, 0.5)
        away = centre + 2.0 * radius * offset / np.linalg.norm(offset)
        level = np.maximum(level, ball(*at, away.tolist(), (radius * rng.uniform(0.4, 0.6, 3)).tolist()) + 0.1 * radius)
    step = np.array([1.59 / patient.slices, 2 / SCANNERS[patient.site].radius, 2 / SCANNERS[patient.site].radius])
    for scale, strength in ((0.5, 0.65), (0.16, 0.22)):
        field = noise(rng, level.shape, scale * radius / step)
        level = level + strength * radius * patient.irregularity * field
    return level


def largest_parts(mask: np.ndarray, keep: int) -> np.ndarray:
    """The `keep` largest 3D components (voxels that share a face) of a mask."""
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())[1:]
    return np.isin(labels, np.argsort(sizes)[::-1][:keep] + 1)


# ------------------------------------------------------------------------------------------------------- pictures

# Signal of a tissue before contrast, in FLAIR and after contrast; fat is 1.
FAT, BONE, MUSCLE, AIR = (0.95, 0.85, 0.95), (0.07, 0.06, 0.08), (0.3, 0.22, 0.33), (0.0, 0.0, 0.0)
CSF, GREY, WHITE, VESSEL = (0.13, 0.08, 0.14), (0.37, 0.47, 0.41), (0.52, 0.37, 0.54), (0.2, 0.1, 0.95)


def draw_slices(patient: Patient) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Image uint8 (256,256,3) and mask uint8 (256,256) in {0, 255} of each slice, from the bottom up."""
    rng, look = patient.rng(2), Look.draw(patient.rng(3))
    x, y, z = coordinates(patient, 128)  # smooth fields at half size, borders at full size: quick and crisp
    tumour = tumour_level(patient, x, y, z, look.ventricles)
    fold = folds(patient.rng(4), x, y, z)
    texture = noise(rng, x.shape, (0.5, 2.5, 2.5))
    bias = noise(rng, (len(x), 8, 8), (3, 1.5, 1.5))
    for d in range(len(x)):
        fields = [resample(field[d], 256) for field in (x, y, fold, texture, tumour, bias)]
        canvas = draw_slice(look, z[d, 0, 0], *fields[:5])
        mask = (fields[4] > 0).astype(np.uint8) * 255
        yield scan(canvas, fields[5], patient, rng), mask


def draw_masks(patient: Patient) -> np.ndarray:
    """Only the tumour, bool (D,256,256): the masks of `draw_slices` in a tenth of the time."""
    level = tumour_level(patient, *coordinates(patient, 128), Look.draw(patient.rng(3)).ventricles)
    return resample(level, 256) > 0


@dataclass(frozen=True)
class Look:
    """What one patient's tissue looks like, whatever the scanner."""

    ventricles: float  # width, 1 is average
    rims: float  # how bright the ventricles' rims are in FLAIR
    contrast: float  # tumour's FLAIR over healthy brain's; under 1.15 is faint
    softness: float  # width of the tumour's border, head units
    enhancing: float  # depth from which the tumour takes up contrast medium; inf: nowhere
    rim: bool  # it takes it up in a rim only
    lesions: list  # centre and radius (x, y, z, r) of each bright spot that is no tumour

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Look":
        lesions = rng.uniform((-0.42, -0.4, 0.02, 0.035), (0.42, 0.5, 0.45, 0.065), (rng.integers(0, 4), 4)).tolist()
        faint = rng.random() < 0.08
        return cls(rng.uniform(0.6, 1.4), rng.uniform(0.0, 1.0), rng.uniform(1.08, 1.14) if faint else
                   rng.uniform(1.3, 1.9), rng.uniform(0.02, 0.05),
                   rng.uniform(0.02, 0.05) if rng.random() < 0.35 else np.inf, rng.random() < 0.5, lesions)


def folds(rng: np.random.Generator, x, y, z) -> np.ndarray:
    """Distance to the nearest sulcus: the zero lines of noise, which run inwards halfway up and anywhere elsewhere."""
    polar, plane = noise(rng, (len(x), 32, 256), (0.5, 2.5, 1.5)), noise(rng, x.shape, (0.5, 2.1, 2.1))
    outline = 0.77 * np.sqrt(np.clip(1 - (z / 0.86) ** 2, 0.1, 1))
    arc = np.arctan2(x, -y) * outline / 0.025 + 128
    row = np.broadcast_to(np.arange(len(x), dtype=np.float32)[:, None, None], x.shape)
    polar = ndimage.map_coordinates(polar, [row, cerebrum(x, y, z) / 0.03 + 4, arc], order=1, mode="nearest")
    share = np.clip((z + 0.25) / 0.2, 0, 1) * np.clip((0.6 - z) / 0.3, 0, 1)
    return 0.05 * np.abs(share * polar + (1 - share) * plane)


def soft(level: np.ndarray, width: float = 0.012) -> np.ndarray:
    """Weight 0..1 across a border `width` head units wide."""
    return np.clip(level / width + 0.5, 0, 1)


def paint(canvas: np.ndarray, weight: np.ndarray, signal: tuple) -> None:
    """Mix a tissue into the canvas (3,H,W)."""
    if weight.any():
        for plane, value in zip(canvas, signal, strict=True):
            plane += weight * (value - plane)


def draw_slice(look: Look, z: np.float32, x, y, fold, texture, tumour) -> np.ndarray:
    """Ideal signal float32 (3,H,W) of one slice."""
    canvas = np.zeros((3, *x.shape), np.float32)
    draw_head(canvas, x, y, z, texture)
    draw_cerebrum(canvas, x, y, z, fold, texture)
    if z < -0.1:
        draw_cerebellum(canvas, x, y, z, texture)
    draw_fluid(canvas, look, x, y, z)
    canvas *= 1 + 0.03 * texture
    draw_tumour(canvas, look, tumour, texture)
    return canvas


def draw_head(canvas: np.ndarray, x, y, z: np.float32, texture) -> None:
    """Scalp, skull, and below the brain muscle, orbits and the nose's air."""
    head = ball(x, y, z, (0, 0, 0), (0.82, 1, 1.0 if z > 0 else 2.2))
    head = np.maximum(head, ball(x, y, z, (0, -0.98, -0.55), (0.1, 0.16, 0.25)))  # the nose
    paint(canvas, soft(head), FAT)
    paint(canvas, soft(head - 0.045 - 0.015 * y), BONE)
    if z < -0.2:
        paint(canvas, soft(head - 0.06) * soft(texture, 1.5) * soft(-0.25 - z - 0.1 * y, 0.2), MUSCLE)
        paint(canvas, soft(head - 0.02) * soft(ball(np.abs(x), y, z, (0.3, -0.7, -0.42), (0.2, 0.24, 0.2))), FAT)
        paint(canvas, soft(ball(np.abs(x), y, z, (0.31, -0.78, -0.42), (0.13, 0.13, 0.16))), CSF)
        paint(canvas, soft(ball(x, y, z, (0, -0.74, -0.5), (0.1, 0.2, 0.28))), AIR)


def draw_cerebrum(canvas: np.ndarray, x, y, z: np.float32, fold, texture) -> None:
    """Fluid around the brain, grey ribbon, white matter, deep nuclei, the sinus that lights up after contrast."""
    brain = cerebrum(x, y, z)
    paint(canvas, soft(brain + 0.02), CSF)
    callosum = ball(x, y, z, (0, 0.02, 0.0), (0.5, 0.42, 0.36))
    cleft = np.abs(x + 0.01 * texture) + 3 * np.maximum(0, callosum)  # between the hemispheres
    insula = np.abs(y + 0.1 - 0.3 * (np.abs(x) - 0.4)) + 3 * np.maximum(0, 0.4 - np.abs(x)) + 2 * max(0, abs(z) - 0.15)
    sulcus = fold + 0.4 * np.maximum(0, brain - 0.13 - 0.04 * texture)
    depth = np.minimum(np.minimum(brain, sulcus), np.minimum(cleft, insula))
    paint(canvas, soft(depth - 0.011, 0.014), GREY)
    paint(canvas, soft(depth - 0.05, 0.016), WHITE)
    thalamus = ball(np.abs(x), y, z, (0.13, 0.08, 0.0), (0.1, 0.16, 0.16))
    putamen = ball(np.abs(x) + 0.2 * y, y, z, (0.27, -0.06, 0.0), (0.06, 0.2, 0.14))
    paint(canvas, 0.8 * soft(np.maximum(thalamus, putamen), 0.03), GREY)
    paint(canvas, soft(0.02 - np.hypot(x, brain + 0.02)), VESSEL)


def draw_cerebellum(canvas: np.ndarray, x, y, z: np.float32, texture) -> None:
    """Cerebellum with its fine parallel folds, and the brain stem."""
    level = cerebellum(x, y, z)
    paint(canvas, soft(level + 0.015) * soft(-0.3 - z, 0.15), CSF)
    paint(canvas, soft(level), GREY)
    stripes = 0.3 + 0.3 * np.sin(85 * np.hypot(0.7 * x, y - 0.1) + 1.5 * texture)
    paint(canvas, soft(level - 0.04, 0.04) * stripes, WHITE)
    stem = ball(x, y, z, (0, 0.1, -0.5), (0.16, 0.17, 0.4))
    paint(canvas, soft(stem + 0.02) * soft(-0.25 - z, 0.1), CSF)
    paint(canvas, soft(stem), WHITE)


def draw_fluid(canvas: np.ndarray, look: Look, x, y, z: np.float32) -> None:
    """Ventricles, and the lookalikes in FLAIR: their rims, and small lesions."""
    level = ventricles(x, y, z, look.ventricles)
    caps = look.rims * soft(np.abs(y) - 0.2, 0.15) * soft(level + 0.035, 0.04)
    paint(canvas, caps * (cerebrum(x, y, z) > 0.05), (0.45, 0.75, 0.46))
    for *centre, radius in look.lesions:
        paint(canvas, soft(ball(x, y, z, centre, (radius, radius, 1.2 * radius)), 0.03), (0.42, 0.72, 0.43))
    paint(canvas, soft(level), CSF)


def draw_tumour(canvas: np.ndarray, look: Look, level, texture) -> None:
    """Bright in FLAIR, dark before contrast; after it, some light up in patches or in a rim."""
    t1, flair = 0.39 - 0.03 * look.contrast, 0.42 * look.contrast * (1 + 0.07 * texture)
    paint(canvas, 0.88 * soft(level, look.softness), (t1, flair, t1 + 0.01))  # what it invades shines through
    where = 1 - soft(level - look.enhancing - 0.03, 0.02) if look.rim else soft(texture - 0.6, 0.4)
    taken = soft(level - look.enhancing, 0.02) * where
    paint(canvas[2:], taken, (0.9,))


def blur(image: np.ndarray, share: float) -> np.ndarray:
    """Give `share` of each pixel to either neighbour, down and across: quicker than a Gaussian filter."""
    for before, here, after in (np.s_[..., :-2, :], np.s_[..., 1:-1, :], np.s_[..., 2:, :]), \
                               (np.s_[..., :-2], np.s_[..., 1:-1], np.s_[..., 2:]):
        image[here] += share * (image[before] + image[after] - 2 * image[here])
    return image


def scan(canvas: np.ndarray, bias: np.ndarray, patient: Patient, rng: np.random.Generator) -> np.ndarray:
    """What the site's scanner makes of an ideal slice: uint8 (H,W,3)."""
    scanner = SCANNERS[patient.site]
    signal = blur(canvas * (1 + scanner.contrast * (canvas - 1)), scanner.blur) * (scanner.gain * np.exp(0.12 * bias))
    real, imaginary = scanner.noise * rng.standard_normal((2, *signal.shape), dtype=np.float32)
    image = np.sqrt((signal + real) ** 2 + imaginary**2).clip(0, 255).astype(np.uint8)  # magnitude: Rician noise
    for name in patient.missing:  # the data set's own convention: a missing sequence is a copy of FLAIR
        image[{"pre": 0, "post": 2}[name]] = image[1]
    return np.ascontiguousarray(np.moveaxis(image, 0, -1))
