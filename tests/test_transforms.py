import numpy as np
import pytest
import torch

from lggseg.errors import LggError
from lggseg.transforms import Augment, Recipe, Stats, head_stats, prepare_slices, resize_image

NEUTRAL = Stats(np.zeros(3, np.float32), np.ones(3, np.float32))


@pytest.fixture
def volume():
    return np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)


def test_head_stats_leave_out_the_air():
    image = np.zeros((2, 20, 20, 3), np.uint8)
    image[:, 4:16, 4:16] = (60, 100, 140)
    stats = head_stats(image)
    np.testing.assert_array_equal(stats.mean, [60, 100, 140])
    np.testing.assert_array_equal(stats.std, [1, 1, 1])  # floored: a flat sequence must not divide by zero


def test_head_stats_of_an_all_dark_scan_change_nothing():
    stats = head_stats(np.zeros((2, 8, 8, 3), np.uint8))
    assert (stats.mean == 0).all() and (stats.std == 1).all()


def test_z_scores_do_not_change_with_the_scanners_gain():
    image = np.random.default_rng(0).integers(40, 80, (3, 16, 16, 3), dtype=np.uint8)
    once, twice = (prepare_slices(i, head_stats(i), Recipe(16), [1]) for i in (image, 2 * image))
    torch.testing.assert_close(once, twice)


@pytest.mark.parametrize("wrong", [np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8, 4), np.uint8),
                                   np.zeros((2, 8, 8, 3), np.float32), np.zeros((0, 8, 8, 3), np.uint8)])
def test_wrong_volumes_are_refused(wrong):
    with pytest.raises(LggError, match=r"must be uint8 \(D, H, W, 3\)"):
        head_stats(wrong)


def test_context_repeats_the_end_slices(volume):
    prepared = prepare_slices(volume, NEUTRAL, Recipe(8, context=1), [0, 3])
    plain = torch.from_numpy(volume).permute(0, 3, 1, 2).float()
    torch.testing.assert_close(prepared[0], torch.cat([plain[0], plain[0], plain[1]]))
    torch.testing.assert_close(prepared[1], torch.cat([plain[2], plain[3], plain[3]]))


def test_channels_follow_from_the_context(volume):
    for context in (0, 1, 2):
        recipe = Recipe(8, context)
        assert prepare_slices(volume, NEUTRAL, recipe, [1]).shape == (1, recipe.channels, 8, 8)


def test_shrinking_averages():
    image = torch.arange(16.0).view(1, 1, 4, 4)
    assert resize_image(image, 4) is image
    assert resize_image(image, 2).mean() == pytest.approx(image.mean().item())


def test_space_moves_image_and_mask_together():
    torch.manual_seed(0)
    mask = torch.zeros(1, 32, 32)
    mask[:, 10:20, 8:14] = 1
    for _ in range(5):
        image, moved = Augment(1.0).space(mask.repeat(3, 1, 1) * 5, _as_mask(mask))
        assert ((image[:1] > 2.5) != moved.bool()).float().mean() < 0.02
        assert set(moved.unique().tolist()) <= {0.0, 1.0}


def test_augment_returns_plain_tensors_and_changes_intensities():
    torch.manual_seed(1)
    image, mask = torch.randn(9, 32, 32), torch.zeros(1, 32, 32)
    other, same = Augment(1.0)(image, mask)
    assert type(same) is torch.Tensor and other.shape == image.shape
    assert not torch.equal(other, image) and same.sum() == 0


def test_strength_zero_only_mirrors():
    torch.manual_seed(0)
    image, mask = torch.randn(3, 8, 8), torch.zeros(1, 8, 8)
    seen = {bool(torch.equal(Augment(0.0, drop=0.0)(image, mask)[0], image)) for _ in range(20)}
    mirrored = Augment(0.0, drop=0.0)(image, mask)[0]
    assert seen == {True, False} and (torch.equal(mirrored, image) or torch.equal(mirrored, image.flip(-1)))


def test_drop_copies_flair_exactly_and_never_into_pre_contrast_alone():
    torch.manual_seed(0)
    images = [Augment(1.0, drop=1.0).intensity(torch.randn(6, 4, 4)) for _ in range(50)]
    assert all(torch.equal(image[[2, 5]], image[[1, 4]]) for image in images)
    pre = [torch.equal(image[0], image[1]) for image in images]
    assert pre == [torch.equal(image[3], image[4]) for image in images] and 10 < sum(pre) < 40


def _as_mask(mask):
    from torchvision import tv_tensors

    return tv_tensors.Mask(mask)
