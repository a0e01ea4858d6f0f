"""Painting: soft borders, mixing by weight, and windows that miss nothing."""

import numpy as np
import pytest

from lggseg.phantom.anatomy import ball
from lggseg.phantom.tissue import SIGNAL, soft


def test_soft_borders():
    assert soft(np.array([-0.02, 0.0, 0.005, 0.02]), 0.02).tolist() == [0, 0.5, 0.75, 1]


def test_signals_tell_the_sequences_apart():
    pre, flair, post = (dict(zip(SIGNAL, column)) for column in zip(*SIGNAL.values()))
    assert (
        pre["fluid"] < pre["grey"] < pre["white"]
        and flair["fluid"] < flair["white"] < flair["grey"]
    )
    # Contrast medium in the blood of the grey.
    assert post["white"] / post["grey"] < pre["white"] / pre["grey"]
    for tissue in ("dura", "mucosa", "plexus", "vessel"):
        assert post[tissue] > 1.5 * pre[tissue] and post[tissue] > post["white"]


def test_paint_mixes_by_weight(tidy):
    plane = tidy(0.0)
    plane.image[:] = 1
    plane.paint(np.full((256, 256), 0.5, np.float32), "grey")
    assert plane.image[:, 0, 0] == pytest.approx([(1 + signal) / 2 for signal in SIGNAL["grey"]])


def test_paint_in_a_window_leaves_the_rest(tidy):
    plane, here = tidy(0.0), (slice(10, 20), slice(30, 50))
    plane.paint(np.ones((10, 20), np.float32), "white", here)
    assert (plane.image[1] > 0).sum() == 200 and (plane.image[1][here] == np.float32(0.37)).all()


@pytest.mark.parametrize("mirror", [True, False])
def test_a_spot_is_its_ellipsoid_and_nothing_else(tidy, mirror):
    plane, whole = tidy(0.1), tidy(0.1)
    plane.spot("vessel", (0.3, -0.2, 0.15), (0.1, 0.06, 0.2), 0.03, mirror=mirror)
    for x in (0.3, -0.3) if mirror else (0.3,):
        whole.paint(
            soft(ball(whole.x, whole.y, 0.1, (x, -0.2, 0.15), (0.1, 0.06, 0.2)), 0.03), "vessel"
        )
    assert plane.image.any() and np.array_equal(plane.image, whole.image)


def test_a_spot_far_above_or_below_is_not_painted(tidy):
    plane = tidy(0.1)
    plane.spot("vessel", (0, 0, 0.5), (0.1, 0.1, 0.2))
    assert not plane.image.any()


def test_a_window_outside_the_picture_is_empty(tidy):
    plane = tidy(0.0)
    assert plane.x[plane.window((2, 0), (3, 1))].size == 0
    plane.spot("vessel", (2.5, 0.5, 0), (0.1, 0.1, 0.1))
    assert not plane.image.any()
