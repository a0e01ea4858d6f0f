"""What a scanner makes of a head: every tissue's signal in each sequence, painted slice by slice, blurred and noisy."""

from collections.abc import Iterator

import numpy as np

from .anatomy import ball, cerebellum, cerebrum, coordinates, folds, noise, resample, tumour_level, ventricles
from .patient import SCANNERS, Look, Patient

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
        yield acquire(canvas, fields[5], patient, rng), mask


def draw_masks(patient: Patient) -> np.ndarray:
    """Only the tumour, bool (D,256,256): the masks of `draw_slices` in a tenth of the time."""
    level = tumour_level(patient, *coordinates(patient, 128), Look.draw(patient.rng(3)).ventricles)
    return resample(level, 256) > 0


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


def acquire(canvas: np.ndarray, bias: np.ndarray, patient: Patient, rng: np.random.Generator) -> np.ndarray:
    """What the site's scanner makes of an ideal slice: uint8 (H,W,3)."""
    scanner = SCANNERS[patient.site]
    signal = blur(canvas * (1 + scanner.contrast * (canvas - 1)), scanner.blur) * (scanner.gain * np.exp(0.12 * bias))
    real, imaginary = scanner.noise * rng.standard_normal((2, *signal.shape), dtype=np.float32)
    image = np.sqrt((signal + real) ** 2 + imaginary**2).clip(0, 255).astype(np.uint8)  # magnitude: Rician noise
    for name in patient.missing:  # the data set's own convention: a missing sequence is a copy of FLAIR
        image[{"pre": 0, "post": 2}[name]] = image[1]
    return np.ascontiguousarray(np.moveaxis(image, 0, -1))
