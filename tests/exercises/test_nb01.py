"""What is right in exercises 01.1 to 01.5, in other forms too, and what hint a mistake gets."""

import re

import numpy as np
import pandas as pd
import pytest
from answers import right, words
from scipy import ndimage

from lggseg.measures.metrics import dice, iou

MASK = np.zeros((4, 12, 12), bool)
MASK[1, 3:8, 3:9] = MASK[2, 4:8, 4:9] = True
GROWN = np.stack([ndimage.binary_dilation(plane) for plane in MASK])


@pytest.mark.parametrize("answer", [10, 10.0, np.int64(10), np.array([10]), [10], pd.Series([10])])
def test_fewest_slices(answer):
    assert right("01.1", answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (9, "one digit"),
        (11, "one slice fewer"),
        (100, "three digits"),
        (2, "in a book"),
        ("10", "a number is wanted"),
        (pd.Series([10, 20]), "a number is wanted"),
        (True, "a number is wanted"),
    ],
)
def test_fewest_slices_missed(answer, hint):
    assert hint in words("01.1", answer)


@pytest.mark.parametrize(
    "answer",
    [
        lambda name: int(re.search(r"_(\d+)(_mask)?\.tif", name)[1]),
        lambda name: np.float64(name.replace("_mask", "")[22:-4]),
        lambda name: [int(re.findall(r"\d+", name)[-1])],
    ],
)
def test_slice_number(answer):
    assert right("01.2", answer)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (
            lambda name: name.removesuffix(".tif").removesuffix("_mask").split("_")[-1],
            "that is text",
        ),
        (
            lambda name: int(name.removesuffix(".tif").split("_")[-1]),
            "fails for TCGA_CS_4941_19960909_7_mask.tif",
        ),
        (lambda name: int(re.findall(r"\d+", name)[0]), "the patient's number"),
        (lambda name: int(re.findall(r"\d+", name)[1]), "the date"),
        (lambda name: int(re.findall(r"\d", name)[-1]), "only the last digit"),
        (lambda name: int("".join(re.findall(r"\d", name))), "all digits of the name in a row"),
        (lambda name: int(re.findall(r"\d+", name)[-1]) + 1, "it should be 7"),
        (lambda name: None, "returns nothing yet"),
        (12, "a function is wanted"),
        (lambda: 12, "it fails"),
    ],
)
def test_slice_number_missed(answer, hint):
    assert hint in words("01.2", answer)


def counted(*structures, more_than=1):
    """A function that counts masks in several pieces, with each of the structures for
    `ndimage.label`.
    """
    return lambda masks: [
        sum(ndimage.label(mask, each)[1] > more_than for mask in masks) for each in structures
    ]


FACES, EDGES, CORNERS = (ndimage.generate_binary_structure(3, rank) for rank in (1, 2, 3))


@pytest.mark.parametrize(
    "form", [list, tuple, np.array, pd.Series, lambda pair: dict(zip("ab", pair))]
)
def test_pieces(form):
    assert right("01.3", lambda masks: form(counted(None, np.ones((3, 3, 3)))(masks)))


def flat(masks):
    """Two numbers of masks in several pieces, each slice on its own."""
    planes = [
        [ndimage.label(plane, each)[1] for mask in masks for plane in mask]
        for each in (None, np.ones((3, 3)))
    ]
    return [sum(n > 1 for n in found) for found in planes]


@pytest.mark.parametrize(
    "answer, hint",
    [
        (counted(FACES, EDGES), "at a corner only"),
        (counted(EDGES, CORNERS), "at an edge only"),
        (counted(CORNERS, FACES), "the other way round"),
        (counted(FACES, FACES), "at an edge only"),
        (counted(FACES, CORNERS, more_than=0), "more than one"),
        (flat, "as a whole"),
        (
            lambda masks: [
                sum(ndimage.label(mask, each)[1] for mask in masks) for each in (FACES, CORNERS)
            ],
            "numbers of pieces",
        ),
        (lambda masks: (11, 7), "handed to it"),
        (lambda masks: 2, "several numbers"),
        (lambda masks: "TCGA", "several"),
        (lambda masks: (1, 1, 1), "2 numbers"),
        (lambda masks: ("1", "0"), "a number is wanted"),
        (lambda masks: None, "returns nothing yet"),
        ((11, 7), "a function is wanted"),
    ],
)
def test_pieces_missed(answer, hint):
    assert hint in words("01.3", answer)


def test_broad_pen():
    # Rectangles of 5 x 6 and 4 x 5 pixels, and the 22 and 18 around them.
    exact = 2 * 50 / (50 + 50 + 22 + 18)
    for answer in (
        exact,
        round(exact, 3),
        np.float32(exact),
        np.array([exact]),
        [exact],
        pd.Series([exact]),
    ):
        assert right("01.4", answer, mask=MASK)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (iou(GROWN, MASK), "overlap over union"),
        (dice(ndimage.binary_dilation(MASK), MASK), "into the neighbouring slices"),
        (dice(ndimage.binary_dilation(MASK, np.ones((1, 3, 3))), MASK), "over corners"),
        (dice(np.stack([ndimage.binary_erosion(plane) for plane in MASK]), MASK), "has shrunk"),
        (np.mean([dice(GROWN[k], MASK[k]) for k in (1, 2)]), "mean over slices"),
        (100 * dice(GROWN, MASK), "not in per cent"),
        (round(dice(GROWN, MASK), 2), "give three digits"),
        (0.9, "2 * overlap"),
        ("0.714", "a number is wanted"),
        (GROWN, "a number is wanted"),
    ],
)
def test_broad_pen_missed(answer, hint):
    assert hint in words("01.4", answer, mask=MASK)


def test_two_right_digits_are_not_taken_for_a_mistake():
    """Of a tumour of this size both the grown and the shrunken mask have 0.96 in two digits."""
    mask = np.zeros((3, 80, 80), bool)
    mask[:, 5:55, 5:55] = True
    grown, shrunken = (
        change(mask[0], ndimage.generate_binary_structure(2, 1))
        for change in (ndimage.binary_dilation, ndimage.binary_erosion)
    )
    assert round(dice(grown, mask[0]), 2) == round(dice(shrunken, mask[0]), 2) == 0.96
    assert "three digits" in words("01.4", 0.96, mask=mask)
    assert "has shrunk" in words("01.4", round(dice(shrunken, mask[0]), 4), mask=mask)


@pytest.mark.parametrize("seed", range(3))
def test_twins_simulated(phantom_cohort, seed):
    slices, rng = phantom_cohort.slices, np.random.default_rng(seed)
    in_training, found = rng.random(len(slices)) < 0.8, []
    for i in np.flatnonzero(~in_training):
        near = slices[(slices.patient == slices.patient[i]) & ((slices.k - slices.k[i]).abs() == 1)]
        found.append(in_training[near.index].any())
    assert right("01.5", np.mean(found), cohort=phantom_cohort)


@pytest.mark.parametrize("answer", [0.94, np.float32(0.96), [0.95]])
def test_twins(phantom_cohort, answer):
    assert right("01.5", answer, cohort=phantom_cohort)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (0.8, "one given neighbour"),
        (0.64, "both neighbours"),
        (0.05, "without a neighbour"),
        (0, "without a neighbour"),
        (95, "not in per cent"),
        (0.5, "neither neighbour"),
        ("0.95", "a number is wanted"),
    ],
)
def test_twins_missed(phantom_cohort, answer, hint):
    assert hint in words("01.5", answer, cohort=phantom_cohort)
