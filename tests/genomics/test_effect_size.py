"""Cramer's V and AUC on hand-worked cases, and by simulation."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lggseg.errors import LggError
from lggseg.genomics.effect_size import auc, cramers_v


def test_cramers_v_by_hand():
    """2 x 2 with 30 + 30 against 10 + 10: chi2 = 80 x (900 - 100)^2 / 40^4 = 20, phi2 = 1/4."""
    a = pd.Series(np.repeat([1, 1, 2, 2], [30, 10, 10, 30]))
    b = pd.Series(np.repeat([1, 2, 1, 2], [30, 10, 10, 30]))
    assert cramers_v(a, b) == pytest.approx(np.sqrt((0.25 - 1 / 79) / (1 - 1 / 79)))
    assert cramers_v(a, b) < stats.contingency.association(pd.crosstab(a, b).to_numpy(), "cramer")


def test_cramers_v_of_a_wide_table_against_the_formula():
    """Bergsma's correction for 2 x 4, written out."""
    table = np.array([[12, 5, 9, 1], [2, 14, 7, 10]])
    a = pd.Series(np.repeat(np.arange(8) // 4, table.ravel()))
    b = pd.Series(np.repeat(np.arange(8) % 4, table.ravel()))
    n, expected = 60, np.outer(table.sum(axis=1), table.sum(axis=0)) / 60
    phi = ((table - expected) ** 2 / expected).sum() / n - 1 * 3 / (n - 1)
    rows, columns = 2 - 1 / (n - 1), 4 - 9 / (n - 1)
    assert cramers_v(a, b) == pytest.approx(np.sqrt(phi / (min(rows, columns) - 1)))
    assert cramers_v(b, a) == pytest.approx(cramers_v(a, b))


def test_cramers_v_is_one_for_copies_and_about_nothing_for_noise():
    rng = np.random.default_rng(0)
    a = pd.Series(rng.integers(1, 5, 400)).astype(float).where(lambda s: s.index > 4)
    assert cramers_v(a, a.astype("Int64")) == pytest.approx(1)
    assert np.mean([cramers_v(a, pd.Series(rng.permutation(a))) for _ in range(50)]) < 0.04


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([1, 2, 1, 2], [1, 1, 1, 1]),
        ([1, 1], [1, 2]),
        ([1, 2], ["a", "b"]),
        ([None, None], [1, 2]),
        ([], []),
    ],
)
def test_cramers_v_without_enough_to_go_by(a, b):
    assert np.isnan(cramers_v(pd.Series(a, dtype=object), pd.Series(b, dtype=object)))


def test_auc_counts_pairs():
    """Positives 3, 2 against 1, 2: won, won, won, drawn."""
    assert auc([3, 2, 1, 2, np.nan], [True, True, False, False, True])[0] == 3.5 / 4
    assert auc([1, 2, 3], [False, True, True]) == (1, 1, 1)
    assert auc([3, 2, 1, 9], [True, False, False, None]).value == 1
    with pytest.raises(LggError, match="0 positive and 2 negative"):
        auc([1, 2], [False, False])
    with pytest.raises(LggError, match="1 positive and 0 negative"):
        auc([1, np.nan], [True, False])


@pytest.mark.parametrize(
    ("scores", "labels", "options", "words"),
    [
        ([1, 2], [True], {}, "2 scores, 1 labels"),
        ([1, 2], [True, False], {"resamples": 1}, "1 resamples"),
        ([1, 2], [True, False], {"level": 1}, "level 1"),
        ([1, 2], [True, False], {"level": 0.0}, "level 0.0"),
        (["a", "b"], [True, False], {}, "scores that are numbers"),
        ([1, 2], ["yes", "no"], {}, "True or False"),
        ([1, 2], [2, 3], {}, "True or False"),
    ],
)
def test_auc_refuses(scores, labels, options, words):
    with pytest.raises(LggError, match=words):
        auc(scores, labels, **options)


def test_auc_interval_repeats_and_covers():
    """Of 200 intervals around draws with a true AUC of Phi(1 / sqrt 2), about 95 % hold it."""
    rng, truth = np.random.default_rng(1), stats.norm.cdf(1 / np.sqrt(2))
    labels = np.repeat([True, False], [30, 60])
    draws = [rng.normal(size=90) + labels for _ in range(200)]
    held = np.mean([low <= truth <= high for _, low, high in (auc(x, labels, 400) for x in draws)])
    assert 0.89 <= held <= 0.99
    assert (
        auc(draws[0], labels) == auc(draws[0], labels) == auc(draws[0], labels, 2000, 0.95, seed=0)
    )
    assert auc(draws[0], labels, seed=1).value == auc(draws[0], labels).value


def test_auc_interval_against_plain_resampling():
    rng = np.random.default_rng(2)
    x, y = rng.normal(1, 1, 25), rng.normal(0, 1, 35)
    value, low, high = auc([*x, *y], [True] * 25 + [False] * 35, resamples=4000, level=0.8)
    drawn = [(rng.choice(x, 25)[:, None] > rng.choice(y, 35)).mean() for _ in range(4000)]
    assert value == (x[:, None] > y).mean()
    assert (low, high) == pytest.approx(tuple(np.quantile(drawn, [0.1, 0.9])), abs=0.006)


def test_auc_of_single_patients():
    """A group of one: all resamples of it are the same."""
    assert auc([1, 2], [False, True]) == (1, 1, 1)
    assert auc([1, 1], [False, True]) == (0.5, 0.5, 0.5)
    value, low, high = auc([2, 1, 3], [True, False, False])
    assert (value, low, high) == (0.5, 0, 1)


def test_auc_of_ties_counts_half_in_every_resample():
    labels = [True, False] * 10
    assert auc([7] * 20, labels) == (0.5, 0.5, 0.5)
