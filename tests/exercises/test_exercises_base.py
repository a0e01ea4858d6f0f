import numpy as np
import pandas as pd
import pytest
import torch

from lggseg.errors import LggError
from lggseg.exercises import check, verdict
from lggseg.exercises.base import Wrong, called, close, number, numbers, words


@pytest.mark.parametrize(
    "answer",
    [
        4,
        4.0,
        np.int64(4),
        np.float32(4),
        np.array(4),
        np.array([4]),
        [4],
        pd.Series([4]),
        torch.tensor(4.0),
        torch.tensor([4.0]),
        torch.tensor([[4]]),
    ],
)
def test_right_in_any_form(answer):
    assert verdict("00.1", answer) == (True, "Right.")


@pytest.mark.parametrize(
    "answer", ["4", [4, 4], {}, True, 4j, object(), pd.DataFrame(), lambda: 4, float("nan")]
)
def test_another_kind_is_told_and_nothing_crashes(answer):
    right, told = verdict("00.1", answer)
    assert not right and told.startswith("Not yet: ")


@pytest.mark.parametrize("answer", [None, ..., (..., ...), [1, ...], (1, None)])
def test_nothing_yet(answer):
    assert "where the dots are" in verdict("00.1", answer).words


def test_check_prints(capsys):
    check("00.1", 5)
    assert capsys.readouterr().out == "Not yet: count on your fingers.\n"


@pytest.mark.parametrize("name", ["00.9", "99.1", "x", 3])
def test_unknown_exercises_are_refused(name):
    with pytest.raises(LggError, match="no exercise"):
        verdict(name, 1)


def test_numbers_in_any_form():
    for answer in ([1, 2], (1, 2), np.array([[1], [2]]), pd.Series([1, 2]), {"a": 1, "b": 2}):
        assert numbers(answer, 2).tolist() == [1, 2]
    for answer in ("12", 3, [1, "2"], [1, 2, 3]):
        with pytest.raises(Wrong):
            numbers(answer, 2)


def test_words_and_close():
    assert words("  HT ") == "ht" and close(1.0, 1.04, 0.05) and not close(1.0, 1.06, 0.05)
    assert close(np.nan, np.nan, 0) and not close(np.nan, 1.0, 1)
    assert number(np.nan) != number(np.nan)


def test_functions_are_called_with_copies():
    values = [3, 1]
    assert called(lambda v: v.sort() or v, values) == [1, 3] and values == [3, 1]
    with pytest.raises(Wrong, match="returns nothing yet"):
        called(lambda v: None, values)
    with pytest.raises(Wrong, match="a function is wanted"):
        called(values, values)


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def mute(*_):
    raise Mute


def leave(*_):
    raise SystemExit(3)


def test_the_oddest_answers_are_answered():
    inside = []
    inside.append(inside)
    for exercise, answer, told in (
        ("00.1", inside, "RecursionError"),
        ("07.3", mute, "Mute"),
        ("07.3", leave, "SystemExit"),
    ):
        assert told in verdict(exercise, answer).words
