"""What each part of the recipe is worth: one change at a time, brief trainings, several seeds.

A part is left out, or what the network is given is changed. The same folds and seeds are trained
with the change and without (`recipe`), and their held-out patients judged as scanned and under the
changes of `lggseg.prepare.scanner`, as `experiments.robustness` judges them. With
`--config experiments/recipes/brief.toml` a training takes minutes on one core, so it shows what
helps early on. Under --out lies a table for each training; a command that was stopped goes on where
it was, and with --fold processes share the work.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from lggseg import (
    Cohort,
    LggError,
    Segmenter,
    SliceDataset,
    TrainConfig,
    UNet,
    build_model,
    dice,
    open_cohort,
)
from lggseg.data.dataset import Pair
from lggseg.model.postprocess import postprocess
from lggseg.prepare.augment import Augment
from lggseg.prepare.head_finder import (
    Box,
    Head,
    above_air,
    joint_signal,
    smoothed,
    tissue_bound,
)
from lggseg.prepare.scanner import SCANNER_CHANGES
from lggseg.sequences import MriSequence
from lggseg.training.config import add_options, config_of
from lggseg.training.fit import one_epoch
from lggseg.training.trainer import Trainer

from .command import command, execute
from .compare import interval
from .greyvalues import Inside, tissue_quartiles
from .maps import from_bytes
from .plan import Fold, k_folds
from .robustness import CLEAN, TOGETHER, Version, claim, member_maps, score, version
from .tables import write_csv

RECIPE = "recipe"
FOLDS = 5
THRESHOLD, SHARE = 0.5, 0.5  # the same for all, so nothing is chosen on whom is judged
FIGURES = ("clean", "changed", "both", "worst")
# What the parts of `Augment` return where they are left out.
NOTHING: dict[str, Callable] = {
    "fade": lambda image, mask: image,
    "contrast": lambda image: image,
    "shading": lambda n, size: torch.zeros(n, *size),
    "brightness": lambda n, count: torch.zeros(n, count, 3, 1, 1),
    "coarsen": lambda signal: None,
    "add_ghosts": lambda signal: None,
    "add_noise": lambda signal: None,
    "cut_levels": lambda signal: None,
}


# --- what the network is given ---


def as_found(image: np.ndarray, head: Head) -> Head:
    """The head as `find_head` found it."""
    return head


def whole_picture(image: np.ndarray, head: Head) -> Head:
    """The head with the whole picture as its square."""
    height, width = head.shape[1:]
    side = max(height, width)
    return replace(head, box=Box((height - side) // 2, (width - side) // 2, side))


def by_quartiles(image: np.ndarray, head: Head) -> Head:
    """The head with median and quartiles of all tissue in place of the inner head's mean and
    deviation.
    """
    air = head.air[head.slices]
    smooth = [smoothed(image[head.slices, :, :, sequence]) for sequence in MriSequence]
    shown = [head.source[sequence] == sequence for sequence in MriSequence]
    signal = joint_signal(smooth, air, shown)
    tissue = signal > tissue_bound(signal)
    centre = np.empty(3, np.float32)
    spread = np.empty(3, np.float32)
    for sequence, source in enumerate(head.source):
        levels = above_air(smooth[source], air[:, source])
        centre[sequence], spread[sequence] = tissue_quartiles(
            Inside(levels, tissue, tissue, tissue)
        )
    spread = np.maximum(spread, 0.05 * np.abs(centre))
    return replace(head, centre=centre, spread=spread)


# --- other networks ---


class MirrorUNet(nn.Module):
    """A U-Net that is also given how each half of the head differs from the other.

    Raina et al. 2020 found 9 to 13 points of Dice by this in strokes.
    """

    def __init__(self, network: UNet, block: int):
        super().__init__()
        self.block = block
        self.in_channels = network.in_channels
        self.architecture = network.architecture
        self.network = UNet(**network.architecture | {"in_channels": 2 * network.in_channels})

    def forward(self, blocks: torch.Tensor) -> torch.Tensor:
        picture = F.pixel_shuffle(blocks, self.block)
        difference = F.pixel_unshuffle(picture - picture.flip(-1), self.block)
        return self.network(torch.cat([blocks, difference], dim=1))


class DeepUNet(UNet):
    """A U-Net whose coarser decoder levels answer, too, while it is trained."""

    def __init__(self, **architecture: Any):
        super().__init__(**architecture)
        self.answers = nn.ModuleList()
        self.coarse: list[torch.Tensor] = []
        for block in [*self.decoder][:-1]:
            width = next(iter(block)).out_channels
            answer = nn.Conv2d(width, 1, 1)
            nn.init.normal_(answer.weight, std=0.1)
            nn.init.constant_(answer.get_parameter("bias"), -3.0)
            self.answers.append(answer)
            block.register_forward_hook(self._answer)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.coarse = []
        return super().forward(image)

    def _answer(self, block: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        if self.training:
            self.coarse.append(self.answers[len(self.coarse)](output))


class DeepLoss:
    """The loss of a DeepUNet: its own, and that of each coarser level, half as heavy as the level
    above it.
    """

    def __init__(self, network: DeepUNet, loss: Callable[..., torch.Tensor]):
        self.network = network
        self.loss = loss

    def __call__(self, logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        total = self.loss(logits, mask)
        weight = 1.0
        for coarse in reversed(self.network.coarse):
            weight /= 2
            share = F.avg_pool2d(mask, mask.shape[-1] // coarse.shape[-1])
            total = total + weight * self.loss(coarse, share)
        return total


# --- where in the stack a slice lies ---


def with_place(images: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Images (N, C, H, W) with a further channel that is all places (N,), -1 to 1."""
    channel = places.to(images).view(-1, 1, 1, 1).expand(-1, 1, *images.shape[2:])
    return torch.cat([images, channel], dim=1)


def places_in_stack(head: Head) -> torch.Tensor:
    """-1 for the lowest slice that shows a head, 1 for the highest."""
    return torch.linspace(-1, 1, len(head.slices))


class PlaceSlices(SliceDataset):
    """Slices whose last channel is their place in the stack."""

    def __getitem__(self, i: int) -> Pair:
        image, mask = super().__getitem__(i)
        place = places_in_stack(self.heads[self._patients[i]])[self._positions[i]]
        return with_place(image[None], place)[0], mask


class PlaceAugment(Augment):
    """Changes all channels but the last."""

    def __call__(
        self, image: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        seen, mask = super().__call__(image[:, :-1], mask)
        return torch.cat([seen, image[:, -1:]], dim=1), mask


class PlaceSegmenter(Segmenter):
    """Gives its network the place of each slice of a volume, in order."""

    def _predict_on_grid(self, image: np.ndarray, head: Head, *how: Any) -> torch.Tensor:
        self.places = places_in_stack(head)
        return super()._predict_on_grid(image, head, *how)

    def _probabilities(self, inputs: torch.Tensor) -> torch.Tensor:
        places, self.places = self.places[: len(inputs)], self.places[len(inputs) :]
        return super()._probabilities(with_place(inputs, places))


def tell_places(trainer: Trainer, cohort: Cohort, patients: list[str]) -> None:
    """Train on PlaceSlices."""
    config = trainer.config
    trainer.data = PlaceSlices(cohort, patients, config.recipe, soft=True)
    trainer.augment = PlaceAugment(
        config.augment, carve_mix=config.carve_mix, cyst=config.cyst, grey=config.grey_augment
    )


# --- the changes ---


@dataclass(frozen=True)
class Arm:
    """One change of the recipe.

    Attributes
    ----------
    settings : of TrainConfig
    without : parts of `Augment` that do nothing
    head : what becomes of the head that `find_head` finds
    mirror : the mirrored half's difference is given, too
    deep : coarser levels are trained to answer, too
    place : the network is told where in the stack a slice lies
    """

    settings: dict[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    head: Callable[[np.ndarray, Head], Head] = as_found
    mirror: bool = False
    deep: bool = False
    place: bool = False


ARMS = {
    RECIPE: Arm(),
    "no_contrast": Arm(without=("contrast",)),
    "no_fade": Arm(without=("fade",)),
    "no_shading": Arm(without=("shading", "brightness")),
    "no_noise": Arm(without=("add_noise",)),
    "no_carve_mix": Arm({"carve_mix": 0.0}),
    "no_cyst": Arm({"cyst": 0.0}),
    "quartiles": Arm(head=by_quartiles),
    "whole_picture": Arm(head=whole_picture),
    "no_ghosts": Arm(without=("add_ghosts",)),
    "no_coarse": Arm(without=("coarsen",)),
    "mirror": Arm(mirror=True),
    "deep": Arm(deep=True),
    "place": Arm(place=True),
    "neighbours": Arm({"context": 1}),
    "pixels": Arm({"block": 1, "size": 64, "coarse_size": 48}),
    "no_levels": Arm(without=("cut_levels",)),
    "geometry_alone": Arm(without=tuple(NOTHING)),
    "grey_half": Arm({"grey_augment": 0.5}),
    "grey_quarter": Arm({"grey_augment": 0.25}),
}


def train(arm: Arm, cohort: Cohort, patients: list[str], config: TrainConfig) -> Segmenter:
    """Train one network with this change, as `fit` would, and return its averaged weights."""
    config = replace(config, **arm.settings)
    model = build_model(config)
    if arm.mirror:
        model = Segmenter(MirrorUNet(model.networks[0], config.block), config.recipe)
    if arm.deep:
        model = Segmenter(DeepUNet(**model.networks[0].architecture), config.recipe)
    if arm.place:
        given = model.networks[0].in_channels + config.block**2
        network = UNet(**model.networks[0].architecture | {"in_channels": given})
        # As one of a sequence it does not tell its channels, and is given all.
        model = PlaceSegmenter(nn.Sequential(network), config.recipe)
    trainer = Trainer(model, cohort, patients, [], config)
    if arm.place:
        tell_places(trainer, cohort, patients)
    if arm.deep:
        trainer.loss = DeepLoss(model.networks[0], trainer.loss)
    for part in arm.without:
        setattr(trainer.augment, part, NOTHING[part])
    heads = trainer.data.heads
    trainer.data.heads = {
        patient: arm.head(cohort.volume(patient).image, head) for patient, head in heads.items()
    }
    torch.set_flush_denormal(True)
    for _ in tqdm(range(config.epochs), "epochs", leave=False):
        trainer.record(one_epoch(trainer, progress=False))
    return trainer.average().eval()


# --- the comparison ---


def versions_of(cohort: Cohort, patients: list[str]) -> dict[str, list[Version]]:
    """Each patient as scanned, and under each of SCANNER_CHANGES."""
    found = {}
    for patient in tqdm(patients, "change scans"):
        volume = cohort.volume(patient)
        found[patient] = [version(name, volume) for name in (CLEAN, *SCANNER_CHANGES)]
    return found


def judge(arm: Arm, model: Segmenter, versions: dict[str, list[Version]]) -> pd.DataFrame:
    """Dice of each patient and version: a row each, as `experiments.robustness` has them."""
    rows = []
    for patient, of_patient in versions.items():
        for shown in of_patient:
            as_given = replace(shown, head=arm.head(shown.image, shown.head))
            probability = from_bytes(member_maps([model], as_given))[0]
            mask = postprocess(probability, THRESHOLD, SHARE)
            row = {"patient": patient, "change": shown.name, "judge": TOGETHER}
            rows.append(row | {"dice": dice(mask, shown.truth)})
    return pd.DataFrame(rows)


def run_fold(
    cohort: Cohort, fold: Fold, k: int, names: list[str], config: TrainConfig, seeds: list[int]
) -> None:
    """Train and judge what is not there yet, of one fold: all seeds of a change, then the next."""
    versions: dict[str, list[Version]] = {}
    for name in names:
        for seed in seeds:
            path = Path(str(config.out)) / name / f"fold{k}_seed{seed}.csv"
            if path.exists():
                continue
            versions = versions or versions_of(cohort, fold.held_out)
            model = train(ARMS[name], cohort, fold.train, replace(config, out=None, seed=seed))
            table = judge(ARMS[name], model, versions).assign(arm=name, fold=k, seed=seed)
            write_csv(table.round(4), path)
            print(path, score(table).mean().round(3).to_dict(), flush=True)


def read_tables(out: Path) -> pd.DataFrame:
    """All rows under `out`."""
    return pd.concat([pd.read_csv(path) for path in sorted(out.glob("*/fold*_seed*.csv"))])


def scores_of(table: pd.DataFrame) -> pd.DataFrame:
    """One row per arm, seed and patient, as `robustness.score` has them."""
    parts = []
    for (arm, seed), rows in table.groupby(["arm", "seed"], sort=False):
        parts.append(score(rows).reset_index().assign(arm=arm, seed=seed))
    return pd.concat(parts, ignore_index=True)


def summary(each: pd.DataFrame) -> pd.DataFrame:
    """What each change does: a row each, the recipe itself first.

    Parameters
    ----------
    each : what `scores_of` returns

    Returns
    -------
    means of FIGURES over patients and seeds, and number of catastrophes for each seed; `gain` in
    `both` over the recipe, `low` and `high` of its 95 % interval over patients, and `least` and
    `most`, those of the seeds with the smallest and the largest. Patients whom a seed of a change
    has not judged yet count in none of its figures

    Raises
    ------
    LggError
        where the recipe itself is missing
    """
    if RECIPE not in set(each.arm):
        raise LggError(f"nothing to compare with: train {RECIPE}, too, with --arms {RECIPE}")
    both = each.pivot(index="patient", columns=["arm", "seed"], values="both")
    rows = {}
    for arm in [RECIPE, *(name for name in ARMS if name in set(each.arm) - {RECIPE})]:
        gain = (both[arm] - both[RECIPE]).dropna(axis=1, how="all").dropna()
        mine = each[
            (each.arm == arm) & each.patient.isin(gain.index) & each.seed.isin(gain.columns)
        ]
        low, high = interval(gain.mean(axis=1).to_numpy(), np.mean)
        of_seeds = gain.mean()
        rows[arm] = {
            "seeds": len(of_seeds),
            "patients": len(gain),
            **mine[[*FIGURES]].mean(),
            "catastrophes": mine.catastrophes.sum() / len(of_seeds),
            "gain": of_seeds.mean(),
            "low": low,
            "high": high,
            "least": of_seeds.min(),
            "most": of_seeds.max(),
        }
    return pd.DataFrame.from_dict(rows, orient="index").astype({"seeds": int, "patients": int})


def options() -> argparse.ArgumentParser:
    parser = command("ablation", __doc__)
    parser.add_argument(
        "--arms",
        nargs="+",
        choices=[*ARMS],
        default=[*ARMS],
        metavar="ARM",
        help=f"changes to try: {', '.join(ARMS)} (default: all, in this order)",
    )
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N", help="(default: 0 1 2)"
    )
    parser.add_argument(
        "--fold",
        type=int,
        nargs="+",
        default=[0, 1],
        metavar="K",
        choices=range(FOLDS),
        help="of the five folds, counted from 0 (default: 0 1)",
    )
    parser.add_argument("--scores", type=Path, metavar="FILE", help="also write all scores as CSV")
    parser.add_argument(
        "--table", type=Path, metavar="FILE", help="only print what such a CSV file holds"
    )
    add_options(parser)
    return parser


def do(chosen: argparse.Namespace) -> None:
    if chosen.table:
        print_summary(pd.read_csv(chosen.table))
        return
    config = config_of(chosen)
    if not config.out:
        raise LggError("--out is needed: the folder that a stopped command goes on from")
    claim(Path(config.out), config.identity_settings)
    cohort = open_cohort(chosen.data)
    folds = k_folds(cohort.patients, FOLDS)
    for k in chosen.fold:
        run_fold(cohort, folds[k], k, chosen.arms, config, chosen.seeds)
    each = scores_of(read_tables(Path(config.out)))
    print_summary(each)
    if chosen.scores:
        write_csv(each.round(4), chosen.scores)


def print_summary(each: pd.DataFrame) -> None:
    """Print what `summary` returns."""
    rounded = summary(each).round(3)
    print(rounded.mask(rounded == 0, 0).to_string())  # without minus zero


def main(argv: list[str] | None = None) -> None:
    execute(options(), do, argv)


if __name__ == "__main__":
    main()
