"""Metrics against MONAI, against brute force, and on small cases worked by hand."""

import math
import time
import warnings

import numpy as np
import pytest
import torch
from scipy import ndimage

from lggseg.errors import LggError
from lggseg.measures.metrics import counts, dice, hausdorff95, iou, precision, scores, sensitivity

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MONAI's imports bring deprecations of others
    import monai.metrics


def mask(text):
    """A bool array from rows of # and . separated by spaces."""
    return np.array([[c == "#" for c in row] for row in text.split()])


def blobs(seed, shape=(12, 40, 40), share=0.1):
    """A random smooth mask."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    return noise > np.quantile(noise, 1 - share)


PREDICTION, TRUTH = mask("##.. ##.. ...."), mask(".#.. .##. ..#.")


def test_by_hand():
    assert counts(PREDICTION, TRUTH) == (2, 2, 2, 6)
    assert dice(PREDICTION, TRUTH) == 4 / 8
    assert iou(PREDICTION, TRUTH) == 2 / 6
    assert sensitivity(PREDICTION, TRUTH) == precision(PREDICTION, TRUTH) == 2 / 4
    wide = mask("#### #### ....")
    assert (sensitivity(wide, TRUTH), precision(wide, TRUTH)) == (3 / 4, 3 / 8)


def test_counts_are_plain_numbers_for_any_dimension():
    for shape in [(7,), (3, 4), (2, 3, 4), (2, 2, 3, 4)]:
        rng = np.random.default_rng(0)
        one, other = rng.random(shape) < 0.5, rng.random(shape) < 0.5
        n = counts(one, other)
        assert all(type(value) is int for value in n)
        assert n == tuple(
            int((a & b).sum())
            for a, b in [(one, other), (one, ~other), (~one, other), (~one, ~other)]
        )
        assert n._fields == ("tp", "fp", "fn", "tn")


@pytest.mark.parametrize("seed", range(3))
def test_ratios_equal_monai(seed):
    one, other = blobs(seed), blobs(seed) | blobs(seed + 10)
    tensors = [torch.from_numpy(m)[None, None] for m in (one, other)]
    assert dice(one, other) == pytest.approx(monai.metrics.compute_dice(*tensors).item(), abs=1e-6)
    assert iou(one, other) == pytest.approx(monai.metrics.compute_iou(*tensors).item(), abs=1e-6)
    assert iou(one, other) == pytest.approx(dice(one, other) / (2 - dice(one, other)))


def test_hausdorff_by_hand():
    """Two columns 3 apart; then one of 40 surface pixels far away,
    which the 95th percentile forgives.
    """
    one, other = np.zeros((40, 60), bool), np.zeros((40, 60), bool)
    one[:, 5] = other[:, 8] = True
    assert hausdorff95(one, other) == 3
    assert hausdorff95(one, other, spacing=(1, 0.5)) == 1.5
    other[0, 50] = True  # 1 of 41 lies 45 away from `one`
    assert hausdorff95(one, other) == 3
    other[1:4, 50] = True  # now 4 of 44
    assert hausdorff95(one, other) == 45


def test_surface_has_no_inside():
    """A full square against its own outline: the surfaces are the same, the distance is 0."""
    square = np.zeros((20, 20), bool)
    square[4:15, 4:15] = True
    outline = square & ~ndimage.binary_erosion(square)
    assert hausdorff95(square, outline) == pytest.approx(np.percentile([0] * 40, 95))
    assert dice(square, outline) == pytest.approx(2 * 40 / (121 + 40))


@pytest.mark.filterwarnings("ignore:monai")  # of its own deprecated argument
@pytest.mark.parametrize("spacing", [None, (3.0, 1.0, 0.5)])
@pytest.mark.parametrize("seed", range(4))
def test_hausdorff_equals_monai(seed, spacing):
    one, other = blobs(seed), blobs(seed + 10, share=0.04)
    tensors = [torch.from_numpy(m)[None, None] for m in (one, other)]
    theirs = monai.metrics.compute_hausdorff_distance(
        *tensors, percentile=95, spacing=spacing, include_background=True
    )
    assert hausdorff95(one, other, spacing) == pytest.approx(theirs.item(), rel=1e-5)


def test_hausdorff_by_brute_force():
    one, other = blobs(5, (24, 24)), blobs(6, (24, 24))
    cross = ndimage.generate_binary_structure(2, 1)
    a, b = (
        np.argwhere(m & ndimage.binary_dilation(~np.pad(m, 1), cross)[1:-1, 1:-1])
        for m in (one, other)
    )
    distance = np.linalg.norm(a[:, None] - b[None], axis=-1)
    expected = max(np.percentile(distance.min(0), 95), np.percentile(distance.min(1), 95))
    assert hausdorff95(one, other) == pytest.approx(expected)


def test_hausdorff_symmetry_identity_and_place():
    one, other = blobs(1), blobs(2)
    assert hausdorff95(one, other) == hausdorff95(other, one)
    assert hausdorff95(one, one) == 0
    assert hausdorff95(
        *(np.pad(m, ((5, 2), (9, 0), (1, 30))) for m in (np.pad(one, 1), np.pad(other, 1)))
    ) == hausdorff95(np.pad(one, 1), np.pad(other, 1))


EMPTY = np.zeros_like(TRUTH)


@pytest.mark.parametrize(
    ("prediction", "truth", "ratio", "distance"),
    [
        (EMPTY, EMPTY, math.nan, math.nan),
        (EMPTY, TRUTH, 0.0, math.inf),
        (PREDICTION, EMPTY, 0.0, math.inf),
    ],
)
def test_empty_mask_rule(prediction, truth, ratio, distance):
    expected = {
        "dice": ratio,
        "iou": ratio,
        "sensitivity": ratio,
        "precision": ratio,
        "hd95": distance,
    }
    assert scores(prediction, truth) == pytest.approx(expected, nan_ok=True)
    assert [
        f(prediction, truth) for f in (dice, iou, sensitivity, precision, hausdorff95)
    ] == pytest.approx(list(expected.values()), nan_ok=True)


def test_no_overlap_is_zero():
    assert scores(~TRUTH, TRUTH)["dice"] == scores(~TRUTH, TRUTH)["precision"] == 0


def test_scores_agree_with_the_single_measures():
    one, other = blobs(3), blobs(4)
    result = scores(one, other, spacing=(2, 1, 1))
    assert list(result) == ["dice", "iou", "sensitivity", "precision", "hd95"]
    assert result == {
        "dice": dice(one, other),
        "iou": iou(one, other),
        "sensitivity": sensitivity(one, other),
        "precision": precision(one, other),
        "hd95": hausdorff95(one, other, (2, 1, 1)),
    }


@pytest.mark.parametrize("measure", [counts, dice, hausdorff95, scores])
@pytest.mark.parametrize(
    ("prediction", "words"),
    [
        (TRUTH * np.uint8(255), r"prediction is a uint8 array.*mask > 0"),
        (TRUTH.astype(float), r"float64.*probability >= 0.5"),
        (TRUTH.tolist(), "prediction is a list"),
        (TRUTH[:2], r"\(2, 4\).*\(3, 4\).*own grid"),
    ],
)
def test_bad_masks(measure, prediction, words):
    with pytest.raises(LggError, match=words):
        measure(prediction, TRUTH)


def test_a_bad_truth_is_named_too():
    with pytest.raises(LggError, match="truth is a uint8 array"):
        counts(TRUTH, TRUTH.astype(np.uint8))
    with pytest.raises(LggError, match="with at least one axis"):
        counts(np.array(True), np.array(True))


@pytest.mark.parametrize(
    "spacing",
    [
        (1, 1, 1),
        (1,),
        (1, 0),
        (1, -2),
        (1, math.nan),
        (1, math.inf),
        ("a", "b"),
        "wide",
        1,
        {},
        [1, [2]],
    ],
)
def test_bad_spacing(spacing):
    with pytest.raises(LggError, match="one positive number for each of the 2 axes"):
        hausdorff95(PREDICTION, TRUTH, spacing)


def test_a_volume_is_quick():
    """A large tumour and a far false positive in 40 slices of 256 x 256:
    0.15 s of processor time where measured.
    """
    z, y, x = np.ogrid[:40, :256, :256]
    truth = ((z - 20) / 12) ** 2 + ((y - 120) / 50) ** 2 + ((x - 120) / 45) ** 2 < 1
    prediction = np.roll(truth, (1, 4), axis=(0, 1))
    prediction[38:, 240:250, 240:250] = True
    start = time.process_time()
    scores(prediction, truth)
    assert time.process_time() - start < 2


def test_hausdorff95_where_denormals_are_flushed():
    one, other = np.zeros((2, 100, 12), bool)  # most points at coordinate 0 of the longer side
    one[0], one[99, 0], other[0] = True, True, True
    torch.set_flush_denormal(True)
    try:
        assert hausdorff95(one, other) == np.percentile([0] * 12 + [99], 95)
    finally:
        torch.set_flush_denormal(False)
