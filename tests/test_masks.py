import numpy as np
import pytest

from lggseg.errors import LggError
from lggseg.masks import bounding_box, largest_piece, mask_of_levels


def test_the_box_around_a_mask():
    mask = np.zeros((3, 5, 6), bool)
    mask[1, 2, 3] = mask[2, 4, 5] = True
    assert bounding_box(mask) == (slice(1, 3), slice(2, 5), slice(3, 6))
    assert not mask[bounding_box(mask & False)].size


def test_only_the_box_around_the_tumour_counts():
    mask = np.zeros((9, 50, 60), bool)
    mask[3:5, 20, 30:37] = mask[4, 22, 33] = True
    assert bounding_box(mask) == (slice(3, 5), slice(20, 23), slice(30, 37))


def test_a_margin_ends_where_the_picture_does():
    mask = np.zeros((5, 6), bool)
    mask[1, 4] = True
    assert bounding_box(mask, margin=2) == (slice(0, 4), slice(2, 6))
    assert not mask[bounding_box(mask & False, margin=2)].size


def test_the_largest_piece_of_a_picture():
    region = np.zeros((10, 10), bool)
    region[1:5, 1:5] = region[7:9, 7:9] = True
    assert largest_piece(region).sum() == 16 and not largest_piece(region & False).any()


def test_the_largest_piece_counts_faces_across_slices():
    mask = np.zeros((2, 3, 5), bool)
    mask[:, 0, 0] = True  # two voxels, one above the other
    mask[0, 2, 2:4] = True
    mask[0, 1, 4] = True  # touches the row below at a corner only
    mask[1, 2, 2] = True
    assert largest_piece(mask).sum() == 3 and largest_piece(mask)[1, 2, 2]


@pytest.mark.parametrize("levels", [[0, 255, 0], [0, 1, 0]])
def test_levels_of_a_mask(levels):
    assert mask_of_levels(np.array(levels, np.uint8), "m.png").tolist() == [False, True, False]


def test_other_levels_are_refused():
    with pytest.raises(
        LggError, match=r"^m.png has the values \[0, 1, 255\]; a mask holds 0 and 255"
    ):
        mask_of_levels(np.array([0, 1, 255], np.uint8), "m.png")
