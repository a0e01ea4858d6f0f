"""Shape features on bodies whose answers are known,
and against independent ways to compute them.
"""

import math

import numpy as np
import pytest

import lggseg
from lggseg.errors import LggError
from lggseg.measures.shape import (
    angular_standard_deviation,
    asd,
    bevr,
    bounding_ellipsoid_volume_ratio,
    largest_outline,
    margin_fluctuation,
    mf,
    sectors,
    shape_features,
    smooth,
)

BOX = 1 / (math.pi * math.sqrt(3) / 2)  # a cube over the ball through its corners


def body(inside, half=(12, 40, 40)):
    """Mask of the voxels whose centres (z, y, x), measured from the middle, satisfy `inside`."""
    return inside(*np.meshgrid(*[np.arange(-h, h + 1) for h in half], indexing="ij"))


def disc(radius=30.0):
    return body(lambda z, y, x: (z == 0) & (y**2 + x**2 <= radius**2))


def star(y, x, amplitude=0.3, size=60):
    return np.hypot(y, x) <= size * (1 + amplitude * np.cos(5 * np.arctan2(y, x)))


def plain_asd_mf(dy, dx):
    """ASD and MF of ordered outline points around the origin, by loops over the definition."""
    r = [math.hypot(b, a) for b, a in zip(dy, dx)]
    mean = sum(r) / len(r)
    r = [value / mean for value in r]
    bins = [[] for _ in range(10)]
    for value, b, a in zip(r, dy, dx):
        bins[int(math.degrees(math.atan2(b, a)) % 360 // 36)].append(value)
    window = math.floor(len(r) / 10 + 0.5)
    window += window % 2 == 0
    half = window // 2
    rest = [
        r[i] - sum(r[(i + j) % len(r)] for j in range(-half, half + 1)) / window
        for i in range(len(r))
    ]
    return float(np.mean([np.std(values) for values in bins if values])), float(np.std(rest))


# ---------------------------------------------------------------- BEVR


@pytest.mark.parametrize("sides", [(1, 1, 1), (7, 7, 7), (1, 1, 9), (1, 20, 5), (4, 6, 30)])
def test_every_box_has_the_ratio_of_a_cube(sides):
    assert bevr(np.ones(sides, bool)) == pytest.approx(BOX, rel=1e-8)


def test_a_ball_nears_one_as_voxels_shrink():
    def ball(r):
        return body(lambda z, y, x: z**2 + y**2 + x**2 <= r**2, (r, r, r))

    small = bevr(ball(8))
    large = bevr(ball(32))
    assert 0.75 < small < 0.92 < large < 1


def test_an_ellipsoid_equals_the_ball_it_is_stretched_from():
    ball = bevr(body(lambda z, y, x: z**2 + y**2 + x**2 <= 30**2, (30, 30, 30)))
    assert bevr(
        body(lambda z, y, x: (z / 10) ** 2 + (y / 40) ** 2 + (x / 25) ** 2 <= 1)
    ) == pytest.approx(ball, abs=0.05)


def test_two_opposite_voxels_by_hand():
    """Voxels (0,0,0) and (0,0,9) span the 1 x 1 x 10 box, of which they fill a fifth."""
    mask = np.zeros((3, 3, 10), bool)
    mask[0, 0, [0, 9]] = True
    assert bevr(mask) == pytest.approx(BOX / 5, rel=1e-8)


def test_holes_lower_the_ratio_by_their_volume_alone():
    solid = np.ones((9, 9, 9), bool)
    hollow = solid.copy()
    hollow[3:6, 3:6, 3:6] = False
    assert bevr(hollow) == pytest.approx(bevr(solid) * (1 - 27 / 729), rel=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_slice_spacing_cancels(seed):
    mask = np.random.default_rng(seed).random((5, 9, 7)) < 0.2
    for spacing in (2, 3, 7):
        assert bevr(np.repeat(mask, spacing, axis=0)) == pytest.approx(bevr(mask), rel=1e-6)


# ---------------------------------------------------------------- ASD and MF


def test_a_disc_is_nearly_flat():
    assert asd(disc()) < 0.01
    assert mf(disc()) < 0.01


@pytest.mark.parametrize("side", [1, 2, 5, 21, 40])
def test_a_square_by_hand(side):
    """Marching squares cuts each pixel edge between inside and outside in the middle:
    4 x side points.
    """
    along, out = np.arange(side) - (side - 1) / 2, np.full(side, side / 2)
    dx = np.concatenate([out, along[::-1], -out, along])
    dy = np.concatenate([along, out, along[::-1], -out])
    mask = np.pad(np.ones((1, side, side), bool), 3)
    assert (asd(mask), mf(mask)) == pytest.approx(plain_asd_mf(dy, dx), abs=1e-12)


def test_a_star_against_its_formula():
    """The outline has a point per unit of |dx| + |dy|, so the exact curve is sampled that way."""
    angle = np.linspace(0, 2 * np.pi, 200_001)
    r = 60 * (1 + 0.3 * np.cos(5 * angle))
    y, x = r * np.sin(angle), r * np.cos(angle)
    length = np.concatenate([[0], np.cumsum(np.abs(np.diff(y)) + np.abs(np.diff(x)))])
    even = np.arange(0, length[-1], 1.0)
    expected = plain_asd_mf(np.interp(even, length, y), np.interp(even, length, x))
    mask = body(lambda z, y, x: star(y, x), (0, 90, 90))
    assert (asd(mask), mf(mask)) == pytest.approx(expected, rel=0.02)


def test_more_irregular_is_larger_whatever_the_size():
    mild, wild, big = (
        body(lambda z, y, x: star(y, x, amplitude, size), (0, 130, 130))  # noqa: B023
        for amplitude, size in ((0.1, 45), (0.3, 45), (0.1, 90))
    )
    for feature in (asd, mf):
        assert feature(wild) > 2 * feature(mild)
        assert feature(big) == pytest.approx(feature(mild), rel=0.05)


def test_only_the_largest_piece_of_the_largest_slice_counts():
    mask = body(lambda z, y, x: (z == 0) & (y**2 + x**2 <= 20**2), (2, 40, 40))
    more = mask.copy()
    more[2, :5, :9] = True  # another piece in the same slice
    more[4, 30:60, 30:60] = True  # a smaller slice
    assert (asd(more), mf(more)) == (asd(mask), mf(mask))
    assert bevr(more) < bevr(mask) / 2


def test_diagonal_neighbours_are_one_piece():
    mask = np.zeros((1, 20, 20), bool)
    mask[0, 2:8, 2:8] = mask[0, 8:14, 8:14] = True
    mask[0, 15:20, 0:8] = True  # 40 pixels: more than either square, fewer than both
    assert largest_outline(mask).centroid == pytest.approx([7.5, 7.5])


def test_a_hole_changes_the_centroid_but_not_the_outline():
    ring = disc()
    ring[12, 38:43, 38:43] = False
    np.testing.assert_array_equal(largest_outline(ring).points, largest_outline(disc()).points)
    assert asd(ring) == pytest.approx(asd(disc()))


@pytest.mark.parametrize("cut", [np.s_[:, 30:, :], np.s_[:, :, :-30], np.s_[12:, 30:, 30:]])
def test_a_tumour_at_the_border_is_measured_like_one_inside(cut):
    mask = disc()[cut]
    assert shape_features(mask) == pytest.approx(shape_features(np.pad(mask, 4)), rel=1e-9)


def test_quarter_turns_and_mirrors():
    mask = body(lambda z, y, x: star(y - 3, x + 2), (0, 90, 90))
    mask &= np.random.default_rng(0).random(mask.shape) < 0.99
    turned, mirrored, half = np.rot90(mask, axes=(1, 2)), mask[:, :, ::-1], mask[:, ::-1, ::-1]
    assert mf(turned) == pytest.approx(mf(mask)) and mf(mirrored) == pytest.approx(mf(mask))
    assert asd(half) == pytest.approx(asd(mask))  # 180 degrees are five sectors
    assert bevr(turned) == pytest.approx(bevr(mask)) and bevr(mirrored) == pytest.approx(bevr(mask))


def test_sectors_start_along_x_and_turn_towards_y():
    assert sectors(np.radians([0, 35.9, 36.1, 90, 180, 323, 325, 359.9])).tolist() == [
        0,
        0,
        1,
        2,
        5,
        8,
        9,
        9,
    ]


def test_smoothing_wraps_around_and_is_odd():
    signal = np.zeros(40)
    signal[0] = 1
    assert np.flatnonzero(smooth(signal) > 1e-9).tolist() == [0, 1, 2, 38, 39]  # 10 % is 4, made 5


# ---------------------------------------------------------------- the edges of the domain


def test_one_voxel():
    mask = np.zeros((3, 4, 5), bool)
    mask[1, 2, 3] = True
    assert shape_features(mask) == pytest.approx({"asd": 0, "mf": 0, "bevr": BOX}, abs=1e-9)


def test_an_empty_mask_has_no_shape():
    empty = np.zeros((3, 4, 5), bool)
    assert all(
        math.isnan(value)
        for value in (asd(empty), mf(empty), bevr(empty), *shape_features(empty).values())
    )
    assert list(shape_features(empty)) == list(shape_features(~empty)) == ["asd", "mf", "bevr"]


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 4), bool),
        np.zeros((2, 4, 4), np.uint8),
        [[[True]]],
        np.zeros((1, 2, 3, 4), bool),
    ],
)
def test_anything_but_a_bool_volume_is_refused(bad):
    with pytest.raises(LggError, match=r"bool \(D, H, W\)"):
        shape_features(bad)


def test_the_mask_is_left_alone():
    mask = disc()
    before = mask.copy()
    shape_features(mask)
    np.testing.assert_array_equal(mask, before)


def test_short_and_long_names_are_one():
    assert lggseg.asd is asd is angular_standard_deviation is lggseg.angular_standard_deviation
    assert lggseg.mf is mf is margin_fluctuation is lggseg.margin_fluctuation
    assert (
        lggseg.bevr
        is bevr
        is bounding_ellipsoid_volume_ratio
        is lggseg.bounding_ellipsoid_volume_ratio
    )


@pytest.mark.parametrize("seed", range(4))
def test_each_feature_alone_is_that_of_all_together(seed):
    mask = np.zeros((6, 40, 40), bool)
    mask[2:5, 7:30, 11:36] = np.random.default_rng(seed).random((3, 23, 25)) < 0.8
    assert shape_features(mask) == {"asd": asd(mask), "mf": mf(mask), "bevr": bevr(mask)}
    assert all(type(value) is float for value in shape_features(mask).values())
