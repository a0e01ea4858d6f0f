"""What a scanner makes of a head: slices in grey levels, blurred and noisy; and the masks alone."""

from collections.abc import Iterator

import numpy as np

from ..sequences import FLAIR, POST, PRE
from .anatomy import coordinates, folds, noise, resample, scalp, tumour_level
from .brain import draw_brain
from .patient import SCANNERS, Look, Patient
from .skull import draw_skull
from .tissue import SIGNAL, Plane, Signal, soft

# A signed sequence shows this signal as bright as air; it is a little above that of grey matter.
NULL = 0.39
ROOM = 0.55  # fraction of the grey levels that a signed sequence leaves for tissue above air


def draw_slices(patient: Patient) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draw the slices of a patient, from the bottom up.

    Smooth fields are made at half the size, and borders drawn at full size: quick and crisp.

    Yields
    ------
    image : uint8 (256, 256, 3)
    mask : uint8 (256, 256), 0 and 255
    """
    rng = patient.rng(2)
    look = Look.draw(patient.rng(3))
    x, y, z = coordinates(patient, 128)
    tumour = tumour_level(patient, x, y, z, look.ventricles)
    fold = folds(patient.rng(4), x, y, z)
    texture = noise(rng, x.shape, (0.5, 2.5, 2.5))
    bias = noise(rng, (len(x), 8, 8), (3, 1.5, 1.5))
    thickness = scalp(patient.rng(5), x, y, z, look.scalp)
    vein = noise(patient.rng(6), x.shape, (0.3, 0.8, 0.8))
    signal = signal_of(look)
    for d in range(len(x)):
        plane = Plane(
            z=float(z[d, 0, 0]),
            x=resample(x[d], 256),
            y=resample(y[d], 256),
            fold=resample(fold[d], 256),
            texture=resample(texture[d], 256),
            vein=resample(vein[d], 256),
            scalp=resample(thickness[d], 256),
            tumour=resample(tumour[d], 256),
            signal=signal,
        )
        draw_skull(plane, look)
        draw_brain(plane, look)
        in_skull = soft(plane.brain + 0.03)
        image = acquire(plane.image, resample(bias[d], 256), patient, rng, in_skull)
        mask = (plane.tumour > 0).astype(np.uint8) * 255
        yield image, mask


def draw_masks(patient: Patient) -> np.ndarray:
    """The masks of `draw_slices` alone, in a tenth of the time.

    Returns
    -------
    bool (slices, 256, 256)
    """
    x, y, z = coordinates(patient, 128)
    look = Look.draw(patient.rng(3))
    level = tumour_level(patient, x, y, z, look.ventricles)
    return resample(level, 256) > 0


def signal_of(look: Look) -> dict[str, Signal]:
    """The signals of the tissues; some sites suppress fat after contrast."""
    signal = SIGNAL.copy()
    for tissue in ("fat", "marrow"):
        pre, flair, post = SIGNAL[tissue]
        signal[tissue] = (pre, flair, post * look.fat_after)
    return signal


def blur(image: np.ndarray, weight: float) -> np.ndarray:
    """Mix each pixel with its neighbours, down and then across, in place.

    Each neighbour counts with `weight`. This is quicker than a Gaussian filter.
    """
    above = np.s_[..., :-2, :]
    rows = np.s_[..., 1:-1, :]
    below = np.s_[..., 2:, :]
    image[rows] += weight * (image[above] + image[below] - 2 * image[rows])
    left = np.s_[..., :-2]
    columns = np.s_[..., 1:-1]
    right = np.s_[..., 2:]
    image[columns] += weight * (image[left] + image[right] - 2 * image[columns])
    return image


def inversion_recovery(canvas: np.ndarray, in_skull: np.ndarray) -> np.ndarray:
    """What a signed T1 sequence shows of an ideal slice.

    It turns the magnetisation upside down and waits. The slower a tissue recovers, the darker it is
    on an ordinary T1, and the further below 0 it still is: fluid, and most tumours. `NULL` is the
    signal of a tissue that has just come back to 0.

    Parameters
    ----------
    canvas : float (3, height, width)
        Signal before contrast, in FLAIR and after contrast.
    in_skull : float (height, width)
        1 inside the skull, 0 outside, where marrow and skin recover fast.

    Returns
    -------
    float (height, width)
        0 in air and bone, tissue on both sides.
    """
    has_signal = np.clip((canvas.max(axis=0) - 0.07) / 0.06, 0, 1)  # air and bone have none
    wait = np.log(0.5) / np.log(1 - NULL)
    signed = has_signal * (1 - 2 * np.clip(1 - canvas[0], 0, 1) ** wait)
    return np.where(signed < 0, in_skull * signed, signed)


def acquire(
    canvas: np.ndarray,
    bias: np.ndarray,
    patient: Patient,
    rng: np.random.Generator,
    in_skull: np.ndarray,
) -> np.ndarray:
    """What the site's scanner makes of an ideal slice.

    Parameters
    ----------
    canvas : float (3, height, width)
        Signal before contrast, in FLAIR and after contrast.
    bias : float (height, width)
        Smooth noise: where the coil is more or less sensitive.
    patient : Patient
    rng : Generator
        For the noise.
    in_skull : float (height, width)
        1 inside the skull, 0 outside.

    Returns
    -------
    uint8 (height, width, 3)
    """
    scanner = SCANNERS[patient.site]
    brightness = scanner.gain * np.exp(0.12 * bias)
    bent = canvas * (1 + scanner.contrast * (canvas - 1))
    signal = blur(bent, scanner.blur) * brightness
    real, imaginary = scanner.noise * rng.standard_normal((2, *signal.shape), dtype=np.float32)
    magnitude = np.sqrt((signal + real) ** 2 + imaginary**2)  # so the noise is Rician
    image = magnitude.clip(0, 255)
    if patient.signed:  # not a magnitude: noise lies on both sides, as tissue does
        recovered = blur(inversion_recovery(canvas, in_skull), scanner.blur) * brightness + real[0]
        image[PRE] = (patient.air + ROOM * recovered).clip(0, 255)
    else:
        image[PRE] = patient.air + (1 - patient.air / 255) * image[PRE]
    levels = image.astype(np.uint8)
    for sequence in (PRE, POST):  # the data set fills in a missing sequence with FLAIR
        if sequence.key in patient.missing:
            levels[sequence] = levels[FLAIR]
    return np.ascontiguousarray(np.moveaxis(levels, 0, -1))
