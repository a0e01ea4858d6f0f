"""The network that a run's settings ask for."""

from dataclasses import replace

import torch

from ..efficientnet import EfficientUNet
from ..errors import LggError
from ..model.segmenter import Segmenter, load_checkpoint
from ..unet import UNet
from .config import TrainConfig


def build_model(config: TrainConfig) -> Segmenter:
    """A network for these settings: fresh, the same seed giving the same weights, or that of `config.start`.

    Raises LggError where a size does not suit the depth, and where `config.start` holds another network.
    """
    torch.manual_seed(config.seed)
    network = build_network(config)
    for size in {config.size, config.size_at(0)}:  # told now, not when the fine epochs begin
        if replace(config.recipe, size=size).size // config.block % 2**(config.depth - 1):
            raise LggError(f"size {size} in blocks of {config.block}: a U-Net of depth {config.depth} needs a "
                           f"multiple of {config.block * 2**(config.depth - 1)}")
    if not config.start:
        return Segmenter(network.load_imagenet() if config.encoder != "plain" else network, config.recipe)
    earlier = load_checkpoint(config.start)
    if len(earlier.networks) != 1 or earlier.networks[0].architecture != network.architecture:
        raise LggError(f"{config.start} is no single U-Net of these settings ({network.architecture}); give the "
                       "context, block, encoder, features, depth and growth it was trained with")
    return Segmenter(earlier.networks[0], config.recipe, earlier.patients)


def build_network(config: TrainConfig) -> UNet:
    """A network of these settings, its weights fresh."""
    channels = config.recipe.channels * config.block**2
    if config.encoder == "plain":
        return UNet(channels, config.block**2, config.features, config.depth, config.growth)
    network = EfficientUNet(config.features)
    if (config.depth, channels) != (network.depth, network.in_channels):
        raise LggError(f"encoder {config.encoder} has depth 5 and takes blocks of 2 x 2 pixels of one slice; leave "
                       f"depth ({config.depth}), block ({config.block}) and context ({config.context}) as they are")
    return network
