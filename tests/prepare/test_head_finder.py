"""Where the head is and how bright, and that what scanners and exporters do does not matter."""

import numpy as np
import pytest
import torch

from lggseg.errors import LggError
from lggseg.prepare.head_finder import (
    above_air,
    air_level,
    centre_and_spread,
    dim_level,
    ends,
    find_head,
    head_box,
    heavier_left,
    inner,
    quantile,
)


def ball(size: int = 60, depth: int = 6, radius: float = 20, centre: tuple[float, float] = (29.5, 29.5)) -> np.ndarray:
    """A noisy disc in each of `depth` slices, brightness per sequence 40, 80, 120; FLAIR is heavier on the right."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size]
    inside = np.hypot(y - centre[0], x - centre[1]) <= radius
    tissue = rng.normal(1, 0.15, (depth, size, size, 3)) * (40, 80, 120) * (1 + 0.01 * (x[..., None] - centre[1]))
    image = np.where(inside[None, :, :, None], tissue, rng.integers(0, 4, (depth, size, size, 3)))
    return image.clip(0, 255).round().astype(np.uint8)


@pytest.fixture
def image():
    return ball()


def test_a_head_by_hand():
    image = np.zeros((3, 40, 50, 3), np.uint8)
    y, x = np.mgrid[:40, :50]
    image[1:, abs(y - 19.5) + abs(x - 29.5) <= 10] = 30, 60, 90  # a diamond, 20 high and 20 wide
    image[1:, 20, 32:36, 1] = 62
    head = find_head(image)
    assert head.shape == (3, 40, 50) and head.slices.tolist() == [1, 2] and head.source == (0, 1, 2)
    assert head.box == (9, 19, 22) and not head.mirrored  # 1.06 x 20, even as 20 is, around rows 10-30, columns 20-40
    np.testing.assert_allclose(head.centre, [30, 60, 90], atol=0.5)
    np.testing.assert_allclose(head.spread, [0.05 * 30, 0.05 * 60, 0.05 * 90], rtol=0.02)  # floored: a flat picture


def test_centre_and_spread_are_those_of_the_tissue():
    rng = np.random.default_rng(1)
    histogram = np.bincount(rng.normal(100, 12, 100_000).round().astype(int), minlength=256)
    assert centre_and_spread(histogram) == pytest.approx((100, 12), abs=0.1)
    assert centre_and_spread(np.bincount([0] * 9, minlength=256)) == (0, 0)
    assert centre_and_spread(np.bincount([1], minlength=256)) == pytest.approx((1, 0.5 / 1.349))  # one pixel is enough


def test_a_bright_tumour_hardly_moves_the_centre(image):
    ill = image.copy()
    ill[2:4, 25:33, 35:43, 1] = 250
    before, after = find_head(image), find_head(ill)
    assert abs(after.centre - before.centre).max() < 2 and before.box == after.box


def test_quantile_of_counts():
    assert quantile(np.array([1, 0, 0, 1]), 0.5) == pytest.approx(0.5, abs=2.1)  # anywhere between the two
    assert quantile(np.bincount([5] * 10, minlength=9), 0.25) == 4.75
    assert quantile(np.array([4, 4]), 0.25) == 0
    values = np.random.default_rng(0).integers(0, 200, 10_001)
    assert quantile(np.bincount(values), 0.3) == pytest.approx(np.quantile(values, 0.3), abs=0.6)


def test_the_dim_level_does_not_depend_on_the_air():
    tissue = np.bincount(np.random.default_rng(0).normal(100, 20, 5000).clip(1, 255).astype(int), minlength=256)
    few, many = tissue.copy(), tissue.copy()
    few[:3] += 100
    many[:3] += 20_000
    assert dim_level(few) == pytest.approx(0.3 * 100, abs=1)
    assert dim_level(many) == pytest.approx(dim_level(few), abs=1)
    assert dim_level(np.bincount([0, 0], minlength=256)) is None


def test_the_dim_level_by_hand():
    """Three tenths of the tissue's level, whatever one pixel in twenty says."""
    assert dim_level(np.bincount([100] * 9, minlength=256)) == pytest.approx(30)
    assert dim_level(np.bincount([50] * 99 + [255], minlength=256)) == pytest.approx(15, abs=0.1)
    assert dim_level(np.bincount([10] * 99 + [50] * 99, minlength=256)) == pytest.approx(15)  # the dim half is air


def test_air_is_the_level_of_the_rim_per_slice_and_sequence(image):
    grey = (image // 2 + np.arange(6 * 3, dtype=np.uint8).reshape(6, 1, 1, 3))
    assert (abs(air_level(grey).astype(int) - np.arange(18).reshape(6, 3)) <= 1).all()
    np.testing.assert_array_equal(above_air(grey, air_level(grey)).min(axis=(1, 2)), 0)


def test_air_by_hand():
    """A rim two pixels wide, a tenth of which may be darker than air; what lies inside it does not count."""
    image = np.zeros((1, 10, 10, 1), np.uint8)
    image[:, :2], image[:, -2:], image[:, :, :2], image[:, :, -2:] = 10, 10, 10, 10
    image[0, -1, 5] = image[0, 5, 0] = image[0, 5, -1] = 11  # else the outermost lines are a frame of one value
    image[0, 0, 2:8], image[0, 1, 2:4] = 5, 5  # 8 of the 80 that two rows and columns at each side have
    image = image.repeat(3, axis=3)
    assert air_level(image).tolist() == [[10, 10, 10]]
    image[0, 1, 4] = 5
    assert air_level(image).tolist() == [[5, 5, 5]]


def test_air_beside_a_frame_at_the_left_and_right_alone():
    image = np.zeros((1, 6, 14, 3), np.uint8)
    image[:, :, 4:10] = np.array([20, 21] * 3)[:, None, None]
    assert air_level(image).tolist() == [[20, 20, 20]]


def test_a_frame_of_one_value_is_left_out():
    image = np.zeros((2, 9, 8, 3), np.uint8)
    image[:, 2:5, 3:6] = np.arange(9).reshape(3, 3, 1)
    assert inner(image) == slice(2, 5) and inner(image.swapaxes(1, 2)) == slice(3, 6)
    assert inner(np.full((2, 9, 8, 3), 7, np.uint8)) == slice(None)
    tall = np.zeros((1, 6, 2, 3), np.uint8)
    tall[:, 3:5, 1] = 9
    assert inner(tall) == slice(3, 5)


def test_box_is_square_and_centred():
    tissue = np.zeros((4, 100, 100), bool)
    tissue[:, 30:70, 45:66] = True
    top, left, side = head_box(tissue)
    assert side == 43 and top + side / 2 == pytest.approx(50, abs=0.5) and left + side / 2 == 55.5


def test_box_ignores_pixels_that_are_bright_in_few_slices():
    tissue = np.zeros((10, 100, 100), bool)
    tissue[:, 30:70, 30:70] = True
    tissue[:2, :, 0] = True
    assert head_box(tissue)[1:] == (28, 44)


def test_box_counts_a_quarter_of_the_slices_and_leaves_a_little_air():
    tissue = np.zeros((20, 100, 100), bool)
    tissue[:, 30:70, 32:68] = tissue[:5, 20:30, 32:68] = tissue[:4, 10:20, 32:68] = True
    assert head_box(tissue) == (18, 23, 54)  # rows 20 to 70: 1.06 x 50 = 53, and one more for the 36 columns' sake
    tissue[:, :, :] = True
    assert head_box(tissue) == (-3, -3, 106)


def test_lines_count_from_a_twentieth_of_the_widest():
    assert ends(np.array([0, 2, 3, 42, 42, 2])) == (2, 5)
    assert ends(np.array([1, 3, 60, 2])) == (1, 3)
    assert ends(np.array([0, 1, 0])) == (1, 2)
    assert ends(np.zeros(5, int)) == (0, 5)


def test_slices_count_from_a_twentieth_of_the_largest():
    image = np.zeros((4, 40, 40, 3), np.uint8)
    image[0, 10:31, 10:30] = image[1, 10:17, 10:13] = image[2, 10:15, 10:14] = 100  # 420, 21 and 20 pixels
    image[3, 0, 0] = image[3, -1, -1] = 1  # else all around is a frame of one value
    assert find_head(image).slices.tolist() == [0, 1]


@pytest.mark.parametrize(("row", "left"), [([0, 0, 10, 10, 0, 0], False), ([0, 0, 11, 10, 0, 0], True),
                                           ([0, 0, 10, 11, 0, 0], False), ([0, 1, 0, 3, 0, 0], False),
                                           ([0, 1, 0, 2, 0, 0], True)])
def test_the_heavier_side_by_hand(row, left):
    """About the middle of columns 1 to 4; where both sides weigh the same, nothing is mirrored."""
    assert heavier_left(np.array([[row]], np.uint8), (0, 1, 4)) is left


# --- what does not matter ---

def same(one, other, levels: float = 0.5) -> None:
    """Both heads lead to the same grid."""
    assert one.box == other.box and one.slices.tolist() == other.slices.tolist() and one.mirrored == other.mirrored
    np.testing.assert_allclose(other.centre, one.centre, atol=levels)
    np.testing.assert_allclose(other.spread, one.spread, atol=levels)


@pytest.mark.parametrize("channels", [[0], [1], [0, 1, 2]])
def test_an_offset_does_not_matter(image, channels):
    grey, offset = image // 2, np.random.default_rng(0).integers(0, 100, (6, 1, 1, 3)).astype(np.uint8)
    shifted = grey.copy()
    shifted[..., channels] += offset[..., channels]
    same(find_head(grey), find_head(shifted), levels=0)


def test_a_factor_does_not_matter(image):
    head, darker = find_head(image), find_head((image * np.array([0.3, 0.5, 0.9])).round().astype(np.uint8))
    assert head.box == darker.box
    np.testing.assert_allclose(darker.centre, head.centre * [0.3, 0.5, 0.9], rtol=0.02)
    np.testing.assert_allclose(darker.spread, head.spread * [0.3, 0.5, 0.9], rtol=0.12)  # whole levels


def test_a_frame_of_air_moves_the_box_and_nothing_else(image):
    framed = np.pad(image, ((0, 0), (7, 0), (11, 90), (0, 0)))
    head, moved = find_head(image), find_head(framed)
    assert moved.box == (head.box[0] + 7, head.box[1] + 11, head.box[2])
    np.testing.assert_array_equal(moved.air, head.air)
    np.testing.assert_allclose(moved.centre, head.centre, atol=0.1)


def test_a_crop_to_the_head_moves_the_box(image):
    head, moved = find_head(image), find_head(image[:, 8:-8, 8:-8])
    assert moved.box == (head.box[0] - 8, head.box[1] - 8, head.box[2])
    np.testing.assert_allclose(moved.centre, head.centre, atol=0.5)


def test_a_mirrored_volume_has_a_mirrored_head(image):
    head, other = find_head(image), find_head(image[:, :, ::-1])
    assert (head.mirrored, other.mirrored) == (False, True)
    assert other.box == (head.box[0], image.shape[2] - head.box[1] - head.box[2], head.box[2])


@pytest.mark.parametrize("blank", [0, 255])
def test_blank_slices_are_no_head(image, blank):
    padded = np.pad(image, ((2, 1), (0, 0), (0, 0), (0, 0)))
    padded[4] = blank
    head = find_head(padded)
    assert head.slices.tolist() == [2, 3, 5, 6, 7] and head.box == find_head(image).box


def test_hot_pixels_do_not_matter(image):
    hot = image.copy()
    hot[np.random.default_rng(0).random(image.shape[:3]) < 0.002] = 255
    same(find_head(image), find_head(hot), levels=0.5)


@pytest.mark.parametrize("value", [0, 77])
def test_a_constant_sequence_is_missing_and_flair_stands_in(image, value):
    image[..., 2] = value
    head = find_head(image)
    assert head.source == (0, 1, 1) and head.centre[2] == head.centre[1] and head.spread[2] == head.spread[1]
    assert head.missing == ["post-contrast"]
    image[..., 0] = value
    assert find_head(image).missing == ["pre-contrast", "post-contrast"]


def test_without_flair_there_is_nothing_to_go_by(image):
    image[..., 1] = 0
    with pytest.raises(LggError, match="FLAIR, the second of the three sequences, shows nothing but the others do"):
        find_head(image)


def test_an_empty_volume_has_no_head():
    head = find_head(np.full((2, 9, 8, 3), 5, np.uint8))
    assert len(head.slices) == 0 and head.box == (0, 0, 9) and not head.mirrored and head.source == (0, 1, 2)
    assert head.shape == (2, 9, 8) and head.centre.tolist() == [0] * 3 and head.spread.tolist() == [1] * 3


@pytest.mark.parametrize("wrong", [np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8, 4), np.uint8),
                                   np.zeros((2, 8, 8, 3), np.float32), np.zeros((0, 8, 8, 3), np.uint8), None,
                                   "scan.nii", [[[[0, 0, 0]]]], torch.zeros(2, 8, 8, 3, dtype=torch.uint8)])
def test_wrong_volumes_are_refused(wrong):
    with pytest.raises(LggError, match=r"must be uint8 \(D, H, W, 3\)"):
        find_head(wrong)


@pytest.mark.real
def test_no_tumour_lies_outside_the_head(real_cohort):
    lost = 0
    for volume in map(real_cohort.volume, real_cohort.patients):
        head = find_head(volume.image)
        top, left, side = head.box
        inside = np.zeros_like(volume.mask)
        inside[head.slices, max(0, top):top + side, max(0, left):left + side] = True
        lost += (volume.mask & ~inside).sum()
    assert lost == 0
