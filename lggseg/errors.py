"""The one error that the package raises on purpose."""


class LggError(ValueError):
    """Something that was given cannot be used: a file, an option, an array of the wrong shape.

    The message names the file or value, the rule it breaks, and what to do about it.
    """
