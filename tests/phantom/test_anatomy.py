"""Where things lie: levels, fields, and tumours of the size,
side and number of parts they should have.
"""

import numpy as np
import pytest
from scipy import ndimage

from lggseg.phantom.anatomy import (
    ball,
    cerebellum,
    cerebrum,
    coordinates,
    largest_parts,
    noise,
    resample,
    scalp,
    ventricles,
)
from lggseg.phantom.patient import Look


def test_level_of_a_ball():
    level = lambda x, y, z: ball(x, y, z, (1, 0, 0), (0.5, 0.5, 2))  # noqa: E731
    assert (
        level(1, 0, 0) == 0.5
        and level(1.5, 0, 0) == level(1, 0, 2) == 0
        and level(1, 0.75, 0) == -0.25
    )


def test_noise_is_standard_and_smooth():
    field = noise(np.random.default_rng(0), (6, 40, 40), (1, 3, 3))
    assert field.dtype == np.float32 and abs(field.mean()) < 1e-4 and abs(field.std() - 1) < 1e-4
    assert np.abs(np.diff(field, axis=2)).mean() < 0.4  # white noise has 1.13


def test_resample_is_linear_interpolation():
    field = np.random.default_rng(1).random((2, 8, 8)).astype(np.float32)
    place = ((np.arange(32) + 0.5) / 4 - 0.5).clip(0, 7)
    grid = np.meshgrid([0, 1], place, place, indexing="ij")
    np.testing.assert_allclose(
        resample(field, 32), ndimage.map_coordinates(field, grid, order=1), atol=1e-6
    )


def test_largest_parts():
    mask = np.array([[[1, 0, 1, 1, 0, 1, 1, 1]]])
    assert largest_parts(mask, 1).tolist() == [[[False] * 5 + [True] * 3]]
    assert largest_parts(mask, 2).sum() == 5 and largest_parts(mask, 9).sum() == 6


def test_the_scalp_varies_around_the_head_and_with_height(default):
    patient = default[0][0]
    x, y, z = coordinates(patient, 64)
    thickness = scalp(patient.rng(5), x, y, z, 0.05)
    middle = len(x) // 2
    back, temple = (
        thickness[middle][here].mean() for here in (y[middle] > 0.8, np.abs(x[middle]) > 0.8)
    )
    assert back > 1.15 * temple and thickness.min() > 0.02 and thickness.max() < 0.2
    behind = (y > 0.9) & (np.abs(x) < 0.2)
    # The neck.
    assert thickness[0][behind[0]].mean() > 1.3 * thickness[middle][behind[middle]].mean()
    assert thickness[middle].std() > 0.1 * thickness[middle].mean()


def test_tumours_lie_in_the_brain(default):
    plan, _, masks = default
    for patient in plan[:6]:
        x, y, z = coordinates(patient, 256)
        brain = np.maximum(cerebrum(x, y, z), cerebellum(x, y, z))
        outside = (brain < 0) | (ventricles(x, y, z, Look.draw(patient.rng(3)).ventricles) > 0.02)
        assert not (masks[patient.folder] & outside).any()


def test_the_tumours_of_a_seed_stay(default):
    """Notebooks and weights rest on them; a libm may round a voxel differently, no more."""
    plan, _, masks = default
    voxels = [masks[patient.folder].sum() for patient in plan[:5]]
    assert voxels == pytest.approx([22369, 10050, 4620, 31115, 8530], rel=1e-3)


def test_tumours_vary_as_they_should(default):
    plan, _, masks = default
    voxels = np.array([mask.sum() for mask in masks.values()])
    assert voxels.min() > 1000 and voxels.max() > 5 * voxels.min()
    assert 0.008 < np.mean([mask.mean() for mask in masks.values()]) < 0.02
    assert (
        0.3
        < sum(mask.any((1, 2)).sum() for mask in masks.values()) / sum(map(len, masks.values()))
        < 0.42
    )
    parts = [ndimage.label(mask, np.ones((3, 3, 3)))[1] for mask in masks.values()]
    assert parts.count(1) >= 45 and sum(n > 1 for n in parts) >= 4
    contrast = np.array([Look.draw(patient.rng(3)).contrast for patient in plan])
    assert 3 <= (contrast < 1.15).sum() <= 15


def test_the_table_puts_the_tumour_on_its_side(default):
    plan, _, masks = default
    for patient in plan:
        middle = ndimage.center_of_mass(masks[patient.folder])[2] - 127.5
        side = patient.side  # 1 left: the picture's right
        assert side == 0 or np.sign(middle) == side
