"""What all commands here share: the option `--data`, and errors printed in one line."""

import argparse
from collections.abc import Callable

from lggseg import LggError


def command(name: str, description: str, data: bool = True) -> argparse.ArgumentParser:
    """A parser for `python -m experiments.NAME`.

    Parameters
    ----------
    name : of the file in this folder
    description : the file's docstring, printed by `--help`
    data : add `--data`, for commands that read patients
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m experiments.{name}",
        description=description,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if data:
        parser.add_argument(
            "--data",
            metavar="DIR",
            help="folder of patients, or 'phantom'; see `lggseg.open_cohort`",
        )
    return parser


def execute(
    parser: argparse.ArgumentParser,
    do: Callable[[argparse.Namespace], None],
    argv: list[str] | None,
) -> None:
    """Parse the options and call `do` with them.

    An LggError is printed in one line, and the exit code is then 2.
    """
    options = parser.parse_args(argv)
    try:
        do(options)
    except LggError as error:
        one_line = " ".join(str(error).split())
        parser.exit(2, f"error: {one_line}\n")


def positive(text: str) -> int:
    """A whole number from 1 up, as an option's type."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)
