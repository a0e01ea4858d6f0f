"""The one place where device and number format are chosen."""

import torch


def pick_device(name: str | None = None) -> torch.device:
    """The device called `name`, else the GPU if CUDA sees one, else the CPU."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def amp_dtype(device: torch.device) -> torch.dtype | None:
    """Number format for mixed precision on `device`, or None to stay in float32.

    bfloat16 needs compute capability 8.0; older GPUs use float16, which needs a GradScaler.
    On the CPUs we measured, bfloat16 was no faster than float32.
    """
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
