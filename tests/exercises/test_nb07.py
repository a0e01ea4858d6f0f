"""What is right in exercises 07.1 to 07.5, in other forms too, and what hint a mistake gets."""

import numpy as np
import pandas as pd
import pytest
import torch
from answers import right, words
from scipy import ndimage, stats

from lggseg.exercises.nb07 import POWER
from lggseg.measures.shape import shape_features
from lggseg.model.postprocess import postprocess

# --- 07.1: what a blob leaves alone


def test_a_blob_changes_bevr_alone():
    tumour = np.zeros((4, 40, 40), bool)
    tumour[1:3, 5:15, 5:17] = True
    spoilt = tumour.copy()
    spoilt[1, 30:33, 30:33] = True
    before, after = shape_features(tumour), shape_features(spoilt)
    assert {name for name in before if before[name] == after[name]} == {"asd", "mf"}


@pytest.mark.parametrize(
    "answer",
    [
        {"asd", "mf"},
        ["MF", "asd"],
        ("asd", " mf "),
        frozenset({"mf", "asd"}),
        np.array(["asd", "mf"]),
        pd.Series(["asd", "mf"]),
        {"asd": 1, "mf": 1},
    ],
)
def test_unchanged(answer):
    assert right("07.1", answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        ({"asd"}, "one more"),
        ("mf", "one more"),
        ({"bevr"}, "looks at all voxels"),
        ({"asd", "mf", "bevr"}, "all voxels"),
        ({"asd", "dice"}, "dice: the features are called"),
        (3, "a set of names"),
        ({1, 2}, "a word in quotation marks"),
        (set(), "one more"),
        (np.float64(2.0), "a set of names"),
    ],
)
def test_unchanged_missed(answer, hint):
    assert hint in words("07.1", answer)


# --- 07.2: pieces left


def test_pieces_left():
    toy = np.zeros((1, 20, 20), np.float32)
    toy[0, 2:8, 2:8] = toy[0, 12:18, 12:17] = 0.9
    found = tuple(
        ndimage.label(postprocess(toy, 0.5, share), np.ones((3, 3, 3)))[1] for share in (1, 0)
    )
    for answer in (
        found,
        [1, 2],
        (1.0, 2.0),
        np.array([1, 2]),
        pd.Series([1, 2]),
        torch.tensor([1, 2]),
    ):
        assert right("07.2", answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        ((2, 1), "the other way round"),
        ((2, 2), "slightly lighter"),
        ((1, 1), "no piece is too light"),
        ((0, 2), "the heaviest piece always stays"),
        ((0, 1), "removes nothing"),
        ((3, 4), "there are two pieces"),
        (1, "several numbers"),
        ("1, 2", "several numbers"),
        ((1, 2, 3), "2 numbers"),
        ({1}, "2 numbers"),
    ],
)
def test_pieces_left_missed(answer, hint):
    assert hint in words("07.2", answer)


# --- 07.3: limits of agreement


def ends(difference, width=1.96, ddof=1, bias=None):
    difference = difference[~np.isnan(difference)]
    middle = difference.mean() if bias is None else bias
    return middle - width * difference.std(ddof=ddof), middle + width * difference.std(ddof=ddof)


@pytest.mark.parametrize(
    "answer",
    [
        lambda m, p: ends(p - m),
        lambda m, p: list(ends(p - m)),
        lambda m, p: np.array(ends(p - m)),
        lambda m, p: pd.Series(ends(p - m), index=["low", "high"]),
        lambda m, p: dict(zip(("low", "high"), ends(p - m))),
    ],
)
def test_limits(answer):
    assert right("07.3", answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda m, p: ends(m - p), "predicted minus manual"),
        (lambda m, p: ends(p - m)[::-1], "the lower limit comes first"),
        (lambda m, p: ends(p - m, bias=0), "around the bias"),
        (lambda m, p: ends(p - m, ddof=0), "ddof=1"),
        (lambda m, p: ends(p - m, 1.96 / np.sqrt(len(m))), "how sure the bias is"),
        (lambda m, p: ends(p - m, 1), "two thirds"),
        (lambda m, p: ends(p - m, 2), "1.96, not 2"),
        (lambda m, p: np.quantile(p - m, [0.025, 0.975]), "quantiles"),
        (
            lambda m, p: (
                (p - m).mean() - 1.96 * (p - m).std(ddof=1),
                (p - m).mean() + 1.96 * (p - m).std(ddof=1),
            ),
            "a missed tumour",
        ),
        (lambda m, p: (0, 0), "mean ± 1.96 SD"),
        (lambda m, p: 1.0, "several numbers"),
        (lambda m, p: (1, 2, 3), "2 numbers"),
        ((-1, 1), "a function is wanted"),
    ],
)
def test_limits_missed(answer, hint):
    assert hint in words("07.3", answer)


# --- 07.4: missed tumours on the worst side


def auc(r2, score):
    """From the statistic of Mann and Whitney, another road than counting pairs."""
    return stats.mannwhitneyu(score[r2], score[~r2]).statistic / (r2.sum() * (~r2).sum())


def worst(bevr, r2):
    return filled(bevr, r2, 99, -99)


def filled(bevr, r2, of_r2, of_others):
    return auc(r2, -bevr.where(bevr.notna(), np.where(r2, of_r2, of_others)))


def pairs(bevr, r2, tie):
    values = np.where(bevr.notna(), bevr, np.where(r2, 99.0, -99.0))
    mine, other = values[r2][:, None], values[~r2][None]
    return (mine < other).mean() + tie * (mine == other).mean()


@pytest.mark.parametrize(
    "answer", [worst, lambda b, r: np.array([worst(b, r)]), lambda b, r: pairs(b, r, 0.5)]
)
def test_worst_auc(answer):
    assert right("07.4", answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda b, r: auc(r[b.notna()], -b.dropna()), "left out here"),
        (lambda b, r: filled(b, r, -99, 99), "the best case"),
        (lambda b, r: filled(b, r, 99, 99), "the same BEVR"),
        (lambda b, r: filled(b, r, -99, -99), "the same BEVR"),
        (lambda b, r: 1 - worst(b, r), "the other way round"),
        (lambda b, r: auc(r, -b.fillna(b.median())), "the same BEVR"),
        (lambda b, r: pairs(b, r, 0), "a tie counts half"),
        (lambda b, r: pairs(b, r, 1), "a tie counts half"),
        (lambda b, r: 0.0 if b.notna().all() else worst(b, r), "the usual AUC"),
        (lambda b, r: 0.5, "loses all its pairs"),
        (lambda b, r: "high", "a number is wanted"),
        (0.5, "a function is wanted"),
    ],
)
def test_worst_auc_missed(answer, hint):
    assert hint in words("07.4", answer)


# --- 07.5: power


def simulated(seed, n=10, m=20, lower=1, **options):
    rng = np.random.default_rng(seed)
    test = stats.mannwhitneyu(
        rng.normal(-lower, 1, (1000, n)), rng.normal(0, 1, (1000, m)), axis=1, **options
    )
    return (test.pvalue < 0.05).mean()


@pytest.mark.parametrize("seed", range(5))
def test_power(seed):
    share = simulated(seed)
    for answer in (
        share,
        float(share),
        [share],
        np.array(share),
        torch.tensor(share),
        round(share, 2),
    ):
        assert right("07.5", answer)


def test_power_is_what_the_rule_says():
    assert abs(np.mean([simulated(seed) for seed in range(10, 15)]) - POWER) < 0.02


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda: 1 - simulated(0), "miss the difference"),
        (lambda: 100 * simulated(0), "per cent"),
        (lambda: simulated(0, alternative="less"), "one-sided"),
        (lambda: simulated(0, lower=0), "is there a difference"),
        (lambda: simulated(0, 20, 40), "twice the patients"),
        (lambda: simulated(0, lower=0.5), "draw 10 numbers"),
        (lambda: 1000 * simulated(0), "divide by the number"),
        (lambda: "often", "a number is wanted"),
        (lambda: {"power": 0.65}, "a number is wanted"),
    ],
)
def test_power_missed(answer, hint):
    assert hint in words("07.5", answer())
