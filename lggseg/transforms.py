"""From raw slices to what the network sees, and back: one recipe for training and prediction."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F
from torchvision import tv_tensors
from torchvision.transforms import v2

from .errors import LggError


@dataclass(frozen=True)
class Recipe:
    """What a trained network must know about its input and output; it travels inside the checkpoint."""

    size: int = 128  # pixels a side; halving 256 makes a step about four times cheaper
    context: int = 0  # neighbouring slices given on either side, as extra channels
    threshold: float = 0.5  # probability from which a pixel counts as tumour
    flip: bool = True  # average the prediction with that of the mirrored slice
    keep: float = 0.0  # share of the strongest 3D component's weight a component needs: see `lggseg.predict.clean`

    @property
    def channels(self) -> int:
        """Input channels of a network for this recipe: three sequences per slice shown."""
        return 3 * (2 * self.context + 1)


@dataclass(frozen=True)
class Stats:
    """Mean and standard deviation per sequence inside the head of one volume, each float32 (3,)."""

    mean: np.ndarray
    std: np.ndarray


def head_stats(image: np.ndarray) -> Stats:
    """Intensity statistics of a volume uint8 (D,H,W,3), per sequence, over the head's pixels only.

    The head is where any sequence exceeds a tenth of that sequence's 99th percentile: air would
    otherwise dominate the mean. Per volume, never per slice: an empty slice must stay dark.
    """
    check_volume(image)
    every = image[:: max(1, len(image) // 16), ::2, ::2].reshape(-1, 3)  # a sample is enough, and quick
    head = every[(every > 0.1 * np.percentile(every, 99, axis=0)).any(axis=1)].astype(np.float32)
    if len(head) == 0:
        return Stats(np.zeros(3, np.float32), np.ones(3, np.float32))
    return Stats(head.mean(axis=0), head.std(axis=0).clip(min=1.0))


def check_volume(image: np.ndarray) -> None:
    """Raise LggError unless `image` is uint8 (D,H,W,3) with at least one slice."""
    if image.ndim != 4 or image.shape[-1] != 3 or image.dtype != np.uint8 or len(image) == 0:
        raise LggError(f"image is {image.dtype} {image.shape}; it must be uint8 (D, H, W, 3), D >= 1, "
                       "the sequences in the order pre-contrast, FLAIR, post-contrast")


def resize_image(image: torch.Tensor, size: int) -> torch.Tensor:
    """Float (N,C,H,W) to (N,C,size,size), averaging pixels where it shrinks."""
    if image.shape[-2:] == (size, size):
        return image
    return F.interpolate(image, (size, size), mode="bilinear", antialias=True, align_corners=False)


def prepare_slices(image: np.ndarray, stats: Stats, recipe: Recipe, rows: np.ndarray) -> torch.Tensor:
    """Slices `rows` of a volume uint8 (D,H,W,3) as network input float32 (len(rows),C,size,size), z-scores.

    With `context` c, the channels of slice d are those of slices d-c .. d+c in order, the end
    slices repeated at the ends of the volume.
    """
    offsets = np.arange(-recipe.context, recipe.context + 1)
    wanted = np.clip(np.asarray(rows)[:, None] + offsets, 0, len(image) - 1)  # (N, 2c+1)
    unique, place = np.unique(wanted, return_inverse=True)
    pixels = torch.from_numpy(np.stack([image[d] for d in unique])).permute(0, 3, 1, 2).float()
    pixels = (pixels - torch.from_numpy(stats.mean).view(3, 1, 1)) / torch.from_numpy(stats.std).view(3, 1, 1)
    pixels = resize_image(pixels, recipe.size)[torch.from_numpy(place.reshape(wanted.shape))]
    return pixels.flatten(1, 2)  # (N, 2c+1, 3, s, s) -> (N, C, s, s)


class Augment:
    """Random flips, affine maps and intensity changes of one (image, mask) pair, the same for every channel.

    `strength` scales all ranges: 0 only mirrors, 1 suits a few dozen patients. Intensities (z-scores) change
    per sequence, since contrast and scanner differ between them; a FLAIR copied into an empty
    sequence is imitated by `drop`, the chance that post-contrast, or pre- and post-contrast, are replaced by it.
    """

    def __init__(self, strength: float = 1.0, drop: float = 0.1):
        self.strength, self.drop = strength, drop
        degrees, shift, scale = 20 * strength, 0.08 * strength, 0.2 * strength
        self.space = v2.Compose([
            v2.RandomHorizontalFlip(0.5),
            v2.RandomAffine(degrees, (shift, shift), (1 - scale, 1 + scale), shear=8 * strength,
                            interpolation=v2.InterpolationMode.BILINEAR),
        ])

    def __call__(self, image: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        image, mask = self.space(image, tv_tensors.Mask(mask))
        return self.intensity(image), mask.as_subclass(torch.Tensor)

    def intensity(self, image: torch.Tensor) -> torch.Tensor:
        """Gain, offset, gamma-like bend and noise on z-scores (C,H,W), drawn per sequence."""
        slices = image.view(-1, 3, *image.shape[-2:]).clone()  # (2c+1, 3, H, W)
        draw = lambda spread: spread * self.strength * (2 * torch.rand(3, 1, 1) - 1)  # noqa: E731
        slices = slices * (1 + draw(0.25)) + draw(0.25)
        slices = slices + draw(0.1) * (slices.square() - 1)
        slices = slices + 0.1 * self.strength * torch.rand(()) * torch.randn_like(slices)
        if torch.rand(()) < self.drop:
            slices[:, 2] = slices[:, 1]
            if torch.rand(()) < 0.5:  # in the data set, who lacks pre-contrast lacks post-contrast too
                slices[:, 0] = slices[:, 1]
        return slices.flatten(0, 1)
