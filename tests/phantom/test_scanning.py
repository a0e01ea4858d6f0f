"""From anatomy to grey levels: the scanner's blur and noise, offsets, and missing sequences."""

from dataclasses import replace

import numpy as np
import pytest

from lggseg.phantom.scanning import acquire, blur, draw_slices


def test_blur_gives_each_neighbour_its_share():
    image = np.zeros((5, 5))
    image[2, 2] = 1
    one = np.array([0, 0.2, 0.6, 0.2, 0])
    assert blur(image, 0.2) == pytest.approx(np.outer(one, one))


def test_missing_sequences_are_copies_of_flair(default):
    plan, _, _ = default
    pre, post = ({p.folder for p in plan if name in p.missing} for name in ("pre", "post"))
    assert pre < post and (len(pre), len(post)) == (3, 5)
    for missing in ((), ("post",), ("pre", "post")):
        patient = next(patient for patient in plan if patient.missing == missing)
        image, _ = next(draw_slices(patient))
        for channel, name in ((0, "pre"), (2, "post")):
            assert (image[..., channel] == image[..., 1]).all() == (name in patient.missing)


def test_grey_air_is_in_one_sequence_of_who_says_so(default):
    patient = next(patient for patient in default[0] if patient.air)
    image, mask = next(draw_slices(patient))
    corner = np.median(image[:30, :30], (0, 1))
    assert corner[0] == pytest.approx(patient.air, abs=10) and corner[1:].max() < 15
    plain, same = next(draw_slices(replace(patient, air=0)))
    assert np.array_equal(plain[..., 1:], image[..., 1:]) and np.array_equal(mask, same)
    expected = patient.air + (1 - patient.air / 255) * plain[..., 0]
    assert np.abs(image[..., 0] - expected).max() <= 1.01  # compressed, not clipped


def test_an_offset_does_not_touch_a_copy_of_flair(default):
    patient = replace(default[0][0], air=50, missing=("pre", "post"))
    image = acquire(np.full((3, 8, 8), 0.5, np.float32), np.zeros((8, 8)), patient, np.random.default_rng(0))
    assert (image[..., 0] == image[..., 1]).all() and (image[..., 2] == image[..., 1]).all()
