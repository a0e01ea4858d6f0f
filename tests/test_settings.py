"""Settings of a dataclass: kinds, bounds and choices, each refused with its rule."""

import pickle
from dataclasses import dataclass

import numpy as np
import pytest

from lggseg.errors import LggError
from lggseg.settings import check_settings, is_of_type, setting


@dataclass(frozen=True)
class Oven:
    degrees: int = setting(180, "of Celsius", least=50, most=250)
    minutes: float = setting(10.0, "until it is done", least=0)
    mode: str = setting("fan", "where heat comes from", choices=("fan", "grill"))
    light: bool = setting(False, "to look inside")
    recipe: str | None = setting(None, "a file")

    def __post_init__(self):
        check_settings(self)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"degrees": 49}, r"degrees=49: it must be from 50 to 250 \(of Celsius\)"),
        ({"degrees": 251}, "degrees=251: it must be from 50 to 250"),
        ({"degrees": 180.0}, "degrees=180.0: it must be a whole number"),
        ({"degrees": True}, "degrees=True: it must be a whole number"),
        ({"minutes": -1}, r"minutes=-1: it must be at least 0 \(until it is done\)"),
        ({"minutes": float("nan")}, "minutes=nan: it must be at least 0"),
        ({"minutes": "10"}, "minutes='10': it must be a number"),
        ({"mode": "steam"}, "mode='steam': there are fan, grill"),
        ({"light": 1}, "light=1: it must be true or false"),
        ({"recipe": 3}, "recipe=3: it must be text"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_the_rule(change, rule):
    with pytest.raises(LggError, match=rule):
        Oven(**change)


def test_bounds_are_allowed_and_settings_can_be_pickled():
    oven = Oven(degrees=250, minutes=0, mode="grill", light=True, recipe="bread.txt")
    assert pickle.loads(pickle.dumps(oven)) == oven


@pytest.mark.parametrize(
    ("value", "kind", "suits"),
    [
        (1, int, True),
        (np.int64(1), int, True),
        (1.0, int, False),
        (True, int, False),
        (1, float, True),
        (np.float32(1), float, True),
        (True, float, False),
        ("1", float, False),
        (True, bool, True),
        (np.bool_(True), bool, True),
        (0, bool, False),
        (None, str | None, True),
        ("a", str | None, True),
        (0, str | None, False),
    ],
)
def test_types(value, kind, suits):
    assert is_of_type(value, kind) is suits
