"""Settings of a training run, and the same as options."""

import argparse
from dataclasses import fields, replace

import pytest

from lggseg.errors import LggError
from lggseg.prepare.network_grid import GridSpec
from lggseg.training.config import TrainConfig, add_options, config_of, read_config

SMALL = TrainConfig(size=32, coarse_size=16, block=1, features=4, depth=3)


def test_defaults_agree_with_the_recipe():
    assert TrainConfig().recipe == GridSpec()


def test_coarse_then_fine_and_strong_then_weak():
    config = replace(SMALL, epochs=6, coarse_share=0.5, augment=2.0, late_augment=0.1)
    assert [config.size_at(epoch) for epoch in range(6)] == [16, 16, 16, 32, 32, 32]
    assert [config.strength_at(epoch) for epoch in range(6)] == [2.0] * 4 + [0.1] * 2
    assert (
        replace(config, coarse_share=0.0).size_at(0) == 32
        and replace(config, coarse_share=1.0).size_at(5) == 16
    )


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("batch", 0, "batch=0: it must be from 1 to 4096"),
        ("epochs", 0, "epochs=0: it must be at least 1"),
        ("ema", 1.5, "ema=1.5: it must be from 0 to 1"),
        ("loss", "l2", "loss='l2': there are dice_bce, dice"),
        ("compile", "no", "compile='no': it must be true or false"),
        (
            "oversample_foreground",
            float("nan"),
            "oversample_foreground=nan: it must be from 0 to 1",
        ),
    ],
)
def test_values_that_cannot_work_are_refused(name, value, rule):
    with pytest.raises(LggError, match=rule):
        TrainConfig(**{name: value})


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("size", 8, None),
        ("coarse_size", 8, None),
        ("coarse_share", 0, 1),
        ("block", 1, None),
        ("context", 0, None),
        ("features", 1, None),
        ("depth", 2, None),
        ("growth", 1, None),
        ("epochs", 1, None),
        ("epoch_slices", 1, None),
        ("batch", 1, None),
        ("lr", 0, None),
        ("weight_decay", 0, None),
        ("ema", 0, 1),
        ("oversample_foreground", 0, 1),
        ("balance", 0, 1),
        ("augment", 0, None),
        ("late_augment", 0, None),
        ("carve_mix", 0, 1),
        ("cyst", 0, 1),
        ("patience", 0, None),
        ("validate_every", 1, None),
        ("seed", 0, None),
        ("workers", 0, None),
    ],
)
def test_settings_reach_to_their_bounds_and_no_further(name, least, most):
    TrainConfig(**{name: least})
    with pytest.raises(LggError, match=f"{name}={least - 1}: it must be"):
        TrainConfig(**{name: least - 1})
    if most is not None:
        TrainConfig(**{name: most})
        with pytest.raises(LggError, match=f"{name}=1.01: it must be from 0 to 1"):
            TrainConfig(**{name: 1.01})


@pytest.mark.parametrize("loss", ["dice_bce", "dice", "bce", "focal_tversky"])
def test_losses_are_accepted_by_name(loss):
    assert TrainConfig(loss=loss).loss == loss


# --- options and files ---


def parsed(*arguments: str) -> TrainConfig:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return config_of(parser.parse_args(arguments))


@pytest.fixture
def file(tmp_path):
    """Writes the text of a config file and returns its path."""

    def write(text: str) -> str:
        path = tmp_path / "run.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_without_options_it_is_the_default():
    assert parsed() == TrainConfig()


def test_every_setting_is_an_option_told_in_its_own_words():
    parser = argparse.ArgumentParser(
        formatter_class=lambda prog: argparse.HelpFormatter(prog, width=1000)
    )
    add_options(parser)
    told = parser.format_help()
    for entry in fields(TrainConfig):
        assert "--" + entry.name.replace("_", "-") in told and entry.metadata["words"] in told
        assert f"(default: {entry.default})" in told
    assert "{dice_bce,dice,bce,focal_tversky}" in told


def test_the_file_counts_more_than_defaults_and_options_more_than_the_file(file):
    path = file('size = 64\nlr = 1\ncompile = true\nloss = "dice"\n')
    assert parsed("--config", path) == TrainConfig(size=64, lr=1.0, compile=True, loss="dice")
    found = parsed("--size", "32", "--no-compile", "--config", path)
    assert found == TrainConfig(size=32, lr=1.0, loss="dice")


def test_an_option_that_repeats_the_default_still_beats_the_file(file):
    assert (
        parsed("--config", file("size = 64"), "--size", str(TrainConfig().size)).size
        == TrainConfig().size
    )


@pytest.mark.parametrize(
    "text, told",
    [
        ("sise = 64", "run.toml: no setting is called 'sise'; there are out, start, size, "),
        ("size = 64.0", "run.toml: size=64.0: it must be a whole number"),
        ("size = true", "run.toml: size=True: it must be a whole number"),
        ('lr = "fast"', "run.toml: lr='fast': it must be a number"),
        ("compile = 1", "run.toml: compile=1: it must be true or false"),
        ("loss = 3", "run.toml: loss=3: it must be text"),
        ("out = false", "run.toml: out=False: it must be text"),
        ('loss = "dise"', "run.toml: loss='dise': there are dice_bce, dice, bce, focal_tversky"),
        ("lr = nan", "run.toml: lr=nan: it must be from 0 to 10"),
        ("batch = 0", "run.toml: batch=0: it must be from 1 to 4096"),
        ("size = ", "run.toml: not a readable TOML file"),
    ],
)
def test_a_wrong_file_is_told_by_name(file, text, told):
    with pytest.raises(LggError) as caught:
        read_config(file(text))
    assert told in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(LggError, match="none.toml: not a readable TOML file"):
        read_config(tmp_path / "none.toml")


def test_what_decides_a_run_leaves_out_where_and_how_fast():
    config = TrainConfig(out="a", device="cpu", workers=3, compile=True)
    assert config.identity_settings == TrainConfig().identity_settings
    assert config.identity_settings != replace(config, seed=1).identity_settings


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"start": "a/last.pt", "out": "a"}, "lies in out"),
        ({"lr": "0.1"}, "lr='0.1': it must be a number"),
        ({"epochs": 1.5}, "epochs=1.5: it must be a whole number"),
        ({"seed": 2**40}, "seed"),
        ({"growth": 1e308}, "growth"),
        ({"augment": float("inf")}, "augment=inf"),
        ({"workers": 10**6}, "workers"),
        ({"batch": 10**9}, "batch"),
    ],
)
def test_settings_that_would_fail_later_or_overwrite(change, rule):
    with pytest.raises(LggError, match=rule):
        TrainConfig(**change)
