"""What this machine can do at most: multiply matrices, convolve, copy memory, read files."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from lggseg.model.device import mixed_precision

from .bench import Bench
from .timing import Ratio, Row, clock, rounds

CPU = torch.device("cpu")
# Channels, pixels a side, as in the U-Net: the best one counts.
SHAPES = ((32, 112), (64, 56), (128, 56), (256, 28))


def convolution(least: float = 0.05) -> float:
    """Most operations a second of a 3x3 convolution of 16 slices, channels last, in the format
    training takes here.
    """
    return max(rate(F.conv2d, *convolved(*shape), least) for shape in SHAPES)


def convolved(channels: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Slices and kernels of a convolution."""
    image = torch.randn(16, channels, side, side)
    kernel = torch.randn(channels, channels, 3, 3)
    return image.contiguous(memory_format=torch.channels_last), kernel.contiguous(
        memory_format=torch.channels_last
    )


def product(least: float = 0.2) -> float:
    """Operations a second of a product of two matrices of 2048 x 2048."""
    return rate(torch.matmul, torch.randn(2048, 2048), torch.randn(2048, 2048), least)


@torch.inference_mode()
def rate(task: Callable, a: torch.Tensor, b: torch.Tensor, least: float) -> float:
    """Operations a second of `task(a, b)`."""
    with mixed_precision(CPU):
        return operations(lambda: task(a, b)) / clock(lambda: task(a, b), least)()


def operations(task: Callable[[], object]) -> int:
    """Multiplications and additions in the convolutions and matrix products of a call, backward
    passes too.
    """
    with FlopCounterMode(display=False) as counter:
        task()
    return counter.get_total_flops()


def copied(megabytes: int = 256) -> float:
    """Bytes a second that are read and written again."""
    block = np.ones(megabytes * 125_000)
    return block.nbytes / clock(lambda: block.copy())()


def read(files: list[Path]) -> float:
    """Seconds to read these files, and no more."""
    start = time.perf_counter()
    for file in files:
        file.read_bytes()
    return time.perf_counter() - start


def rows(bench: Bench) -> list[Row]:
    """The two peaks beside each other."""
    costs = 1 / rounds(bench.repeats, convolution, product)
    return [
        Row(
            "machine: the fastest 3x3 convolution",
            "product of two matrices",
            Ratio.of(costs[:, 1] / costs[:, 0]),
        )
    ]
