"""Scalp, skull, orbits: where they should be, as thick as they should be."""

import numpy as np
import pytest

from lggseg.phantom.anatomy import outline
from lggseg.phantom.skull import draw_skull
from lggseg.phantom.tissue import SIGNAL

PRE, FLAIR, POST = range(3)


@pytest.mark.parametrize("thickness", [0.04, 0.08])
def test_the_scalp_is_as_thick_as_told(tidy, look, thickness):
    plane = tidy(0.0, scalp=thickness)
    draw_skull(plane, look)
    bright = plane.image[PRE, 128] > 0.7  # fat, from ear to ear; without the skin, 0.014 of it
    right, left = bright[:128].sum() / 100, bright[128:].sum() / 100
    assert right == pytest.approx(thickness - 0.014, abs=0.012) and left == pytest.approx(
        right, abs=0.012
    )


# The skull is there even where the scalp leaves no room for it.
@pytest.mark.parametrize("thickness", [0.05, 0.15])
def test_skull_lies_between_scalp_and_brain(tidy, look, thickness):
    plane = tidy(0.1, scalp=thickness)
    draw_skull(plane, look)
    assert plane.at(0, 0.935)[PRE] < 0.2 and plane.at(0, 0.985)[PRE] > 0.9
    assert plane.at(0, 1.2) == [0, 0, 0]


def test_no_brain_is_outside_the_skull(tidy):
    for z in np.linspace(-0.64, 0.97, 30):
        plane = tidy(float(z))
        assert (outline(plane.x, plane.y, plane.z)[plane.brain > 0] > 0.02).all()


def test_towards_the_vertex_less_of_the_head_is_brain(tidy):
    share = [
        (plane.brain > 0).sum() / (outline(plane.x, plane.y, plane.z) > 0).sum()
        for plane in (tidy(z) for z in (0.3, 0.6, 0.8, 0.88, 0.95))
    ]
    assert (
        sorted(share, reverse=True) == share
        and share[0] > 0.6
        and 0 < share[3] < 0.25
        and share[4] == 0
    )


def test_eyes(tidy, look):
    plane = tidy(-0.42)
    draw_skull(plane, look)
    for side in (-1, 1):
        assert plane.at(0.34 * side, -0.78) == pytest.approx(SIGNAL["vitreous"], abs=0.01)
        assert plane.at(0.345 * side, -0.885) == pytest.approx(SIGNAL["lens"], abs=0.03)
        # Behind the eye; beside the nerve.
        nerve, fat = (plane.at(0.247 * side, -0.653), plane.at(0.215 * side, -0.69))
        assert nerve == pytest.approx(SIGNAL["nerve"], abs=0.05) and fat[PRE] > 0.85
    above = tidy(-0.2)
    draw_skull(above, look)
    assert above.at(0.34, -0.8)[FLAIR] > 0.11  # no eye there


def test_saturated_fat_is_dark_after_contrast_alone(tidy, look):
    plane = tidy(0.0)
    plane.signal["fat"] = (*SIGNAL["fat"][:2], 0.3)
    draw_skull(plane, look)
    assert plane.at(0, 0.985) == pytest.approx([*SIGNAL["fat"][:2], 0.3], abs=0.05)
    assert SIGNAL["fat"][POST] == 0.95


def test_mucosa_of_the_nose_lights_up(tidy, look):
    plane = tidy(-0.5)
    draw_skull(plane, look)
    nose = plane.window((-0.1, -0.9), (0.1, -0.5))
    assert (
        plane.image[POST][nose].mean() > 1.5 * plane.image[PRE][nose].mean()
        and plane.image[PRE][nose].min() < 0.02
    )
