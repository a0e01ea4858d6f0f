"""To the network's grid and back."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from torch import nn

from lggseg.errors import LggError
from lggseg.prepare.head_finder import Box, Head, find_head
from lggseg.prepare.network_grid import (
    GridSpec,
    from_grid,
    mask_to_grid,
    pad_to_square,
    slices_to_grid,
    standardise,
)
from lggseg.unet import UNet


def head_of(shape, box, mirrored=False, source=(0, 1, 2), slices=None) -> Head:
    """A Head with black air, centre 0 and spread 1."""
    return Head(
        shape,
        np.zeros((shape[0], 3), np.float32),
        np.arange(shape[0]) if slices is None else np.array(slices),
        Box(*box),
        mirrored,
        source,
        np.zeros(3, np.float32),
        np.ones(3, np.float32),
    )


@pytest.fixture
def volume():
    return np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)


def as_tensor(volume):
    return torch.from_numpy(volume).permute(0, 3, 1, 2)


def test_a_box_that_is_the_picture_changes_nothing(volume):
    grid = slices_to_grid(volume, head_of((4, 8, 8), (0, 0, 8)), 8)
    assert grid.dtype == torch.uint8 and torch.equal(grid, as_tensor(volume))


def test_crop_and_pad_by_hand(volume):
    square = pad_to_square(as_tensor(volume), head_of((4, 8, 8), (-2, 3, 6)))
    assert (
        square.shape == (4, 3, 6, 6)
        and square[:, :, :2].sum() == 0
        and square[:, :, :, 5:].sum() == 0
    )
    assert torch.equal(square[:, :, 2:, :5], as_tensor(volume)[:, :, :4, 3:])


def test_a_mirrored_head_is_shown_mirrored(volume):
    plain, mirrored = (
        slices_to_grid(volume, head_of((4, 8, 8), (0, 0, 8), m), 8) for m in (False, True)
    )
    assert torch.equal(mirrored, plain.flip(-1))


def test_beyond_the_picture_is_air(volume):
    head = head_of((4, 8, 8), (-2, 0, 10))
    head.air[2, 1] = 100.3
    grid = slices_to_grid(volume, head, 10)
    assert (grid[2, 1, :2] == 100).all() and (grid[2, 0, :2] == 0).all()
    # Grey levels stay as they are.
    assert torch.equal(grid[2, 1, 2:, :8], torch.from_numpy(volume[2, :, :, 1]))


def test_z_scores_count_from_the_air_of_their_slice():
    """In a signed sequence tissue lies on both sides of air, and nothing is clipped there."""
    head = head_of((2, 1, 2), (0, 0, 2))
    head.air[:] = [[10] * 3, [60] * 3]
    slices = (
        torch.tensor([[12, 9], [62, 59]], dtype=torch.uint8).view(2, 1, 1, 2).expand(2, 3, 1, 2)
    )
    z = standardise(slices.contiguous(), head, [0, 1], 0)
    assert z[:, 0, 0].tolist() == [[2, -1], [2, -1]]


def test_flair_stands_in_for_a_missing_sequence(volume):
    grid = slices_to_grid(volume, head_of((4, 8, 8), (0, 0, 8), source=(1, 1, 2)), 8)
    assert torch.equal(grid[:, 0], grid[:, 1]) and not torch.equal(grid[:, 1], grid[:, 2])


def test_shrinking_averages(volume):
    grid = slices_to_grid(volume, head_of((4, 8, 8), (0, 0, 8)), 4)
    assert grid.shape == (4, 3, 4, 4)
    np.testing.assert_allclose(
        grid.float().mean((2, 3)), as_tensor(volume).float().mean((2, 3)), atol=8
    )


def test_no_pixel_is_passed_over_where_it_shrinks():
    """One bright column in four: reading between pixels alone would see none of them."""
    stripes = np.zeros((1, 32, 32, 3), np.uint8)
    stripes[:, :, ::4] = 160
    inner = slices_to_grid(stripes, head_of((1, 32, 32), (0, 0, 32)), 8)[..., 1:-1]
    np.testing.assert_allclose(inner, 160 / 4, atol=1)


def test_masks_become_shares():
    mask = np.zeros((2, 8, 8), bool)
    mask[0, :4, :3] = True
    share = mask_to_grid(mask, head_of((2, 8, 8), (0, 0, 8)), 8)
    assert torch.equal(share[:, 0] == 255, torch.from_numpy(mask)) and share.shape == (2, 1, 8, 8)
    assert 0 < mask_to_grid(mask, head_of((2, 8, 8), (0, 0, 8)), 4)[0, 0, 0, 1] < 255


def test_z_scores(volume):
    head = Head(
        (4, 8, 8),
        np.zeros((4, 3), np.float32),
        np.arange(4),
        Box(0, 0, 8),
        False,
        (0, 1, 2),
        np.float32([90, 20, 30]),
        np.float32([2, 40, 100]),
    )
    z = standardise(slices_to_grid(volume, head, 8), head, [1], 0)[0]
    expected = as_tensor(volume)[1].float() - torch.tensor([90, 20, 30.0]).view(3, 1, 1)
    torch.testing.assert_close(z[1:], expected[1:] / torch.tensor([40, 100.0]).view(2, 1, 1))
    assert z[0].min() == -5 and z[0].max() == 10  # clipped: 245 / 2 would be a hot pixel


def test_context_repeats_the_end_slices(volume):
    head, plain = head_of((4, 8, 8), (0, 0, 8)), as_tensor(volume // 32).float()
    prepared = standardise(slices_to_grid(volume // 32, head, 8), head, [0, 3], 1)
    torch.testing.assert_close(prepared[0], torch.cat([plain[0], plain[0], plain[1]]))
    torch.testing.assert_close(prepared[1], torch.cat([plain[2], plain[3], plain[3]]))


def test_context_passes_over_slices_without_a_head(volume):
    head = head_of((4, 8, 8), (0, 0, 8), slices=[0, 2, 3])
    prepared = standardise(slices_to_grid(volume // 32, head, 8), head, [1], 1)
    torch.testing.assert_close(
        prepared[0], as_tensor(volume // 32)[[0, 2, 3]].float().flatten(0, 1)
    )


def test_channels_follow_from_the_context():
    assert [GridSpec(context=context).channels for context in (0, 1, 2)] == [3, 9, 15]


# --- back ---


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("box", [(0, 0, 12), (-3, 2, 16), (2, -4, 20)])
def test_there_and_back(box, mirrored):
    mask = np.zeros((3, 12, 15), bool)
    mask[1, 4:9, 3:10] = mask[1, 4:6, 10:12] = True
    head = head_of(mask.shape, box, mirrored)
    share = mask_to_grid(mask, head, box[2])
    np.testing.assert_array_equal(from_grid(share / 255, head) > 0.5, mask)


def test_outside_the_square_there_is_nothing():
    found = from_grid(torch.ones(1, 1, 4, 4), head_of((1, 9, 9), (2, 3, 4)))
    assert found[0, 2:6, 3:7].min() == 1 and found.sum() == 16 and found.dtype == np.float32


def test_on_the_way_back_too_no_pixel_is_passed_over_where_it_shrinks():
    """Of every four columns the first and the last hold tumour: a plain look at the middle two
    would see none.
    """
    found = from_grid(
        torch.tensor([1.0, 0, 0, 1]).repeat(16, 4)[None, None], head_of((1, 4, 4), (0, 0, 4))
    )
    assert found[0, :, 1:3].min() > 0.2


def test_on_the_way_back_it_grows_in_a_straight_line():
    found = from_grid(torch.tensor([[0.0, 1], [0, 1]])[None, None], head_of((1, 4, 4), (0, 0, 4)))
    np.testing.assert_allclose(found[0], [[0, 0.25, 0.75, 1]] * 4)


def test_a_blank_slice_gets_the_mean_of_its_neighbours_and_air_at_the_ends_nothing():
    answers = torch.tensor([0.2, 0.6]).view(2, 1, 1, 1).expand(2, 1, 4, 4)
    found = from_grid(answers, head_of((6, 4, 4), (0, 0, 4), slices=[1, 4]))
    np.testing.assert_allclose(found[:, 0, 0], [0, 0.2, 0.4, 0.4, 0.6, 0])


def test_a_blank_slice_is_bridged_wherever_it_lies():
    answers = torch.tensor([0.2, 0.6, 0.8]).view(3, 1, 1, 1).expand(3, 1, 4, 4)
    found = from_grid(answers, head_of((5, 4, 4), (0, 0, 4), slices=[0, 1, 3]))
    np.testing.assert_allclose(found[:, 0, 0], [0.2, 0.6, 0.7, 0.8, 0])


def test_a_cohort_that_is_not_square_keeps_its_shapes(phantom_cohort):
    """Training (mask_to_grid) and prediction (from_grid) go the same way there and back, in any
    frame.
    """
    volume = phantom_cohort.volume(phantom_cohort.patients[0])
    image, mask = volume.image[:, 10:-6], volume.mask[:, 10:-6]
    for cut in (np.s_[:, :, :], np.s_[:, :, 8:]):
        head = find_head(image[cut])
        back = from_grid(mask_to_grid(mask[cut], head, 224) / 255, head) > 0.5
        assert (back != mask[cut]).sum() < 0.01 * mask.sum()
    wide = slices_to_grid(
        np.pad(image, ((0, 0), (0, 0), (30, 50), (0, 0))),
        find_head(np.pad(image, ((0, 0), (0, 0), (30, 50), (0, 0)))),
        64,
    )
    assert torch.equal(wide, slices_to_grid(image, find_head(image), 64))


# --- recipe and network ---


def test_the_plain_recipe_of_a_network():
    assert GridSpec.of(UNet(9, features=2, depth=2)) == GridSpec(context=1, block=1)
    assert GridSpec.of(nn.Conv2d(1, 1, 1)) == GridSpec(context=0, block=1)
    # Whole slices, though nothing takes 12 channels.
    assert repr(GridSpec.of(nn.Conv2d(12, 1, 1)).context) == "1"
    assert (
        GridSpec.of(nn.Conv2d(3, 1, 1))
        == GridSpec.of(nn.Identity())
        == GridSpec(context=0, block=1)
    )


def test_channels_that_contradict_the_recipe_are_refused():
    GridSpec(block=2).check(UNet(12, 4, features=2, depth=2))
    GridSpec(48, block=3).check(nn.Conv2d(27, 9, 1))
    with pytest.raises(
        LggError, match=r"takes 9 channels but its recipe \(context=0, block=2\) gives 12"
    ):
        GridSpec(block=2).check(UNet(9, features=2, depth=2))


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 50},
        {"threshold": np.nan},
        {"min_component_share": np.nan},
        {"size": 0},
        {"size": 223},
        {"size": 224.0},
        {"context": 0.5},
        {"context": None},
        {"threshold": "0.5"},
        {"flip": "no"},
        {"block": [2]},
    ],
)
def test_recipes_that_cannot_work_are_refused(change):
    with pytest.raises(LggError, match=f"{next(iter(change))}="):
        GridSpec(**change)


def test_a_recipe_is_fixed_and_its_defaults_are_those_of_the_weights():
    assert GridSpec() == GridSpec(224, 0, 2, threshold=0.5, min_component_share=0.0, flip=False)
    with pytest.raises(FrozenInstanceError):
        GridSpec().size = 64


@pytest.mark.parametrize(
    ("name", "low", "high", "step"),
    [
        ("size", 1, 4096, 1),
        ("context", 0, 64, 1),
        ("block", 1, 64, 1),
        ("threshold", 0, 1, 0.01),
        ("min_component_share", 0, 1, 0.01),
    ],
)
def test_bounds_of_a_recipe(name, low, high, step):
    others = {"size": 64} if name == "block" else {"block": 1}
    for value in (low, high):
        assert getattr(GridSpec(**others, **{name: value}), name) == value
    for value in (low - step, high + step):
        with pytest.raises(LggError, match=f"{name}={value}: it must be from {low} to {high}"):
            GridSpec(**others, **{name: value})


def test_where_no_slice_shows_a_head_there_is_no_tumour():
    found = from_grid(torch.empty(0, 1, 8, 8), head_of((2, 8, 9), (0, 0, 8), slices=[]))
    assert found.dtype == np.float32 and found.shape == (2, 8, 9) and not found.any()
