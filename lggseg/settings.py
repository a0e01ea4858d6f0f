"""Settings of a dataclass: what each one means, which values it may have, and the check of both."""

from dataclasses import Field, field, fields
from numbers import Integral, Real
from typing import Any

import numpy as np

from .errors import LggError

WORDS: dict[Any, str] = {bool: "true or false", int: "a whole number", float: "a number"}


def setting(
    default: Any,
    words: str,
    least: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A field of a dataclass with a rule for its values.

    Parameters
    ----------
    default : value where none is given
    words : what it means, for `--help` and for error messages
    least, most : bounds that a value may reach but not cross
    choices : the allowed texts, all of them where it is empty
    """
    rule = {"words": words, "least": least, "most": most, "choices": choices}
    return field(default=default, metadata=rule)


def check_settings(settings: Any) -> None:
    """Check all fields of a dataclass that were made by `setting`.

    Raises
    ------
    LggError
        naming setting, value and rule, for the first value that breaks its rule
    """
    for entry in fields(settings):
        check_setting(entry, getattr(settings, entry.name))


def check_setting(entry: Field, value: Any) -> None:
    """Raise LggError if `value` is not one for this field."""
    if not is_of_type(value, entry.type):
        words = WORDS.get(entry.type, "text")
        raise LggError(f"{entry.name}={value!r}: it must be {words}")

    least = entry.metadata["least"]
    most = entry.metadata["most"]
    too_small = least is not None and not value >= least  # written so that NaN is refused, too
    too_large = most is not None and not value <= most
    if too_small or too_large:
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        raise LggError(f"{entry.name}={value}: it must be {bounds} ({entry.metadata['words']})")

    choices = entry.metadata["choices"]
    if choices and value not in choices:
        raise LggError(f"{entry.name}={value!r}: there are {', '.join(choices)}")


def is_of_type(value: Any, kind: Any) -> bool:
    """Whether a value suits a field of this type.

    A whole number may stand for a fraction, and NumPy's numbers are welcome. True and False are
    not numbers here, although Python counts them as such.
    """
    if isinstance(value, bool | np.bool_):
        return kind is bool
    if kind is int:
        return isinstance(value, Integral)
    if kind is float:
        return isinstance(value, Real)
    return isinstance(value, kind)
