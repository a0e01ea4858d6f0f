"""What another scanner does to a scan, worked by hand where it can be."""

import numpy as np
import pytest

from lggseg import LggError
from lggseg.prepare import scanner


@pytest.fixture(scope="module")
def phantom(phantom_cohort):
    volume = phantom_cohort.volume(phantom_cohort.patients[0])
    return np.ascontiguousarray(volume.image), np.ascontiguousarray(volume.mask)


def test_noise_in_air_and_in_tissue_is_rician():
    flat = np.zeros((4, 100, 100, 3), np.uint8)
    flat[..., 2] = 120
    noisy = scanner.rician_noise(flat, 10).astype(float)
    assert noisy[..., 0].mean() == pytest.approx(10 * np.sqrt(np.pi / 2), rel=0.02)  # Rayleigh
    assert noisy[..., 2].mean() == pytest.approx(np.sqrt(120**2 + 10**2), rel=0.01)
    assert noisy[..., 2].std() == pytest.approx(10, rel=0.05)


def test_noise_only_where_it_is_asked_for_and_the_same_each_time():
    flat = np.full((2, 32, 32, 3), 50, np.uint8)
    once = scanner.rician_noise(flat, 5, channels=[1], seed=3)
    again = scanner.rician_noise(flat, 5, channels=[1], seed=3)
    assert (once == again).all()
    assert (once[..., [0, 2]] == 50).all()
    assert (once != scanner.rician_noise(flat, 5, channels=[1], seed=4)).any()


def test_a_factor_or_power_of_one_changes_nothing(phantom):
    image, _ = phantom
    for same in (
        scanner.gamma(image, 1),
        scanner.contrast(image, 1),
        scanner.shading(image, 0, 2),
        scanner.ghosts(image, 0),
        scanner.few_levels(image, 256),
        scanner.narrow_range(image, 255),
        scanner.rician_noise(image, 0),
        scanner.turn(image, 0),
    ):
        assert (same == image).all()


def test_contrast_leaves_what_is_darker_than_the_median():
    image = np.zeros((1, 1, 5, 3), np.uint8)
    image[0, 0, :, 1] = 0, 60, 80, 100, 120  # the median of the four that are tissue is 90
    stretched = scanner.contrast(image, 2)
    squeezed = scanner.contrast(image, 0.5)
    assert stretched[0, 0, :, 1].tolist() == [0, 60, 80, 110, 150]
    assert squeezed[0, 0, :, 1].tolist() == [0, 60, 80, 95, 105]
    assert (stretched[..., [0, 2]] == 0).all()


def test_contrast_of_an_empty_picture():
    empty = np.zeros((1, 4, 4, 3), np.uint8)
    assert (scanner.contrast(empty, 2) == 0).all()


def test_what_would_be_too_bright_is_dimmed_as_a_whole():
    bright = np.array([[[100.0, 200.0, 510.0]]])
    assert scanner.dim_to_fit(bright)[0, 0].tolist() == pytest.approx([50, 100, 255], abs=1)
    fits = np.array([[[100.0, 200.0, 255.0]]])
    assert scanner.dim_to_fit(fits)[0, 0].tolist() == [100, 200, 255]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_shading_along_each_axis(axis):
    image = np.full((3, 3, 3, 3), 100, np.uint8)
    shaded = np.moveaxis(scanner.shading(image, np.log(2), axis), axis, 0)
    assert (shaded[0] == 50).all()
    assert (shaded[1] == 100).all()
    assert (shaded[2] == 200).all()


def test_ghosts_move_along_their_axis():
    image = np.zeros((1, 8, 8, 3), np.uint8)
    image[0, 4, 4] = 100
    across = scanner.ghosts(image, 0.1, axis=2, shift=0.25)[0, :, :, 1]
    assert across[4].tolist() == [0, 0, 10, 0, 100, 0, 10, 0]
    assert across.sum() == 120


def test_sixteen_levels_are_at_most_sixteen(phantom):
    assert len(np.unique(scanner.few_levels(phantom[0], 16))) <= 16


@pytest.mark.parametrize(
    "bad",
    [
        lambda image: scanner.few_levels(image, 1),
        lambda image: scanner.narrow_range(image, 0),
        lambda image: scanner.scan_again("fog", image, image[..., 0] > 0),
    ],
)
def test_what_makes_no_sense_is_refused(phantom, bad):
    with pytest.raises(LggError):
        bad(phantom[0])


@pytest.mark.parametrize("name", [*scanner.SCANNER_CHANGES, *scanner.HARSH_CHANGES])
def test_every_change_of_the_table(phantom, name):
    image, mask = phantom
    changed, its_mask = scanner.scan_again(name, image, mask)
    again, _ = scanner.scan_again(name, image, mask)
    assert changed.dtype == np.uint8 and its_mask.dtype == bool
    assert its_mask.shape == changed.shape[:3]
    assert changed.flags.c_contiguous and its_mask.flags.c_contiguous
    assert changed.shape != image.shape or (changed != image).any()
    assert (changed == again).all()
    assert name in scanner.MOVES or its_mask is mask


def test_a_turned_mask_stays_on_its_tumour(phantom):
    image, mask = phantom
    marked = image.copy()
    marked[mask] = 255
    marked[~mask] = 0
    turned, its_mask = scanner.scan_again("turned 8 degrees", marked, mask)
    assert ((turned[..., 1] >= 128) == its_mask).mean() > 0.9999


def test_every_second_slice_takes_the_masks_of_the_same_slices(phantom):
    image, mask = phantom
    fewer, its_mask = scanner.scan_again("every second slice", image, mask)
    assert (fewer == image[::2]).all()
    assert (its_mask == mask[::2]).all()


def test_dials_at_rest_change_nothing(phantom):
    image, _ = phantom
    at_rest = {name: unchanged for name, (unchanged, _) in scanner.DIALS.items()}
    assert scanner.disturb(image, at_rest) is image
    assert scanner.disturb(image, {}) is image


@pytest.mark.parametrize(
    "dial, strength, same",
    [
        ("contrast", 0.4, lambda image: scanner.contrast(image, 0.4)),
        ("shading", 0.8, lambda image: scanner.shading(image, 0.8, axis=2)),
        ("ghosts", 0.3, lambda image: scanner.ghosts(image, 0.3)),
        ("noise", 12, lambda image: scanner.rician_noise(image, 12)),
    ],
)
def test_a_dial_is_the_function_of_its_name(phantom, dial, strength, same):
    image, _ = phantom
    assert (scanner.disturb(image, {dial: strength}) == same(image)).all()


def test_noise_comes_last_whatever_the_order_of_the_dials(phantom):
    image, _ = phantom
    expected = scanner.rician_noise(scanner.shading(image, 0.5, axis=2), 8)
    assert (scanner.disturb(image, {"noise": 8, "shading": 0.5}) == expected).all()


def test_an_unknown_dial_is_named():
    image = np.zeros((1, 4, 4, 3), np.uint8)
    with pytest.raises(LggError, match="called 'blur'; there are contrast, shading, ghosts, noise"):
        scanner.disturb(image, {"blur": 1})
