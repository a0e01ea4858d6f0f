"""Colours are what matplotlib takes them for."""

import pytest
from matplotlib.colors import to_rgb

from lggseg.viewer.colours import OKABE_ITO, rgb


@pytest.mark.parametrize("colour", OKABE_ITO)
def test_rgb_is_matplotlibs(colour):
    assert rgb(colour) == tuple(round(255 * part) for part in to_rgb(colour))
