"""From probabilities to a mask: threshold, then 3D components that are too weak removed."""

import numpy as np
from scipy import ndimage

from ..masks import bounding_box


def postprocess(probability: np.ndarray, threshold: float = 0.5, min_component_share: float = 0.0) -> np.ndarray:
    """Mask bool (D,H,W) where `probability` reaches `threshold`, without weak components.

    A 3D component (26 neighbours) weighs the sum of its probability above the threshold, so a small
    certain tumour can outweigh a large doubtful blob. Components below `min_component_share` times the heaviest
    one's weight are removed: 0 keeps all, 1 only the heaviest. An empty mask stays empty.

    >>> probability = np.array([[[0.9, 0.9, 0.1, 0.6]]])
    >>> postprocess(probability, 0.5).astype(int), postprocess(probability, 0.5, 0.2).astype(int)
    (array([[[1, 1, 0, 1]]]), array([[[1, 1, 0, 0]]]))
    """
    mask = probability >= threshold
    if min_component_share > 0:
        box = bounding_box(mask)  # most of a volume is not tumour, and looking through air takes as long
        labels, weight = components(probability[box], threshold)
        kept = np.append(False, weight >= min_component_share * weight.max(initial=0))
        mask[box] = kept[labels]
    return mask


def components(probability: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels int (D,H,W), 0 where `probability` is below `threshold`, and the weight of each component 1, 2, ..."""
    labels, n = ndimage.label(probability >= threshold, np.ones((3,) * probability.ndim))
    weight = np.bincount(labels.ravel(), (probability - threshold).ravel(), minlength=n + 1)
    return labels, weight[1:]
