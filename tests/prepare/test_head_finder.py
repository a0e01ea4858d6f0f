"""Where the head is and how bright, and that what scanners and exporters do does not matter."""

import numpy as np
import pytest
import torch

from lggseg.errors import LggError
from lggseg.prepare.head_finder import (
    Box,
    above_air,
    air_level,
    content_rows,
    ends,
    find_head,
    head_box,
    heavier_left,
    inner_head,
    joint_signal,
    smoothed,
    tissue_bound,
    without_thin_parts,
)


def ball(
    size: int = 60, depth: int = 6, radius: float = 20, centre: tuple[float, float] = (29.5, 29.5)
) -> np.ndarray:
    """A noisy disc in each of `depth` slices, brightness per sequence 40, 80, 120; FLAIR is heavier
    on the right.
    """
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size]
    inside = np.hypot(y - centre[0], x - centre[1]) <= radius
    tissue = (
        rng.normal(1, 0.15, (depth, size, size, 3))
        * (40, 80, 120)
        * (1 + 0.01 * (x[..., None] - centre[1]))
    )
    image = np.where(inside[None, :, :, None], tissue, rng.integers(0, 4, (depth, size, size, 3)))
    return image.clip(0, 255).round().astype(np.uint8)


@pytest.fixture
def image():
    return ball()


def disc(levels=(30, 60, 90), size: tuple[int, int] = (80, 120), radius: float = 30) -> np.ndarray:
    """One slice of a disc in the middle, of one level per sequence, on black."""
    y, x = np.mgrid[: size[0], : size[1]]
    image = np.zeros((1, *size, 3), np.uint8)
    image[0, np.hypot(y - (size[0] - 1) / 2, x - (size[1] - 1) / 2) <= radius] = levels
    return image


def test_a_head_by_hand():
    image = np.concatenate([np.zeros((1, 80, 120, 3), np.uint8), disc(), disc()])
    image[1:, 40, 70:74, 1] = 70
    head = find_head(image)
    assert (
        head.shape == (3, 80, 120) and head.slices.tolist() == [1, 2] and head.source == (0, 1, 2)
    )
    # 1.06 x 60 around rows 10-70 and columns 30-90.
    assert head.box == (8, 28, 64) and not head.mirrored
    np.testing.assert_allclose(head.centre, [30, 60, 90], atol=0.5)
    # A flat picture's least.
    np.testing.assert_allclose(head.spread, [0.05 * 30, 0.05 * 60, 0.05 * 90], rtol=0.03)
    assert head.doubts == () and head.missing == []


def test_a_bright_tumour_hardly_moves_the_head(image):
    ill = image.copy()
    ill[2:4, 25:33, 35:43, 1] = 250
    before, after = find_head(image), find_head(ill)
    assert before.box == after.box and before.slices.tolist() == after.slices.tolist()
    # Its share of the inner head times its contrast.
    assert abs(after.centre - before.centre).max() < 4


# --- the pieces ---


def test_smoothed_averages_five_by_five_pixels():
    image = np.zeros((1, 9, 9), np.uint8)
    image[0, 4, 4] = 250
    smooth = smoothed(image)
    assert smooth.dtype == np.float32 and smooth.sum() == pytest.approx(250, abs=1e-3)
    np.testing.assert_allclose(smooth[0, 2:7, 2:7], 10, atol=1e-5)


def test_air_by_hand():
    """A rim two pixels wide, a tenth of which may be darker than air; what lies inside it does not
    count.
    """
    smooth = np.zeros((2, 10, 10), np.float32)
    smooth[:, :2] = smooth[:, -2:] = smooth[:, :, :2] = smooth[:, :, -2:] = 10
    smooth[0, 0, 2:8] = 5  # 6 of the 80 that two rows and two columns at either side have
    smooth[1, 0] = 5  # 14 of them: 2 in each corner count twice
    assert air_level(smooth).tolist() == [10, 5]


def test_air_is_a_level_per_slice_and_sequence(image):
    offsets = np.arange(18, dtype=np.uint8).reshape(6, 1, 1, 3)
    black, grey = find_head(image // 2), find_head(image // 2 + offsets)
    np.testing.assert_allclose(grey.air - black.air, offsets[:, 0, 0], atol=1e-3)


def test_levels_above_air_are_signed():
    levels = above_air(np.uint8([[[5, 30]], [[5, 30]]]), np.float32([10, 0]))
    assert levels.tolist() == [[[-5, 20]], [[5, 30]]]


def test_the_joint_signal_counts_each_sequence_alike():
    smooth = [np.zeros((1, 20, 20), np.float32) for _ in range(3)]
    for one, level in zip(smooth, (10, 200, 77), strict=True):
        one[0, :, 10:] = level
    air = np.zeros((1, 3), np.float32)
    signal = joint_signal(smooth, air, [True, True, True])
    np.testing.assert_allclose(signal[0, :, 10:], 1, rtol=1e-5)
    assert signal[0, :, :10].max() == 0
    smooth[0][0, :, 10:] = 0  # one sequence shows nothing
    np.testing.assert_allclose(joint_signal(smooth, air, [False, True, True]), signal, rtol=1e-5)


def test_the_joint_signal_sees_tissue_on_either_side_of_air():
    smooth = [np.full((1, 20, 20), 50, np.float32) for _ in range(3)]
    smooth[1][0, :, :10] = 90
    smooth[1][0, :, 10:15] = 10
    signal = joint_signal(smooth, np.full((1, 3), 50, np.float32), [False, True, False])
    np.testing.assert_allclose(signal[0, 0], [1] * 15 + [0] * 5)


def test_the_tissue_bound_by_hand():
    """Two fifths of the tissue's level, however much air there is and whatever one pixel in twenty
    shows.
    """

    def bound(**counts):
        levels = np.concatenate(
            [np.full(4 * n, float(level[1:]) / 100) for level, n in counts.items()]
        )
        return tissue_bound(levels.reshape(1, -1, 1).repeat(2, axis=2))

    assert bound(_100=900) == pytest.approx(0.4)
    assert bound(_100=900, _0=90_000) == pytest.approx(0.4)
    assert bound(_100=990, _800=10) == pytest.approx(0.4)
    assert bound(_20=990, _100=990) == pytest.approx(0.4)  # the dim half is air
    assert bound(_0=100) == 0


def test_a_pixel_counts_where_a_quarter_of_the_slices_show_tissue():
    signal = np.zeros((21, 100, 100), np.float32)
    signal[:, 30:70, 32:68] = 1
    signal[:7, 20:30, 32:68] = 1
    signal[:4, 10:20, 32:68] = 1
    # Rows 20 to 70: 1.06 x 50 = 53, and one more for the 36 columns' sake.
    assert head_box(signal) == (18, 23, 54)


def test_thin_parts_are_no_head():
    """Seven pixels of two hundred: a scalp's ghost is thinner."""
    region = np.zeros((200, 200), bool)
    region[50:150, 50:150] = True
    region[100:105, :50] = True
    opened = without_thin_parts(region)
    assert not opened[:, :50].any() and opened[50:150, 50:150].all()
    assert without_thin_parts(region[98:107, :50]).any()  # where nothing else is there, it stays
    edge = np.zeros((200, 200), bool)
    edge[100:, 50:150] = True  # a neck that leaves the picture
    np.testing.assert_array_equal(without_thin_parts(edge), edge)


def test_the_inner_head_is_filled_and_peeled():
    """A ring of radius 40, dark inside, in a square of side 84: filled, less 7 pixels all round."""
    y, x = np.mgrid[:100, :100]
    distance = np.hypot(y - 49.5, x - 49.5)
    inside = inner_head(((distance < 40) & (distance > 30))[None], side=84)[0]
    np.testing.assert_array_equal(inside[distance < 32.3], True)
    np.testing.assert_array_equal(inside[distance > 33.7], False)
    tiny = np.zeros((1, 9, 9), bool)
    tiny[0, 4, 4] = True
    np.testing.assert_array_equal(inner_head(tiny, side=60), tiny)  # better the tissue than nothing


def test_a_frame_of_one_value_is_left_out():
    image = np.zeros((2, 9, 8, 3), np.uint8)
    image[:, 2:5, 3:6] = np.arange(9).reshape(3, 3, 1)
    assert content_rows(image) == slice(2, 5) and content_rows(image.swapaxes(1, 2)) == slice(3, 6)
    assert content_rows(np.full((2, 9, 8, 3), 7, np.uint8)) == slice(0, 9)
    tall = np.zeros((1, 6, 2, 3), np.uint8)
    tall[:, 3:5, 1] = 9
    assert content_rows(tall) == slice(3, 5)


def test_lines_count_from_a_twentieth_of_the_widest():
    assert ends(np.array([0, 2, 3, 42, 42, 2])) == (2, 5)
    assert ends(np.array([1, 3, 60, 2])) == (1, 3)
    assert ends(np.array([0, 1, 0])) == (1, 2)
    assert ends(np.zeros(5, int)) == (0, 5)


def test_slices_count_from_a_twentieth_of_the_largest():
    image = np.zeros((4, 120, 120, 3), np.uint8)
    image[0, 30:90, 30:90] = image[1, 50:64, 50:64] = image[2, 50:62, 50:62] = (
        100  # 3600, 196 and 144 pixels
    )
    image[3, 0, 0] = image[3, -1, -1] = 1  # else all around is a frame of one value
    assert find_head(image).slices.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("row", "left"),
    [
        ([0, 0, 10, 10, 0, 0], False),
        ([0, 0, 11, 10, 0, 0], True),
        ([0, 0, 10, 11, 0, 0], False),
        ([0, 1, 0, 3, 0, 0], False),
        ([0, 1, 0, 2, 0, 0], True),
    ],
)
def test_the_heavier_side_by_hand(row, left):
    """About the middle of columns 1 to 4; where both sides weigh the same, nothing is mirrored."""
    assert heavier_left(np.array([[row]], np.uint8), Box(0, 1, 4)) is left


# --- what does not matter ---


def same(one, other, levels: float = 0.5) -> None:
    """Both heads lead to the same grid."""
    assert (
        one.box == other.box
        and one.slices.tolist() == other.slices.tolist()
        and one.mirrored == other.mirrored
    )
    np.testing.assert_allclose(other.centre, one.centre, atol=levels)
    np.testing.assert_allclose(other.spread, one.spread, atol=levels)


@pytest.mark.parametrize("channels", [[0], [1], [0, 1, 2]])
def test_an_offset_does_not_matter(image, channels):
    grey, offset = (
        image // 2,
        np.random.default_rng(0).integers(0, 100, (6, 1, 1, 3)).astype(np.uint8),
    )
    shifted = grey.copy()
    shifted[..., channels] += offset[..., channels]
    same(find_head(grey), find_head(shifted), levels=0)


def test_a_factor_does_not_matter(image):
    head, darker = (
        find_head(image),
        find_head((image * np.array([0.3, 0.5, 0.9])).round().astype(np.uint8)),
    )
    assert head.box == darker.box
    np.testing.assert_allclose(darker.centre, head.centre * [0.3, 0.5, 0.9], rtol=0.02)
    # Whole levels.
    np.testing.assert_allclose(darker.spread, head.spread * [0.3, 0.5, 0.9], rtol=0.12)


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
    same(find_head(image), find_head(hot), levels=0.7)


@pytest.mark.parametrize("value", [0, 77])
def test_a_constant_sequence_is_missing_and_flair_stands_in(image, value):
    image[..., 2] = value
    head = find_head(image)
    assert (
        head.source == (0, 1, 1)
        and head.centre[2] == head.centre[1]
        and head.spread[2] == head.spread[1]
    )
    assert head.missing == ["post-contrast"]
    image[..., 0] = value
    assert find_head(image).missing == ["pre-contrast", "post-contrast"]


def test_without_flair_there_is_nothing_to_go_by(image):
    image[..., 1] = 0
    with pytest.raises(
        LggError, match="FLAIR, the second of the three sequences, shows nothing but the others do"
    ):
        find_head(image)


def test_an_empty_volume_has_no_head():
    head = find_head(np.full((2, 9, 8, 3), 5, np.uint8))
    assert (
        len(head.slices) == 0
        and head.box == (0, 0, 9)
        and not head.mirrored
        and head.source == (0, 1, 2)
    )
    assert (
        head.shape == (2, 9, 8)
        and head.centre.tolist() == [0] * 3
        and head.spread.tolist() == [1] * 3
    )


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 8, 8), np.uint8),
        np.zeros((2, 8, 8, 4), np.uint8),
        np.zeros((2, 8, 8, 3), np.float32),
        np.zeros((0, 8, 8, 3), np.uint8),
        None,
        "scan.nii",
        [[[[0, 0, 0]]]],
        torch.zeros(2, 8, 8, 3, dtype=torch.uint8),
    ],
)
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
        inside[head.slices, max(0, top) : top + side, max(0, left) : left + side] = True
        lost += (volume.mask & ~inside).sum()
    assert lost == 0
