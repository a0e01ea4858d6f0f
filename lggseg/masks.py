"""What any mask needs, wherever it comes from.

The box around it, its largest piece, and a check of its values.
"""

import numpy as np
from scipy import ndimage

from .errors import LggError


def bounding_box(mask: np.ndarray, margin: int = 0) -> tuple[slice, ...]:
    """Find the smallest box that holds all of a mask.

    Parameters
    ----------
    mask : bool array of any dimension
    margin : int
        Pixels to add on every side; the box ends where the array ends.

    Returns
    -------
    tuple of slice
        One per axis; all of length 0 if the mask is empty.

    Examples
    --------
    >>> bounding_box(np.array([[0, 0, 0, 0], [0, 1, 1, 0]], bool))
    (slice(1, 2, None), slice(1, 3, None))
    """
    box = []
    for axis, size in enumerate(mask.shape):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        hits = np.flatnonzero(mask.any(axis=others))
        if not len(hits):
            return (slice(0, 0),) * mask.ndim
        first = max(0, int(hits[0]) - margin)
        last = min(size, int(hits[-1]) + 1 + margin)
        box.append(slice(first, last))
    return tuple(box)


def largest_piece(mask: np.ndarray) -> np.ndarray:
    """The largest piece of a mask: pixels or voxels that touch at a side. An empty one stays empty.

    Parameters
    ----------
    mask : bool array of any dimension

    Returns
    -------
    bool array of the same shape

    Examples
    --------
    >>> largest_piece(np.array([[[1, 0, 1, 1]]], bool)).astype(int)
    array([[[0, 0, 1, 1]]])
    """
    box = bounding_box(mask)  # most of a volume is empty, and need not be looked through
    labels, count = ndimage.label(mask[box])
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest = np.zeros_like(mask)
    largest[box] = labels == sizes.argmax()
    return largest


def mask_of_levels(levels: np.ndarray, name: str) -> np.ndarray:
    """Turn the grey levels of a mask's file into a mask.

    Parameters
    ----------
    levels : uint8 array
        0 and 255, or 0 and 1.
    name : str
        Name of the file, for the error.

    Returns
    -------
    bool array of the same shape

    Raises
    ------
    LggError
        If there are other levels.

    Examples
    --------
    >>> mask_of_levels(np.array([0, 255], np.uint8), "a_mask.png")
    array([False,  True])
    """
    found = np.flatnonzero(np.bincount(levels.ravel(), minlength=256)).tolist()
    if not (set(found) <= {0, 255} or set(found) <= {0, 1}):
        raise LggError(
            f"{name} has the values {found[:6]}; a mask holds 0 and 255 (or 0 and 1) only: "
            "save it without smoothing or lossy compression"
        )
    return levels > 0
