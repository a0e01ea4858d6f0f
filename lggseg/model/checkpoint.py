"""A file of weights and plain values.

It is written whole or not at all, and read back only if nothing in it has changed. It never holds
pickled code: a downloaded file cannot run anything.
"""

import hashlib
import io
import zipfile
from pathlib import Path

import torch

from ..errors import LggError
from ..files import atomic_write

FORMAT = 4  # goes up whenever what is stored changes its meaning
KNOWN_FILES = {  # how other files begin, and what they are
    b"\x89HDF": "an HDF5 file, as Keras writes it",
    b"\x93NUMPY": "a NumPy array",
    b"<": "a web page, as a download that needs a login gives",
    b"version https://git-lfs": "a pointer of Git LFS, for which git lfs pull fetches the file",
    b"\x08": "perhaps an ONNX network",
    b"PK": "a zip archive of something else, such as NumPy arrays or a torch.export program",
    b"\x80": "a pickle of Python objects",
}
TAKE_THE_WEIGHTS = (
    "build the network that its weights belong to, such as lggseg.UNet(), load them by "
    "load_state_dict, and store it by lggseg.save_checkpoint"
)


def write_checkpoint(content: dict, path: Path | str) -> Path:
    """Write tensors and plain values with their digest, whole or not at all.

    Raises LggError where the file cannot be written.
    """
    stored = {"format": FORMAT, "digest": digest(content), "content": content}
    buffer = io.BytesIO()  # torch.save itself does not say why where a disk is full
    torch.save(stored, buffer)
    with atomic_write(path) as part:
        part.write_bytes(buffer.getbuffer())
    return Path(path)


def read_checkpoint(path: Path | str) -> dict:
    """The content of a file of `write_checkpoint`, on the CPU.

    Raises
    ------
    LggError
        if the file is missing, cut short, changed since it was written, or not one of ours
    """
    path = Path(path)
    if not path.is_file():
        raise LggError(
            f"{path}: no such checkpoint; train one with `python -m lggseg.train --out "
            f"{path.parent}`"
        )
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise LggError(
            f"{path}: may not be read ({error.strerror}); ask its owner for the right, or name "
            "another file"
        ) from error
    except Exception as error:  # a damaged file makes the reader raise nearly anything
        raise LggError(f"{path}: {why_unreadable(path, str(error))}") from error
    is_ours = isinstance(stored, dict) and {"format", "digest", "content"} <= stored.keys()
    if not is_ours:
        raise LggError(
            f"{path}: {what_it_holds(stored)}, not an lggseg checkpoint; {TAKE_THE_WEIGHTS}"
        )
    if stored["format"] != FORMAT:
        raise LggError(
            f"{path}: format {stored['format']}, and this version reads format {FORMAT}; train it "
            "again"
        )
    if stored["digest"] != digest(stored["content"]):
        raise LggError(
            f"{path}: damaged, its content does not match its digest; copy or download it again, "
            "or train it again"
        )
    return stored["content"]


def why_unreadable(path: Path, reason: str) -> str:
    """Why PyTorch cannot read a file, and what to do about it.

    Parameters
    ----------
    path : of a file that may be read
    reason : PyTorch's own words
    """
    with path.open("rb") as file:
        start = file.read(30)
    before_pytorch_1_6 = start[:2] == b"\x80\x02" and "magic number" not in reason
    whole = before_pytorch_1_6 or is_whole_archive(path)
    if whole and "TorchScript" in reason:
        return f"a TorchScript program, not an lggseg checkpoint; {TAKE_THE_WEIGHTS}"
    if whole and "can still be loaded" in reason:
        return (
            "Python objects, such as a whole model or a Lightning checkpoint, not an lggseg "
            "checkpoint; where you trust it, read it by torch.load(..., weights_only=False) and "
            f"take the weights out; {TAKE_THE_WEIGHTS}"
        )
    if not start or before_pytorch_1_6 or (start[:2] == b"PK" and not whole):
        first_sentence = reason.split(". ")[0] or "it is empty"
        return (
            f"not a whole lggseg checkpoint ({first_sentence}); copy or download it again, or "
            "train it again"
        )
    known = [words for begin, words in KNOWN_FILES.items() if start.startswith(begin)]
    if start[8:10] == b'{"':
        known = ["safetensors, which hold weights alone"]
    what = known[0] if known else f"of an unknown kind, it begins with {start[:16]!r}"
    return f"{what}; not an lggseg checkpoint: name the right file, or {TAKE_THE_WEIGHTS}"


def is_whole_archive(path: Path) -> bool:
    """Whether a file is a zip archive, and none of it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # a damaged archive makes the reader raise nearly anything
        return False


def what_it_holds(stored: object) -> str:
    """What a file of PyTorch holds that is not ours, in words."""
    if not isinstance(stored, dict):
        return f"a {type(stored).__name__}"
    if stored and all(isinstance(value, torch.Tensor) for value in stored.values()):
        return "a state_dict, which holds weights alone"
    if "state_dict" in stored:
        return "a training checkpoint with a state_dict, such as Lightning's"
    names = ", ".join(str(name) for name in list(stored)[:5])
    return f"a dictionary of {names or 'nothing'}"


def digest(value: object) -> str:
    """SHA-256 over names, types, shapes and bytes of nested dicts, lists, tensors and plain values.

    >>> digest({"a": torch.zeros(2)}) == digest({"a": torch.zeros(2)})
    True
    >>> digest({"a": 1}) == digest({"a": 2})
    False
    """
    state = hashlib.sha256()
    _feed(state, value)
    return state.hexdigest()


def _feed(state: "hashlib._Hash", value: object) -> None:
    if isinstance(value, torch.Tensor):
        state.update(f"{value.dtype}{tuple(value.shape)}".encode())
        state.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(value, dict):
        for key, item in value.items():
            state.update(f"{key!r}:".encode())
            _feed(state, item)
    elif isinstance(value, list | tuple):
        state.update(f"[{len(value)}]".encode())
        for item in value:
            _feed(state, item)
    else:
        state.update(repr(value).encode())


def quantise(values: torch.Tensor, bits: int) -> torch.Tensor | dict[str, torch.Tensor]:
    """A tensor as it is stored: a kernel in float16, or at 8 bits in steps of -127 to 127.

    All else keeps its 32 bits: it is little, and a running variance may be too large for 16 bits.

    Parameters
    ----------
    values : float or int, any shape; a kernel has two or more axes
    bits : 32, 16 or 8

    Returns
    -------
    the tensor; at 8 bits a dict of `steps` int8 and of the `step` of each output channel

    Raises
    ------
    LggError
        for another number of bits, and where a weight of a kernel is too large for 16 bits

    Notes
    -----
    A step is the largest weight of its output channel over 127: symmetric quantisation per channel,
    Krishnamoorthi 2018.
    """
    if bits not in (32, 16, 8):
        raise LggError(f"bits is {bits}; a weight is stored in 32, 16 or 8")
    is_kernel = values.ndim >= 2 and values.is_floating_point()
    if bits == 32 or not is_kernel:
        return values
    if bits == 16:
        largest = values.abs().max()
        if largest > torch.finfo(torch.float16).max:
            raise LggError(
                f"a weight is {largest:g}, and 16 bits hold numbers up to 65,504; store 32"
            )
        return values.half()
    all_but_first = tuple(range(1, values.ndim))
    step = values.abs().amax(dim=all_but_first, keepdim=True).clamp(min=1e-12) / 127
    return {"steps": (values / step).round().to(torch.int8), "step": step}


def dequantise(stored: torch.Tensor | dict[str, torch.Tensor]) -> torch.Tensor:
    """The inverse of `quantise`: float32, or whole numbers as they are."""
    if isinstance(stored, dict):
        return stored["steps"].float() * stored["step"]
    if stored.is_floating_point():
        return stored.float()
    return stored
