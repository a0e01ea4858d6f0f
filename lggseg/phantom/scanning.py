"""What a scanner makes of a head: slices drawn, blurred and noisy, in grey levels; and the masks alone."""

from collections.abc import Iterator

import numpy as np

from .anatomy import coordinates, folds, noise, resample, scalp, tumour_level
from .brain import draw_brain
from .patient import SCANNERS, Look, Patient
from .skull import draw_skull
from .tissue import SIGNAL, Plane


def draw_slices(patient: Patient) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Image uint8 (256,256,3) and mask uint8 (256,256) in {0, 255} of each slice, from the bottom up."""
    rng, look = patient.rng(2), Look.draw(patient.rng(3))
    x, y, z = coordinates(patient, 128)  # smooth fields at half size, borders at full size: quick and crisp
    tumour = tumour_level(patient, x, y, z, look.ventricles)
    fold = folds(patient.rng(4), x, y, z)
    texture = noise(rng, x.shape, (0.5, 2.5, 2.5))
    bias = noise(rng, (len(x), 8, 8), (3, 1.5, 1.5))
    thickness, vein = scalp(patient.rng(5), x, y, z, look.scalp), noise(patient.rng(6), x.shape, (0.3, 0.8, 0.8))
    signal = SIGNAL | {fatty: (*SIGNAL[fatty][:2], SIGNAL[fatty][2] * look.fat_after) for fatty in ("fat", "marrow")}
    for d in range(len(x)):
        fields = (resample(field[d], 256) for field in (x, y, fold, texture, vein, thickness, tumour))
        plane = Plane(float(z[d, 0, 0]), *fields, signal)
        draw_skull(plane, look)
        draw_brain(plane, look)
        mask = (plane.tumour > 0).astype(np.uint8) * 255
        yield acquire(plane.image, resample(bias[d], 256), patient, rng), mask


def draw_masks(patient: Patient) -> np.ndarray:
    """Only the tumour, bool (D,256,256): the masks of `draw_slices` in a tenth of the time."""
    level = tumour_level(patient, *coordinates(patient, 128), Look.draw(patient.rng(3)).ventricles)
    return resample(level, 256) > 0


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
    image = np.sqrt((signal + real) ** 2 + imaginary**2).clip(0, 255)  # magnitude: Rician noise
    image[0] = patient.air + (1 - patient.air / 255) * image[0]  # 0 in most: air is black
    image = image.astype(np.uint8)
    for name in patient.missing:  # the data set's own convention: a missing sequence is a copy of FLAIR
        image[{"pre": 0, "post": 2}[name]] = image[1]
    return np.ascontiguousarray(np.moveaxis(image, 0, -1))
