"""Signs of trouble, worked by hand on the smallest volumes."""

import math

import numpy as np
import pytest

from lggseg.measures import trust
from lggseg.model.postprocess import postprocess
from lggseg.prepare.head_finder import Head, find_head


def head(slices=3, side=10):
    """A head that fills a square picture, with FLAIR of 100 and a spread of 20 above air of 10."""
    return Head(
        (slices, side, side),
        np.full((slices, 3), 10, np.float32),
        np.arange(slices),
        (0, 0, side),
        False,
        (0, 1, 2),
        np.float32([100] * 3),
        np.float32([20] * 3),
    )


def test_agreement_of_masks():
    same = np.ones((3, 2, 2), bool)
    assert trust.agreement(same) == 1
    assert trust.agreement(~same) == 1
    assert trust.agreement(np.array([[True, False], [False, True]])) == 0
    assert math.isnan(trust.agreement(same[:1]))


def test_soft_dice_leaves_out_what_is_faint():
    probability = np.array([1.0, 0.5, 0.04])
    assert trust.soft_dice(probability, probability >= 0.5) == pytest.approx(2 * 1.5 / (1.5 + 2))
    assert math.isnan(trust.soft_dice(np.zeros(3), np.zeros(3, bool)))


def test_uncertain_fraction():
    assert trust.uncertain_fraction(np.zeros(4)) == 0
    assert trust.uncertain_fraction(np.array([0.2, 0.5, 0.8, 1.0])) == 0.5


def test_continuity_counts_gaps_between_slices():
    mask = np.zeros((5, 2, 2), bool)
    assert math.isnan(trust.continuity(mask))
    mask[1] = True
    assert math.isnan(trust.continuity(mask))
    mask[3] = True
    assert trust.continuity(mask) == 0
    mask[2] = True
    assert trust.continuity(mask) == 1


def test_head_voxels_are_nearer_to_the_head_than_to_air():
    image = np.full((3, 10, 10, 3), 59, np.uint8)
    image[0, 0, :4, 1] = 61
    assert trust.head_voxels(image, head()) == 4


def test_place_of_a_mask():
    mask = np.zeros((3, 10, 10), bool)
    mask[1, 4:6, 4:6] = True
    assert trust.rim_fraction(mask, head()) == 0
    assert trust.height(mask, head()) == 0.5
    mask[:] = False
    mask[2, 0, 0] = True
    assert trust.rim_fraction(mask, head()) == 1
    assert trust.height(mask, head()) == 1


def test_brightness_is_a_z_score():
    image = np.full((3, 10, 10, 3), 10, np.uint8)
    mask = np.zeros((3, 10, 10), bool)
    mask[0, 0, 0] = True
    image[mask] = 150
    assert trust.brightness(image, mask, head()) == pytest.approx(2)


def test_signs_of_two_members():
    image = np.full((3, 10, 10, 3), 110, np.uint8)
    members = np.zeros((2, 3, 10, 10), np.float32)
    members[:, 1, 4, 4:8] = [[0.9, 0.9, 0.9, 0.5], [0.9, 0.9, 0.3, 0.1]]
    mask = members.mean(axis=0) >= 0.5
    found = trust.signs(members, mask, image, head(), 0.5)
    assert found["agreement"] == pytest.approx(2 * 2 / (4 + 2))
    assert found["uncertain"] == pytest.approx(2 / 4)
    assert found["confidence"] == pytest.approx((0.9 + 0.9 + 0.6) / 3)
    assert found["volume"] == pytest.approx(3 / 300)
    assert found["pieces"] == 1 and found["largest"] == 1
    assert found["slices"] == 3 and found["doubts"] == 0
    assert math.isnan(found["continuity"])


def test_signs_of_an_empty_mask():
    image = np.full((3, 10, 10, 3), 110, np.uint8)
    found = trust.signs(
        np.zeros((2, 3, 10, 10), np.float32), np.zeros((3, 10, 10), bool), image, head(), 0.5
    )
    assert found["agreement"] == 1 and found["volume"] == 0 and found["pieces"] == 0
    assert math.isnan(found["soft_dice"]) and math.isnan(found["brightness"])


def test_signs_of_an_empty_scan():
    image = np.zeros((2, 8, 8, 3), np.uint8)
    found = trust.signs(
        np.zeros((1, 2, 8, 8), np.float32), np.zeros((2, 8, 8), bool), image, find_head(image), 0.5
    )
    assert found["slices"] == 0 and found["volume"] == 0


def test_pieces_touch_at_corners_and_count_before_weak_ones_are_removed():
    probability = np.zeros((2, 6, 6), np.float32)
    probability[0, 1, 1] = probability[1, 2, 2] = probability[0, 5, 5] = 1
    image = np.full((2, 6, 6, 3), 110, np.uint8)
    mask = postprocess(probability, min_component_share=1)
    assert mask.sum() == 2
    found = trust.signs(probability[None], mask, image, head(2, 6), 0.5)
    assert found["pieces"] == 2 and found["largest"] == pytest.approx(2 / 3)
