"""Pictures of few colours: exact where few are there, near where many are, the same bytes every
time.
"""

import io

import numpy as np
import pytest
from PIL import Image

from dev.tools import palette


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def colours(count: int) -> np.ndarray:
    """64 x 64 pixels of so many colours."""
    number = np.arange(64 * 64).reshape(64, 64) % count
    return np.stack([number % 16 * 16, number // 16 % 16 * 16, number // 256 * 16], axis=-1).astype(
        np.uint8
    )


@pytest.fixture
def slice_with_outline():
    """Every grey of 0..255 with noise in colour, and a thin outline, as a figure of a slice has."""
    grey = np.linspace(0, 255, 256 * 256).reshape(256, 256, 1)
    picture = np.clip(grey + np.random.default_rng(0).normal(0, 2, (256, 256, 3)), 0, 255).astype(
        np.uint8
    )
    picture[10, 10:20] = (213, 94, 0)
    return picture


@pytest.mark.parametrize("count", [1, 2, 100, palette.COLOURS])
def test_few_colours_stay_as_they_are(count):
    assert (pixels(palette.few_colours(png(colours(count)))) == colours(count)).all()


def test_many_become_few_and_stay_near(slice_with_outline):
    few = palette.few_colours(png(slice_with_outline))
    moved = np.abs(pixels(few).astype(int) - slice_with_outline).max(axis=-1)
    assert len(np.unique(pixels(few).reshape(-1, 3), axis=0)) <= palette.COLOURS
    assert (
        moved.max() <= 24
        and moved[10, 10:20].max() <= 8
        and len(few) < len(png(slice_with_outline)) / 2
    )


def test_grey_stays_grey_beside_colours():
    """As a slice does under outlines that fade into it: without room of their own the greys take on
    a tint.
    """
    rng = np.random.default_rng(0)
    grey = rng.normal(60, 15, (128, 128, 1)).clip(0, 255).astype(np.uint8).repeat(3, axis=-1)
    share = rng.random((128, 128, 1))
    outlined = (share * (0, 158, 115) + (1 - share) * grey).astype(np.uint8)
    seen = pixels(palette.few_colours(png(np.hstack([grey, outlined])))).astype(int)
    assert np.ptp(seen[:, :128], axis=-1).max() == 0 and np.abs(seen[:, :128] - grey).max() <= 6
    assert (
        np.abs(seen[:, 128:] - outlined).max() <= 24
        and len(np.unique(seen.reshape(-1, 3), axis=0)) <= 128
    )


def test_again_changes_nothing(slice_with_outline):
    few = palette.few_colours(png(slice_with_outline))
    assert palette.few_colours(few) == few == palette.few_colours(png(slice_with_outline))


def test_transparent_becomes_white():
    glass = np.zeros((4, 4, 4), np.uint8)
    glass[0, 0] = (255, 0, 0, 255)
    seen = pixels(palette.few_colours(png(glass)))
    assert seen[0, 0].tolist() == [255, 0, 0] and seen[1:].min() == 255


@pytest.mark.parametrize(("count", "few"), [(256, True), (257, False)])
def test_counts_them(count, few):
    assert palette.has_at_most(256, png(colours(count))) is few
