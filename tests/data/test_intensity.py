import numpy as np
import pytest

from lggseg.data.intensity import to_bytes


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
    where[:, :8] = np.random.default_rng(1).random((6, 8, 40)) < 5 * share  # all of it among the air of the top
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
