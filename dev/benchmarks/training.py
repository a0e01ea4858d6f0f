"""A training step, against the loop that tutorials show; how near it comes to the peak, and where
the rest goes.
"""

import os
from collections import Counter
from collections.abc import Callable

import torch
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile, record_function

from lggseg import DiceBCELoss, TrainConfig, build_model
from lggseg.training.trainer import Trainer

from . import ceiling
from .bench import Bench
from .timing import Ratio, Row, clock, rounds, share

PARTS = {  # of a step: the first name that is found in an operation or in what it is part of
    "augmentation": ("augmentation",),
    "optimiser": ("Optimizer.step",),
    "moving average": ("moving average",),
    "loss": ("loss", "sigmoid", "Sigmoid", "binary_cross_entropy", "BinaryCrossEntropy"),
    "convolutions": ("conv", "Conv"),
    "batch norm": ("batch_norm", "BatchNorm"),
    "ReLU": ("relu", "Relu", "clamp_min"),
    "concatenation": ("cat", "Cat"),
    "pooling": ("pool", "Pool"),
}


def plain_loop(config: TrainConfig, image: torch.Tensor, mask: torch.Tensor) -> Callable[[], float]:
    """A step as it is usually written: contiguous float32, the loss read after each batch."""
    model = build_model(config).networks[0].train()
    loss_function = DiceBCELoss()
    optimiser = torch.optim.AdamW(model.parameters(), config.lr)

    def step() -> float:
        optimiser.zero_grad()
        loss = loss_function(
            F.pixel_shuffle(model(F.pixel_unshuffle(image, config.block)), config.block), mask
        )
        loss.backward()
        optimiser.step()
        return loss.item()

    return step


def parts_of(step: Callable[[], object], steps: int) -> Counter:
    """Share of the time that each part of a step takes."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the profiler says else that there is no GPU
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(steps):
            step()
    spent = Counter()
    for event in found.events():
        spent[part_of(event)] += event.self_cpu_time_total
    return Counter({part: time / spent.total() for part, time in spent.items()})


def part_of(event: "torch.autograd.profiler_util.FunctionEvent") -> str:
    """Which of PARTS an operation belongs to."""
    names = []
    while event:
        names.append(event.name)
        event = event.cpu_parent
    return next(
        (
            part
            for part, words in PARTS.items()
            if any(word in name for name in names for word in words)
        ),
        "the rest",
    )


def named(name: str, task: Callable) -> Callable:
    """`task`, under a name that the profile shows."""

    def run(*arguments: object) -> object:
        with record_function(name):
            return task(*arguments)

    return run


def rows(bench: Bench) -> list[Row]:
    """The default network on a batch of the default size; both sides without augmentation, the
    profile with it.
    """
    config = TrainConfig(
        device="cpu", coarse_share=0, **({"size": 64, "batch": 4} if bench.quick else {})
    )
    trainer = Trainer(build_model(config), bench.cohort, bench.cohort.patients[:2], [], config)
    image, mask = next(iter(trainer.batches(0)))
    trainer.model.train()
    torch.set_flush_denormal(True)  # as `fit` does, here for both
    plain = plain_loop(config, image, mask)
    flops = ceiling.operations(lambda: trainer.step(image, mask))
    costs = rounds(
        bench.repeats,
        clock(lambda: trainer.step(image, mask), 0.5),
        clock(plain, 0.5),
        lambda: flops / ceiling.convolution(),
    )
    trainer.loss = named("loss", trainer.loss)
    trainer.ema.update_parameters = named("moving average", trainer.ema.update_parameters)
    augment = named("augmentation", trainer.augment)
    found = parts_of(lambda: trainer.step(*augment(image, mask)), 1 if bench.quick else 4)
    torch.set_flush_denormal(False)
    shares = ", ".join(
        f"{part} {100 * part_share:.0f} %" for part, part_share in found.most_common()
    )
    return [
        Row(
            "train step",
            "plain loop: contiguous float32, `.item()` per batch",
            Ratio.of(costs[:, 1] / costs[:, 0]),
            None,
            f"{share(costs[:, 2] / costs[:, 0])} of the convolution peak",
            f"Where the time of a training step with its augmentation goes: {shares}.",
        )
    ]
