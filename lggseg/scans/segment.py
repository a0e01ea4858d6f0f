"""A trained network on somebody's own scan, and whether the network has seen that scan before."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..model.postprocess import postprocess
from ..model.segmenter import Segmenter
from .grid import from_square, to_square
from .read import OwnScan


def segment_scan(model: Segmenter, scan: OwnScan, device: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Tumour probability float32 and mask bool, both (D,H,W) on the scan's own pixels; the network sees square ones."""
    found = model.probability(to_square(scan.image, scan.pixel), device)
    probability = from_square(found, scan.image.shape[1:3])
    return probability, postprocess(probability, model.recipe.threshold, model.recipe.min_component_share)


def trained_on(model: Segmenter, scan: Iterable[Path]) -> str | None:
    """The training patient whose name a file or folder of the scan bears, or the folder around it."""
    names = [name for path in scan for name in (path.resolve().name, path.resolve().parent.name)]
    return next((patient for patient in model.training_patients for name in names
                 if name == patient or name.startswith((f"{patient}_", f"{patient}."))), None)
