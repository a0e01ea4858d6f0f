"""Settings of a training run, and the same as options."""

import argparse
from dataclasses import fields, replace

import pytest
import torch

from lggseg.config import TrainConfig, add_options, config_of
from lggseg.errors import LggError
from lggseg.preprocess import Recipe
from lggseg.segmenter import Segmenter

SMALL = TrainConfig(size=32, coarse_size=16, block=1, features=4, depth=3)


def test_defaults_agree_with_the_recipe():
    assert TrainConfig().recipe == Recipe()


def test_the_same_seed_gives_the_same_weights():
    one, two, other = (replace(SMALL, seed=seed).model() for seed in (1, 1, 2))
    weights = [torch.cat([p.flatten() for p in model.parameters()]) for model in (one, two, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert one.recipe == SMALL.recipe and one.training_patients == []


def test_a_network_for_blocks_answers_for_every_pixel():
    model = replace(SMALL, block=2, context=1).model().eval()
    assert model.networks[0].in_channels == 36 and model(torch.zeros(1, 9, 32, 32)).shape == (1, 1, 32, 32)


def test_coarse_then_fine_and_strong_then_weak():
    config = replace(SMALL, epochs=6, coarse_share=0.5, augment=2.0, late_augment=0.1)
    assert [config.size_at(epoch) for epoch in range(6)] == [16, 16, 16, 32, 32, 32]
    assert [config.strength_at(epoch) for epoch in range(6)] == [2.0] * 4 + [0.1] * 2


def test_start_begins_with_the_weights_of_a_checkpoint(tmp_path):
    model = SMALL.model()
    model.learned_from(["TCGA_CS_P001"], SMALL.recipe)
    path = model.save(tmp_path / "old.pt")
    again = replace(SMALL, seed=9, start=str(path)).model()
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), model.state_dict().values()))
    assert again.training_patients == ["TCGA_CS_P001"]


def test_start_with_another_architecture_is_refused(tmp_path):
    path = SMALL.model().save(tmp_path / "old.pt")
    with pytest.raises(LggError, match="context, block, features, depth and growth"):
        replace(SMALL, features=8, start=str(path)).model()
    two = SMALL.model()
    path = Segmenter([*two.networks, *SMALL.model().networks], two.recipe).save(tmp_path / "two.pt")
    with pytest.raises(LggError, match="two.pt is no single U-Net"):
        replace(SMALL, start=str(path)).model()


@pytest.mark.parametrize(("name", "value", "rule"), [
    ("batch", 0, "batch=0: it must be at least 1"), ("epochs", 0, "epochs=0: it must be at least 1"),
    ("ema", 1.5, "ema=1.5: it must be from 0 to 1"), ("loss", "l2", "loss='l2': there are dice_bce, dice"),
    ("oversample_foreground", float("nan"), "oversample_foreground=nan: it must be from 0 to 1")])
def test_values_that_cannot_work_are_refused(name, value, rule):
    with pytest.raises(LggError, match=rule):
        TrainConfig(**{name: value})


def test_every_field_is_an_option_that_explains_itself(capsys):
    parser = argparse.ArgumentParser()
    add_options(parser)
    assert config_of(parser.parse_args([])) == TrainConfig()
    changed = config_of(parser.parse_args(["--late-augment", "0.25", "--epochs", "3", "--compile", "--loss", "dice"]))
    assert changed == TrainConfig(late_augment=0.25, epochs=3, compile=True, loss="dice")
    told = " ".join(parser.format_help().split())
    for entry in fields(TrainConfig):
        assert entry.metadata["words"].split(";")[0] in told
