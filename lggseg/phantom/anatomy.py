"""Where things lie in a head: coordinates, outline, brain and ventricles, and the tumour in them.

Lengths are in head units: 1 is half the head's length from brow to back. x points to the patient's
left, which is the picture's right, y to the back, z to the top. A *level* is a field that is
positive inside a structure, and about the distance to its border.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from .patient import SCANNERS, Patient

Coordinate = np.ndarray | float  # one number per pixel, or the same for all


def noise(
    rng: np.random.Generator, shape: tuple[int, ...], sigma: Sequence[float] | float
) -> np.ndarray:
    """Smooth Gaussian noise, float32, of mean 0 and standard deviation 1."""
    white = rng.standard_normal(shape, dtype=np.float32)
    field = ndimage.gaussian_filter(white, sigma, mode="wrap", truncate=3)
    return (field - field.mean()) / field.std()


def resample(field: np.ndarray, size: int) -> np.ndarray:
    """Interpolate the last two axes of a field to `size` pixels each.

    It is linear, and written out so that every run gives the same sums.
    """
    for axis in (-2, -1):
        length = field.shape[axis]
        place = ((np.arange(size) + 0.5) * length / size - 0.5).clip(0, length - 1)
        low = np.minimum(place.astype(int), length - 2)
        weight = (place - low).astype(np.float32)
        if axis == -2:
            weight = weight[:, None]
        field = np.take(field, low, axis) * (1 - weight) + np.take(field, low + 1, axis) * weight
    return field


def ball(
    x: Coordinate, y: Coordinate, z: Coordinate, centre: Sequence[float], radii: Sequence[Any]
) -> np.ndarray:
    """Level of an ellipsoid; `radii` are along x, y and z."""
    across = ((x - centre[0]) / radii[0]) ** 2
    back = ((y - centre[1]) / radii[1]) ** 2
    up = ((z - centre[2]) / radii[2]) ** 2
    return (1 - np.sqrt(across + back + up)) * min(radii[0], radii[1])


def coordinates(patient: Patient, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Head coordinates of all pixels: shifted, turned, scaled and gently warped.

    Returns
    -------
    x, y : float32 (slices, size, size)
    z : float32 (slices, 1, 1)
    """
    rng = patient.rng(0)
    scanner = SCANNERS[patient.site]
    z = np.linspace(-0.62, 0.95, patient.slices, dtype=np.float32)[:, None, None]
    z = z + rng.uniform(-0.03, 0.02)
    pixel = (np.arange(size, dtype=np.float32) + 0.5) * (256 / size) - 128
    radius = scanner.radius * rng.uniform(0.96, 1.04)
    angle = rng.normal(0, 0.05)
    across = (pixel[None, :] - rng.normal(0, 3)) / radius
    down = (pixel[:, None] - rng.normal(0, 3)) / radius
    warp_x = 0.02 * resample(noise(rng, (patient.slices, 12, 12), (2, 1.2, 1.2)), size)
    warp_y = 0.02 * resample(noise(rng, (patient.slices, 12, 12), (2, 1.2, 1.2)), size)
    x = across * math.cos(angle) + down * math.sin(angle) + warp_x
    y = down * math.cos(angle) - across * math.sin(angle) + warp_y
    return x * (1 - 0.1 * y), y, z


# The head.


def outline(x: np.ndarray, y: np.ndarray, z: float) -> np.ndarray:
    """Level of the head in one slice: skull and scalp, and below the brow cheeks, nose and ears."""
    height = 1.07
    if z <= 0:
        height = 2.2
    head = ball(x, y, z, (0, 0, 0), (0.84, 1.02, height))
    if z < -0.1:
        side = np.abs(x)
        nose = ball(x, y, z, (0, -0.98, -0.55), (0.1, 0.16, 0.25))
        cheeks = ball(side, y, z, (0.33, -0.7, -0.55), (0.3, 0.27, 0.42))
        slanted = side + 0.4 * (y - 0.12)
        ears = ball(slanted, y, z, (0.86, 0.14, -0.45), (0.04, 0.11, 0.2))
        for part in (nose, cheeks, ears):
            head = np.maximum(head, part)
    return head


def scalp(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, z: np.ndarray, thickness: float
) -> np.ndarray:
    """Thickness of skin and fat.

    There is more at the back and in the neck, less at the temples, and it is uneven all around.
    """
    uneven = noise(rng, (len(x), 8, 8), (2, 1.2, 1.2))
    reach = np.hypot(x, y) + 0.05
    back = y / reach
    temple = np.abs(x) / reach
    neck = 2 * np.clip(-0.2 - z, 0, 0.4) * np.maximum(back, 0)
    shape = 1 + 0.3 * back - 0.3 * temple * np.clip(0.6 - z, 0, 1) + neck
    return thickness * shape * np.exp(0.2 * resample(uneven, x.shape[-1]))


# The brain.


def cerebrum(x: np.ndarray, y: np.ndarray, z: Coordinate) -> np.ndarray:
    """Level of the hemispheres: a dome above, two temporal lobes below."""
    height = np.where(z > 0.05, np.float32(0.85), np.float32(0.58))
    dome = ball(x, y, z, (0, 0, 0.05), (0.72, 0.9, height))
    temporal_lobes = ball(np.abs(x), y, z, (0.37, -0.12, -0.3), (0.29, 0.4, 0.34))
    return np.maximum(dome, temporal_lobes)


def cerebellum(x: np.ndarray, y: np.ndarray, z: Coordinate) -> np.ndarray:
    """Level of the cerebellum, with a notch between its halves."""
    notch = 0.03 * np.exp(-((x / 0.05) ** 2))
    return ball(x, y, z, (0, 0.43, -0.58), (0.56, 0.42, 0.4)) - notch


def lateral_ventricles(x: np.ndarray, y: np.ndarray, z: Coordinate, width: float) -> np.ndarray:
    """Level of the lateral ventricles, a butterfly; `width` 1 is average."""
    side = np.abs(x)
    back = np.abs(y - 0.03)
    middle = 0.05 + (1.1 - 1.5 * np.clip(z, 0, 0.4)) * (y - 0.03) ** 2
    ends = np.maximum(0, back - 0.3) + np.maximum(0, np.abs(z - 0.12) - 0.18)
    return width * (0.025 + 0.06 * back) - np.abs(side - middle) - ends


def ventricles(x: np.ndarray, y: np.ndarray, z: Coordinate, width: float) -> np.ndarray:
    """Level of the lateral ventricles, the third and the fourth."""
    third = ball(x, y, z, (0, 0.02, -0.12), (0.02 * width, 0.16, 0.16))
    fourth = ball(x, y, z, (0, 0.3, -0.5), (0.07 * width, 0.05, 0.12))
    return np.maximum(np.maximum(lateral_ventricles(x, y, z, width), third), fourth)


STEM = (  # centres and radii of the ellipsoids that the brain stem is made of
    ((0.1, 0.03, -0.26), (0.085, 0.1, 0.13)),  # the midbrain: peduncles, body and colliculi
    ((0.0, 0.12, -0.27), (0.15, 0.1, 0.15)),
    ((0.05, 0.21, -0.22), (0.055, 0.045, 0.09)),
    ((0.0, 0.06, -0.46), (0.2, 0.15, 0.17)),  # the pons, and its arms to the cerebellum
    ((0.2, 0.17, -0.47), (0.14, 0.07, 0.12)),
    ((0.0, 0.14, -0.66), (0.11, 0.09, 0.24)),  # the medulla
)


def stem(x: np.ndarray, y: np.ndarray, z: float) -> np.ndarray:
    """Level of the brain stem in one slice."""
    side = np.abs(x)
    parts = []
    for centre, radii in STEM:
        if abs(z - centre[2]) < radii[2]:
            parts.append(ball(side, y, z, centre, radii))
    if not parts:
        return np.full_like(x, -1)
    return np.maximum.reduce(parts)


def folds(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Distance to the nearest sulcus, float (slices, size, size).

    The sulci are the zero lines of noise. Halfway up the head they run inwards from the surface:
    there the noise is drawn along the surface and into the depth. Elsewhere they run anywhere.
    """
    inwards = noise(rng, (len(x), 32, 256), (0.5, 2.5, 1.5))
    anywhere = noise(rng, x.shape, (0.5, 2.1, 2.1))
    girth = 0.77 * np.sqrt(np.clip(1 - (z / 0.86) ** 2, 0.1, 1))
    along = np.arctan2(x, -y) * girth / 0.025 + 128
    depth = cerebrum(x, y, z) / 0.03 + 4
    number = np.arange(len(x), dtype=np.float32)[:, None, None]
    slices = np.broadcast_to(number, x.shape)
    inwards = ndimage.map_coordinates(inwards, [slices, depth, along], order=1, mode="nearest")
    halfway_up = np.clip((z + 0.25) / 0.2, 0, 1) * np.clip((0.6 - z) / 0.3, 0, 1)
    return 0.05 * np.abs(halfway_up * inwards + (1 - halfway_up) * anywhere)


# The tumour.

CENTRES = {  # by the code of tumor_location, on the left side
    1: (0.25, 0.48, -0.5),
    2: (0.32, -0.42, 0.2),
    4: (0.28, 0.58, 0.1),
    5: (0.36, 0.3, 0.4),
    6: (0.42, -0.05, -0.22),
}


def tumour_level(
    patient: Patient, x: np.ndarray, y: np.ndarray, z: np.ndarray, width: float
) -> np.ndarray:
    """Level of the tumour: ellipsoids whose margin is displaced by noise.

    Its volume, 1 to 13 % of the brain, is drawn first and set through the threshold of the level,
    so that irregularity does not change it.

    Parameters
    ----------
    patient : Patient
    x, y, z : float32
        As `coordinates` returns them.
    width : float
        Of the ventricles, which the tumour spares.

    Returns
    -------
    float32 (slices, size, size)
    """
    rng = patient.rng(1)
    brain = np.maximum(cerebrum(x, y, z), cerebellum(x, y, z))
    allowed = np.minimum(brain - 0.03, -0.015 - ventricles(x, y, z, width)) > 0
    fraction = np.exp(rng.uniform(np.log(0.013), np.log(0.13)))
    parts = int(rng.choice([1, 2, 3], p=[0.86, 0.08, 0.06]))
    level = margin(patient, rng, parts, (x, y, z), 0.72 * fraction ** (1 / 3))
    voxels = int(fraction * (brain > 0).sum())
    threshold = np.partition(level[allowed], -voxels)[-voxels]
    level = np.where(allowed, level, -9) - threshold
    kept = largest_parts(level > 0, parts)
    return np.where(kept, level, np.minimum(level, -0.01)).astype(np.float32)


def margin(
    patient: Patient,
    rng: np.random.Generator,
    parts: int,
    at: tuple[np.ndarray, np.ndarray, np.ndarray],
    radius: float,
) -> np.ndarray:
    """Level of one to three ellipsoids, displaced by coarse and fine noise.

    Parameters
    ----------
    patient : Patient
    rng : Generator
    parts : int
        Number of ellipsoids.
    at : x, y and z
    radius : float
        Of the first ellipsoid, in head units.
    """
    side = patient.side
    if side == 0:
        side = rng.choice([-0.3, 0.3])
    centre = np.array(CENTRES[patient.location]) * (side, 1, 1) + rng.normal(0, 0.05, 3)
    radii = radius * np.array([1.1, 1.1, 0.8]) * np.exp(rng.normal(0, 0.1, 3))
    level = ball(*at, centre.tolist(), radii.tolist())
    for _ in range(parts - 1):
        offset = rng.normal(0, 1, 3) * (1, 1, 0.5)
        away = centre + 2.0 * radius * offset / np.linalg.norm(offset)
        smaller = radius * rng.uniform(0.4, 0.6, 3)
        level = np.maximum(level, ball(*at, away.tolist(), smaller.tolist()) + 0.1 * radius)
    pixel = 2 / SCANNERS[patient.site].radius
    step = np.array([1.59 / patient.slices, pixel, pixel])
    for scale, strength in ((0.5, 0.65), (0.16, 0.22)):
        field = noise(rng, level.shape, (scale * radius / step).tolist())
        level = level + strength * radius * patient.irregularity * field
    return level


def largest_parts(mask: np.ndarray, keep: int) -> np.ndarray:
    """The `keep` largest 3D components of a mask; voxels that share a face belong together."""
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())[1:]
    largest_first = np.argsort(sizes)[::-1] + 1
    return np.isin(labels, largest_first[:keep])
