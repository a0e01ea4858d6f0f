import numpy as np
import pytest

from lggseg.errors import LggError
from lggseg.masks import bounding_box, mask_of_levels


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


@pytest.mark.parametrize("levels", [[0, 255, 0], [0, 1, 0]])
def test_levels_of_a_mask(levels):
    assert mask_of_levels(np.array(levels, np.uint8), "m.png").tolist() == [False, True, False]


def test_other_levels_are_refused():
    with pytest.raises(
        LggError, match=r"^m.png has the values \[0, 1, 255\]; a mask holds 0 and 255"
    ):
        mask_of_levels(np.array([0, 1, 255], np.uint8), "m.png")
