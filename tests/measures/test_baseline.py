"""The baseline finds a bright blob in a disc of brain, not the brighter scalp around it,
and only one blob.
"""

import doctest

import numpy as np
import pytest

from lggseg.measures import baseline
from lggseg.measures.metrics import dice

Y, X = np.mgrid[:128, :128]
RADIUS = np.hypot(Y - 63.5, X - 63.5)


def square(slices, rows, columns):
    mask = np.zeros((6, 128, 128), bool)
    mask[slices, rows, columns] = True
    return mask


TUMOUR = square(slice(1, 4), slice(50, 70), slice(60, 80))
LESION = square(slice(2, 3), slice(40, 46), slice(40, 46))


def scan(air=0):
    """A brain at 90 in a scalp at 220, with a bright tumour and a smaller lesion; air is `air`."""
    slice_ = np.where(RADIUS < 50, 90.0, 0.0)
    slice_[(RADIUS >= 50) & (RADIUS < 55)] = 220
    levels = np.repeat(slice_[None], 6, axis=0)
    levels[TUMOUR | LESION] = 160
    return np.repeat((levels + air)[..., None], 3, axis=3).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("air", [0, 20])
def test_it_finds_the_tumour_and_neither_scalp_nor_lesion(air):
    found = baseline.baseline_mask(scan(air))
    assert dice(found, TUMOUR) > 0.85
    assert not found[LESION].any() and not found[:, RADIUS > 48].any()


def test_a_lower_threshold_finds_no_less():
    brightness = baseline.brain_brightness(scan())
    low, high = brightness >= 1, brightness >= 2
    assert high.any() and (low >= high).all()


def test_the_brain_is_the_head_without_its_rim():
    brain = baseline.brain_mask(scan())
    assert not brain[:, RADIUS >= 50].any() and brain[:, RADIUS < 40].all()
    assert (baseline.brain_brightness(scan())[~brain] == -np.inf).all()


def test_a_scan_of_air_has_no_brain_and_no_tumour():
    empty = np.zeros((3, 32, 32, 3), np.uint8)
    assert not baseline.brain_mask(empty).any() and not baseline.baseline_mask(empty).any()


def test_odd_sizes_keep_their_shape():
    odd = scan()[:, :127, 1:]
    assert baseline.baseline_mask(odd).shape == odd.shape[:3]


def test_examples_in_docstrings_print_what_they_say():
    assert doctest.testmod(baseline, extraglobs={"np": np}).failed == 0
