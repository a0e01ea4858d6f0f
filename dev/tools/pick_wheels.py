"""Say which builds of PyTorch fit this machine, as options for pip; `make` asks before it installs
anything.

On Linux, PyTorch's usual wheels bring 5 GB of CUDA along, which is of use to an NVIDIA GPU only.
Where there is none, the CPU wheels are taken, if their index answers. Standard library only:
nothing is installed yet.
"""

import argparse
import platform
import shutil
import sys
import urllib.request
from pathlib import Path

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
SECONDS = 4  # to wait for the index


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--cpu", action="store_true", help="take the CPU wheels")
    choice.add_argument("--gpu", action="store_true", help="take the usual wheels")
    chosen = parser.parse_args(arguments)
    if is_intel_mac():
        parser.exit(
            2,
            "PyTorch ends at version 2.2 on Macs with an Intel processor, and this series needs "
            "2.6: open the notebooks in Colab (see README), or use another computer.\n",
        )
    options, reason = pip_options(chosen.cpu, chosen.gpu)
    print(reason, file=sys.stderr)
    print(*options)


def pip_options(cpu: bool, gpu: bool) -> tuple[list[str], str]:
    """Options for pip, and in words which wheels they bring and why."""
    usual = []
    without_cuda = ["--extra-index-url", CPU_INDEX]
    if gpu:
        return usual, "PyTorch's usual wheels, as GPU=1 asks."
    if cpu:
        return without_cuda, "PyTorch's CPU wheels, as CPU=1 asks."
    if platform.system() != "Linux":
        return usual, "PyTorch's usual wheels: on this system they hold no CUDA."
    if has_nvidia_driver():
        return (
            usual,
            "PyTorch's usual wheels: there is an NVIDIA GPU. CPU=1 takes those without CUDA.",
        )
    if not answers(CPU_INDEX):
        return usual, (
            f"PyTorch's usual wheels, with 5 GB of CUDA: {CPU_INDEX} does not answer. There is no "
            "NVIDIA GPU here; CPU=1 insists on the CPU wheels."
        )
    return (
        without_cuda,
        "PyTorch's CPU wheels: no NVIDIA GPU was found. GPU=1 takes those with CUDA.",
    )


def is_intel_mac() -> bool:
    """Whether this is macOS on an Intel processor."""
    return platform.system() == "Darwin" and platform.machine() == "x86_64"


def has_nvidia_driver() -> bool:
    """Whether NVIDIA's driver is installed, and so presumably a GPU."""
    return Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None


def answers(address: str) -> bool:
    """Whether a web address can be opened within a few seconds."""
    try:
        with urllib.request.urlopen(f"{address}/torch/", timeout=SECONDS):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    main()
