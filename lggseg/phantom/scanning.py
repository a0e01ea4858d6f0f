"""What a scanner makes of a head: slices drawn, blurred and noisy, in grey levels; and the masks alone."""

from collections.abc import Iterator

import numpy as np

from .anatomy import coordinates, folds, noise, resample, scalp, tumour_level
from .brain import draw_brain
from .patient import SCANNERS, Look, Patient
from .skull import draw_skull
from .tissue import SIGNAL, Plane, soft

NULL = 0.39  # signal of a tissue that a signed sequence shows as bright as air: a little over grey matter
ROOM = 0.55  # share of the grey levels that tissue above air has left there


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
        yield acquire(plane.image, resample(bias[d], 256), patient, rng, soft(plane.brain + 0.03)), mask


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


def inversion_recovery(canvas: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """What a signed T1 sequence shows of an ideal slice (3,H,W): float (H,W), 0 in air and bone, tissue on both sides.

    It turns the magnetisation upside down and waits. The slower a tissue recovers, the darker it is on an ordinary T1,
    and the further below 0 it still is: fluid, and most tumours. `NULL` is the level that has just come back to 0.
    `inside` (H,W) is 1 inside the skull, 0 outside, where marrow and skin recover fast.
    """
    filled = np.clip((canvas.max(axis=0) - 0.07) / 0.06, 0, 1)  # air and bone have nothing to turn
    wait = np.log(0.5) / np.log(1 - NULL)
    signed = filled * (1 - 2 * np.clip(1 - canvas[0], 0, 1) ** wait)
    return np.where(signed < 0, inside * signed, signed)


def acquire(canvas: np.ndarray, bias: np.ndarray, patient: Patient, rng: np.random.Generator,
            inside: np.ndarray) -> np.ndarray:
    """What the site's scanner makes of an ideal slice (3,H,W): uint8 (H,W,3); `inside` (H,W) is 1 inside the skull."""
    scanner = SCANNERS[patient.site]
    signal = blur(canvas * (1 + scanner.contrast * (canvas - 1)), scanner.blur) * (scanner.gain * np.exp(0.12 * bias))
    real, imaginary = scanner.noise * rng.standard_normal((2, *signal.shape), dtype=np.float32)
    image = np.sqrt((signal + real) ** 2 + imaginary**2).clip(0, 255)  # magnitude: Rician noise
    if patient.signed:  # nothing is made positive here: noise is noise, and tissue needs room below air
        bright = scanner.gain * np.exp(0.12 * bias)
        recovered = blur(inversion_recovery(canvas, inside), scanner.blur) * bright + real[0]
        image[0] = (patient.air + ROOM * recovered).clip(0, 255)
    else:
        image[0] = patient.air + (1 - patient.air / 255) * image[0]  # 0 in most: air is black
    image = image.astype(np.uint8)
    for name in patient.missing:  # the data set's own convention: a missing sequence is a copy of FLAIR
        image[{"pre": 0, "post": 2}[name]] = image[1]
    return np.ascontiguousarray(np.moveaxis(image, 0, -1))
