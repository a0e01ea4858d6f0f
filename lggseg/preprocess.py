"""From a volume to the network's grid and back: one pair of functions, for training and prediction alike."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .errors import LggError


@dataclass(frozen=True)
class Recipe:
    """What a trained network must know about its input and output; it travels inside the checkpoint."""

    size: int = 128  # pixels a side; halving 256 makes a step about four times cheaper
    context: int = 0  # neighbouring slices given on either side, as extra channels
    block: int = 1  # block x block pixels become channels on the way in, and logits on the way out
    threshold: float = 0.5  # probability from which a pixel counts as tumour
    flip: bool = True  # average the prediction with that of the mirrored slice
    min_component_share: float = 0.0  # of the strongest 3D component's weight, that a component needs to stay
    robust: bool = False  # standardise by median and absolute deviation, which a bright tumour hardly moves

    @property
    def channels(self) -> int:
        """Channels of a slice on the grid: three sequences per slice shown."""
        return 3 * (2 * self.context + 1)

    @classmethod
    def of(cls, network: nn.Module) -> "Recipe":
        """The plain recipe that fits a network's channels, where it tells them as `in_channels`."""
        return cls(context=max(0, (getattr(network, "in_channels", 3) // 3 - 1) // 2), block=1)

    def check(self, network: nn.Module) -> None:
        """Raise LggError if the network tells a number of input channels that contradicts this recipe."""
        wanted = self.channels * self.block**2
        channels = getattr(network, "in_channels", wanted)
        if channels != wanted:
            raise LggError(f"the network takes {channels} channels but its recipe (context={self.context}, "
                           f"block={self.block}) gives {wanted}; give the recipe it was trained with")


@dataclass(frozen=True)
class Head:
    """What the way to the grid needs to know of a volume of `shape` (D,H,W).

    Where its intensities lie and how far they spread, per sequence inside the head, each float32 (3,).
    """

    shape: tuple[int, int, int]
    centre: np.ndarray
    spread: np.ndarray


def find_head(image: np.ndarray, recipe: Recipe) -> Head:
    """Mean and standard deviation of a volume uint8 (D,H,W,3), per sequence, over the head's pixels only.

    The head is where any sequence exceeds a tenth of that sequence's 99th percentile: air would
    otherwise dominate the mean. Per volume, never per slice: an empty slice must stay dark. `recipe.robust`
    gives the median instead, and 1.4826 times the median absolute deviation from it, which is the
    standard deviation of a normal distribution (Huber 1981): a tumour moves them less.
    """
    check_volume(image)
    every = image[:: max(1, len(image) // 16), ::2, ::2].reshape(-1, 3)  # a sample is enough, and quick
    head = every[(every > 0.1 * np.percentile(every, 99, axis=0)).any(axis=1)].astype(np.float32)
    if len(head) == 0:
        return Head(image.shape[:3], np.zeros(3, np.float32), np.ones(3, np.float32))
    centre = np.median(head, axis=0) if recipe.robust else head.mean(axis=0)
    spread = 1.4826 * np.median(abs(head - centre), axis=0) if recipe.robust else head.std(axis=0)
    return Head(image.shape[:3], centre, spread.astype(np.float32).clip(min=1.0))


def check_volume(image: np.ndarray) -> None:
    """Raise LggError unless `image` is uint8 (D,H,W,3) with at least one slice."""
    if image.ndim != 4 or image.shape[-1] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise LggError(f"image is {image.dtype} {image.shape}; it must be uint8 (D, H, W, 3), D >= 1, "
                       "the sequences in the order pre-contrast, FLAIR, post-contrast")


def slices_to_grid(image: np.ndarray, head: Head, size: int) -> torch.Tensor:
    """Slices uint8 (D,H,W,3) on the grid, uint8 (D,3,size,size): as bytes, a cohort of small slices fits into memory."""
    return _square(torch.from_numpy(np.array(image)).permute(0, 3, 1, 2), size)


def mask_to_grid(mask: np.ndarray, head: Head, size: int) -> torch.Tensor:
    """Masks bool (D,H,W) on the grid: the share of each pixel that is tumour, uint8 (D,1,size,size), 255 is all."""
    return _square(torch.from_numpy(255 * mask.astype(np.uint8))[:, None], size)


def _square(slices: torch.Tensor, size: int) -> torch.Tensor:
    """Slices uint8 (D,C,H,W) padded to a square, so that resizing keeps their shape, and resized."""
    return F.interpolate(pad_to_square(slices), (size, size), mode="bilinear", antialias=True)


def pad_to_square(slices: torch.Tensor) -> torch.Tensor:
    """Slices (D,C,H,W) with black added below or on the right until H = W."""
    height, width = slices.shape[2:]
    side = max(height, width)
    return F.pad(slices, (0, side - width, 0, side - height)) if height != width else slices


def standardise(slices: torch.Tensor, head: Head, rows: np.ndarray, context: int) -> torch.Tensor:
    """Rows of `slices_to_grid` uint8 (D,3,s,s) as z-scores float32 (len(rows),C,s,s), C = 3 (2 context + 1).

    The channels of slice d are those of slices d-context .. d+context in order, the end slices repeated.
    """
    offsets = torch.arange(-context, context + 1)
    wanted = (torch.as_tensor(rows)[:, None] + offsets).clamp(0, len(slices) - 1)  # (N, 2c+1)
    centre, spread = (torch.from_numpy(values).view(3, 1, 1) for values in (head.centre, head.spread))
    return ((slices[wanted].float() - centre) / spread).flatten(1, 2)  # (N, 2c+1, 3, s, s) -> (N, C, s, s)


def from_grid(probability: torch.Tensor, head: Head) -> np.ndarray:
    """Probabilities (D,1,s,s) on the grid as float32 (D,H,W) on the volume's own."""
    height, width = head.shape[1:]
    side = max(height, width)
    grid = F.interpolate(probability, (side, side), mode="bilinear", align_corners=False)
    return grid[:, 0, :height, :width].float().cpu().numpy()
