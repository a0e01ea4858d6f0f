"""The three MRI sequences of a scan, in the order of an image's channels, and their names."""

from enum import IntEnum


class MriSequence(IntEnum):
    """One of the three sequences. Its number is its channel in an image (slices, height, width, 3).

    Examples
    --------
    >>> int(PRE), PRE.key, PRE.title, PRE.words
    (0, 'pre', 'pre-contrast', 'pre-contrast T1')
    """

    PRE = 0
    FLAIR = 1
    POST = 2

    @property
    def key(self) -> str:
        """The name in tables, options and files: pre, flair or post."""
        return self.name.lower()

    @property
    def title(self) -> str:
        """The short name that a reader sees: pre-contrast, FLAIR or post-contrast."""
        if self is MriSequence.FLAIR:
            return self.name
        return f"{self.key}-contrast"

    @property
    def words(self) -> str:
        """The full name: pre-contrast T1, FLAIR or post-contrast T1."""
        if self is MriSequence.FLAIR:
            return self.title
        return f"{self.title} T1"


PRE, FLAIR, POST = MriSequence
KEYS = tuple(sequence.key for sequence in MriSequence)
IN_WORDS = {sequence.key: sequence.words for sequence in MriSequence}
