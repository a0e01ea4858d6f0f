"""The one place where device and number format are chosen."""

import os
import time
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from ..errors import LggError

THREADS = torch.get_num_threads()  # PyTorch's own choice, before anybody changes it


def pick_device(name: str | None = None) -> torch.device:
    """The device to compute on.

    Parameters
    ----------
    name : cpu, cuda or mps (the GPU of a Mac); without it the GPU if CUDA sees one, else the CPU

    Returns
    -------
    torch.device; of several GPUs a process of torchrun takes its own, LOCAL_RANK

    Raises
    ------
    LggError
        for a name that PyTorch does not know, and for a device that is not there

    Examples
    --------
    >>> pick_device("cpu")
    device(type='cpu')
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type != "cuda":
            # Some devices have a name but are not there, or cannot compute.
            torch.zeros(1, device=device).item()
            return device
    except (RuntimeError, AssertionError, TypeError) as error:
        raise LggError(f"device {name!r}: no such device here; use cpu, cuda or mps") from error
    index = device.index
    if index is None:
        index = int(os.environ.get("LOCAL_RANK", 0))
    count = torch.cuda.device_count()
    if not torch.cuda.is_available() or index >= count:
        raise LggError(
            f"device {name!r}: PyTorch sees {count} GPUs here, and number {index} is wanted; use "
            "cpu, or fewer processes"
        )
    return torch.device("cuda", index)


def check_float32(network: nn.Module) -> None:
    """Raise LggError for a network whose weights are not float32, as after .half() or .double().

    Networks are trained and used in float32; faster formats are chosen here, layer by layer, where
    they do no harm.
    """
    for name, values in network.named_parameters():
        if values.dtype != torch.float32:
            raise LggError(
                f"the weights of {name} are {values.dtype}; they must be torch.float32: call "
                ".float() on the network first (faster number formats are used where they help)"
            )


def amp_dtype(device: torch.device) -> torch.dtype | None:
    """Number format for mixed precision on a device, or None to stay in float32.

    On NVIDIA GPUs bfloat16 needs compute capability 8.0; older ones use float16, which needs a
    GradScaler. A CPU gains from bfloat16 only if it has instructions for it. The GPU of a Mac stays
    in float32.
    """
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        return torch.bfloat16 if capability >= (8, 0) else torch.float16
    if device.type == "cpu" and cpu_has_bfloat16():
        return torch.bfloat16
    return None


def augmentation_device(device: torch.device) -> torch.device:
    """Where slices are augmented for a network on `device`.

    There, except on the GPU of a Mac, for which PyTorch lacks some of the operations.
    """
    if device.type == "mps":
        return torch.device("cpu")
    return device


def mixed_precision(device: torch.device) -> AbstractContextManager:
    """The context in which a network's forward pass runs in `amp_dtype`, where there is one."""
    dtype = amp_dtype(device)
    if dtype is None:
        return nullcontext()
    return torch.autocast(device.type, dtype)


def pick_threads() -> int:
    """The number of threads that runs fastest right now, up to PyTorch's own choice.

    For `torch.set_num_threads`. Threads wait for each other in every layer: on a busy machine one
    that gets no core holds up all, and a single thread may be many times faster. Takes about a
    tenth of a second.
    """
    numbers = {1}
    number = THREADS
    while number > 1:
        numbers.add(number)
        number //= 2

    present = torch.get_num_threads()
    fastest = 1
    least_seconds = float("inf")
    for threads in sorted(numbers):
        seconds = convolution_seconds(threads, limit=least_seconds)
        if seconds < least_seconds:
            fastest = threads
            least_seconds = seconds
    torch.set_num_threads(present)
    return fastest


def convolution_seconds(threads: int, limit: float) -> float:
    """Seconds for thirty convolutions by so many threads; it stops once `limit` is exceeded.

    Leaves that number of threads set.
    """
    torch.set_num_threads(threads)
    image = torch.ones(4, 16, 64, 64)
    kernel = torch.ones(16, 16, 3, 3)
    F.conv2d(image, kernel)  # the first one starts the threads
    start = time.perf_counter()
    seconds = 0.0
    for _ in range(30):
        F.conv2d(image, kernel)
        seconds = time.perf_counter() - start
        if seconds > limit:
            break
    return seconds


@cache
def cpu_has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware; False on other systems than Linux."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
