"""What a mask is worth when nobody has drawn one: signs of trouble that can be measured without the
truth.

`signs` measures a prediction: do the members of an ensemble agree, is the network sure, does the
mask look like a tumour?
"""

from itertools import combinations

import numpy as np
from scipy import ndimage

from ..masks import bounding_box
from ..prepare.head_finder import Head
from ..sequences import FLAIR

FAINT = 0.05  # probability below which a voxel is left out of sums: most of a volume is nearly 0
SURE = (0.2, 0.8)  # between these probabilities a voxel is uncertain
NEIGHBOURS = np.ones((3, 3, 3))  # 26 of them, as in `lggseg.model.postprocess`


def signs(
    members: np.ndarray, mask: np.ndarray, image: np.ndarray, head: Head, threshold: float
) -> dict[str, float]:
    """Measure what can be known about a prediction without the truth.

    Parameters
    ----------
    members : float32 (members, slices, height, width), the tumour probability by each network
    mask : bool (slices, height, width), made from their mean
    image : uint8 (slices, height, width, 3)
    head : what `find_head` found in the image
    threshold : probability from which a voxel counts as tumour

    Returns
    -------
    dict
        agreement : mean Dice between the masks of two members; NaN for a single one
        soft_dice : Dice that the mean probability promises, if it is calibrated and its voxels are
            independent
        uncertain : voxels between 0.2 and 0.8, over those from 0.2 up
        confidence : mean probability within the mask
        volume : of the mask, as a fraction of the head
        pieces : number of 3D components before weak ones are removed
        largest : voxels of the largest of them, as a fraction of all
        continuity : Dice between the masks of neighbouring slices
        rim : fraction of the mask in the outer fifth of the head's square, where skull and scalp
            are
        height : middle of the mask in the stack of the head's slices, 0 to 1
        brightness : mean z-score of FLAIR within the mask
        slices : that show a head
        doubts : number of `Head.doubts`

        All but `volume`, `pieces`, `slices`, `doubts` and `uncertain` are NaN where the mask is
        empty.
    """
    mean = members.mean(axis=0)
    box = bounding_box((mean >= FAINT) | mask)
    mean = mean[box]
    found = mask[box]
    labels, pieces = ndimage.label(mean >= threshold, NEIGHBOURS)
    sizes = np.bincount(labels.ravel())[1:]
    size = np.count_nonzero(found)
    result = {
        "agreement": agreement(members[(slice(None), *box)] >= threshold),
        "soft_dice": soft_dice(mean, found),
        "uncertain": uncertain_fraction(mean),
        "confidence": np.nan,
        "volume": size / max(1, head_voxels(image, head)),
        "pieces": pieces,
        "largest": np.nan,
        "continuity": np.nan,
        "rim": np.nan,
        "height": np.nan,
        "brightness": np.nan,
        "slices": len(head.slices),
        "doubts": len(head.doubts),
    }
    if size:
        result["confidence"] = mean[found].mean()
        result["largest"] = sizes.max(initial=0) / max(1, sizes.sum())
        result["continuity"] = continuity(found)
        result["rim"] = rim_fraction(mask, head)
        result["height"] = height(mask, head)
        result["brightness"] = brightness(image, mask, head)
    return {name: float(value) for name, value in result.items()}


def agreement(masks: np.ndarray) -> float:
    """Mean Dice between two of the masks bool (members, ...): 1 where both are empty; NaN for a
    single mask.

    >>> round(agreement(np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0]], bool)), 3)  # of 2/3, 1 and 2/3
    0.778
    """
    sizes = [np.count_nonzero(mask) for mask in masks]
    found = []
    for one, other in combinations(range(len(masks)), 2):
        both = np.count_nonzero(masks[one] & masks[other])
        total = sizes[one] + sizes[other]
        found.append(2 * both / total if total else 1.0)
    return float(np.mean(found)) if found else np.nan


def soft_dice(probability: np.ndarray, mask: np.ndarray) -> float:
    """Dice that calibrated probabilities promise a mask: expected overlap over the expected sum of
    both sizes.

    >>> soft_dice(np.array([0.9, 0.7, 0.4]), np.array([True, True, False]))  # 2 (0.9 + 0.7) / (2 +
    2) 0.8
    """
    total = probability[probability >= FAINT].sum(dtype=np.float64) + np.count_nonzero(mask)
    if total == 0:
        return np.nan
    return float(2 * probability[mask].sum(dtype=np.float64) / total)


def uncertain_fraction(probability: np.ndarray) -> float:
    """Voxels from 0.2 to 0.8, over all from 0.2 up; 0 where there is none.

    >>> uncertain_fraction(np.array([0.1, 0.3, 0.9, 0.95, 0.97]))
    0.25
    """
    possible = int(np.count_nonzero(probability >= SURE[0]))
    sure = int(np.count_nonzero(probability >= SURE[1]))
    return float((possible - sure) / max(1, possible))


def continuity(mask: np.ndarray) -> float:
    """Dice between the masks of neighbouring slices, all pairs together; NaN for a mask of one
    slice or none.

    >>> continuity(np.array([[1, 1], [1, 0], [1, 0]], bool))  # 2 (1 + 1) / (2 + 1 + 1 + 1)
    0.8
    """
    shown = np.flatnonzero(mask.any(axis=tuple(range(1, mask.ndim))))
    if len(shown) == 0 or shown[0] == shown[-1]:
        return np.nan
    extent = mask[shown[0] : shown[-1] + 1]
    both = np.count_nonzero(extent[1:] & extent[:-1])
    total = np.count_nonzero(extent[1:]) + np.count_nonzero(extent[:-1])
    return float(2 * both / total)


def head_voxels(image: np.ndarray, head: Head) -> int:
    """Voxels of a volume whose FLAIR is nearer to the head's than to air's."""
    if len(head.slices) == 0:
        return 0
    bound = head.air[head.slices, FLAIR] + head.centre[FLAIR] / 2
    return int(np.count_nonzero(image[head.slices, :, :, FLAIR] > bound[:, None, None]))


def rim_fraction(mask: np.ndarray, head: Head) -> float:
    """Fraction of a mask beyond four fifths of the way from the middle of the head's square to its
    sides.
    """
    top, left, side = head.box
    _, rows, columns = np.nonzero(mask)
    down = (2 * (rows - top) + 1) / side - 1
    across = (2 * (columns - left) + 1) / side - 1
    return float((np.hypot(down, across) > 0.8).mean())


def height(mask: np.ndarray, head: Head) -> float:
    """Middle of a mask in the stack of the head's slices: 0 the first, 1 the last."""
    first = head.slices[0]
    last = head.slices[-1]
    areas = np.count_nonzero(mask, axis=(1, 2))
    middle = np.average(np.arange(len(mask)), weights=areas)
    return float((middle - first) / max(1, last - first))


def brightness(image: np.ndarray, mask: np.ndarray, head: Head) -> float:
    """Mean z-score of FLAIR within a mask."""
    air = head.air[:, FLAIR].astype(np.float32)
    above_air = image[..., FLAIR][mask] - air[np.nonzero(mask)[0]]
    return float((above_air.mean() - head.centre[FLAIR]) / head.spread[FLAIR])
