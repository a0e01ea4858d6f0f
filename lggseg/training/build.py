"""The network that a run's settings ask for."""

import torch

from ..errors import LggError
from ..model.segmenter import Segmenter, load_checkpoint
from ..unet import UNet
from .config import TrainConfig


def build_model(config: TrainConfig) -> Segmenter:
    """Build a network for these settings, fresh or from the checkpoint `config.start`.

    Parameters
    ----------
    config : settings of the run; the same `seed` gives the same fresh weights

    Returns
    -------
    Segmenter of one U-Net, with the run's recipe. From `config.start` it also has the patients that
    network was trained on

    Raises
    ------
    LggError
        where a size does not suit the depth, or `config.start` holds another network

    Examples
    --------
    >>> model = build_model(TrainConfig(size=32, coarse_size=16, features=4, depth=3))
    >>> model(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 1, 32, 32])
    """
    check_sizes(config)
    torch.manual_seed(config.seed)
    network = UNet(
        in_channels=config.recipe.channels * config.block**2,
        out_channels=config.block**2,
        features=config.features,
        depth=config.depth,
        growth=config.growth,
    )
    if not config.start:
        return Segmenter(network, config.recipe)
    earlier = load_checkpoint(config.start)
    if len(earlier.networks) != 1 or earlier.networks[0].architecture != network.architecture:
        raise LggError(
            f"{config.start} is not a single U-Net of these settings ({network.architecture}); "
            "give the context, block, features, depth and growth it was trained with"
        )
    return Segmenter(earlier.networks[0], config.recipe, earlier.patients)


def check_sizes(config: TrainConfig) -> None:
    """Raise LggError where a grid cannot be halved as often as the network does.

    Checked before training: the fine grid is only used after half of the epochs.
    """
    step = config.block * 2 ** (config.depth - 1)
    for size in (config.size_at(0), config.size):
        if size % step:
            raise LggError(
                f"size {size} in blocks of {config.block}: a U-Net of depth {config.depth} needs a "
                f"multiple of {step}"
            )
