"""What all commands here have in common: `--data`, and errors told in one line."""

import argparse
from collections.abc import Callable

from lggseg import LggError


def command(name: str, description: str, data: bool = True) -> argparse.ArgumentParser:
    """A parser for `python -m experiments.NAME`, with `--data` where the command reads patients."""
    parser = argparse.ArgumentParser(prog=f"python -m experiments.{name}", description=description, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    if data:
        parser.add_argument("--data", metavar="DIR",
                            help="folder of patients, or 'phantom'; see `lggseg.open_cohort`")
    return parser


def execute(parser: argparse.ArgumentParser, do: Callable[[argparse.Namespace], None], argv: list[str] | None) -> None:
    """Do what the options ask for; an LggError is told in one line, and the exit code is 2."""
    options = parser.parse_args(argv)
    try:
        do(options)
    except LggError as error:
        parser.exit(2, f"error: {' '.join(str(error).split())}\n")


def positive(text: str) -> int:
    """A whole number from 1 up, as an option's type."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 up")
    return int(text)
