"""The recipe files."""

import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from lggseg import TrainConfig
from lggseg.training.build import build_model
from lggseg.training.config import read_config

RECIPES = Path(__file__).resolve().parents[2] / "experiments" / "recipes"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_is_one(path):
    config, text = TrainConfig(**read_config(path)), path.read_text(encoding="utf-8")
    build_model(config)
    assert text.startswith("# ")  # what it asks
    if path.stem != "base":
        changed = {
            entry.name
            for entry in fields(TrainConfig)
            if getattr(config, entry.name) != entry.default
        }
        assert changed == set(tomllib.loads(text))  # it names what it changes, and nothing else


def test_base_writes_out_the_defaults():
    stored = read_config(RECIPES / "base.toml")
    assert TrainConfig(**stored) == TrainConfig()
    assert set(stored) == {entry.name for entry in fields(TrainConfig)} - {"out", "start", "device"}
