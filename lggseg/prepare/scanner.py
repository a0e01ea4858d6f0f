"""What another scanner would have made of the same head: noise, contrast, shading, motion, few grey
levels.

All functions take and return volumes uint8 (slices, height, width, 3) with the sequences
pre-contrast, FLAIR, post-contrast. The first group changes grey levels only, so a mask stays as it
is. `turn` and `every_second_slice` move pixels, and take masks as well. `SCANNER_CHANGES` is the
fixed table of changes by which networks are compared; `HARSH_CHANGES` are worse than any scan that
should be judged, and show whether a warning comes. `scan_again` applies a change of either table to
a volume and its mask. `disturb` applies changes of any strength, as the dials of a scanner would.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from scipy import ndimage

from ..errors import LggError

FLAIR = 1
ALL = (0, 1, 2)


def rician_noise(
    image: np.ndarray, sigma: float, channels: Sequence[int] = ALL, seed: int = 0
) -> np.ndarray:
    """Add the noise of magnitude MRI.

    A scanner measures a complex number per pixel and shows its modulus. With normal noise in both
    parts, tissue gets noisy, and air gets noisy *and* brighter: 1.25 sigma on average (Gudbjartsson
    and Patz 1995).

    Parameters
    ----------
    image : uint8 (slices, height, width, 3)
    sigma : standard deviation of either part, in grey levels; 3 is hardly seen, 15 is a bad scan
    channels : which sequences get it; FLAIR is 1
    seed : of the random numbers

    Returns
    -------
    uint8, of the same shape

    Examples
    --------
    >>> air = np.zeros((4, 64, 64, 3), np.uint8)
    >>> noisy = rician_noise(air, sigma=8, channels=[1])
    >>> int(noisy[..., 0].max()), round(float(noisy[..., 1].mean()))
    (0, 10)
    """
    random = np.random.default_rng(seed)
    noisy = image.copy()
    for channel in channels:
        levels = image[..., channel].astype(np.float32)
        real = levels + sigma * random.standard_normal(levels.shape, np.float32)
        imaginary = sigma * random.standard_normal(levels.shape, np.float32)
        noisy[..., channel] = to_levels(np.hypot(real, imaginary))
    return noisy


def gamma(image: np.ndarray, power: float) -> np.ndarray:
    """Bend grey levels by a power, as exporters do: below 1 brightens the dark end, above 1 darkens
    it.

    Parameters
    ----------
    image : uint8 (slices, height, width, 3)
    power : from 0.5 to 2

    Returns
    -------
    uint8, of the same shape

    Examples
    --------
    >>> gamma(np.uint8([[[[0, 64, 255]]]]), 0.5)
    array([[[[  0, 128, 255]]]], dtype=uint8)
    """
    return to_levels(255 * (image / np.float32(255)) ** power)


def contrast(image: np.ndarray, factor: float, channels: Sequence[int] = (FLAIR,)) -> np.ndarray:
    """Stretch or squeeze the grey levels above the median of the tissue; what is darker stays as it
    is.

    So a tumour stands out more or less than on the scan given.

    Parameters
    ----------
    image : uint8 (slices, height, width, 3)
    factor : above 1 stretches, below 1 squeezes
    channels : which sequences; FLAIR is 1

    Returns
    -------
    uint8, of the same shape; a sequence that would be brighter than 255 is dimmed as a whole

    Examples
    --------
    >>> image = np.uint8([60, 100, 140]).reshape(1, 1, 3, 1).repeat(3, axis=3)
    >>> contrast(image, 1.5)[0, 0, :, 1]
    array([ 60, 100, 160], dtype=uint8)
    """
    tissue = rough_tissue(image)
    changed = image.copy()
    if not tissue.any():
        return changed
    for channel in channels:
        levels = image[..., channel].astype(np.float32)
        middle = np.median(levels[tissue])
        above = np.maximum(levels - middle, 0)
        changed[..., channel] = dim_to_fit(levels + (factor - 1) * above)
    return changed


def shading(image: np.ndarray, strength: float, axis: int) -> np.ndarray:
    """Multiply by a coil's sensitivity, which falls from one end of an axis to the other.

    Parameters
    ----------
    image : uint8 (slices, height, width, 3)
    strength : the factor runs from exp(-strength) to exp(strength); 0.7 is a bad coil
    axis : 0 along the stack of slices, 1 from top to bottom, 2 from left to right

    Returns
    -------
    uint8, of the same shape; a sequence that would be brighter than 255 is dimmed as a whole

    Examples
    --------
    >>> image = np.full((1, 1, 3, 3), 100, np.uint8)
    >>> shading(image, np.log(2), axis=2)[0, 0, :, 1]
    array([ 50, 100, 200], dtype=uint8)
    """
    shape = [1, 1, 1]
    shape[axis] = image.shape[axis]
    factor = np.exp(strength * np.linspace(-1, 1, image.shape[axis], dtype=np.float32)).reshape(
        shape
    )
    changed = np.empty_like(image)
    for channel in ALL:
        changed[..., channel] = dim_to_fit(image[..., channel] * factor)
    return changed


def ghosts(image: np.ndarray, amplitude: float, axis: int = 1, shift: float = 0.25) -> np.ndarray:
    """Add the ghosts of a head that moved: weak copies of each slice, moved either way along one
    axis.

    Parameters
    ----------
    image : uint8 (slices, height, width, 3)
    amplitude : of either ghost, as a fraction of the head's brightness; 0.05 to 0.2
    axis : 1 from top to bottom, 2 from left to right
    shift : of the ghosts, as a fraction of the picture's side; what leaves the picture comes in on
        the other side

    Returns
    -------
    uint8, of the same shape; a sequence that would be brighter than 255 is dimmed as a whole

    Examples
    --------
    >>> image = np.uint8([0, 0, 100, 0, 0, 0, 0, 0]).reshape(1, 8, 1, 1).repeat(3, axis=3)
    >>> ghosts(image, 0.2)[0, :, 0, 1]
    array([ 20,   0, 100,   0,  20,   0,   0,   0], dtype=uint8)
    """
    steps = round(shift * image.shape[axis])
    changed = np.empty_like(image)
    for channel in ALL:
        levels = image[..., channel].astype(np.float32)
        copies = np.roll(levels, steps, axis) + np.roll(levels, -steps, axis)
        changed[..., channel] = dim_to_fit(levels + amplitude * copies)
    return changed


def few_levels(image: np.ndarray, count: int) -> np.ndarray:
    """Round to `count` grey levels from 0 to 255.

    Parameters
    ----------
    image : uint8 (slices, height, width, 3)
    count : at least 2

    Returns
    -------
    uint8, of the same shape

    Examples
    --------
    >>> few_levels(np.uint8([[[[20, 100, 250]]]]), 4)
    array([[[[  0,  85, 255]]]], dtype=uint8)
    """
    if count < 2:
        raise LggError(f"count={count}: a picture has at least 2 grey levels")
    step = np.float32(255 / (count - 1))
    return to_levels(np.rint(image / step) * step)


def narrow_range(image: np.ndarray, brightest: int) -> np.ndarray:
    """Scale grey levels so that 255 becomes `brightest`, as in scans that use only a part of their
    8 bits.

    Parameters
    ----------
    image : uint8 (slices, height, width, 3)
    brightest : from 1 to 255

    Returns
    -------
    uint8, of the same shape

    Examples
    --------
    >>> narrow_range(np.uint8([[[[0, 100, 255]]]]), 60)
    array([[[[ 0, 24, 60]]]], dtype=uint8)
    """
    if not 1 <= brightest <= 255:
        raise LggError(f"brightest={brightest}: a grey level from 1 to 255")
    return to_levels(image * np.float32(brightest / 255))


def turn(volume: np.ndarray, degrees: float) -> np.ndarray:
    """Turn each slice of a volume or a mask about its middle.

    Parameters
    ----------
    volume : uint8 (slices, height, width, 3), or bool (slices, height, width)
    degrees : counter-clockwise; what comes in from outside repeats the picture's rim

    Returns
    -------
    of the same type and shape

    Examples
    --------
    >>> mask = np.zeros((1, 3, 3), bool)
    >>> mask[0, 0, 1] = True
    >>> turn(mask, 90)[0].astype(int)
    array([[0, 0, 0],
           [1, 0, 0],
           [0, 0, 0]])
    """
    turned = ndimage.rotate(
        volume.astype(np.float32), degrees, axes=(2, 1), reshape=False, order=1, mode="nearest"
    )
    if volume.dtype == bool:
        return turned >= 0.5
    return to_levels(turned)


def every_second_slice(volume: np.ndarray) -> np.ndarray:
    """Slices 1, 3, 5, ... of a volume or a mask: a scan with twice the distance between slices.

    Parameters
    ----------
    volume : (slices, ...)

    Returns
    -------
    (half of the slices, rounded up, ...)

    Examples
    --------
    >>> every_second_slice(np.arange(5))
    array([0, 2, 4])
    """
    return volume[::2]


def mix_up(image: np.ndarray) -> np.ndarray:
    """Sequences in the wrong order, as when somebody names the wrong files: FLAIR, post-contrast,
    pre-contrast.

    Parameters
    ----------
    image : uint8 (slices, height, width, 3)

    Returns
    -------
    uint8, of the same shape

    Examples
    --------
    >>> mix_up(np.uint8([[[[10, 20, 30]]]]))
    array([[[[20, 30, 10]]]], dtype=uint8)
    """
    return image[..., [1, 2, 0]]


# The changes that move pixels, so that the mask has to be changed, too.
MOVES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "turned 8 degrees": partial(turn, degrees=8),
    "every second slice": every_second_slice,
}
SCANNER_CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "noise 5": partial(rician_noise, sigma=5),
    "noise 12": partial(rician_noise, sigma=12),
    "gamma 0.6": partial(gamma, power=0.6),
    "gamma 1.6": partial(gamma, power=1.6),
    "FLAIR stretched 1.5": partial(contrast, factor=1.5),
    "FLAIR squeezed 0.7": partial(contrast, factor=0.7),
    "shaded across 0.5": partial(shading, strength=0.5, axis=2),
    "shaded along 0.4": partial(shading, strength=0.4, axis=0),
    "ghosts 0.12": partial(ghosts, amplitude=0.12),
    "16 grey levels": partial(few_levels, count=16),
    **MOVES,
}


HARSH_CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "noise 25": partial(rician_noise, sigma=25),
    "gamma 0.35": partial(gamma, power=0.35),
    "FLAIR squeezed 0.2": partial(contrast, factor=0.2),
    "ghosts 0.4": partial(ghosts, amplitude=0.4),
    "sequences mixed up": mix_up,
}


def scan_again(name: str, image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Apply a change of either table to a volume and its mask.

    Parameters
    ----------
    name : of the change
    image : uint8 (slices, height, width, 3)
    mask : bool (slices, height, width)

    Returns
    -------
    image and mask as the other scanner would give them

    Raises
    ------
    LggError
        where no change has this name
    """
    known = SCANNER_CHANGES | HARSH_CHANGES
    if name not in known:
        raise LggError(f"no change is called {name!r}; there are {', '.join(known)}")
    changed = np.ascontiguousarray(known[name](image))
    if name in MOVES:
        mask = np.ascontiguousarray(MOVES[name](mask))
    return changed, mask


# The dials of a scanner: the strength at which each changes nothing, and the greatest one.
DIALS: dict[str, tuple[float, float]] = {
    "contrast": (1.0, 0.0),
    "shading": (0.0, 2.0),
    "ghosts": (0.0, 1.0),
    "noise": (0.0, 50.0),
}
TURNED: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "contrast": contrast,
    "shading": partial(shading, axis=2),
    "ghosts": ghosts,
    "noise": rician_noise,
}


def disturb(image: np.ndarray, strengths: Mapping[str, float]) -> np.ndarray:
    """Scan again with the dials of DIALS turned: contrast of FLAIR, shading, ghosts, noise.

    They act in the order of a scanner: what the tissue shows, how the coil sees it, how the head
    moves, and noise over all of it.

    Parameters
    ----------
    image : uint8 (slices, height, width, 3)
    strengths : of some dials, by name, as the function of the same name takes it (`rician_noise`
        for noise); the others change nothing

    Returns
    -------
    uint8, of the same shape

    Raises
    ------
    LggError
        where no dial has a name that is given

    Examples
    --------
    >>> image = np.uint8([60, 100, 140]).reshape(1, 1, 3, 1).repeat(3, axis=3)
    >>> disturb(image, {"contrast": 0})[0, 0, :, 1]
    array([ 60, 100, 100], dtype=uint8)
    """
    unknown = [name for name in strengths if name not in DIALS]
    if unknown:
        raise LggError(f"no dial is called {unknown[0]!r}; there are {', '.join(DIALS)}")
    for name, (unchanged, _) in DIALS.items():
        strength = strengths.get(name, unchanged)
        if strength != unchanged:
            image = TURNED[name](image, strength)
    return image


def rough_tissue(image: np.ndarray) -> np.ndarray:
    """Where FLAIR is brighter than a fifth of its 99th percentile, bool (slices, height, width)."""
    flair = image[..., FLAIR]
    return flair > 0.2 * np.percentile(flair, 99)


def dim_to_fit(levels: np.ndarray) -> np.ndarray:
    """One sequence as uint8, dimmed as a whole if its brightest thousandth would pass 255."""
    bright = np.percentile(levels, 99.9)
    if bright > 255:
        levels = levels * (255 / bright)
    return to_levels(levels)


def to_levels(levels: np.ndarray) -> np.ndarray:
    """Grey levels as uint8: rounded, and cut off at 0 and 255."""
    return np.rint(levels).clip(0, 255).astype(np.uint8)
