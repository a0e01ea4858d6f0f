"""Grey, white, fluid, stem, coverings, vessels and tumour,
each with its own look in each sequence.
"""

import numpy as np
import pytest

from lggseg.phantom.anatomy import stem
from lggseg.phantom.brain import draw_brain
from lggseg.phantom.skull import draw_skull
from lggseg.phantom.tissue import SIGNAL

PRE, FLAIR, POST = range(3)


def drawn(plane, look):
    draw_skull(plane, look)
    draw_brain(plane, look)
    return plane


def test_white_matter_and_ventricles(tidy, look):
    plane = drawn(tidy(0.12), look)
    assert plane.at(0.3, 0.35) == pytest.approx(SIGNAL["white"], abs=0.01)
    assert plane.at(0.08, 0.2) == pytest.approx(SIGNAL["fluid"], abs=0.1)


def width(level: np.ndarray) -> tuple[int, int]:
    """Columns and rows in which a level is positive."""
    return (level > 0).any(0).sum(), (level > 0).any(1).sum()


def test_the_stem_changes_its_shape_with_height(tidy):
    midbrain, pons, medulla = (tidy(z) for z in (-0.26, -0.46, -0.65))
    levels = [stem(plane.x, plane.y, plane.z) for plane in (midbrain, pons, medulla)]
    assert width(levels[1])[0] > width(levels[0])[0] > width(levels[2])[0] > 15
    # In front of the body: two peduncles and the notch between them.
    row = levels[0][round(127.5 + 100 * -0.045)]
    assert np.flatnonzero(np.diff((row > 0).astype(int))).size == 4 and row[128] < 0
    assert (stem(midbrain.x, midbrain.y, 0.3) < 0).all()


def test_the_sinus_is_dark_until_contrast(tidy, look):
    pre, flair, post = drawn(tidy(0.3), look).at(0, 0.845)
    assert post > 0.85 and pre < 0.25 and flair < 0.2


def test_vessels_of_the_brain_light_up(tidy, look):
    fold = np.ones((256, 256), np.float32)
    fold[150, 60:110] = 0  # a sulcus in the right hemisphere, with vessels in it or not
    without, within = (drawn(tidy(0.3, fold=fold, vein=vein), look).image for vein in (-9, 3))
    course = np.s_[150, 70:80]  # near the surface: deeper, sulci close
    assert (within[POST][course] > without[POST][course] + 0.3).any()
    assert (within[PRE] <= without[PRE] + 0.1).all()


def test_dura_and_plexus_light_up(tidy, look):
    plane = drawn(tidy(0.1), look)
    rim = np.abs(plane.brain + 0.026) < 0.003
    assert plane.image[POST][rim].mean() > 1.7 * plane.image[PRE][rim].mean()
    plexus = plane.window((0.1, 0.25), (0.17, 0.33))
    assert plane.image[POST][plexus].max() > 0.7 > 0.56 > plane.image[PRE][plexus].max()


def test_pre_and_post_contrast_differ_in_more_than_noise(tidy, look):
    plane = drawn(tidy(-0.37, vein=1.0), look)
    inside = plane.brain > -0.05
    assert (np.abs(plane.image[POST] - plane.image[PRE])[inside] > 0.2).mean() > 0.02


def test_a_tumour_is_bright_in_flair_alone(tidy, look):
    level = np.full((256, 256), -1, np.float32)
    level[100:140, 60:100] = 0.05
    plane = drawn(tidy(0.3, tumour=level), look)
    pre, flair, post = plane.at(-0.45, -0.1)
    assert (
        flair > 1.3 * SIGNAL["grey"][FLAIR]
        and pre < SIGNAL["grey"][PRE] + 0.02
        and post < SIGNAL["grey"][POST]
    )
