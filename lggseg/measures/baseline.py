"""The answer to beat: a tumour mask from brightness alone, without any training.

These are the steps that anybody would take who has looked at a few scans: leave out scalp and
skull, smooth the noise away, call tumour what is bright on FLAIR, keep the largest piece. A network
that does no better has learned nothing that is worth its trouble.
"""

import numpy as np
from scipy import ndimage

from ..masks import largest_piece
from ..prepare.head_finder import (
    Head,
    above_air,
    find_head,
    inner_head,
    joint_signal,
    smoothed,
    tissue_bound,
)
from ..sequences import FLAIR, MriSequence

THRESHOLD = 1.5  # z-score of smoothed FLAIR from which the baseline calls a pixel tumour
BLUR = 2.0  # pixels: standard deviation of the smoothing within a slice


def brain_mask(image: np.ndarray, head: Head | None = None) -> np.ndarray:
    """The brain, roughly: the head without scalp and skull, where `find_head` measures grey values.

    Parameters
    ----------
    image : uint8 (slices, height, width, 3)
    head : of this volume, if it is at hand; else it is looked for

    Returns
    -------
    bool (slices, height, width), in steps of two pixels; all False where there is no head

    Examples
    --------
    >>> y, x = np.mgrid[:64, :64]
    >>> disc = (90 * (np.hypot(y - 31.5, x - 31.5) < 24)).astype(np.uint8)
    >>> image = disc[None, :, :, None].repeat(3, axis=3)
    >>> brain = brain_mask(image)
    >>> int(image[0, ..., 0].any(axis=1).sum()), int(brain[0].any(axis=1).sum())  # rows
    (48, 40)
    """
    head = find_head(image) if head is None else head
    brain = np.zeros(image.shape[:3], bool)
    if not len(head.slices):
        return brain
    levels = [smoothed(image[..., sequence]) for sequence in MriSequence]
    shown = [np.ptp(one) > 0 for one in levels]
    signal = joint_signal(levels, head.air, shown)
    tissue = (signal > tissue_bound(signal))[head.slices, ::2, ::2]
    inner = inner_head(tissue, head.box.side / 2)
    height, width = image.shape[1:3]
    brain[head.slices] = inner.repeat(2, axis=1).repeat(2, axis=2)[:, :height, :width]
    return brain


def brain_brightness(image: np.ndarray, head: Head | None = None) -> np.ndarray:
    """FLAIR in the brain, smoothed, as a z-score: 0 is the brain's mean, 1 a deviation above it.

    Parameters
    ----------
    image : uint8 (slices, height, width, 3)
    head : of this volume, if it is at hand; else it is looked for

    Returns
    -------
    float32 (slices, height, width), minus infinity outside the brain

    Examples
    --------
    >>> float(brain_brightness(np.zeros((1, 8, 8, 3), np.uint8)).max())
    -inf
    """
    head = find_head(image) if head is None else head
    flair = above_air(image[..., FLAIR], head.air[:, FLAIR])
    smooth = ndimage.gaussian_filter(flair, (0, BLUR, BLUR))
    score = (smooth - head.centre[FLAIR]) / head.spread[FLAIR]
    return np.where(brain_mask(image, head), score, np.float32(-np.inf))


def baseline_mask(
    image: np.ndarray, head: Head | None = None, threshold: float = THRESHOLD
) -> np.ndarray:
    """The largest bright piece of the brain: what a network has to beat.

    Parameters
    ----------
    image : uint8 (slices, height, width, 3)
    head : of this volume, if it is at hand; else it is looked for
    threshold : z-score of smoothed FLAIR from which a pixel counts as tumour

    Returns
    -------
    bool (slices, height, width)

    Examples
    --------
    >>> bool(baseline_mask(np.zeros((1, 8, 8, 3), np.uint8)).any())
    False
    """
    return largest_piece(brain_brightness(image, head) >= threshold)
