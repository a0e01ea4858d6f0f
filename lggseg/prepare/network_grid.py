"""From a volume to the network's grid and back: one pair of functions, for training and prediction alike.

`lggseg.prepare.head_finder.find_head` looks at a volume once. `slices_to_grid` and `mask_to_grid` then crop to the
head, pad to a
square and resize, `standardise` makes z-scores, and `from_grid` goes the way back.
"""

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..errors import LggError
from ..settings import KINDS, WORDS
from .head_finder import Head, above_air

Z_RANGE = (-5.0, 10.0)  # air lies at -2 to -5; a hot pixel is no brighter than fat


@dataclass(frozen=True)
class GridSpec:
    """What a trained network must know about its input and output; it travels inside the checkpoint."""

    size: int = 224  # pixels a side of the grid: about as fine as the data set's pictures, once cropped to the head
    context: int = 0  # neighbouring slices given on either side, as extra channels
    block: int = 2  # block x block pixels become channels on the way in, and logits on the way out
    threshold: float = 0.5  # probability from which a pixel counts as tumour
    min_component_share: float = 0.0  # of the strongest 3D component's weight, that a component needs to stay
    flip: bool = False  # average the prediction with that of the mirrored slice, at twice the cost

    def __post_init__(self):
        for entry in fields(self):
            if not isinstance(value := getattr(self, entry.name), KINDS[entry.type]):
                raise LggError(f"{entry.name}={value!r}: it must be {WORDS[entry.type]}")
        for name, low, high in (("size", 1, 4096), ("context", 0, 64), ("block", 1, 64), ("threshold", 0, 1),
                                ("min_component_share", 0, 1)):
            if not low <= getattr(self, name) <= high:
                raise LggError(f"{name}={getattr(self, name)}: it must be from {low} to {high}")
        if self.size % self.block:
            raise LggError(f"size={self.size}: it must be a multiple of block={self.block}")

    @property
    def channels(self) -> int:
        """Channels of a slice on the grid: three sequences per slice shown."""
        return 3 * (2 * self.context + 1)

    @classmethod
    def of(cls, network: nn.Module) -> "GridSpec":
        """The recipe without blocks that fits a network's channels, where it tells them as `in_channels`."""
        return cls(context=max(0, (getattr(network, "in_channels", 3) // 3 - 1) // 2), block=1)

    def check(self, network: nn.Module) -> None:
        """Raise LggError if the network tells a number of input channels that contradicts this recipe."""
        wanted = self.channels * self.block**2
        channels = getattr(network, "in_channels", wanted)
        if channels != wanted:
            raise LggError(f"the network takes {channels} channels but its recipe (context={self.context}, "
                           f"block={self.block}) gives {wanted}; give the recipe it was trained with")


Recipe = GridSpec  # its former name

def slices_to_grid(image: np.ndarray, head: Head, size: int) -> torch.Tensor:
    """The n slices of uint8 (D,H,W,3) that show a head, on the grid: levels above air, uint8 (n,3,size,size).

    As bytes, a cohort of small slices fits into memory.

    >>> from lggseg.prepare.head_finder import find_head
    >>> y, x = np.mgrid[:64, :64]
    >>> disc = np.hypot(y - 31.5, x - 31.5) < 20
    >>> image = np.where(disc[None, :, :, None], np.uint8(90), np.uint8(7)).repeat(3, axis=3)
    >>> slices_to_grid(image, find_head(image), 8)[0, 1, 3]  # a row through the middle: air is 0
    tensor([55, 83, 83, 83, 83, 83, 83, 55], dtype=torch.uint8)
    """
    levels = above_air(image[head.slices], head.air[head.slices])
    levels = levels if head.source == (0, 1, 2) else levels[..., list(head.source)]
    grid = _resize(pad_to_square(torch.from_numpy(levels).movedim(3, 1), head), size)
    return grid.contiguous()  # sequence by sequence: `standardise` then takes half the time


def mask_to_grid(mask: np.ndarray, head: Head, size: int) -> torch.Tensor:
    """Masks bool (D,H,W) of those slices: the share of each pixel that is tumour, uint8 (n,1,size,size), 255 is all.

    >>> head = Head((1, 4, 4), np.zeros((1, 3)), np.array([0]), (0, 0, 4), False, (0, 1, 2), np.zeros(3), np.ones(3))
    >>> mask_to_grid(np.array([[[1, 1, 0, 0], [1, 1, 0, 0], [0] * 4, [0] * 4]], bool), head, 4)[0, 0, 0]
    tensor([255, 255,   0,   0], dtype=torch.uint8)
    """
    return _resize(pad_to_square(torch.from_numpy(255 * mask[head.slices].astype(np.uint8))[:, None], head), size)


def pad_to_square(slices: torch.Tensor, head: Head) -> torch.Tensor:
    """The head's square of (n,C,H,W), as (n,C,side,side): cropped, padded with 0, and mirrored if the head says so.

    >>> head = Head((1, 2, 3), np.zeros((1, 3)), np.array([0]), (0, 1, 3), True, (0, 1, 2), np.zeros(3), np.ones(3))
    >>> pad_to_square(torch.tensor([[[[1, 2, 3], [4, 5, 6]]]]), head)[0, 0]
    tensor([[0, 3, 2],
            [0, 6, 5],
            [0, 0, 0]])
    """
    (y, x), (v, u), (n, channels), side = *windows(head), slices.shape[:2], head.box[2]
    # As slices lie in memory, the sequences of a pixel beside each other: ten times as fast as F.pad.
    square = torch.empty((n, channels, side, side), dtype=slices.dtype, memory_format=torch.channels_last).zero_()
    square[:, :, v, u] = slices[:, :, y, x]
    return square.flip(-1) if head.mirrored else square


def windows(head: Head) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Rows and columns of the picture that the head's square covers, and the same ones counted within the square.

    >>> windows(Head((1, 2, 3), None, None, (0, 1, 3), False, (0, 1, 2), None, None))
    ((slice(0, 2, None), slice(1, 3, None)), (slice(0, 2, None), slice(0, 2, None)))
    """
    (top, left, side), (height, width) = head.box, head.shape[1:]
    y, x = slice(max(0, top), min(height, top + side)), slice(max(0, left), min(width, left + side))
    return (y, x), (slice(y.start - top, y.stop - top), slice(x.start - left, x.stop - left))


def _resize(slices: torch.Tensor, size: int) -> torch.Tensor:
    """(n,C,side,side) to (n,C,size,size), averaging where it shrinks."""
    shrinks = slices.shape[-1] > size
    # Where it grows there is nothing to average, and without it floats take half the time; bytes have one fast way.
    return F.interpolate(slices, (size, size), mode="bilinear", antialias=shrinks or slices.dtype == torch.uint8)


def standardise(slices: torch.Tensor, head: Head, rows: np.ndarray, context: int) -> torch.Tensor:
    """Rows of `slices_to_grid` uint8 (n,3,s,s) as z-scores float32 (len(rows),C,s,s), C = 3 (2 context + 1).

    The channels of row i are those of rows i-context .. i+context in order, the end ones repeated.

    >>> head = Head((2, 1, 1), None, None, (0, 0, 1), False, (0, 1, 2), np.float32([50] * 3), np.float32([20] * 3))
    >>> slices = torch.tensor([[70, 90, 10], [30, 50, 250]], dtype=torch.uint8).view(2, 3, 1, 1)
    >>> standardise(slices, head, [0], context=0).flatten()
    tensor([ 1.,  2., -2.])
    >>> standardise(slices, head, [1], context=1).flatten()
    tensor([ 1.,  2., -2., -1.,  0., 10., -1.,  0., 10.])
    """
    offsets = torch.arange(-context, context + 1)
    wanted = (torch.as_tensor(rows)[:, None] + offsets).clamp(0, len(slices) - 1)  # (N, 2c+1)
    centre, spread = (torch.from_numpy(values).view(3, 1, 1) for values in (head.centre, head.spread))
    return slices[wanted].float().sub_(centre).div_(spread).clamp_(*Z_RANGE).flatten(1, 2)


def from_grid(probability: torch.Tensor, head: Head) -> np.ndarray:
    """Probabilities (n,1,s,s) of the slices that show a head, as float32 (D,H,W) on the volume's own grid.

    0 outside the head's square and in slices of air at the ends; a slice between others that shows nothing, as a
    broken one, gets the mean of its nearest neighbours.

    >>> head = Head((1, 2, 3), None, np.array([0]), (0, 1, 3), False, (0, 1, 2), None, None)
    >>> from_grid(torch.arange(9.0).view(1, 1, 3, 3) / 10, head)[0]
    array([[0. , 0. , 0.1],
           [0. , 0.3, 0.4]], dtype=float32)
    """
    full = np.zeros(head.shape, np.float32)
    if len(head.slices) == 0:
        return full
    grid = _resize(probability.float(), head.box[2])[:, 0]
    grid = (grid.flip(-1) if head.mirrored else grid).cpu().numpy()
    (y, x), (v, u) = windows(head)
    full[head.slices, y, x] = grid[:, v, u]
    for d in np.setdiff1d(np.arange(head.slices[0], head.slices[-1]), head.slices):
        full[d] = (full[head.slices[head.slices < d][-1]] + full[head.slices[head.slices > d][0]]) / 2
    return full
