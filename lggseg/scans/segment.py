"""A trained network on somebody's own scan, and what is measured of the tumour that it finds."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from ..measures.metrics import scores
from ..measures.shape import shape_features
from ..measures.trust import Assessment, assess
from ..model.postprocess import postprocess
from ..model.segmenter import Segmenter
from .own_scan import OwnScan, check_size


def segment_scan(model: Segmenter, scan: OwnScan, device: str | None = None) -> Assessment:
    """Find the tumour in somebody's own scan, and say what the mask is worth.

    Parameters
    ----------
    model : a trained network
    scan : as `read_scan` gives it; the network sees its slices with square pixels
    device : "cpu" or "cuda"; None takes the GPU if there is one

    Returns
    -------
    Assessment
        `probability` of tumour, float32 in [0, 1], and `mask`, bool, both (slices, height, width)
        on the scan's own pixels; `trust`: expected Dice with an interval, and warnings

    Examples
    --------
    >>> scan = lggseg.read_scan("scan.nii.gz")  # doctest: +SKIP
    >>> found = segment_scan(lggseg.load_pretrained(), scan)  # doctest: +SKIP
    >>> print(found.trust)  # doctest: +SKIP
    expected Dice 0.91 (0.84 to 0.95)
    >>> probability, mask = found  # doctest: +SKIP
    """
    square = assess(model, to_square(scan.image, scan.pixel), device)
    probability = from_square(square.probability, scan.image.shape[1:3])
    recipe = model.recipe
    mask = postprocess(probability, recipe.threshold, recipe.min_component_share)
    return Assessment(probability, mask, square.trust)


def measure(scan: OwnScan, probability: np.ndarray, mask: np.ndarray) -> pd.Series:
    """What measures.csv says of a mask bool (D,H,W) and the probabilities that it was made of."""
    found: dict[str, object] = {"slices": len(mask), "tumour_slices": int(mask.any((1, 2)).sum())}
    found["tumour_voxels"] = int(mask.sum())
    if scan.grid:
        found["tumour_ml"] = mask.sum() * scan.grid.voxel
    square = to_square(255 * mask[..., None].astype(np.uint8), scan.pixel)[..., 0] > 127
    found |= shape_features(square)
    if scan.truth is not None:
        found |= scores(mask, scan.truth)
    return pd.Series(found, dtype=object)


def trained_on(model: Segmenter, paths: Iterable[Path]) -> str | None:
    """The training patient whose name a file or folder bears, or the folder around it."""
    names = [name for path in paths for name in (path.resolve().name, path.resolve().parent.name)]
    for patient in model.training_patients:
        for name in names:
            if name == patient or name.startswith((f"{patient}_", f"{patient}.")):
                return patient
    return None


def square_size(height: int, width: int, pixel: tuple[float, float]) -> tuple[int, int]:
    """Rows and columns of a slice whose pixels have become as high and wide as their shorter side.

    >>> square_size(100, 100, (1.0, 2.0)), square_size(100, 100, (1.0, 1.0))
    ((100, 200), (100, 100))
    """
    side = min(pixel)
    return round(height * pixel[0] / side), round(width * pixel[1] / side)


def to_square(image: np.ndarray, pixel: tuple[float, float]) -> np.ndarray:
    """Slices uint8 (D,H,W,C) with pixels of this height and width, bilinearly on square ones."""
    count, height, width = image.shape[:3]
    size = square_size(height, width, pixel)
    if size == (height, width):
        return image
    check_size(count, *size)
    slices = [torch.from_numpy(np.array(one)).movedim(2, 0)[None] for one in image]
    square = [F.interpolate(one, size, mode="bilinear")[0].movedim(0, 2) for one in slices]
    return torch.stack(square).numpy()


def from_square(slices: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Slices float32 (D,h,w) back to (D,*size), averaging where it shrinks."""
    if size == slices.shape[1:3]:
        return slices
    given = torch.from_numpy(slices)[:, None]
    return F.interpolate(given, size, mode="bilinear", antialias=True)[:, 0].numpy()
