"""What all commands share, and that each explains itself."""

import argparse
import re
import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest

from experiments.command import command, execute
from lggseg import LggError, TrainConfig
from lggseg.train import main as train

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "experiments").glob("*.py"))
COMMANDS = [path.stem for path in FILES if "__main__" in path.read_text("utf-8")]
TRAINING = ["crossval", "phantoms"]


def help_of(parser: argparse.ArgumentParser) -> str:
    """The help as one line."""
    return " ".join(parser.format_help().split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as left:
        import_module(f"experiments.{name}").main(["--help"])
    told = capsys.readouterr().out
    assert left.value.code == 0 and f"usage: python -m experiments.{name} [-h]" in told
    assert import_module(f"experiments.{name}").__doc__.split("\n")[0] in told


def test_commands_run_without_a_warning():
    found = subprocess.run(
        [sys.executable, "-W", "error", "-m", "experiments.crossval", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0 and "experiments.crossval" in found.stdout, found.stderr


def test_the_package_never_imports_experiments():
    for path in (ROOT / "lggseg").rglob("*.py"):
        assert not re.search(
            r"^\s*(from|import) experiments", path.read_text("utf-8"), re.MULTILINE
        ), path


@pytest.mark.parametrize("name", COMMANDS)
def test_the_log_names_every_command(name):
    log = (ROOT / "experiments" / "README.md").read_text("utf-8")
    assert f"\n| `experiments.{name}` | " in log


@pytest.mark.parametrize("name", TRAINING)
def test_settings_are_told_in_the_words_of_their_fields(name):
    told = help_of(import_module(f"experiments.{name}").options())
    for entry in fields(TrainConfig):
        assert entry.metadata["words"].split(";")[0] in told
    assert "--config FILE" in told


def test_data_means_the_same_everywhere(capsys):
    with pytest.raises(SystemExit):
        train(["--help"])
    words = "--data DIR folder of patients, or 'phantom'; see `lggseg.open_cohort`"
    assert words in " ".join(capsys.readouterr().out.split())
    for name in COMMANDS:
        told = help_of(import_module(f"experiments.{name}").options())
        assert words in told or "--data" not in told


def test_an_error_is_one_line_and_exit_code_2(capsys):
    def do(options):
        raise LggError("first\n  second")

    with pytest.raises(SystemExit) as left:
        execute(command("some", "Text."), do, [])
    assert left.value.code == 2 and capsys.readouterr().err == "error: first second\n"


@pytest.mark.parametrize(
    "argv",
    [
        ["crossval"],
        ["crossval", "--out", "{}/new", "--config", "{}/none.toml"],
        ["compare", "{}/none.csv"],
        ["crossval", "--out", "{}/new", "--batch", "0"],
        ["crossval", "--out", "{}/new", "--data", "{}/none"],
        ["compare", "{}"],
        ["ensemble", "{}"],
        ["postprocessing", "{}"],
        ["fitted", "{}"],
        ["phantoms"],
        ["release", "{}"],
        ["replicate", "--features", "{}/none.csv", "--data", "phantom"],
    ],
)
def test_bad_input_is_refused_by_every_command(argv, tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        import_module(f"experiments.{argv[0]}").main([word.format(tmp_path) for word in argv[1:]])
    told = capsys.readouterr().err
    assert left.value.code == 2 and told.startswith("error: ") and told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
