"""What is right in exercises 05.1 to 05.5, in other forms too, and what hint a mistake gets."""

import numpy as np
import pandas as pd
import pytest
import torch
from answers import right, words
from scipy import ndimage

from lggseg.measures.metrics import dice

CORNERS = np.ones((3, 3, 3))


# --- 05.1: Dice from IoU


@pytest.mark.parametrize(
    "answer",
    [
        lambda v: 2 * v / (1 + v),
        lambda v: 2 / (1 + 1 / v) if v else 0,
        lambda v: np.array([2 * v / (1 + v)]),
        lambda v: torch.tensor(2 * v / (1 + v)),
        lambda value: np.float64(1 - (1 - value) / (1 + value)),
    ],
)
def test_dice_from_iou(answer):
    assert right("05.1", answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda v: v / (2 - v), "the other way round"),
        (lambda v: 2 * v, "twice IoU"),
        (lambda v: round(2 * v / (1 + v), 2), "do not round"),
        (lambda v: v, "solve IoU"),
        (lambda v: str(v), "a number is wanted"),
        (0.67, "a function is wanted"),
        (lambda v: 1 / 0, "ZeroDivisionError"),
        (lambda: 1, "could not be tried"),
    ],
)
def test_dice_from_iou_missed(answer, hint):
    assert hint in words("05.1", answer)


# --- 05.2: the laziest network


@pytest.fixture(scope="module")
def empty(phantom_cohort):
    """Per patient, the smallest tumour first: whether each slice is free of tumour."""
    masks = sorted(
        (phantom_cohort.volume(name).mask for name in phantom_cohort.patients), key=np.sum
    )
    return [~mask.any(axis=(1, 2)) for mask in masks]


def test_laziest(phantom_cohort, empty):
    share = np.concatenate(empty[:5]).mean()
    for answer in (
        (share, 0),
        [round(share, 3), 0.0],
        np.array([share, 0]),
        pd.Series([share, 0]),
        {"slice": share, "patient": 0},
        (torch.tensor(share), np.int64(0)),
    ):
        assert right("05.2", answer, cohort=phantom_cohort)


def test_laziest_missed(phantom_cohort, empty):
    share, whole = np.concatenate(empty[:5]).mean(), np.concatenate(empty).mean()
    assert abs(share - whole) > 0.01  # else the cohort could not tell one from the other
    of_patients = np.mean([one.mean() for one in empty[:5]])
    assert of_patients != share and round(share, 2) != share
    for answer, hint in (
        ((share, 1), "one of both empty"),
        ((share, np.nan), "one of both empty"),
        ((1 - share, 0), "with tumour; those earn 0"),
        ((100 * share, 0), "per cent"),
        ((whole, 0), "the whole cohort"),
        ((of_patients, 0), "the mean of patients"),
        ((round(share, 2), 0), "three digits"),
        ((0, 0), "earns 1 under this rule"),
        ((0.999, 0), "what does an empty slice earn"),
        (share, "several numbers"),
        ("0.6, 0", "several numbers"),
        ((share, 0, 0), "2 numbers"),
        ((share, "0"), "a number"),
    ):
        assert hint in words("05.2", answer, cohort=phantom_cohort)


# --- 05.3: pieces found


def found(prediction, truth, structure=CORNERS):
    labels, n = ndimage.label(truth, structure)
    return len(np.unique(labels[prediction & truth])) / n if n else np.nan


def one_by_one(prediction, truth):
    labels, n = ndimage.label(truth, CORNERS)
    return (
        np.float32(np.mean([prediction[labels == i + 1].any() for i in range(n)]))
        if n
        else float("nan")
    )


def by_slice(prediction, truth):
    pieces = [ndimage.label(t, np.ones((3, 3)))[1] for t in truth]
    shares = [found(p[None], t[None]) for p, t in zip(prediction, truth)]
    return np.nansum(np.multiply(shares, pieces)) / sum(pieces) if truth.any() else np.nan


def of_the_prediction(prediction, truth):
    return found(truth, prediction) if truth.any() else np.nan


def hits(prediction, truth):
    """Pieces of the prediction that touch, over pieces of the truth."""
    n = ndimage.label(truth, CORNERS)[1]
    return found(truth, prediction) * ndimage.label(prediction, CORNERS)[1] / n if n else np.nan


def with_background(prediction, truth):
    labels, n = ndimage.label(truth, CORNERS)
    return len(np.unique(labels[prediction])) / n if n else np.nan


def found_whole(prediction, truth):
    """Pieces that the prediction covers altogether."""
    labels, n = ndimage.label(truth, CORNERS)
    return np.mean([prediction[labels == i + 1].all() for i in range(n)]) if n else np.nan


def perfect_is_nothing(prediction, truth):
    return 0.0 if (prediction == truth).all() and truth.any() else found(prediction, truth)


@pytest.mark.parametrize("answer", [found, one_by_one, lambda p, t: np.array([found(p, t)])])
def test_pieces_found(answer):
    assert right("05.3", answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (of_the_prediction, "a share of the prediction's pieces"),
        (hits, "counts once: label the truth"),
        (lambda p, t: found(p, t, None), "26 neighbours"),
        (by_slice, "not each slice"),
        (with_background, "the background has a label"),
        (perfect_is_nothing, "a perfect prediction"),
        (lambda p, t: found(p, t) * ndimage.label(t, CORNERS)[1], "not the number of pieces"),
        (lambda p, t: (p & t).sum() / t.sum(), "those are voxels"),
        (lambda p, t: 1.0 if not t.any() else found(p, t), "an empty truth"),
        (lambda p, t: np.nan if not p.any() else found(p, t), "an empty prediction"),
        (lambda p, t: found(p, t) if t.any() else None, "an empty truth"),
        (lambda p, t: found(p, t) if t.any() else 1 // 0, "an empty truth"),
        (found_whole, "one voxel will do"),
        (lambda p, t: 1 - found(p, t), "that were missed"),
        (lambda p, t: [1, 2], "a number is wanted"),
        (2 / 3, "a function is wanted"),
    ],
)
def test_pieces_found_missed(answer, hint):
    assert hint in words("05.3", answer)


# --- 05.4: surface Dice


def surface(mask):
    return mask & ~ndimage.binary_erosion(mask)


def apart(source, goal, edge=surface):
    """From each surface pixel of `source` to the nearest of `goal`, by comparing every pair."""
    a, b = np.argwhere(edge(source)), np.argwhere(edge(goal))
    return np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2)).min(axis=1)


def surface_dice(p, t, tolerance, edge=surface, rule=np.less_equal):
    return rule(np.append(apart(p, t, edge), apart(t, p, edge)), tolerance).mean()


@pytest.mark.parametrize(
    "answer",
    [
        surface_dice,
        lambda p, t, w: np.float32(surface_dice(p, t, w)),
        lambda p, t, w: [surface_dice(t, p, w)],
    ],
)
def test_surface_dice(answer):
    assert right("05.4", answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda p, t, w: (apart(p, t) <= w).mean(), "from the prediction to the truth"),
        (lambda p, t, w: (apart(t, p) <= w).mean(), "from the truth to the prediction"),
        (
            lambda p, t, w: ((apart(p, t) <= w).mean() + (apart(t, p) <= w).mean()) / 2,
            "the mean of two shares",
        ),
        (lambda p, t, w: surface_dice(p, t, w, rule=np.less), "exactly at the tolerance"),
        (lambda p, t, w: surface_dice(p, t, w, edge=np.asarray), "surfaces only"),
        (lambda p, t, w: 1 - surface_dice(p, t, w), "outside the tolerance"),
        (lambda p, t, w: dice(p, t), "Dice of the masks"),
        (lambda p, t, w: 0.5, "count on both surfaces"),
        (lambda p, t: 1, "could not be tried"),
        (1, "a function is wanted"),
    ],
)
def test_surface_dice_missed(answer, hint):
    assert hint in words("05.4", answer)


# --- 05.5: an honest threshold


def honest(curves, valid, rest):
    return curves.loc[curves[valid].mean(axis=1).idxmax(), rest].mean()


@pytest.mark.parametrize(
    "answer",
    [
        honest,
        lambda c, v, r: np.array([honest(c, v, r)]),
        lambda c, v, r: c[r].to_numpy().mean(axis=1)[c[v].to_numpy().mean(axis=1).argmax()],
    ],
)
def test_honest_score(answer):
    assert right("05.5", answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda c, v, r: c[r].mean(axis=1).max(), "chosen on the patients it is judged on"),
        (lambda c, v, r: c[v].mean(axis=1).max(), "the patients it was chosen on"),
        (
            lambda c, v, r: c.loc[c.mean(axis=1).idxmax(), r].mean(),
            "chosen on everybody, those judged among them",
        ),
        (lambda c, v, r: c.mean(axis=1).max(), "chosen and judged on everybody"),
        (lambda c, v, r: c[v].mean(axis=1).idxmax(), "that is the threshold"),
        (lambda c, v, r: c.loc[c[v].mean(axis=1).idxmax()].mean(), "the mean over everybody"),
        (lambda c, v, r: c[r].max().mean(), "own best threshold"),
        (
            lambda c, v, r: c.loc[c[v].median(axis=1).idxmax(), r].mean(),
            "by their mean, not by their median",
        ),
        (lambda c, v, r: c.loc[c[v].mean(axis=1).idxmax(), r].median(), "the mean is wanted"),
        (lambda c, v, r: c.loc[c[v].max(axis=1).idxmax(), r].mean(), "not by the best of them"),
        (lambda c, v, r: c.loc[c[v].mean(axis=1).idxmin(), r].mean(), "the worst for `valid`"),
        (lambda c, v, r: c.loc[c[v].mean(axis=1).idxmax(), r], "a number is wanted"),
        (0.49, "a function is wanted"),
    ],
)
def test_honest_score_missed(answer, hint):
    assert hint in words("05.5", answer)
