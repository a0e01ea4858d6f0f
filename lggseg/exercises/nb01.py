"""The exercises of notebook 01: the order of slices, pieces of a tumour, the Dice score, and twins."""

from typing import Any

import numpy as np
from scipy import ndimage

from ..metrics import dice, iou
from .base import Wrong, called, close, number, numbers

STEM = "TCGA_CS_4941_19960909_"
TRAINING_SHARE = 0.8  # of the slices, in exercise 5


def fewest_slices(answer: Any) -> str | None:
    hints = {9: "up to 9 all numbers have one digit, and sort alike either way.",
             11: "one slice fewer will do: where does \"10\" go among \"1\", \"2\", ... \"9\"?",
             100: "three digits are not needed: look for the first number with two."}
    told = number(answer)
    return None if told == 10 else hints.get(told, "write down 1, 2, 3, ... as text, and sort them as words in a book.")


def slice_number(answer: Any) -> str | None:
    for k in (7, 12, 10, 20, 123):
        for name in (f"{STEM}{k}.tif", f"{STEM}{k}_mask.tif"):
            try:
                told = called(answer, name)
            except Wrong:
                raise
            except Exception as error:
                return f"it fails for {name} ({type(error).__name__}: {error})."
            if hint := not_the_number(told, k):
                return f"for {name} it returns {told!r}: {hint}"
    return None


def not_the_number(told: Any, k: int) -> str | None:
    """What is wrong with `told` as the number of slice `k`."""
    if isinstance(told, str):
        return "that is text, and sorts as text; make a number of it."
    value = number(told)
    hints = {k % 10: "only the last digit.", 4941: "that is the patient's number.", 19960909: "that is the date.",
             int(f"494119960909{k}"): "all digits of the name in a row; only the last number is the slice's."}
    return None if value == k else hints.get(value, f"it should be {k}.")


def pieces(answer: Any, cohort: Any) -> str | None:
    told, masks = numbers(answer, 2), [cohort.volume(name).mask for name in cohort.patients]
    counts = [[ndimage.label(mask, ndimage.generate_binary_structure(3, rank))[1] for mask in masks] for rank in (1, 3)]
    right = [sum(n > 1 for n in found) for found in counts]
    if told.tolist() == right:
        return None
    if told.tolist() == right[::-1]:
        return "the other way round: where touching at a corner is enough, fewer fall apart."
    if told.tolist() in ([sum(found) for found in counts], [max(found) for found in counts]):
        return "those are numbers of pieces; count the patients with more than one."
    if told[0] == right[0] or told[1] == right[1]:
        return f"the {'first' if told[0] == right[0] else 'second'} number is right, the other is not."
    return "label each patient's mask (D, H, W) as a whole, and count those with more than one piece."


def broad_pen(answer: Any, mask: np.ndarray) -> str | None:
    told, plane = number(answer), ndimage.generate_binary_structure(2, 1)
    grown = grow(mask, plane[None])
    right, of_slices = dice(grown, mask), [dice(g, m) for g, m in zip(grown, mask) if m.any()]
    if close(told, right, 0.0006):
        return None
    mistakes = [(iou(grown, mask), "that is overlap over union; Dice is twice the overlap over the sum of sizes."),
                (dice(grow(mask, ndimage.generate_binary_structure(3, 1)), mask),
                 "that mask has grown into the neighbouring slices, too; grow each slice on its own."),
                (dice(grow(mask, np.ones((1, 3, 3))), mask),
                 "that mask has grown over corners, too; the default does not."),
                (dice(ndimage.binary_erosion(mask, plane[None]), mask), "that mask has shrunk: dilation, not erosion."),
                (float(np.mean(of_slices)), "that is the mean over slices; put all slices into one sum first."),
                (100 * right, "as a share, not in per cent.")]
    for wrong, hint in mistakes:
        if close(told, wrong, 0.0006):
            return hint
    return "close, but give three digits." if close(told, right, 0.006) else "2 * overlap / (one size + other size)."


def grow(mask: np.ndarray, structure: np.ndarray) -> np.ndarray:
    return ndimage.binary_dilation(mask, structure)


def twins(answer: Any, cohort: Any) -> str | None:
    """Right within three standard deviations of a simulation on this cohort."""
    told, n, stacks = number(answer), len(cohort.slices), len(cohort.patients)
    apart = 1 - TRAINING_SHARE
    right = 1 - ((n - 2 * stacks) * apart**2 + 2 * stacks * apart) / n  # the ends of a stack have one neighbour
    tolerance = 3 * np.sqrt(right * (1 - right) / (apart * n))
    if 1 < told <= 100:
        return "as a share from 0 to 1, not in per cent."
    if close(told, TRAINING_SHARE, 0.005):
        return "that is the chance that one given neighbour is in training; most slices have two, and either will do."
    if close(told, TRAINING_SHARE**2, 0.05):
        return "that is the chance that both neighbours are in training; one will do."
    if close(told, 1 - right, min(tolerance, 0.1)):
        return "that is the share without a neighbour in training."
    return None if close(told, right, tolerance) else "how likely is it that neither neighbour is in training?"


RULES = {"1": fewest_slices, "2": slice_number, "3": pieces, "4": broad_pen, "5": twins}
