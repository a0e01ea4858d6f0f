"""The exercises of notebook 06: temperature, a promised Dice, enough patients, alarms, and the
least change that breaks a network.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..prepare.scanner import DIALS
from .base import Wrong, called, close, number, numbers, words
from .nb05 import known

LOST = 0.3  # of Dice, from which a mask counts as broken
CLOSE = 0.8  # of the way to an answer at which the mask must still hold
ENOUGH = 19  # patients, for a promise of 95 %
FAILED = 0.5  # Dice below which a mask has failed
GOOD = 0.8  # and above which it is good


def which_temperature(answer: Any) -> str | None:
    found = number(answer)
    if close(found, 2, 0.005):
        return None
    mistakes = [
        (0.5, "the other way round: above 1 a temperature makes the network less sure."),
        (1.2, "divide logits, not probabilities."),
        (1 / 1.2, "divide logits, not probabilities."),
        (2.197, "that is the logit of 0.9; what divides it into the logit of the true fraction?"),
        (1.099, "that is the logit of the fraction; the logit of 0.9 has to become it."),
        (0.75, "that is the fraction that is tumour; how does 0.9 become it?"),
        (3.0, "those are the odds of the fraction; take logarithms."),
        (9.0, "those are the odds of 0.9; take logarithms."),
    ]
    return known(found, mistakes, "logit(0.9) / temperature = logit(150 / 200).", 0.006)


def promised(answer: Any) -> str | None:
    probability = np.array([[0.9, 0.8, 0.6], [0.4, 0.1, 0.0]])
    mask = probability >= 0.5
    found = number(called(answer, probability, mask))
    inside = probability[mask].sum()
    total = probability.sum()
    size = mask.sum()
    right = 2 * inside / (total + size)
    mistakes = [
        (inside / (total + size), "twice the overlap: Dice is 2 TP / (2 TP + FP + FN)."),
        (inside / size, "that is the mean inside the mask, the precision that is expected."),
        (inside / total, "that is the sensitivity that is expected."),
        (inside / (total + size - inside), "that is the IoU that is expected."),
        (2 * inside / (inside + size), "tumour is expected outside the mask, too: all of p."),
        (2 * size / (total + size), "inside the mask a voxel counts p, not 1."),
        (1.0, "mask against mask is always 1: the tumour that is expected is the sum of p."),
    ]
    if not close(found, right, 1e-6):
        return f"on a small array it returns {found:.3f} in place of {right:.3f}: " + known(
            found, mistakes, "overlap: p inside the mask; sizes: the mask's voxels, and all of p."
        )
    sure = mask.astype(float)
    if not close(number(called(answer, sure, mask)), 1, 1e-6):
        return "a network that is sure of its mask promises 1."
    return None


def enough(answer: Any) -> str | None:
    count = number(answer)
    if count == ENOUGH:
        return None
    hints = {
        20.0: "one fewer: it is n + 1 that is multiplied by 0.05.",
        18.0: "(18 + 1) · 0.05 is 0.95, and rounds down to 0.",
        9.0: "that is for a promise of 90 %.",
        10.0: "that is for a promise of 90 %, and one too many.",
        95.0: "the promise is 95 %; how many patients does it take?",
        0.95: "a number of patients is wanted.",
        0.05: "a number of patients is wanted.",
    }
    return hints.get(count, "the rank is ⌊(n + 1) · 0.05⌋; from which n on is it 1?")


def alarms(answer: Any) -> str | None:
    warned = np.array([True, True, False, True, False, False, False, True, True, False])
    dice = np.array([0.1, 0.45, 0.3, 0.6, 0.7, 0.5, 0.9, 0.95, 0.8, 0.85])
    failed = dice < FAILED
    good = dice > GOOD
    found = numbers(called(answer, warned, dice), 2)
    right = np.array([warned[failed].mean(), warned[good].mean()])
    count = np.count_nonzero
    mistakes: list[tuple[Any, str]] = [
        (right[::-1], "the failures come first."),
        ([warned[failed].sum(), warned[good].sum()], "fractions, not counts."),
        (
            [count(warned & failed) / count(warned), count(warned & good) / count(warned)],
            "how many failures had a warning is asked, not how many warnings were failures.",
        ),
        ([right[0], warned[~failed].mean()], "a mask between the two bounds is not good."),
        ([right[0], 1 - right[1]], "that is how many of the good masks had no warning."),
        ([1 - right[0], right[1]], "that is how many of the failures had no warning."),
        ([warned[dice <= FAILED].mean(), right[1]], "Dice of 0.5 is no failure: below it."),
        ([right[0], warned[dice >= GOOD].mean()], "Dice of 0.8 is not good: above it."),
        (100 * right, "as fractions from 0 to 1, not in per cent."),
    ]
    if not np.allclose(found, right):
        for wrong, hint in mistakes:
            if np.allclose(found, wrong):
                return hint
        return "the mean of `warned` among the failures, then among the good masks."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's about the mean of nothing
        found = numbers(called(answer, warned[~failed], dice[~failed]), 2)
    if not np.isnan(found[0]):
        return f"where nothing failed there is no fraction, NaN, and it returns {found[0]:g}."
    return None


def breaks(answer: Any, dice_after: Callable[[dict[str, float]], float]) -> str | None:
    """One dial, as little as breaks the mask: four fifths of it must not."""
    if not isinstance(answer, dict):
        raise Wrong(
            f'a dial and its strength are wanted, such as {{"noise": 12}}; '
            f"this is a {type(answer).__name__}."
        )
    if len(answer) != 1:
        return f"one dial alone; there are {len(answer)} in it."
    name = words(next(iter(answer)))
    if name not in DIALS:
        return f"no dial is called {name!r}; there are {', '.join(DIALS)}."
    strength = number(next(iter(answer.values())))
    unchanged, greatest = DIALS[name]
    share = (strength - unchanged) / (greatest - unchanged)
    if share > 1 + 1e-9 or share < 0:
        return f"the dial {name} goes from {unchanged:g} to {greatest:g}."
    if share == 0:
        return "that changes nothing."
    as_scanned = dice_after({})
    broken = as_scanned - LOST
    after = dice_after({name: strength})
    if after > broken:
        return f"it holds: Dice {after:.2f} after {as_scanned:.2f}; turn further, or another dial."
    less = unchanged + CLOSE * (strength - unchanged)
    before = dice_after({name: less})
    if before <= broken:
        return f"broken, but not by the least: at {less:.3g} Dice is {before:.2f} already."
    return None


RULES = {"1": which_temperature, "2": promised, "3": enough, "4": alarms, "5": breaks}
