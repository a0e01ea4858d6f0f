"""The one error the package raises on purpose."""


class LggError(ValueError):
    """Bad input, from a file to a tensor's shape.

    The message names the file or value, the rule it breaks, and what would do instead.
    """
