"""What is right in exercises 01.1 to 01.5, in other forms too, and what hint a mistake gets."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from lggseg.exercises import verdict
from lggseg.metrics import dice, iou

MASK = np.zeros((4, 12, 12), bool)
MASK[1, 3:8, 3:9] = MASK[2, 4:8, 4:9] = True
GROWN = np.stack([ndimage.binary_dilation(plane) for plane in MASK])


@pytest.fixture(scope="module")
def counts(phantom_cohort):
    """Patients in more than one piece, by faces and by corners, found without ndimage's default."""
    faces = [[0, 0, 0], [0, 1, 0], [0, 0, 0]], [[0, 1, 0], [1, 1, 1], [0, 1, 0]], [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    masks = [phantom_cohort.volume(name).mask for name in phantom_cohort.patients]
    return [sum(ndimage.label(mask, structure)[1] > 1 for mask in masks) for structure in (faces, np.ones((3, 3, 3)))]


def right(name, answer, **context):
    return verdict(name, answer, **context).right


def words(name, answer, **context):
    told = verdict(name, answer, **context)
    assert not told.right
    return told.words


@pytest.mark.parametrize("answer", [10, 10.0, np.int64(10), np.array([10]), [10], pd.Series([10])])
def test_fewest_slices(answer):
    assert right("01.1", answer)


@pytest.mark.parametrize("answer, hint", [
    (9, "one digit"), (11, "one slice fewer"), (100, "three digits"), (2, "in a book"), ("10", "a number is wanted"),
    (pd.Series([10, 20]), "a number is wanted"), (True, "a number is wanted")])
def test_fewest_slices_missed(answer, hint):
    assert hint in words("01.1", answer)


@pytest.mark.parametrize("answer", [lambda name: int(re.search(r"_(\d+)(_mask)?\.tif", name)[1]),
                                    lambda name: np.float64(name.replace("_mask", "")[22:-4]),
                                    lambda name: [int(re.findall(r"\d+", name)[-1])]])
def test_slice_number(answer):
    assert right("01.2", answer)


@pytest.mark.parametrize("answer, hint", [
    (lambda name: name.removesuffix(".tif").removesuffix("_mask").split("_")[-1], "that is text"),
    (lambda name: int(name.removesuffix(".tif").split("_")[-1]), "fails for TCGA_CS_4941_19960909_7_mask.tif"),
    (lambda name: int(re.findall(r"\d+", name)[0]), "the patient's number"),
    (lambda name: int(re.findall(r"\d+", name)[1]), "the date"),
    (lambda name: int(re.findall(r"\d", name)[-1]), "only the last digit"),
    (lambda name: int("".join(re.findall(r"\d", name))), "all digits of the name in a row"),
    (lambda name: int(re.findall(r"\d+", name)[-1]) + 1, "it should be 7"),
    (lambda name: None, "returns nothing yet"), (12, "a function is wanted"), (lambda: 12, "it fails")])
def test_slice_number_missed(answer, hint):
    assert hint in words("01.2", answer)


@pytest.mark.parametrize("form", [list, tuple, np.array, pd.Series, lambda pair: dict(zip("ab", pair))])
def test_pieces(phantom_cohort, counts, form):
    assert right("01.3", form(counts), cohort=phantom_cohort)


def test_pieces_missed(phantom_cohort, counts):
    faces, corners = counts
    assert faces > corners  # else the cohort could not tell one from the other
    for answer, hint in (((corners, faces), "the other way round"), ((faces, faces), "the first number is right"),
                         ((0, corners), "the second number is right"), ((99, 98), "as a whole"),
                         (faces, "several numbers"), ("TCGA_CS_P003", "several numbers"),
                         ((faces, corners, 1), "2 numbers"), ((str(faces), str(corners)), "a number is wanted")):
        assert hint in words("01.3", answer, cohort=phantom_cohort)


def test_pieces_counted_instead_of_patients(phantom_cohort):
    masks = [phantom_cohort.volume(name).mask for name in phantom_cohort.patients]
    pieces = [[ndimage.label(mask, structure)[1] for mask in masks] for structure in (None, np.ones((3, 3, 3)))]
    for counted in (sum, max):
        assert "numbers of pieces" in words("01.3", [counted(found) for found in pieces], cohort=phantom_cohort)


def test_broad_pen():
    exact = 2 * 50 / (50 + 50 + 22 + 18)  # rectangles of 5 x 6 and 4 x 5 pixels, and the 22 and 18 around them
    for answer in (exact, round(exact, 3), np.float32(exact), np.array([exact]), [exact], pd.Series([exact])):
        assert right("01.4", answer, mask=MASK)


@pytest.mark.parametrize("answer, hint", [
    (iou(GROWN, MASK), "overlap over union"),
    (dice(ndimage.binary_dilation(MASK), MASK), "into the neighbouring slices"),
    (dice(ndimage.binary_dilation(MASK, np.ones((1, 3, 3))), MASK), "over corners"),
    (dice(np.stack([ndimage.binary_erosion(plane) for plane in MASK]), MASK), "has shrunk"),
    (np.mean([dice(GROWN[k], MASK[k]) for k in (1, 2)]), "mean over slices"),
    (100 * dice(GROWN, MASK), "not in per cent"), (round(dice(GROWN, MASK), 2), "give three digits"),
    (0.9, "2 * overlap"), ("0.714", "a number is wanted"), (GROWN, "a number is wanted")])
def test_broad_pen_missed(answer, hint):
    assert hint in words("01.4", answer, mask=MASK)


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


@pytest.mark.parametrize("answer, hint", [
    (0.8, "one given neighbour"), (0.64, "both neighbours"), (0.05, "without a neighbour"), (0, "without a neighbour"),
    (95, "not in per cent"), (0.5, "neither neighbour"), ("0.95", "a number is wanted")])
def test_twins_missed(phantom_cohort, answer, hint):
    assert hint in words("01.5", answer, cohort=phantom_cohort)
