"""How files get damaged: flipped bits, cuts, gaps, numbers of the header gone wild."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lggseg.errors import LggError

WILD = [0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def read_by(read: Callable[[Path], Any], path: Path, whole: bool) -> Any:
    """What `read` makes of the file, which it may refuse unless it is `whole`."""
    try:
        return read(path)
    except LggError as error:
        if whole:
            raise AssertionError(f"a whole file was refused: {error}") from error
        raise


def damage_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    """`content` damaged in one of many ways, in half of the cases near its beginning, where headers
    are.
    """
    end = len(content) if rng.random() < 0.5 else min(len(content), 400)
    place = int(rng.integers(end)) if end else 0
    return KINDS[rng.integers(len(KINDS))](bytearray(content), place, rng)


def flip(content: bytearray, place: int, rng: np.random.Generator) -> bytes:
    """One to eight bits changed from `place` on."""
    for _ in range(rng.integers(1, 9)):
        if content:
            content[min(place, len(content) - 1)] ^= 1 << int(rng.integers(8))
            place += int(rng.integers(0, 40))
    return bytes(content)


def cut(content: bytearray, place: int, rng: np.random.Generator) -> bytes:
    """The rest is missing."""
    return bytes(content[:place])


def gap(content: bytearray, place: int, rng: np.random.Generator) -> bytes:
    """Some bytes are missing."""
    del content[place : place + int(rng.integers(1, 100))]
    return bytes(content)


def blank(content: bytearray, place: int, rng: np.random.Generator) -> bytes:
    """A block of zeros, as after a crash of the disk."""
    size = min(int(rng.integers(1, 600)), len(content) - place)
    content[place : place + size] = bytes(size)
    return bytes(content)


def wild(content: bytearray, place: int, rng: np.random.Generator) -> bytes:
    """A number of 1 to 8 bytes at its limits, in either order of bytes."""
    size = int(rng.choice([1, 2, 4, 8]))
    order = str(rng.choice(["little", "big"]))
    number = int(rng.choice(WILD)) % 256**size
    content[place : place + size] = number.to_bytes(size, order)
    return bytes(content)


def twice(content: bytearray, place: int, rng: np.random.Generator) -> bytes:
    """A block is there twice."""
    return bytes(content[: place + int(rng.integers(1, 200))] + content[place:])


def tail(content: bytearray, place: int, rng: np.random.Generator) -> bytes:
    """Something else follows."""
    return bytes(content) + rng.bytes(int(rng.integers(1, 200)))


KINDS = [flip, flip, cut, gap, blank, wild, wild, twice, tail]
