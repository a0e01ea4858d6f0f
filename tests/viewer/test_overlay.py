"""Pictures from arrays: windows, lines, fills, tiles, by hand and against scipy."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import ndimage

from lggseg.viewer import overlay
from lggseg.viewer.colours import TRUTH


def test_window_maps_low_to_black_and_high_to_white():
    assert overlay.windowed(np.array([0, 50, 100, 150, 255], np.uint8), 50, 150).tolist() == [
        0,
        0,
        127,
        255,
        255,
    ]
    # No division by 0.
    assert overlay.windowed(np.array([99, 100, 101], np.uint8), 100, 100).tolist() == [0, 0, 255]


@pytest.mark.parametrize("width", [1, 2])
def test_boundaries_are_scipys_erosion_and_dilation(width):
    mask = np.random.default_rng(0).random((20, 20)) > 0.7
    mask = overlay.enlarge(mask, 3)
    cross = np.zeros((2 * width + 1,) * 2, bool)
    cross[width, [0, -1]] = cross[[0, -1], width] = cross[width, width] = True
    assert np.array_equal(
        overlay.boundary(mask, width), mask & ~ndimage.binary_erosion(mask, cross)
    )
    assert np.array_equal(
        overlay.boundary(mask, width, outside=True), ndimage.binary_dilation(mask, cross) & ~mask
    )


def test_blend_is_a_weighted_mean():
    picture = np.full((1, 3, 3), 100, np.uint8)
    overlay.blend(picture, np.array([[0, 0.5, 1]]), "#ff0000")
    assert picture[0].tolist() == [[100, 100, 100], [178, 50, 50], [255, 0, 0]]


@pytest.mark.parametrize("box", [np.s_[3:5, 2:9], np.s_[0:12, 0:1], np.s_[:, :], np.s_[0:0, 0:0]])
def test_a_part_drawn_is_the_whole_drawn(box):
    weight = np.zeros((12, 10), np.float32)
    weight[box] = 0.5
    whole, parts = np.full((2, 24, 20, 3), 80, np.uint8)
    overlay.blend(whole, overlay.enlarge(weight, 2), TRUTH)
    view, weight = overlay.part(parts, weight, 2)
    overlay.blend(view, weight, TRUTH)
    assert np.array_equal(whole, parts)


@pytest.mark.parametrize("outside", [False, True])
def test_a_part_leaves_room_for_the_line(outside):
    """A large slice is shown as it is, with a line two pixels wide: wider than a margin of one."""
    mask = np.zeros((40, 40), bool)
    mask[10:30, 12:26] = True
    whole, parts = np.full((2, 40, 40, 3), 80, np.uint8)
    overlay.blend(whole, overlay.boundary(mask, 2, outside).astype(np.float32), TRUTH)
    view, near = overlay.part(parts, mask, 1, margin=2)
    overlay.blend(view, overlay.boundary(near, 2, outside).astype(np.float32), TRUTH)
    assert np.array_equal(whole, parts)


def test_channel_tiles_scale_each_channel_by_itself():
    channels = np.array([[[0, 1]], [[-5, 5]], [[7, 7]]], float)  # three channels of 1 x 2
    tiles = overlay.channel_tiles(channels, side=4, gap=1)
    assert tiles.shape == (4, 6)
    assert tiles[0].tolist() == [0, 255, 60, 0, 255, 60] and tiles[2].tolist() == [
        0,
        0,
        60,
        60,
        60,
        60,
    ]


def test_pictures_need_neither_matplotlib_nor_widgets():
    code = (
        "import sys, lggseg.viewer.overlay;"
        "print(sorted({'matplotlib', 'ipywidgets'} & sys.modules.keys()))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        == "[]\n"
    )


@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "bfloat16", "uint8", "bool"])
@pytest.mark.parametrize("gradient", [False, True])
def test_tensors_are_arrays_wherever_they_come_from(kind, gradient):
    tensor = torch.ones(2, 3).to(getattr(torch, kind))
    if gradient and tensor.is_floating_point():
        tensor = (tensor.requires_grad_() * 1).to(tensor.dtype)
    found = overlay.as_array(tensor)
    assert isinstance(found, np.ndarray) and (found == 1).all()
    assert found.dtype == ("float32" if tensor.is_floating_point() else kind)
    assert overlay.as_array([1, 2]).tolist() == [1, 2]
