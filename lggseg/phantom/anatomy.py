"""Where things lie in a head: coordinates, outline, brain and ventricles, and the tumour in them.

Lengths are in head units (1 = half the head's length from brow to occiput); x points to the patient's left, which is
the picture's right, y to the back, z to the top. A level is positive inside a structure and about the distance to
its border.
"""

import math

import numpy as np
from scipy import ndimage

from .patient import SCANNERS, Patient


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


# ----------------------------------------------------------------------------------------------------------- head

def outline(x, y, z: float) -> np.ndarray:
    """Level of the head in one slice: skull and scalp, and below the brow cheeks, nose and ears."""
    head = ball(x, y, z, (0, 0, 0), (0.84, 1.02, 1.07 if z > 0 else 2.2))
    if z < -0.1:
        side = np.abs(x)
        head = np.maximum(head, ball(x, y, z, (0, -0.98, -0.55), (0.1, 0.16, 0.25)))
        head = np.maximum(head, ball(side, y, z, (0.33, -0.7, -0.55), (0.3, 0.27, 0.42)))
        head = np.maximum(head, ball(side + 0.4 * (y - 0.12), y, z, (0.86, 0.14, -0.45), (0.04, 0.11, 0.2)))
    return head


def scalp(rng: np.random.Generator, x, y, z, thickness: float) -> np.ndarray:
    """Thickness of skin and fat: more at the back and in the neck, less at the temples, uneven all around."""
    reach, uneven = np.hypot(x, y) + 0.05, noise(rng, (len(x), 8, 8), (2, 1.2, 1.2))
    back, temple = y / reach, np.abs(x) / reach
    shape = 1 + 0.3 * back - 0.3 * temple * np.clip(0.6 - z, 0, 1) + 2 * np.clip(-0.2 - z, 0, 0.4) * np.maximum(back, 0)
    return thickness * shape * np.exp(0.2 * resample(uneven, x.shape[-1]))


# ---------------------------------------------------------------------------------------------------------- brain

def cerebrum(x, y, z) -> np.ndarray:
    """Level of the hemispheres: a dome above, two temporal lobes below."""
    dome = ball(x, y, z, (0, 0, 0.05), (0.72, 0.9, np.where(z > 0.05, np.float32(0.85), np.float32(0.58))))
    return np.maximum(dome, ball(np.abs(x), y, z, (0.37, -0.12, -0.3), (0.29, 0.4, 0.34)))


def cerebellum(x, y, z) -> np.ndarray:
    """Level of the cerebellum."""
    return ball(x, y, z, (0, 0.43, -0.58), (0.56, 0.42, 0.4)) - 0.03 * np.exp(-((x / 0.05) ** 2))


def lateral_ventricles(x, y, z, width: float) -> np.ndarray:
    """Level of the lateral ventricles, a butterfly; `width` 1 is average."""
    side = np.abs(x)
    middle = 0.05 + (1.1 - 1.5 * np.clip(z, 0, 0.4)) * (y - 0.03) ** 2
    ends = np.maximum(0, np.abs(y - 0.03) - 0.3) + np.maximum(0, np.abs(z - 0.12) - 0.18)
    return width * (0.025 + 0.06 * np.abs(y - 0.03)) - np.abs(side - middle) - ends


def ventricles(x, y, z, width: float) -> np.ndarray:
    """Level of the lateral ventricles, the third and the fourth."""
    third = ball(x, y, z, (0, 0.02, -0.12), (0.02 * width, 0.16, 0.16))
    fourth = ball(x, y, z, (0, 0.3, -0.5), (0.07 * width, 0.05, 0.12))
    return np.maximum(np.maximum(lateral_ventricles(x, y, z, width), third), fourth)


STEM = (((0.1, 0.03, -0.26), (0.085, 0.1, 0.13)),  # the midbrain's peduncles, body and colliculi
        ((0.0, 0.12, -0.27), (0.15, 0.1, 0.15)),
        ((0.05, 0.21, -0.22), (0.055, 0.045, 0.09)),
        ((0.0, 0.06, -0.46), (0.2, 0.15, 0.17)),  # the pons and its arms to the cerebellum
        ((0.2, 0.17, -0.47), (0.14, 0.07, 0.12)),
        ((0.0, 0.14, -0.66), (0.11, 0.09, 0.24)))  # the medulla


def stem(x, y, z: float) -> np.ndarray:
    """Level of the brain stem in one slice, made of the STEM's ellipsoids."""
    side = np.abs(x)
    parts = [ball(side, y, z, *part) for part in STEM if abs(z - part[0][2]) < part[1][2]]
    return np.maximum.reduce(parts) if parts else np.full_like(x, -1)


def folds(rng: np.random.Generator, x, y, z) -> np.ndarray:
    """Distance to the nearest sulcus: the zero lines of noise, which run inwards halfway up and anywhere elsewhere."""
    polar, plane = noise(rng, (len(x), 32, 256), (0.5, 2.5, 1.5)), noise(rng, x.shape, (0.5, 2.1, 2.1))
    girth = 0.77 * np.sqrt(np.clip(1 - (z / 0.86) ** 2, 0.1, 1))
    arc = np.arctan2(x, -y) * girth / 0.025 + 128
    row = np.broadcast_to(np.arange(len(x), dtype=np.float32)[:, None, None], x.shape)
    polar = ndimage.map_coordinates(polar, [row, cerebrum(x, y, z) / 0.03 + 4, arc], order=1, mode="nearest")
    share = np.clip((z + 0.25) / 0.2, 0, 1) * np.clip((0.6 - z) / 0.3, 0, 1)
    return 0.05 * np.abs(share * polar + (1 - share) * plane)


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
