"""Augmented slices for training, against rescaling and rotating one by one with scikit-image."""

import numpy as np
import torch
from skimage.transform import rescale, rotate
from torch.utils.data import DataLoader

from lggseg import SliceDataset
from lggseg.prepare.augment import Augment

from . import ceiling
from .bench import Bench
from .timing import Ratio, Row, clock, rounds, share

BATCH = 16


def one_by_one(
    image: np.ndarray, mask: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A slice (H,W,3) and its mask (H,W,1), rescaled by up to 5 %, turned by up to 15 degrees,
    perhaps mirrored.
    """
    scale = rng.uniform(0.95, 1.05)
    angle = rng.uniform(-15, 15)
    pair = []
    for picture, order in ((image, 1), (mask, 0)):
        changed = rescale(
            picture, scale, order=order, channel_axis=-1, mode="constant", preserve_range=True
        )
        pair.append(
            rotate(
                fitted(changed, len(picture)),
                angle,
                order=order,
                mode="constant",
                preserve_range=True,
            )
        )
    return (pair[0][:, ::-1], pair[1][:, ::-1]) if rng.random() < 0.5 else tuple(pair)


def fitted(picture: np.ndarray, side: int) -> np.ndarray:
    """The middle `side` pixels of a square picture (H,W,C), with zeros around it where it is
    smaller.
    """
    missing = max(0, side - len(picture))
    ends = (missing // 2, missing - missing // 2)
    picture = np.pad(picture, (ends, ends, (0, 0)))
    start = (len(picture) - side) // 2
    return picture[start : start + side, start : start + side]


def rows(bench: Bench) -> list[Row]:
    """One batch on either side, from the same slices."""
    data = SliceDataset(bench.cohort, bench.cohort.patients[:2], soft=True)
    draw = DataLoader(data, BATCH, sampler=torch.randint(len(data), (BATCH,)).tolist())
    augment = Augment()
    rng = np.random.default_rng(0)
    slices = [[part.movedim(0, -1).numpy() for part in data[i]] for i in range(4)]

    def ours() -> None:
        for batch in draw:
            augment(*batch)

    def usual() -> None:
        pairs = [one_by_one(*slices[i % len(slices)], rng) for i in range(BATCH)]
        for part in zip(*pairs):
            torch.from_numpy(np.stack(part)).movedim(-1, 1).float().contiguous()

    moved = BATCH * 4 * 4 * data.recipe.size**2  # bytes of the pictures and masks that come out
    costs = rounds(bench.repeats, clock(ours), clock(usual), lambda: moved / ceiling.copied(64))
    return [
        Row(
            "feed: a batch, augmented",
            "scikit-image's rescale and rotate, slice by slice",
            Ratio.of(costs[:, 1] / costs[:, 0]),
            None,
            f"{share(costs[:, 2] / costs[:, 0])} of a plain copy",
        )
    ]
