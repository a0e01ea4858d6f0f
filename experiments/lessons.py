"""The trainings that notebooks 03 and 04 compare, each repeated with several seeds.

`unet` trains the small networks of notebook 03 (how deep, how wide, with which skip connections,
from which first weights), `training` those of notebook 04 (which split, which loss, averaged
weights or not). The table has a row per training. The rows of a seed are written when they are
complete, in place of what the file held for this seed and this cohort.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, RandomSampler, Subset
from tqdm.auto import tqdm

from lggseg import (
    Augment,
    Cohort,
    DiceBCELoss,
    GridSpec,
    SliceDataset,
    TrainConfig,
    UNet,
    build_model,
    dice,
    dice_loss,
    open_cohort,
    split_patients,
)
from lggseg.files import atomic_write

from .command import command, execute

STEPS = 60  # of a network of notebook 03
STEPS_04 = 300
JUDGE_EVERY = 50  # steps
CUTS = {"level 1": (1,), "level 2": (2,), "level 3": (3,), "all": (1, 2, 3)}
EQUAL_WEIGHTS = {2: 24, 4: 15, 6: 12}  # depth -> channels of every level: 34,000 to 38,000 weights
BCE = F.binary_cross_entropy_with_logits
LOSSES = {"Dice + BCE": DiceBCELoss(), "BCE": BCE, "Dice": dice_loss}


# --- notebook 03 ---


class CutUNet(UNet):
    """A U-Net whose skip connections of the levels `cut` carry zeros; level 1 is on top."""

    def __init__(self, cut: tuple[int, ...] = (), **settings):
        super().__init__(**settings)
        self.cut = cut

    def _pop(self, up: nn.Module, inputs: tuple, output: torch.Tensor) -> torch.Tensor:
        skip = self.stack.items.pop()
        level = len(self.stack.items) + 1
        if level in self.cut:
            skip = torch.zeros_like(skip)
        return torch.cat([skip, output], dim=1)


def tumour_slices(cohort: Cohort, patients: list[str]) -> SliceDataset:
    """Slices with tumour, 64 pixels a side."""
    return SliceDataset(cohort, patients, GridSpec(size=64, block=1), tumour_only=True)


def train_unet(model: UNet, slices: SliceDataset, seed: int, peak: float = 1e-2) -> UNet:
    """Train for STEPS batches of 8, drawn by `seed`; returns the model in eval mode."""
    torch.manual_seed(seed)
    drawn = RandomSampler(slices, replacement=True, num_samples=8 * STEPS)
    optimizer = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=STEPS)
    loss_function = DiceBCELoss()
    model.train()
    for image, mask in DataLoader(slices, 8, sampler=drawn):
        loss = loss_function(model(image), mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def unet_scores(model: UNet, slices: SliceDataset) -> dict[str, float]:
    """Return the Dice of all pixels together (`pooled`) and of the mean patient (`patients`)."""
    images, masks = (torch.stack(part) for part in zip(*slices))
    with torch.no_grad():
        found = torch.cat([model(batch) for batch in images.split(16)]) > 0
    found = found.numpy()
    truth = masks.numpy() > 0
    owner = slices.rows.patient.to_numpy()
    each = [dice(found[owner == patient], truth[owner == patient]) for patient in np.unique(owner)]
    return {"pooled": dice(found, truth), "patients": np.mean(each)}


def unet_runs() -> list[dict]:
    """What is trained for each seed: comparison, variant, and the settings of the network."""
    runs = []
    for depth in range(2, 7):
        runs.append(
            {"comparison": "depth", "variant": f"depth {depth}", "depth": depth, "features": 8}
        )
    for depth in (2, 3, 4):
        runs.append(
            {
                "comparison": "usual start",
                "variant": f"depth {depth}",
                "depth": depth,
                "features": 8,
            }
        )
    for depth, features in EQUAL_WEIGHTS.items():
        runs.append(
            {
                "comparison": "equal weights",
                "variant": f"depth {depth}",
                "depth": depth,
                "features": features,
                "growth": 1,
            }
        )
    for missing, cut in CUTS.items():
        runs.append(
            {
                "comparison": "trained without",
                "variant": missing,
                "depth": 4,
                "features": 8,
                "cut": cut,
            }
        )
    return runs


def unet_rows(cohort: Cohort, seed: int) -> Iterator[dict]:
    """A row per network of notebook 03."""
    known, unknown = (
        tumour_slices(cohort, part) for part in split_patients(cohort.patients, (0.8, 0.2), seed=0)
    )
    for run in tqdm(unet_runs(), f"seed {seed}", leave=False):
        comparison = run.pop("comparison")
        variant = run.pop("variant")
        torch.manual_seed(seed)
        model = CutUNet(**run)
        if comparison == "usual start":
            model.head.reset_parameters()  # as PyTorch begins any convolution
        train_unet(model, known, seed)
        weights = sum(parameter.numel() for parameter in model.parameters())
        row = {"comparison": comparison, "variant": variant, "weights": weights, "seed": seed}
        yield row | unet_scores(model, unknown)
        if (comparison, variant) == ("depth", "depth 4"):
            yield from cut_rows(model, unknown, row)


def cut_rows(model: CutUNet, slices: SliceDataset, row: dict) -> Iterator[dict]:
    """Rows of a trained network whose skip connections are cut afterwards."""
    for missing, cut in CUTS.items():
        model.cut = cut
        yield (
            row
            | {"comparison": "cut after training", "variant": missing}
            | unet_scores(model, slices)
        )


# --- notebook 04 ---

SMALL = TrainConfig(size=96, features=8, growth=1.5)


def train_small(
    slices: Subset,
    loss_function: Callable,
    judge: Callable,
    seed: int,
    peak: float = 3e-3,
    decay: float = 0.97,
) -> Iterator[dict]:
    """Train on `slices`; every JUDGE_EVERY steps what `judge(network, average)` says."""
    network = build_model(replace(SMALL, seed=seed)).to(memory_format=torch.channels_last)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=peak, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, peak, total_steps=STEPS_04 + 1, pct_start=0.15
    )
    augment = Augment(0.5)
    torch.manual_seed(seed)
    drawn = RandomSampler(slices, replacement=True, num_samples=8 * STEPS_04)
    for step, (image, mask) in enumerate(DataLoader(slices, 8, sampler=drawn), start=1):
        image, mask = augment(image, mask)
        network.train()
        loss = loss_function(network(image), mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        average.update_parameters(network)
        if step % JUDGE_EVERY == 0:
            yield {"step": step} | judge(network, average.module)


def study(cohort: Cohort, seed: int) -> tuple[SliceDataset, dict[str, np.ndarray], np.ndarray]:
    """Return the slices of the study, the rows that each split trains on, and those judged on."""
    train, _, test = split_patients(cohort.patients, (0.65, 0.15, 0.2), seed=0)
    rng = np.random.default_rng(seed)
    others = rng.permutation(train)[: 2 * len(test)]
    slices = SliceDataset(cohort, [*test, *others], SMALL.recipe, soft=True)
    owner = slices.rows.patient
    of_test = owner.isin(test).to_numpy()
    of_half = owner.isin(others[: len(test)]).to_numpy()
    # The study itself knows the test patients and as many others; shuffled, and cut in two.
    shuffled = rng.permutation(np.flatnonzero(of_test | of_half))
    at_random = shuffled[-of_half.sum() :]
    parts = {
        "by patient": np.flatnonzero(of_half),
        "by patient, twice the heads": rng.permutation(np.flatnonzero(~of_test))[: of_half.sum()],
        "at random": at_random,
    }
    return slices, parts, np.setdiff1d(np.flatnonzero(of_test), at_random)


def make_judge(slices: SliceDataset, judged: np.ndarray) -> Callable:
    """Return a function that judges a network and its average on these slices."""
    images, masks = (torch.stack(part) for part in zip(*(slices[i] for i in judged)))

    def score(network: nn.Module) -> float:
        with torch.no_grad():
            found = torch.cat([network.eval()(batch) for batch in images.split(32)]) > 0
        return dice(found.numpy(), masks.numpy() >= 0.5)

    def judge(network: nn.Module, average: nn.Module) -> dict[str, float]:
        return {"averaged": score(average), "plain": score(network)}

    return judge


def training_rows(cohort: Cohort, seed: int) -> Iterator[dict]:
    """Several rows per network of notebook 04, one for each time that it is judged."""
    slices, parts, judged = study(cohort, seed)
    judge = make_judge(slices, judged)
    runs = [(split, "Dice + BCE") for split in parts] + [
        ("by patient", "BCE"),
        ("by patient", "Dice"),
    ]
    for split, loss in tqdm(runs, f"seed {seed}", leave=False):
        for seen in train_small(Subset(slices, parts[split]), LOSSES[loss], judge, seed):
            yield {"split": split, "loss": loss, "seed": seed} | seen


def write(rows: pd.DataFrame, kind: str, seed: int, out: Path) -> None:
    """Put the rows of a seed on this kind of cohort into the file `out`, and leave all others."""
    rows.insert(0, "cohort", kind)
    if out.exists():
        before = pd.read_csv(out)
        replaced = (before.cohort == kind) & (before.seed == seed)
        rows = pd.concat([before[~replaced], rows])
    with atomic_write(out) as part:
        rows.sort_values(["cohort", "seed"], kind="stable").to_csv(
            part, index=False, float_format="%.4f"
        )


def options() -> argparse.ArgumentParser:
    parser = command("lessons", __doc__)
    parser.add_argument("table", choices=("unet", "training"))
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N", help="default: 0 1 2"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="CSV file to write")
    return parser


def run(options: argparse.Namespace) -> None:
    cohort = open_cohort(options.data)
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)  # the same numbers on every machine with such a processor
    rows = {"unet": unet_rows, "training": training_rows}[options.table]
    for seed in options.seeds:
        write(pd.DataFrame(rows(cohort, seed)), cohort.kind, seed, options.out)


def main(argv: list[str] | None = None) -> None:
    execute(options(), run, argv)


if __name__ == "__main__":
    main()
