"""From probabilities to a mask: threshold, then 3D components that are too weak removed."""

import numpy as np
from scipy import ndimage

from ..masks import bounding_box


def postprocess(
    probability: np.ndarray, threshold: float = 0.5, min_component_share: float = 0.0
) -> np.ndarray:
    """Make a mask of probabilities, without weak components.

    A 3D component (26 neighbours) weighs the sum of its probability above the threshold, so a small
    certain tumour can outweigh a large doubtful blob.

    Parameters
    ----------
    probability : (D, H, W), 0 to 1
    threshold : probability from which a voxel counts as tumour
    min_component_share : components below this share of the heaviest one's weight are removed: 0
        keeps all, 1 only the heaviest

    Returns
    -------
    bool (D, H, W); an empty mask stays empty

    Examples
    --------
    >>> probability = np.array([[[0.9, 0.9, 0.1, 0.6]]])
    >>> postprocess(probability, 0.5).astype(int)
    array([[[1, 1, 0, 1]]])
    >>> postprocess(probability, 0.5, 0.2).astype(int)
    array([[[1, 1, 0, 0]]])
    """
    mask = probability >= threshold
    if min_component_share > 0:
        box = bounding_box(mask)  # most of a volume is air, and searching it takes as long
        labels, weight = components(probability[box], threshold)
        kept = weight >= min_component_share * weight.max(initial=0)
        kept = np.append(False, kept)  # label 0 is what no component holds
        mask[box] = kept[labels]
    return mask


def components(probability: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Find the components of a mask.

    Returns
    -------
    labels : int, in the shape of `probability`; 0 where it is below `threshold`
    weight : of each component 1, 2, ...: the sum of its probability above the threshold
    """
    with_diagonals = np.ones((3,) * probability.ndim)
    labels, count = ndimage.label(probability >= threshold, with_diagonals)
    above_threshold = (probability - threshold).ravel()
    weight = np.bincount(labels.ravel(), above_threshold, minlength=count + 1)
    return labels, weight[1:]
