"""What makes training faster here: `python benchmarks/training.py [--size 128] [--steps 8]`.

Slices per second of a training step of the default network, in float32 and, where `amp_dtype` would choose it, in
half precision, with channels first and last; ratios to the slowest, all from one run. The last row
adds the batch's augmentation.
"""

import argparse
import time
from contextlib import nullcontext

import pandas as pd
import torch
from lggseg.transforms import Augment

from lggseg import DiceBCELoss, TrainConfig
from lggseg.device import amp_dtype, pick_device

BATCH = 16


def rate(size: int, steps: int, dtype: torch.dtype | None, layout: torch.memory_format, augment: bool) -> float:
    """Slices per second of a training step, the first two left out."""
    device, config, loss = pick_device(), TrainConfig(), DiceBCELoss()
    model = config.model().to(device, memory_format=layout).train()
    optimiser, change = torch.optim.AdamW(model.parameters()), Augment()
    pictures = torch.randn(BATCH, config.recipe.channels, size, size, device=device)
    masks = (pictures[:, :1] > 1).float()
    for step in range(steps + 2):
        if step == 2:
            wait(device)
            start = time.perf_counter()
        image, mask = change(pictures, masks) if augment else (pictures, masks)
        with torch.autocast(device.type, dtype) if dtype else nullcontext():
            found = loss(model(image.contiguous(memory_format=layout)), mask)
        optimiser.zero_grad()
        found.backward()
        optimiser.step()
    wait(device)
    return BATCH * steps / (time.perf_counter() - start)


def wait(device: torch.device) -> None:
    """Let a GPU finish what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=8)
    args = parser.parse_args()
    torch.set_flush_denormal(True)
    half = amp_dtype(pick_device())
    layouts = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}
    rows = {(str(dtype or torch.float32), name): rate(args.size, args.steps, dtype, layout, False)
            for dtype in dict.fromkeys((None, half)) for name, layout in layouts.items()}
    rows[str(half or torch.float32), "channels last, augmented"] = rate(args.size, args.steps, half,
                                                                        torch.channels_last, True)
    found = pd.Series(rows, name="slices/s").to_frame()
    found["ratio"] = found["slices/s"] / found["slices/s"].min()
    print(f"{args.size} x {args.size}, batch {BATCH}, {pick_device().type}, {torch.get_num_threads()} threads")
    print(found.round(2).to_string())


if __name__ == "__main__":
    main()
