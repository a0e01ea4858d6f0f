import numpy as np
import pytest

from lggseg.model.postprocess import postprocess


def components():
    """A large doubtful blob (0.6, 50 voxels) and a small certain one (1.0, 16 voxels)."""
    probability = np.zeros((3, 12, 12), np.float32)
    probability[0, :5, :10] = 0.6  # weight 50 * 0.1
    probability[2, 8:12, 8:12] = 1.0  # weight 16 * 0.5
    return probability


def test_certainty_weighs_not_only_size():
    kept = postprocess(components(), 0.5, min_component_share=1.0)
    assert kept[2].sum() == 16 and not kept[0].any()


@pytest.mark.parametrize(("share", "voxels"), [(0.0, 66), (0.6, 66), (0.65, 16), (1.0, 16)])
def test_keeps_a_share_of_the_heaviest(share, voxels):
    assert postprocess(components(), 0.5, share).sum() == voxels


def test_the_mask_of_nothing_is_nothing():
    assert not postprocess(np.zeros((2, 4, 4), np.float32), 0.5, 1.0).any()


def test_pieces_that_touch_at_a_corner_are_one():
    probability = np.zeros((2, 4, 4), np.float32)
    probability[0, :2, :2], probability[1, 2, 2] = 0.9, 0.6
    assert postprocess(probability, 0.5, 1.0).sum() == 5


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_threshold_itself_is_tumour(share):
    assert postprocess(np.array([[[0.6, 0.25, 0.2]]]), 0.25, share).tolist() == [
        [[True, True, False]]
    ]


def test_a_component_alone_stays_however_weak():
    probability = np.zeros((3, 6, 7))
    probability[1, 2:4, 3] = 0.51
    np.testing.assert_array_equal(postprocess(probability, 0.5, 1.0), probability > 0)


def test_unless_told_otherwise_half_is_enough_and_all_stays():
    probability = np.zeros((1, 12, 12))
    probability[0, :10, :10], probability[0, 11, 10:] = 1.0, (0.49, 0.5)
    assert postprocess(probability)[0, 11, 10:].tolist() == [False, True]
