"""The U-Net (Ronneberger et al. 2015), its skip connections made by forward hooks on a stack.

Going down, the newest activation is the last to be needed; going up, the first. That is a stack:
a hook on each encoder block pushes the block's output, a hook on each up-convolution pops the
newest one and returns it concatenated with the up-convolution's own output. The loop that
remains knows nothing of skip connections, and works for any depth.
"""

import math
import threading
from itertools import pairwise

import torch
from torch import nn

from .errors import LggError


class ActivationStack(threading.local):
    """The encoder activations of the forward pass under way: a list, or None between passes.

    Each thread sees a list of its own, so two threads may run one model. A copy or pickle is
    always empty, since activations belong to a pass and not to the model.
    """

    items: list[torch.Tensor] | None = None

    def __reduce__(self):
        return type(self), ()


class UNetBlock(nn.Sequential):
    """Twice: 3x3 convolution, batch normalisation, ReLU. Float (N,in,H,W) to (N,out,H,W)."""

    def __init__(self, in_channels: int, out_channels: int):
        layers: list[nn.Module] = []
        for channels in (in_channels, out_channels):
            layers += [
                nn.Conv2d(channels, out_channels, 3, padding=1, bias=False),  # the norm has a bias
                nn.BatchNorm2d(out_channels),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)


class UNet(nn.Module):
    """U-Net with `depth` levels; float (N,in_channels,H,W) to logits (N,out_channels,H,W).

    The first level has `features` channels and each further one `growth` times as many (growth=1
    keeps the width constant). Each level but the first halves height and width, so both must divide
    by 2**(depth-1). Logits are unbounded: a sigmoid makes probabilities of them. Raises LggError
    for settings, channels or sizes that cannot work.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        features: int = 16,
        depth: int = 5,
        growth: float = 2,
    ):
        super().__init__()
        if depth < 2:
            raise LggError(
                f"depth is {depth}; a U-Net has at least two levels: use 2 or more (5 is usual)"
            )
        widths = [round(features * growth**level) for level in range(depth)]
        if min(in_channels, out_channels, *widths) < 1:
            raise LggError(
                f"in_channels {in_channels}, out_channels {out_channels} and the levels' widths "
                f"{widths} must all be at least 1; raise features or growth"
            )
        self.architecture = {  # what a checkpoint needs to build the network again
            "in_channels": in_channels,
            "out_channels": out_channels,
            "features": features,
            "depth": depth,
            "growth": growth,
        }
        self.in_channels = in_channels
        self.depth = depth
        self.encoder = nn.ModuleList(
            UNetBlock(above, below) for above, below in pairwise([in_channels, *widths[:-1]])
        )
        self.pool = nn.MaxPool2d(2)
        self.bottom = UNetBlock(widths[-2], widths[-1])

        widths_going_up = widths[::-1]  # from the bottom to the finest level
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(below, above, 2, stride=2)
            for below, above in pairwise(widths_going_up)
        )
        # Each decoder block takes the skip connection and the up-convolution's output together.
        self.decoder = nn.ModuleList(UNetBlock(2 * width, width) for width in widths_going_up[1:])
        self.head = nn.Conv2d(widths[0], out_channels, 1)
        self._begin_with_hardly_any_tumour()

        # Bound methods follow the model into copies and pickles.
        self.stack = ActivationStack()
        for block in self.encoder:
            block.register_forward_hook(self._push)
        for up in self.up:
            up.register_forward_hook(self._pop)

    def _begin_with_hardly_any_tumour(self) -> None:
        """Let a fresh network give each pixel a probability of about 5 %.

        With PyTorch's own start some networks have no positive weight in the head. Its inputs are
        never negative, so no logit rises above the bias, and a short training finds no tumour at
        all. Section 4.1 of "Focal loss for dense object detection" (Lin et al. 2017) begins so.
        """
        nn.init.normal_(self.head.weight, std=0.1)
        nn.init.constant_(self.head.get_parameter("bias"), -3.0)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self._check(image)
        self.stack.items = []
        try:
            x = image
            for block in self.encoder:
                x = self.pool(block(x))  # the block's hook pushes
            x = self.bottom(x)
            for up, block in zip(self.up, self.decoder, strict=True):
                x = block(up(x))  # the up-convolution's hook pops
            return self.head(x)
        finally:
            self.stack.items = None

    def _push(self, block: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        """Keep the block's output, unless the block runs outside of a forward pass."""
        if self.stack.items is not None:
            self.stack.items.append(output)

    def _pop(self, up: nn.Module, inputs: tuple, output: torch.Tensor) -> torch.Tensor:
        """Concatenate the newest activation and the up-convolution's output, in this order."""
        if self.stack.items is None:
            return output
        return torch.cat([self.stack.items.pop(), output], dim=1)

    def _check(self, image: torch.Tensor) -> None:
        weights = next(self.parameters()).dtype
        if image.dtype != weights and not torch.is_autocast_enabled(self.head.weight.device.type):
            raise LggError(
                f"input is {image.dtype}, and the network's weights are {weights}; they must be of "
                "one type: call .float() on both"
            )
        if image.ndim != 4 or image.shape[1] != self.in_channels:
            raise LggError(
                f"input is {tuple(image.shape)}; this network takes (N, {self.in_channels}, H, W)"
            )
        step = 2 ** (self.depth - 1)
        height, width = image.shape[2:]
        if height % step or width % step or 0 in (height, width):
            padded_height = max(1, math.ceil(height / step)) * step
            padded_width = max(1, math.ceil(width / step)) * step
            raise LggError(
                f"input is {height} x {width} pixels; at depth {self.depth} both must divide by "
                f"{step}: pad to {padded_height} x {padded_width}, or use a smaller depth"
            )
