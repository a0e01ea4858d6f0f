"""The exercises of notebook 01: order of slices, pieces of a tumour, Dice score, and twins."""

from typing import Any

import numpy as np
from scipy import ndimage

from ..measures.metrics import dice, iou
from .base import Wrong, called, close, number, numbers, rounded

STEM = "TCGA_CS_4941_19960909_"
TRAINING_SHARE = 0.8  # of the slices, in exercise 5


def fewest_slices(answer: Any) -> str | None:
    hints: dict[float, str] = {
        9: "up to 9 all numbers have one digit, and sort alike either way.",
        11: 'one slice fewer will do: where does "10" go among "1", "2", ... "9"?',
        100: "three digits are not needed: look for the first number with two.",
    }
    told = number(answer)
    if told == 10:
        return None
    return hints.get(told, "write down 1, 2, 3, ... as text, and sort them as words in a book.")


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
    if value == k:
        return None
    all_digits = int(f"494119960909{k}")
    hints: dict[float, str] = {
        k % 10: "only the last digit.",
        4941: "that is the patient's number.",
        19960909: "that is the date.",
        all_digits: "all digits of the name in a row; only the last number is the slice's.",
    }
    return hints.get(value, f"it should be {k}.")


TOUCHING = {
    "at a face": (0, 0, 1),
    "at an edge only": (0, 1, 1),
    "at a corner only": (1, 1, 1),
    "nowhere": (2, 2, 2),
}


def pieces(answer: Any) -> str | None:
    """Tried on masks of two voxels that touch in all the ways there are."""
    masks = [two_voxels(step) for step in TOUCHING.values()]
    told = [numbers(called(answer, [mask]), 2).tolist() for mask in masks]
    right = [
        [float(ndimage.label(mask, structure)[1] > 1) for structure in (None, np.ones((3, 3, 3)))]
        for mask in masks
    ]
    if told == right:
        if numbers(called(answer, masks), 2).tolist() == [3, 1]:
            return None
        return "count all the masks of the list."
    if told == [pair[::-1] for pair in right]:
        return "the other way round: where touching at a corner is enough, fewer fall apart."
    if told == [[one + 1 for one in pair] for pair in right]:
        return "those are numbers of pieces; count the masks with more than one."
    if told == [[1, 1]] * 4:
        return "that counts masks of one piece, too; only those with more than one are wanted."
    if told == [told[0]] * 4 and max(told[0]) > 1:
        return (
            "the function must count the masks handed to it, whatever they are; it was tried on "
            "tiny ones."
        )
    if told[2][0] == told[3][1] == 0:
        return "label each mask (D, H, W) as a whole, not slice by slice."
    touching, found, wanted = next(
        case for case in zip(TOUCHING, told, right) if case[1] != case[2]
    )
    return (
        f"for a mask of two voxels that touch {touching} it returns {found[0]:g}, {found[1]:g}; "
        f"right are {wanted[0]:g}, {wanted[1]:g}."
    )


def two_voxels(step: tuple[int, int, int]) -> np.ndarray:
    """A mask of 3 x 3 x 3 voxels, of which the first and the one at `step` are set."""
    mask = np.zeros((3, 3, 3), bool)
    mask[0, 0, 0] = mask[step] = True
    return mask


def broad_pen(answer: Any, mask: np.ndarray) -> str | None:
    told = number(answer)
    plane = ndimage.generate_binary_structure(2, 1)
    grown = grow(mask, plane[None])
    right = dice(grown, mask)
    of_slices = [dice(g, m) for g, m in zip(grown, mask) if m.any()]
    if close(told, right, 0.0006):
        return None
    if rounded(told, right, 3):
        return "close, but give three digits."
    mistakes = [
        (
            iou(grown, mask),
            "that is overlap over union; Dice is twice the overlap over the sum of sizes.",
        ),
        (
            dice(grow(mask, ndimage.generate_binary_structure(3, 1)), mask),
            "that mask has grown into the neighbouring slices, too; grow each slice on its own.",
        ),
        (
            dice(grow(mask, np.ones((1, 3, 3))), mask),
            "that mask has grown over corners, too; the default does not.",
        ),
        (
            dice(ndimage.binary_erosion(mask, plane[None]), mask),
            "that mask has shrunk: dilation, not erosion.",
        ),
        (
            float(np.mean(of_slices)),
            "that is the mean over slices; put all slices into one sum first.",
        ),
        (100 * right, "as a share, not in per cent."),
    ]
    for wrong, hint in mistakes:
        if close(told, wrong, 0.0006):
            return hint
    return "2 * overlap / (one size + other size)."


def grow(mask: np.ndarray, structure: np.ndarray) -> np.ndarray:
    return ndimage.binary_dilation(mask, structure)


def twins(answer: Any, cohort: Any) -> str | None:
    """Right within three standard deviations of a simulation on this cohort."""
    told = number(answer)
    n = len(cohort.slices)
    stacks = len(cohort.patients)
    apart = 1 - TRAINING_SHARE
    # The ends of a stack have one neighbour.
    right = 1 - ((n - 2 * stacks) * apart**2 + 2 * stacks * apart) / n
    tolerance = 3 * np.sqrt(right * (1 - right) / (apart * n))
    if 1 < told <= 100:
        return "as a share from 0 to 1, not in per cent."
    if close(told, TRAINING_SHARE, 0.005):
        return (
            "that is the chance that one given neighbour is in training; most slices have two, and "
            "either will do."
        )
    if close(told, TRAINING_SHARE**2, 0.05):
        return "that is the chance that both neighbours are in training; one will do."
    if close(told, 1 - right, min(tolerance, 0.1)):
        return "that is the share without a neighbour in training."
    if close(told, right, tolerance):
        return None
    return "how likely is it that neither neighbour is in training?"


RULES = {"1": fewest_slices, "2": slice_number, "3": pieces, "4": broad_pen, "5": twins}
