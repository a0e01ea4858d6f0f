"""What is right in exercises 02.1 to 02.5, in other forms too, and what hint a mistake gets."""

import numpy as np
import pandas as pd
import pytest
from answers import right, words
from scipy import stats

from lggseg.measures.shape import shape_features

MASK = np.zeros((6, 20, 20), bool)
MASK[2:5, 8:14, 7:15] = True
SPOILT = MASK.copy()
SPOILT[0, 0, 0] = True
BEFORE, AFTER = shape_features(MASK)["bevr"], shape_features(SPOILT)["bevr"]


@pytest.mark.parametrize(
    "answer", [1 - 0.95**21, 0.66, np.float32(0.659), [0.66], np.array([0.66]), pd.Series([0.66])]
)
def test_false_alarm(answer):
    assert right("02.1", answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (21 * 0.05, "do not add up"),
        (0.95**21, "stay silent."),
        (0.05, "for one test"),
        (66, "not in per cent"),
        (0.5, "stays silent"),
        (0.7, "give two digits"),
        ("0.66", "a number is wanted"),
        ([0.6, 0.7], "a number is wanted"),
        ((0.66, 1), "a number is wanted"),
    ],
)
def test_false_alarm_missed(answer, hint):
    assert hint in words("02.1", answer)


@pytest.mark.parametrize(
    "answer", [0.1, 2 / 20, np.float64(0.1), (0.1,), stats.fisher_exact([[3, 0], [0, 3]])[1]]
)
def test_exact_p(answer):
    assert right("02.2", answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (0.05, "mirror image"),
        (0.25, "not equally likely"),
        (0.5, "not equally likely"),
        (0.125, "three of six"),
        (1 / 64, "three of six"),
        (10, "per cent"),
        (0.9, "20 ways"),
        ("1/10", "a number is wanted"),
    ],
)
def test_exact_p_missed(answer, hint):
    assert hint in words("02.2", answer)


@pytest.mark.parametrize(
    "form", [float, np.float32, lambda value: [value], lambda value: round(value, 3)]
)
def test_one_wrong_voxel(form):
    assert right("02.3", form(AFTER / BEFORE), mask=MASK) and not MASK[0, 0, 0]


@pytest.mark.parametrize(
    "answer, hint",
    [
        (BEFORE / AFTER, "the other way round"),
        (1, "it changes"),
        (100 * AFTER / BEFORE, "not in per cent"),
        (AFTER, "divide it by"),
        (BEFORE, "divide BEVR after by it"),
        (AFTER - BEFORE, "difference"),
        (7.7, "shape_features"),
        (round(AFTER / BEFORE, 1), "three digits"),
        ("bevr", "a number is wanted"),
        (shape_features(MASK), "a number is wanted"),
    ],
)
def test_one_wrong_voxel_missed(answer, hint):
    assert hint in words("02.3", answer, mask=MASK)


def mann_whitney(scores, labels):
    return stats.mannwhitneyu(scores[labels], scores[~labels]).statistic / (
        labels.sum() * (~labels).sum()
    )


def looped(scores, labels):
    pairs = [(a, b) for a, p in zip(scores, labels) if p for b, q in zip(scores, labels) if not q]
    return [sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)]


def turned(scores, labels):
    return max(mann_whitney(scores, labels), 1 - mann_whitney(scores, labels))


def with_ties(weight, above=np.greater):
    def area(scores, labels):
        a, b = scores[labels][:, None], scores[~labels]
        return np.mean(above(a, b) + weight * (a == b))

    return area


@pytest.mark.parametrize("answer", [mann_whitney, looped, with_ties(0.5)])
def test_area_under_curve(answer):
    assert right("02.4", answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (with_ties(1), "not one"),
        (with_ties(0), "count nothing"),
        (with_ties(0.5, np.less), "the other way round"),
        (lambda s, y: mann_whitney(s, y) * y.sum() * (~y).sum(), "number of pairs"),
        (lambda s, y: mann_whitney(s, y) * y.sum() * (~y).sum() / len(y) ** 2, "not by all pairs"),
        (turned, "below 0.5"),
        (lambda s, y: 0.5, "small examples"),
        (lambda s, y: "0.5", "a number is wanted"),
        (lambda s, y: None, "returns nothing yet"),
        (0.75, "a function is wanted"),
        (lambda s: 0.5, "TypeError"),
    ],
)
def test_area_under_curve_missed(answer, hint):
    assert hint in words("02.4", answer)


def q_by_definition(p):
    """Of each p: the smallest m p' / (number of p up to p') over all p' from p upwards."""
    return [
        min(len(p) * other / sum(value <= other for value in p) for other in p if other >= one)
        for one in p
    ]


def without_last_step(p):
    return p * len(p) / stats.rankdata(p)


def sorted_q(p):
    return np.sort(stats.false_discovery_control(p))


def last_step(accumulate):
    def q(p):
        order = np.argsort(p)
        found = np.empty(len(p))
        found[order] = accumulate(p[order] * len(p) / np.arange(1, len(p) + 1))
        return found

    return q


def put_back_wrongly(p):
    order = np.argsort(p)
    return np.sort(stats.false_discovery_control(p))[order]


@pytest.mark.parametrize(
    "answer",
    [
        stats.false_discovery_control,
        q_by_definition,
        lambda p: pd.Series(q_by_definition(p)),
        lambda p: tuple(q_by_definition(p)),
        lambda p: dict(enumerate(q_by_definition(p))),
    ],
)
def test_q_values(answer):
    assert right("02.5", answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda p: p * len(p), "Bonferroni"),
        (lambda p: np.minimum(p * len(p), 1), "Bonferroni"),
        (sorted_q, "but sorted"),
        (without_last_step, "the last step is missing"),
        (last_step(np.maximum.accumulate), "the wrong way"),
        (lambda p: np.minimum(last_step(np.maximum.accumulate)(p), 1), "the wrong way"),
        (put_back_wrongly, "found[order] = q"),
        (last_step(np.minimum.accumulate), "smallest q win"),
        (lambda p: p * len(p) / stats.rankdata(-p), "not for the largest"),
        (lambda p: p, "small examples"),
        (lambda p: p[:-1], "numbers are wanted"),
        (lambda p: "q", "several numbers"),
        (lambda p: None, "returns nothing yet"),
        ([0.01, 0.05], "a function is wanted"),
    ],
)
def test_q_values_missed(answer, hint):
    assert hint in words("02.5", answer)
