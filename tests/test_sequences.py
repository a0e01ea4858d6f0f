import numpy as np

from lggseg.sequences import FLAIR, IN_WORDS, KEYS, POST, PRE, MriSequence


def test_a_sequence_is_its_channel():
    image = np.zeros((1, 2, 2, 3))
    image[..., POST] = 5
    assert image.sum(axis=(0, 1, 2)).tolist() == [0, 0, 20] and [*MriSequence] == [0, 1, 2]


def test_words():
    assert KEYS == ("pre", "flair", "post")
    assert [sequence.title for sequence in (PRE, FLAIR, POST)] == [
        "pre-contrast",
        "FLAIR",
        "post-contrast",
    ]
    assert IN_WORDS == {"pre": "pre-contrast T1", "flair": "FLAIR", "post": "post-contrast T1"}
