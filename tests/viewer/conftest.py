"""Shared by the viewers' tests: a small scan, a small network, viewers closed after the test."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from lggseg.model.segmenter import Segmenter
from lggseg.prepare.network_grid import GridSpec
from lggseg.unet import UNet
from lggseg.viewer import SliceViewer


@pytest.fixture
def scan():
    """(image, mask, probability) of 6 slices of 64 x 64; slice i is grey 20 i, tumour in 1 to 4,
    largest in 3.
    """
    image = np.broadcast_to(
        20 * np.arange(6, dtype=np.uint8)[:, None, None, None], (6, 64, 64, 3)
    ).copy()
    mask = np.zeros((6, 64, 64), bool)
    for at, side in ((1, 4), (2, 8), (3, 20), (4, 10)):
        mask[at, 10 : 10 + side, 10 : 10 + side] = True
    return image, mask, ndimage.gaussian_filter(mask.astype(np.float32), (0, 2, 2)).clip(0, 1)


@pytest.fixture
def make():
    """SliceViewer, closed after the test."""
    made = []

    def build(*args, **options):
        made.append(SliceViewer(*args, **{"width": 64} | options))
        return made[-1]

    yield build
    for viewer in made:
        viewer.close()


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Segmenter(UNet(features=4, depth=3), GridSpec(size=64, block=1, flip=True))
