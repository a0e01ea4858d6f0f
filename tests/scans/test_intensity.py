import numpy as np
import pytest

from lggseg.scans.intensity import foreground_mask, levels, lowest_plateau, to_bytes


def scan(dtype=np.int16) -> np.ndarray:
    """A head with levels 200..1000 in air of 0..9, as (6,40,40)."""
    rng = np.random.default_rng(0)
    volume = rng.integers(0, 10, (6, 40, 40))
    volume[:, 8:32, 8:32] = rng.integers(200, 1001, (6, 24, 24))
    return volume.astype(dtype)


def test_bytes_stay():
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    assert to_bytes(values) is values


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32, np.float64, ">i2"])
def test_air_is_black_and_the_brightest_saturate(dtype):
    grey = to_bytes(scan(dtype))
    assert grey.dtype == np.uint8 and grey.max() == 255 and grey[:, :8].max() <= 3
    head = scan(float)[:, 8:32, 8:32]
    straight = 255 * head / np.percentile(head, 99.5)
    np.testing.assert_allclose(grey[:, 8:32, 8:32], straight.clip(0, 255), atol=3)


def test_twelve_bits_keep_their_levels():
    levels = np.unique(to_bytes(scan().astype(np.uint16)))
    assert len(levels) > 200


@pytest.mark.parametrize("outlier", [1e6, -1e6, 32767, -32768, np.inf, -np.inf, np.nan])
def test_one_voxel_does_not_matter(outlier):
    volume = scan(np.float32)
    plain = to_bytes(volume).astype(int)
    volume[3, 20, 20] = outlier
    changed = np.abs(to_bytes(volume).astype(int) - plain)
    changed[3, 20, 20] = 0
    assert changed.max() <= 1


@pytest.mark.parametrize("padding", [-1000, -32768, np.nan, 0])
@pytest.mark.parametrize("share", [0.002, 0.1, 0.4])
def test_padding_does_not_matter(padding, share):
    volume = scan(np.float32)
    plain, where = to_bytes(volume).astype(int), np.zeros(volume.shape, bool)
    # All of it among the air of the top.
    where[:, :8] = np.random.default_rng(1).random((6, 8, 40)) < 5 * share
    volume[where] = padding
    found = to_bytes(volume).astype(int)
    assert found[where].max() == 0 and np.abs(found - plain)[~where].max() <= 3


def test_padding_with_a_soft_rim_does_not_matter():
    volume = scan(np.float32)
    plain = to_bytes(volume).astype(int)
    volume[:, :4], volume[:, 4] = -1000, np.linspace(-990, -10, 40)  # as interpolation leaves it
    assert np.abs(to_bytes(volume).astype(int) - plain)[:, 5:].max() <= 3


@pytest.mark.parametrize("background", [0, -7, 100])
def test_a_stripped_and_standardised_brain_stands_on_black(background):
    volume = np.full((6, 40, 40), background, np.float32)
    volume[:, 8:32, 8:32] = np.random.default_rng(0).normal(size=(6, 24, 24))
    grey = to_bytes(volume)
    assert grey[:, :8].max() == 0 and 100 < np.median(grey[:, 8:32, 8:32]) < 155


def test_a_large_offset_takes_no_levels_away():
    volume = scan(np.float32)
    assert np.abs(to_bytes(volume + 30000).astype(int) - to_bytes(volume)).max() <= 6


@pytest.mark.parametrize("constant", [0, 3.5, -1000, np.nan, np.inf])
def test_nothing_to_see_is_black(constant):
    assert (to_bytes(np.full((2, 4, 4), constant, np.float32)) == 0).all()


def test_two_levels_are_black_and_white():
    volume = np.zeros((1, 6, 6), np.uint16)
    volume[0, 2:4, 2:4] = 4095
    np.testing.assert_array_equal(to_bytes(volume), np.where(volume, 255, 0))


def test_numbers_beyond_float32_are_as_infinite_ones():
    volume = scan(float)
    plain = to_bytes(volume).astype(int)
    volume[3, 20, 20] = 1e300
    assert (
        np.delete(
            np.abs(to_bytes(volume).astype(int) - plain).ravel(), 3 * 1600 + 20 * 40 + 20
        ).max()
        <= 1
    )


# --- where black and white lie, by hand ---

RAMP = np.arange(1001.0)  # its percentile p is 10 p


@pytest.mark.parametrize(
    ("values", "around", "black", "white"),
    [
        (RAMP, None, 0, 995.5),  # foreground 100 to 1000: 99.5 % of the way
        (RAMP, 0.0, 0, 995.5),
        (RAMP, -7.0, 0, 995.5),
        (RAMP + 2, 1.0, 1, 997.495),
        # The darkest, 985, is less than half as bright as the brightest, 1975.
        (RAMP + 980, None, 0, 1975),
        (RAMP + 1000, None, 1005, 1995.525),  # 1005 of 1995 is more; foreground 1105 to 2000
        (RAMP + 1000, 100.0, 100, 1995),
        (RAMP + 1100, 100.0, 1105, 2095.525),  # 905 of 1895 above air, 1005 of 1995
        (np.full(9, 7.0), 0.0, 6, 7),
    ],
)
def test_black_and_white_by_hand(values, around, black, white):
    assert levels(values, around) == pytest.approx((black, white))


@pytest.mark.parametrize(("below", "black"), [(9, 0), (10, -1), (11, -1)])
def test_black_lies_below_zero_where_a_tenth_does(below, black):
    values = np.concatenate([np.full(below, -1.0), np.zeros(20), np.full(80 - below, 5.0)])
    assert levels(values, None) == pytest.approx((black, 5))


@pytest.mark.parametrize(
    ("values", "padding"),
    [
        ([], None),
        ([3, 3, 3], None),
        ([500, *range(1000, 1999)], 500),
        ([500, *range(1000, 2000)], None),  # one in 1000, one in 1001
        ([901.5, *(RAMP + 1000)], None),
        ([901.5] * 2 + [*(RAMP + 1000)], 901.5),
        # The gap to 1001 is to exceed 99.4, a tenth of 1001 to 1995.
        ([901.7] * 2 + [*(RAMP + 1000)], None),
        ([-1] * 10 + [*range(990)], -1),
        ([-1] * 9 + [*range(990)], None),
        ([0] * 10 + [*range(1, 991)], None),
    ],
)
def test_a_padding_by_hand(values, padding):
    assert lowest_plateau(np.array(values, np.float64)) == padding


def test_what_fills_half_of_the_faces_is_around():
    half = np.array([[[7, 7], [7, 7]], [[1, 2], [3, 4]]], np.float32)
    assert foreground_mask(half)[1] == 7
    half[0, 1, 1] = 0
    assert foreground_mask(half)[1] is None


def test_two_paddings_are_taken_away_and_no_third():
    values = np.linspace(600, 1000, 1000, dtype=np.float32).reshape(10, 10, 10)
    values[0, 0, :5], values[0, 1, :5], values[0, 2:5] = -3000, -2000, 300
    shown, around = foreground_mask(values)
    assert around is None and np.array_equal(shown, values > 0)
