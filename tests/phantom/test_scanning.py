"""From anatomy to grey levels: painting, the scanner, and missing sequences."""

import numpy as np
import pytest

from lggseg.phantom import scanning


def test_soft_borders():
    assert scanning.soft(np.array([-0.02, 0.0, 0.005, 0.02]), 0.02).tolist() == [0, 0.5, 0.75, 1]


def test_paint_mixes_by_weight():
    canvas = np.ones((3, 1, 2), np.float32)
    scanning.paint(canvas, np.array([[0.5, 0.0]], np.float32), (0.0, 0.5, 3.0))
    assert canvas[:, 0].tolist() == [[0.5, 1], [0.75, 1], [2, 1]]


def test_blur_gives_each_neighbour_its_share():
    image = np.zeros((5, 5))
    image[2, 2] = 1
    one = np.array([0, 0.2, 0.6, 0.2, 0])
    assert scanning.blur(image, 0.2) == pytest.approx(np.outer(one, one))


def test_missing_sequences_are_copies_of_flair(default):
    plan, _, _ = default
    pre, post = ({p.folder for p in plan if name in p.missing} for name in ("pre", "post"))
    assert pre < post and (len(pre), len(post)) == (3, 5)
    for missing in ((), ("post",), ("pre", "post")):
        patient = next(patient for patient in plan if patient.missing == missing)
        image, _ = next(scanning.draw_slices(patient))
        for channel, name in ((0, "pre"), (2, "post")):
            assert (image[..., channel] == image[..., 1]).all() == (name in patient.missing)
