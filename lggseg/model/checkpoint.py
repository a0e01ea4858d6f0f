"""A file of weights and plain values: written whole or not at all, read back only if nothing in it has changed.

Never pickled code: a downloaded file cannot run anything.
"""

import hashlib
import io
import zipfile
from pathlib import Path

import torch

from ..errors import LggError
from ..files import atomic_write

FROM_WEIGHTS = ("build the network that its weights belong to, such as lggseg.UNet(), load them by load_state_dict, "
                "and keep it by lggseg.save_checkpoint")
FORMAT = 4  # goes up whenever what is stored changes its meaning


def write_checkpoint(content: dict, path: Path | str) -> Path:
    """Write tensors and plain values with their digest, whole or not at all; LggError where it cannot be written."""
    buffer = io.BytesIO()  # where a disk is full, torch would raise what tells nobody so
    torch.save({"format": FORMAT, "digest": digest(content), "content": content}, buffer)
    with atomic_write(path) as part:
        part.write_bytes(buffer.getbuffer())
    return Path(path)


def read_checkpoint(path: Path | str) -> dict:
    """The content of a file of `write_checkpoint`, on the CPU.

    Raises LggError if the file is missing, cut short, changed since it was written, or not one of ours.
    """
    path = Path(path)
    if not path.is_file():
        raise LggError(f"{path}: no such checkpoint; train one with `python -m lggseg.train --out {path.parent}`")
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise LggError(f"{path}: may not be read ({error.strerror}); let its owner give you the right, or name another "
                       "file") from error
    except Exception as error:  # whatever a damaged file makes the reader raise
        raise LggError(f"{path}: {why_unreadable(path, str(error))}") from error
    ours = isinstance(stored, dict) and {"format", "digest", "content"} <= stored.keys()
    if not ours:
        raise LggError(f"{path}: {what_it_holds(stored)}, not an lggseg checkpoint; {FROM_WEIGHTS}")
    content, written = stored["content"], (stored["format"], stored["digest"])
    if written[0] != FORMAT:
        raise LggError(f"{path}: format {written[0]}, and this version reads format {FORMAT}; train it again")
    if written[1] != digest(content):
        raise LggError(f"{path}: damaged, its content does not match its digest; copy or download it again, or "
                       "train it again")
    return content


def why_unreadable(path: Path, reason: str) -> str:
    """In words, why PyTorch cannot read a file, and what to do: it is somebody else's, no such file, or damaged."""
    with path.open("rb") as file:
        start = file.read(16)
    try:
        intact = start[:2] == b"\x80\x02"  # as PyTorch wrote until 1.6
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                intact = archive.testzip() is None
    except Exception:  # the archive is damaged
        intact = False
    if intact and "TorchScript" in reason:
        return f"a TorchScript program, not an lggseg checkpoint; {FROM_WEIGHTS}"
    if intact and "can still be loaded" in reason:
        return ("Python objects, such as a whole model or a Lightning checkpoint, not an lggseg checkpoint; where you "
                f"trust it, read it by torch.load(..., weights_only=False) and take the weights out; {FROM_WEIGHTS}")
    if start[:2] not in (b"PK", b"\x80\x02", b""):
        return f"begins with {start!r}, and no checkpoint does; download it again, or name the right file"
    return f"not a whole lggseg checkpoint ({reason.split('. ')[0]}); copy or download it again, or train it again"


def what_it_holds(stored: object) -> str:
    """In words, what a file of PyTorch that is not ours holds."""
    if not isinstance(stored, dict):
        return f"a {type(stored).__name__}"
    if stored and all(isinstance(value, torch.Tensor) for value in stored.values()):
        return "a state_dict, which holds weights alone"
    if "state_dict" in stored:
        return "a training checkpoint with a state_dict, such as Lightning's"
    return f"a dictionary of {', '.join(map(str, list(stored)[:5])) or 'nothing'}"


def digest(value: object) -> str:
    """SHA-256 over names, types, shapes and bytes of nested dicts, lists, tensors and plain values.

    >>> digest({"a": torch.zeros(2)}) == digest({"a": torch.zeros(2)}), digest({"a": 1}) == digest({"a": 2})
    (True, False)
    """
    state = hashlib.sha256()
    _feed(state, value)
    return state.hexdigest()


def _feed(state: "hashlib._Hash", value: object) -> None:
    if isinstance(value, torch.Tensor):
        state.update(f"{value.dtype}{tuple(value.shape)}".encode())
        state.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy())
    elif isinstance(value, dict):
        for key, item in value.items():
            state.update(f"{key!r}:".encode())
            _feed(state, item)
    elif isinstance(value, (list, tuple)):
        state.update(f"[{len(value)}]".encode())
        for item in value:
            _feed(state, item)
    else:
        state.update(repr(value).encode())


def quantise(values: torch.Tensor, bits: int) -> torch.Tensor | dict[str, torch.Tensor]:
    """A tensor as it is stored: a kernel in float16, or at 8 bits in steps of -127 to 127.

    A step is the largest weight of its kernel over 127 (symmetric quantisation per channel: Krishnamoorthi 2018).
    All else keeps its 32 bits: it is little, and a running variance may be greater than 16 bits can say. LggError
    where a kernel is.
    """
    if bits not in (32, 16, 8):
        raise LggError(f"bits is {bits}; a weight is stored in 32, 16 or 8")
    if bits == 32 or values.ndim < 2 or not values.is_floating_point():
        return values
    if bits == 8:
        step = values.abs().amax(dim=tuple(range(1, values.ndim)), keepdim=True).clamp(min=1e-12) / 127
        return {"steps": (values / step).round().to(torch.int8), "step": step}
    if values.abs().max() > torch.finfo(torch.float16).max:
        raise LggError(f"a weight is {values.abs().max():g}, and 16 bits hold numbers up to 65,504; store 32")
    return values.half()


def dequantise(stored: torch.Tensor | dict[str, torch.Tensor]) -> torch.Tensor:
    """The inverse of `quantise`: float32, or whole numbers as they are."""
    if isinstance(stored, dict):
        return stored["steps"].float() * stored["step"]
    return stored.float() if stored.is_floating_point() else stored
