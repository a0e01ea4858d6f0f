"""What is right in exercises 06.1 to 06.5, in other forms too, and what hint a mistake gets."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from answers import right, words
from scipy.special import logit

# --- 06.1: which temperature


def test_which_temperature():
    needed = logit(0.9) / logit(150 / 200)
    for answer in (needed, 2, 2.0, np.float32(2), [2], torch.tensor(2.0), round(needed, 2)):
        assert right("06.1", answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (0.5, "the other way round"),
        (0.9 / 0.75, "not probabilities"),
        (0.75 / 0.9, "not probabilities"),
        (logit(0.9), "the logit of 0.9"),
        (logit(0.75), "the logit of the fraction"),
        (0.75, "the fraction that is tumour"),
        (3, "take logarithms"),
        (9, "take logarithms"),
        (1.5, "logit(0.9) / temperature"),
        ("two", "a number is wanted"),
    ],
)
def test_which_temperature_missed(answer, hint):
    assert hint in words("06.1", answer)


# --- 06.2: the Dice that probabilities promise


def promise(p, mask):
    return 2 * p[mask].sum() / (p.sum() + mask.sum())


@pytest.mark.parametrize(
    "answer",
    [
        promise,
        lambda p, mask: 2 * (p * mask).sum() / (p + mask).sum(),
        lambda p, mask: np.array([promise(p, mask)]),
    ],
)
def test_promised(answer):
    assert right("06.2", answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda p, mask: promise(p, mask) / 2, "twice the overlap"),
        (lambda p, mask: p[mask].mean(), "the precision"),
        (lambda p, mask: p[mask].sum() / p.sum(), "the sensitivity"),
        (lambda p, mask: p[mask].sum() / (p.sum() + mask.sum() - p[mask].sum()), "the IoU"),
        (lambda p, mask: 2 * p[mask].sum() / (p[mask].sum() + mask.sum()), "outside the mask"),
        (lambda p, mask: 2 * mask.sum() / (p.sum() + mask.sum()), "counts p, not 1"),
        (lambda p, mask: 1.0, "always 1"),
        (lambda p, mask: 0.42, "sizes"),
        (lambda p, mask: promise(p, mask) if (p % 1).any() else 0.5, "sure of its mask"),
        (lambda p, mask: "high", "a number is wanted"),
    ],
)
def test_promised_missed(answer, hint):
    assert hint in words("06.2", answer)


# --- 06.3: enough patients


def test_enough_is_what_the_rule_says():
    fewest = next(n for n in range(1, 100) if math.floor((n + 1) * 0.05 + 1e-9) >= 1)
    for answer in (fewest, float(fewest), np.int64(fewest), [fewest], torch.tensor(fewest)):
        assert right("06.3", answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (20, "one fewer"),
        (18, "rounds down to 0"),
        (9, "90 %"),
        (10, "90 %"),
        (0.95, "a number of patients"),
        (0.05, "a number of patients"),
        (95, "the promise is 95 %"),
        (30, "from which n on"),
        ("many", "a number is wanted"),
    ],
)
def test_enough_missed(answer, hint):
    assert hint in words("06.3", answer)


# --- 06.4: alarms


def fractions(warned, dice):
    return warned[dice < 0.5].mean(), warned[dice > 0.8].mean()


@pytest.mark.parametrize(
    "answer",
    [
        fractions,
        lambda w, d: list(fractions(w, d)),
        lambda w, d: pd.Series(fractions(w, d), index=["caught", "false"]),
        lambda w, d: torch.tensor(fractions(w, d)).numpy(),
    ],
)
def test_alarms(answer):
    assert right("06.4", answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda w, d: fractions(w, d)[::-1], "the failures come first"),
        (lambda w, d: (w[d < 0.5].sum(), w[d > 0.8].sum()), "not counts"),
        (lambda w, d: ((d[w] < 0.5).mean(), (d[w] > 0.8).mean()), "not how many warnings"),
        (lambda w, d: (w[d < 0.5].mean(), w[d >= 0.5].mean()), "between the two bounds"),
        (lambda w, d: (w[d < 0.5].mean(), 1 - w[d > 0.8].mean()), "good masks had no warning"),
        (lambda w, d: (1 - w[d < 0.5].mean(), w[d > 0.8].mean()), "failures had no warning"),
        (lambda w, d: (w[d <= 0.5].mean(), w[d > 0.8].mean()), "Dice of 0.5 is no failure"),
        (lambda w, d: (w[d < 0.5].mean(), w[d >= 0.8].mean()), "Dice of 0.8 is not good"),
        (lambda w, d: np.multiply(100, fractions(w, d)), "per cent"),
        (lambda w, d: np.nan_to_num(fractions(w, d)), "where nothing failed"),
        (lambda w, d: (0.1, 0.2), "among the failures, then"),
        (lambda w, d: 0.5, "several numbers"),
        (0.5, "a function is wanted"),
    ],
)
def test_alarms_missed(answer, hint):
    assert hint in words("06.4", answer)


# --- 06.5: the least change that breaks a network


def falls_with_noise(strengths):
    """A network that breaks at noise 20, at once, and that nothing else breaks."""
    return 0.9 if strengths.get("noise", 0) < 20 else 0.4


@pytest.mark.parametrize(
    "answer", [{"noise": 20}, {"noise": 24.9}, {" Noise": np.float32(22)}, {"noise": [21]}]
)
def test_breaks(answer):
    assert right("06.5", answer, dice_after=falls_with_noise)


@pytest.mark.parametrize(
    "answer, hint",
    [
        ({"noise": 19}, "it holds: Dice 0.90"),
        ({"contrast": 0}, "it holds"),
        ({"noise": 26}, "not by the least: at 20.8 Dice is 0.40"),
        ({"noise": 0}, "changes nothing"),
        ({"noise": 51}, "goes from 0 to 50"),
        ({"contrast": 2}, "goes from 1 to 0"),
        ({"noise": 20, "ghosts": 0.1}, "one dial alone; there are 2"),
        ({}, "one dial alone; there are 0"),
        ({"blur": 2}, "no dial is called 'blur'; there are contrast, shading, ghosts, noise"),
        ({"noise": "much"}, "a number is wanted"),
        ({1: 20}, "a word in quotation marks"),
        (20, "a dial and its strength"),
        (("noise", 20), "a dial and its strength"),
    ],
)
def test_breaks_missed(answer, hint):
    assert hint in words("06.5", answer, dice_after=falls_with_noise)
