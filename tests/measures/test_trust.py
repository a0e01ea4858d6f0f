"""Signs of trouble, worked by hand on the smallest volumes."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from lggseg.errors import LggError
from lggseg.measures import trust
from lggseg.measures.trust import ONE, SEVERAL, Trust, TrustModel
from lggseg.model.postprocess import postprocess
from lggseg.model.segmenter import Segmenter
from lggseg.prepare.head_finder import Box, Head, find_head
from lggseg.prepare.network_grid import GridSpec
from lggseg.unet import UNet


def head(slices=3, side=10):
    """A head that fills a square picture, with FLAIR of 100 and a spread of 20 above air of 10."""
    return Head(
        (slices, side, side),
        np.full((slices, 3), 10, np.float32),
        np.arange(slices),
        Box(0, 0, side),
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
    assert trust.continuity(mask) == 0
    assert math.isnan(trust.continuity(mask[1:2]))  # a scan of one slice
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
    assert found["uncertain"] == pytest.approx((1 / 4 + 1 / 3) / 2)
    assert found["confidence"] == pytest.approx(0.9)  # of three voxels, and of two
    assert found["volume"] == pytest.approx(3 / 300)
    assert found["pieces"] == 1 and found["largest"] == 1
    assert found["slices"] == 3 and found["doubts"] == 0
    assert found["continuity"] == 0  # it lies on one slice


def test_signs_of_members_who_are_alike_are_those_of_one():
    image = np.full((3, 10, 10, 3), 110, np.uint8)
    member = np.zeros((3, 10, 10), np.float32)
    member[1, 4, 4:8] = 0.9, 0.6, 0.3, 0.7
    member[2, 4, 4] = 0.8
    mask = member >= 0.5
    alone = trust.signs(member[None], mask, image, head(), 0.5)
    twice = trust.signs(np.stack([member, member]), mask, image, head(), 0.5)
    assert twice.pop("agreement") == 1 and math.isnan(alone.pop("agreement"))
    assert twice == pytest.approx(alone)


def test_members_who_differ_are_as_sure_as_each_alone():
    """Each is certain of another place; their mean is certain of none."""
    image = np.full((3, 10, 10, 3), 110, np.uint8)
    members = np.zeros((2, 3, 10, 10), np.float32)
    members[0, 1, 2:4] = members[1, 1, 6:8] = 0.98
    mask = members.mean(axis=0) >= 0.49
    found = trust.signs(members, mask, image, head(), 0.49)
    assert found["confidence"] == pytest.approx(0.98)
    assert found["uncertain"] == 0 and found["largest"] == 1
    assert found["pieces"] == 2 and found["agreement"] == 0


def test_a_member_who_finds_nothing_has_no_confidence():
    image = np.full((3, 10, 10, 3), 110, np.uint8)
    members = np.zeros((2, 3, 10, 10), np.float32)
    members[0, 1, 2:4] = 0.9
    found = trust.signs(members, members[0] >= 0.5, image, head(), 0.5)
    assert found["confidence"] == pytest.approx(0.9) and found["largest"] == 1


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


MODEL = TrustModel(
    pd.DataFrame(
        {"mean": [0.1, 0.0], "sd": [0.1, 1.0], "weight": [-0.5, 1.0]}, index=["rim", "constant"]
    ),
    pd.DataFrame(
        {"score": [0.0, 2.0], "expected_dice": [0.4, 0.9], "low": [0.1, 0.8], "high": [0.6, 1.0]}
    ),
)


def test_a_weighted_sum_is_looked_up():
    assert MODEL.score({"rim": 0.1}) == pytest.approx(1)  # an average sign counts nothing
    assert MODEL.score({"rim": 0.2}) == pytest.approx(0.5)
    assert MODEL.expect({"rim": 0.1}) == pytest.approx((0.65, 0.45, 0.8))


def test_no_sign_counts_without_end_and_an_unknown_one_not_at_all():
    assert MODEL.score({"rim": 0.9}) == pytest.approx(1 - 3 * 0.5)
    assert MODEL.score({"rim": math.nan}) == pytest.approx(1)
    assert MODEL.expect({"rim": 0.9}) == pytest.approx(
        (0.4, 0.1, 0.6)
    )  # below the table: its first row


def test_without_a_model_for_several_that_for_one_serves(monkeypatch):
    tables = {
        "trust_signs": pd.DataFrame(
            {"members": ONE, "sign": ["constant"], "mean": 0.0, "sd": 1.0, "weight": 0.7}
        ),
        "trust_levels": MODEL.levels.assign(members=ONE),
    }
    monkeypatch.setattr(trust, "published", tables.__getitem__)
    found = trust.published_model.__wrapped__(SEVERAL)
    assert found.weights.weight.tolist() == [0.7] and len(found.levels) == 2


@pytest.mark.parametrize("kind", [SEVERAL, ONE])
def test_the_published_model_is_one(kind):
    model = trust.published_model(kind)
    assert kind == SEVERAL or "agreement" not in model.weights.index
    assert model.levels.score.is_monotonic_increasing and len(model.levels) > 5
    assert (model.levels.low <= model.levels.expected_dice).all()
    assert (model.levels.expected_dice <= model.levels.high).all()
    assert model.levels.drop(columns="score").stack().between(0, 1).all()


GOOD = {
    "agreement": 0.95,
    "soft_dice": 0.96,
    "uncertain": 0.15,
    "confidence": 0.97,
    "volume": 0.05,
    "pieces": 1.0,
    "largest": 1.0,
    "continuity": 0.9,
    "rim": 0.0,
    "height": 0.6,
    "brightness": 2.0,
    "slices": 30.0,
    "doubts": 0.0,
}
BAD = GOOD | {
    "agreement": 0.2,
    "soft_dice": 0.5,
    "uncertain": 0.8,
    "confidence": 0.7,
    "largest": 0.5,
    "continuity": 0.3,
}


@pytest.mark.parametrize("agreement", [1, math.nan])
def test_a_sure_prediction_is_expected_to_be_better_than_a_doubtful_one(agreement):
    good = trust.trust_of(GOOD | {"agreement": GOOD["agreement"] * agreement}, head())
    bad = trust.trust_of(BAD | {"agreement": BAD["agreement"] * agreement}, head())
    assert good.expected_dice > 0.85 and good.warnings == ()
    assert bad.expected_dice < 0.7 and bad.warnings
    assert good.low <= good.expected_dice <= good.high


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"volume": 0.21}, "the mask covers 21 % of the head"),
        ({"volume": 1.4}, "the mask is larger than the head"),
        ({"agreement": 0.55}, "the members disagree (Dice 0.55 between two of them)"),
        ({"rim": 0.4}, "much of the mask lies where skull and scalp are"),
        ({"continuity": 0.4}, "the mask jumps from slice to slice, or lies on one alone"),
        (
            {"largest": 0.6},
            "tumour was found in several places: check that the right one is outlined",
        ),
    ],
)
def test_warnings_in_words(change, words):
    assert trust.warnings_of(GOOD | change, head(), 0.9) == [words]


@pytest.mark.parametrize(("value", "warned"), [(0.694, True), (0.698, False), (0.702, False)])
def test_what_is_shown_decides(value, warned):
    """0.698 is shown as 0.70, and a warning of less than 0.7 would contradict it."""
    agreement = trust.alarms(GOOD | {"agreement": value}, 0.9)
    assert ("members disagree" in agreement) == warned
    assert ("low expected Dice" in trust.alarms(GOOD, value)) == warned


def test_doubts_about_the_head_are_passed_on_and_poor_masks_told():
    doubtful = Head(*vars(head()).values())
    object.__setattr__(doubtful, "doubts", ("the head fills the picture",))
    assert trust.warnings_of(GOOD, doubtful, 0.9) == ["the head fills the picture"]
    assert trust.warnings_of(GOOD, head(), 0.5) == [
        "a mask like this one is often wrong: compare it with the scan"
    ]


def test_trust_in_a_line_and_as_columns():
    found = Trust(0.906, 0.84, 0.951, ("the members disagree",))
    assert str(found) == "expected Dice 0.91 (0.84 to 0.95); the members disagree"
    assert found.columns() == {
        "expected_dice": 0.906,
        "low": 0.84,
        "high": 0.951,
        "warnings": "the members disagree",
    }


@pytest.fixture(scope="module")
def two_members():
    torch.manual_seed(0)
    networks = [UNet(features=4, depth=3).eval() for _ in range(2)]
    return Segmenter(networks, GridSpec(32, block=1, threshold=0.5, min_component_share=0.5))


def test_assess_gives_the_segmenters_own_mask(two_members, phantom_cohort):
    image = np.ascontiguousarray(phantom_cohort.volume(phantom_cohort.patients[0]).image)
    found = trust.assess(two_members, image)
    probability, mask = found
    np.testing.assert_array_equal(mask, two_members.segment(image))
    np.testing.assert_allclose(probability, two_members.probability(image), atol=1e-6)
    assert 0 <= found.trust.low <= found.trust.expected_dice <= found.trust.high <= 1


def test_an_empty_scan_gets_a_warning(two_members):
    found = trust.assess(two_members, np.zeros((2, 32, 32, 3), np.uint8))
    assert found.trust == Trust(0, 0, 0, ("no head was found", "no tumour was found"))


def test_what_is_no_volume_is_refused(two_members):
    with pytest.raises(LggError):
        trust.assess(two_members, np.zeros((2, 32, 32), np.uint8))
