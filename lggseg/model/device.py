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
    """The device called `name`, else the GPU if CUDA sees one, else the CPU.

    Of several GPUs a process of torchrun takes its own, LOCAL_RANK. Raises LggError for a name that PyTorch does not
    know, and for a GPU that is not there.
    """
    try:
        device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name is None else name)
        if device.type != "cuda":
            torch.zeros(1, device=device).item()  # some have a name but are not there, or cannot compute
            return device
    except (RuntimeError, AssertionError, TypeError) as error:
        raise LggError(f"device {name!r}: no such device here; use cpu or cuda") from error
    index = int(os.environ.get("LOCAL_RANK", 0)) if device.index is None else device.index
    if not torch.cuda.is_available() or index >= torch.cuda.device_count():
        raise LggError(f"device {name!r}: PyTorch sees {torch.cuda.device_count()} GPUs here, and number {index} is "
                       "wanted; use cpu, or fewer processes")
    return torch.device("cuda", index)


def check_float32(network: nn.Module) -> None:
    """Raise LggError for a network whose weights are in another number format, after .half() or .double().

    It is trained and asked in float32; faster formats are chosen here, layer by layer, where they do no harm.
    """
    for name, values in network.named_parameters():
        if values.dtype != torch.float32:
            raise LggError(f"the weights of {name} are {values.dtype}; they must be torch.float32: call .float() on "
                           "the network first (faster number formats are used where they help)")


def amp_dtype(device: torch.device) -> torch.dtype | None:
    """Number format for mixed precision on `device`, or None to stay in float32.

    bfloat16 needs compute capability 8.0; older GPUs use float16, which needs a GradScaler. A CPU gains from
    bfloat16 only if it has instructions for it.
    """
    if device.type == "cpu":
        return torch.bfloat16 if cpu_has_bfloat16() else None
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16


def mixed_precision(device: torch.device) -> AbstractContextManager:
    """The context in which a network's forward pass runs in `amp_dtype`, where that is faster than float32."""
    dtype = amp_dtype(device)
    return torch.autocast(device.type, dtype) if dtype else nullcontext()


def pick_threads() -> int:
    """The number of threads that convolves fastest at this moment, up to THREADS; for torch.set_num_threads.

    Threads wait for each other in every layer. On a busy machine one that gets no core holds up all, and a single
    thread is faster, many times over. Takes about a tenth of a second.
    """
    present, best, least = torch.get_num_threads(), 1, float("inf")
    for threads in sorted({1, *(THREADS >> halvings for halvings in range(THREADS.bit_length() - 1))}):
        seconds = convolution_seconds(threads, least)
        if seconds < least:
            best, least = threads, seconds
    torch.set_num_threads(present)
    return best


def convolution_seconds(threads: int, limit: float) -> float:
    """Seconds for thirty convolutions by so many threads, or what exceeds `limit`; leaves that number set."""
    torch.set_num_threads(threads)
    image, kernel = torch.ones(4, 16, 64, 64), torch.ones(16, 16, 3, 3)
    F.conv2d(image, kernel)  # the first one wakes the threads
    start = time.perf_counter()
    for _ in range(30):
        F.conv2d(image, kernel)
        if (spent := time.perf_counter() - start) > limit:
            break
    return spent


@cache
def cpu_has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware, as far as Linux tells; False elsewhere."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
