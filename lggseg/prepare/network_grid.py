"""From a volume to the network's grid and back: one pair of functions, for training and prediction
alike.

`lggseg.prepare.head_finder.find_head` looks at a volume once. `slices_to_grid` and `mask_to_grid`
then crop to the head, pad to a square and resize, `standardise` makes z-scores, and `from_grid`
goes the way back.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..errors import LggError
from ..settings import check_settings, setting
from .head_finder import Head

Z_RANGE = (-5.0, 10.0)  # air lies at -2 to -5; a hot pixel is no brighter than fat


@dataclass(frozen=True)
class GridSpec:
    """What a trained network must know about its input and output; it travels inside the
    checkpoint.
    """

    size: int = setting(
        224,
        "pixels a side of the grid; 224 is about as fine as the data set's heads",
        least=1,
        most=4096,
    )
    context: int = setting(0, "neighbouring slices given on either side", least=0, most=64)
    block: int = setting(
        2,
        "block x block pixels become channels on the way in, and logits on the way out",
        least=1,
        most=64,
    )
    threshold: float = setting(
        0.5, "probability from which a pixel counts as tumour", least=0, most=1
    )
    min_component_share: float = setting(
        0.0,
        "share of the heaviest 3D component's weight that a component needs to stay",
        least=0,
        most=1,
    )
    flip: bool = setting(
        False, "average the prediction with that of the mirrored slice, at twice the cost"
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.size % self.block:
            raise LggError(f"size={self.size}: it must be a multiple of block={self.block}")

    @property
    def channels(self) -> int:
        """Channels of a slice on the grid: three sequences per slice shown."""
        return 3 * (2 * self.context + 1)

    @classmethod
    def of(cls, network: nn.Module) -> "GridSpec":
        """The recipe without blocks that fits a network's channels, where it tells them as
        `in_channels`.
        """
        slices = getattr(network, "in_channels", 3) // 3
        return cls(context=max(0, (slices - 1) // 2), block=1)

    def check(self, network: nn.Module) -> None:
        """Raise LggError if the network tells a number of input channels that contradicts this
        recipe.

        A network may take fewer neighbouring slices than the recipe gives: it is shown those in the
        middle.
        """
        given = self.channels * self.block**2
        taken = getattr(network, "in_channels", given)
        one_slice = 3 * self.block**2
        slices, rest = divmod(taken, one_slice)
        if taken > given or rest or slices % 2 == 0:
            raise LggError(
                f"the network takes {taken} channels but its recipe (context={self.context}, "
                f"block={self.block}) gives {given}; give the recipe it was trained with"
            )


Recipe = GridSpec  # its former name


def slices_to_grid(image: np.ndarray, head: Head, size: int) -> torch.Tensor:
    """The slices that show a head, cropped to its square and resized.

    Grey levels stay as they are, as bytes: a cohort of small slices then fits into memory.
    `standardise` makes z-scores of them.

    Parameters
    ----------
    image : uint8 (slices, height, width, 3)
    head : of this volume
    size : pixels a side of the grid

    Returns
    -------
    uint8 (n, 3, size, size) for the n slices of `head.slices`; beyond the picture is the level of
    that slice's air

    Examples
    --------
    >>> from lggseg.prepare.head_finder import find_head
    >>> y, x = np.mgrid[:64, :64]
    >>> disc = np.hypot(y - 31.5, x - 31.5) < 20
    >>> image = np.where(disc[None, :, :, None], np.uint8(90), np.uint8(7)).repeat(3, axis=3)
    >>> slices_to_grid(image, find_head(image), 8)[0, 1, 3]  # a row through the middle
    tensor([62, 90, 90, 90, 90, 90, 90, 62], dtype=torch.uint8)
    """
    levels = image[head.slices]
    air = np.rint(head.air[head.slices]).astype(np.uint8)
    if head.source != (0, 1, 2):
        levels = levels[..., list(head.source)]
        air = air[:, list(head.source)]
    square = pad_to_square(torch.from_numpy(levels).movedim(3, 1), head, torch.from_numpy(air))
    # Contiguous, sequence by sequence: `standardise` then takes half the time.
    return _resize(square, size).contiguous()


def mask_to_grid(mask: np.ndarray, head: Head, size: int) -> torch.Tensor:
    """Masks bool (D,H,W) of those slices: the share of each pixel that is tumour, uint8
    (n,1,size,size), 255 is all.

    >>> from lggseg.prepare.head_finder import Box
    >>> air, zero, one = np.zeros((1, 3)), np.zeros(3), np.ones(3)
    >>> head = Head((1, 4, 4), air, np.array([0]), Box(0, 0, 4), False, (0, 1, 2), zero, one)
    >>> mask = np.array([[[1, 1, 0, 0], [1, 1, 0, 0], [0] * 4, [0] * 4]], bool)
    >>> mask_to_grid(mask, head, 4)[0, 0, 0]
    tensor([255, 255,   0,   0], dtype=torch.uint8)
    """
    slices = torch.from_numpy(255 * mask[head.slices].astype(np.uint8))
    return _resize(pad_to_square(slices[:, None], head), size)


def pad_to_square(
    slices: torch.Tensor, head: Head, beyond: torch.Tensor | None = None
) -> torch.Tensor:
    """The head's square of each slice, mirrored if the head says so.

    Parameters
    ----------
    slices : (n, channels, height, width)
    head : of the volume
    beyond : (n, channels), what the square holds beyond the picture; 0 without it

    Returns
    -------
    (n, channels, side, side)

    Examples
    --------
    >>> from lggseg.prepare.head_finder import Box
    >>> nothing = np.zeros((1, 3))
    >>> head = Head((1, 2, 3), nothing, np.array([0]), Box(0, 1, 3), True, (0, 1, 2), None, None)
    >>> pad_to_square(torch.tensor([[[[1, 2, 3], [4, 5, 6]]]]), head)[0, 0]
    tensor([[0, 3, 2],
            [0, 6, 5],
            [0, 0, 0]])
    """
    picture_rows, picture_columns, square_rows, square_columns = square_overlap(head)
    count, channels = slices.shape[:2]
    side = head.box.side
    # As slices lie in memory, the sequences of a pixel beside each other: ten times as fast as
    # F.pad.
    square = torch.empty(
        (count, channels, side, side), dtype=slices.dtype, memory_format=torch.channels_last
    )
    square[:] = 0 if beyond is None else beyond[:, :, None, None]
    square[:, :, square_rows, square_columns] = slices[:, :, picture_rows, picture_columns]
    return square.flip(-1) if head.mirrored else square


def square_overlap(head: Head) -> tuple[slice, slice, slice, slice]:
    """Where picture and head's square overlap.

    Returns
    -------
    rows and columns of the picture, and the same rows and columns counted within the square

    Examples
    --------
    >>> from lggseg.prepare.head_finder import Box
    >>> head = Head((1, 2, 3), None, None, Box(0, 1, 3), False, (0, 1, 2), None, None)
    >>> square_overlap(head)[:2]
    (slice(0, 2, None), slice(1, 3, None))
    >>> square_overlap(head)[2:]
    (slice(0, 2, None), slice(0, 2, None))
    """
    top, left, side = head.box
    height, width = head.shape[1:]
    rows = slice(max(0, top), min(height, top + side))
    columns = slice(max(0, left), min(width, left + side))
    rows_in_square = slice(rows.start - top, rows.stop - top)
    columns_in_square = slice(columns.start - left, columns.stop - left)
    return rows, columns, rows_in_square, columns_in_square


def _resize(slices: torch.Tensor, size: int) -> torch.Tensor:
    """(n,C,side,side) to (n,C,size,size), averaging where it shrinks."""
    shrinks = slices.shape[-1] > size
    # Where it grows there is nothing to average, and without it floats take half the time; bytes
    # have one fast way.
    return F.interpolate(
        slices, (size, size), mode="bilinear", antialias=shrinks or slices.dtype == torch.uint8
    )


def standardise(slices: torch.Tensor, head: Head, rows: np.ndarray, context: int) -> torch.Tensor:
    """Rows of `slices_to_grid` as z-scores: grey level less air, less the inner head's mean, over
    its deviation.

    Parameters
    ----------
    slices : uint8 (n, 3, size, size), all slices of `head.slices`
    head : of the volume
    rows : which of them, counted from 0
    context : neighbouring slices on either side, the end ones repeated

    Returns
    -------
    float32 (len(rows), 3 (2 context + 1), size, size) in Z_RANGE; the channels of row i are those
    of rows i - context to i + context, in order

    Examples
    --------
    >>> from lggseg.prepare.head_finder import Box
    >>> air = np.float32([[0] * 3, [10] * 3])
    >>> centre, spread = np.float32([50] * 3), np.float32([20] * 3)
    >>> head = Head((2, 1, 1), air, np.arange(2), Box(0, 0, 1), False, (0, 1, 2), centre, spread)
    >>> slices = torch.tensor([[70, 90, 10], [40, 60, 255]], dtype=torch.uint8).view(2, 3, 1, 1)
    >>> standardise(slices, head, [0], context=0).flatten()
    tensor([ 1.,  2., -2.])
    >>> standardise(slices, head, [1], context=1).flatten()
    tensor([ 1.0000,  2.0000, -2.0000, -1.0000,  0.0000,  9.7500, -1.0000,  0.0000,
             9.7500])
    """
    offsets = torch.arange(-context, context + 1)
    # (rows, 2 context + 1).
    wanted = (torch.as_tensor(rows)[:, None] + offsets).clamp(0, len(slices) - 1)
    air = torch.from_numpy(head.air[head.slices][:, list(head.source)])
    # The grey level whose z-score is 0.
    zero = (air + torch.from_numpy(head.centre))[wanted][..., None, None]
    spread = torch.from_numpy(head.spread).view(3, 1, 1)
    return slices[wanted].float().sub_(zero).div_(spread).clamp_(*Z_RANGE).flatten(1, 2)


def from_grid(probability: torch.Tensor, head: Head) -> np.ndarray:
    """Probabilities (n,1,s,s) of the slices that show a head, as float32 (D,H,W) on the volume's
    own grid.

    0 outside the head's square and in slices of air at the ends; a slice between others that shows
    nothing, as a broken one, gets the mean of its nearest neighbours.

    >>> from lggseg.prepare.head_finder import Box
    >>> head = Head((1, 2, 3), None, np.array([0]), Box(0, 1, 3), False, (0, 1, 2), None, None)
    >>> from_grid(torch.arange(9.0).view(1, 1, 3, 3) / 10, head)[0]
    array([[0. , 0. , 0.1],
           [0. , 0.3, 0.4]], dtype=float32)
    """
    full = np.zeros(head.shape, np.float32)
    if len(head.slices) == 0:
        return full
    square = _resize(probability.float(), head.box.side)[:, 0]
    if head.mirrored:
        square = square.flip(-1)
    picture_rows, picture_columns, square_rows, square_columns = square_overlap(head)
    shown = square[:, square_rows, square_columns].cpu().numpy()
    full[head.slices, picture_rows, picture_columns] = shown
    without_head = np.setdiff1d(np.arange(head.slices[0], head.slices[-1]), head.slices)
    for d in without_head:
        before = head.slices[head.slices < d][-1]
        after = head.slices[head.slices > d][0]
        full[d] = (full[before] + full[after]) / 2
    return full
