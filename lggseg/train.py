"""Train a U-Net by patient: `fit` in a notebook, `python -m lggseg.train` in a shell, `torchrun` on several GPUs."""

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, WeightedRandomSampler
from tqdm.auto import tqdm

from .checkpoint import load_checkpoint, save_atomically, save_checkpoint
from .data import Cohort, SliceDataset, open_cohort, split_patients
from .device import amp_dtype, mixed_precision, pick_device
from .errors import LggError
from .losses import DiceBCELoss, DiceLoss, focal_tversky_loss
from .metrics import dice
from .predict import predict_volume
from .transforms import Augment, Recipe
from .unet import UNet

LOSSES = {"dice": DiceLoss(), "dice_bce": DiceBCELoss(), "focal_tversky": focal_tversky_loss}


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a training run; each field is also an option of `python -m lggseg.train`."""

    out: str | None = None  # folder for best.pt, last.pt, resume.pt and log.csv; None writes nothing
    start: str | None = None  # checkpoint (in crossval: finished folder) to begin from: train longer, or finer
    size: int = 128  # pixels a side that the network sees: at 256 a step costs four times as much
    coarse_size: int = 96  # pixels a side in the first epochs, which cost half as much and learn where to look
    coarse_share: float = 0.5  # of the epochs that are coarse; 0 trains at `size` from the start
    robust: bool = True  # tumours move mean and deviation: worth 0.04 Dice in short trainings, nothing in long ones
    context: int = 1  # neighbouring slices on either side: vessels and ventricle rims show what they are
    features: int = 16  # channels of the first level; 1.9 M weights at depth 5, enough for a few dozen patients
    depth: int = 5  # the deepest level then sees the whole head
    growth: float = 2.0  # channels double where pixels quarter, as in the U-Net paper; 1 keeps them constant
    epochs: int = 32  # one-cycle schedules finish what they start: choose the length, not the end
    epoch_slices: int = 2000  # slices drawn per epoch, so that an epoch means the same for any cohort
    batch: int = 16  # fits any machine; batch statistics get noisy below 8
    lr: float = 3e-3  # peak of the one-cycle schedule; ten times less trains more slowly to the same end
    weight_decay: float = 1e-2  # decoupled (AdamW), mild
    ema: float = 0.995  # weights averaged over about the last 200 steps: smoother than any single step
    loss: str = "dice_bce"  # overlap for the rare class, cross-entropy for its gradient
    tumour_share: float = 0.5  # of the slices drawn; about a third of all slices have tumour
    balance: float = 0.5  # 0 draws every slice alike, 1 every patient: small tumours count as much as large ones
    augment: float = 1.25  # strength, see `lggseg.transforms.Augment`: few patients, long training
    zoom: float = 0.2  # change of size, as a logarithm, times `augment`: heads and tumours differ about so much
    graft: float = 0.0  # chance that a slice gets another's tumour: finds more of the unusual ones, and more besides
    cyst: float = 0.0  # chance that parts of a tumour get another look, as cysts have: as `graft`
    patience: int = 0  # validations without a better Dice until it stops early; 0 never stops
    validate_every: int = 1  # epochs; a validation predicts whole volumes and takes a while
    seed: int = 0
    workers: int = 0  # loader processes; on 2 cores they only compete with the training
    device: str | None = None  # None: the GPU if there is one
    compile: bool = False  # torch.compile: a quarter faster after a minute or two, needs a C++ compiler

    @property
    def recipe(self) -> Recipe:
        return Recipe(size=self.size, context=self.context, robust=self.robust)

    def size_at(self, epoch: int) -> int:
        """Pixels a side in `epoch`, counted from 0: first coarse, then fine."""
        return self.coarse_size if epoch < self.coarse_share * self.epochs else self.size

    def model(self) -> UNet:
        """A network for these settings: fresh, the same seed giving the same weights, or that of `start`."""
        torch.manual_seed(self.seed)
        model = UNet(self.recipe.channels, 1, self.features, self.depth, self.growth)
        if self.start:
            earlier = load_checkpoint(self.start)
            if getattr(earlier, "architecture", None) != model.architecture:
                raise LggError(f"{self.start} is no single U-Net of these settings ({model.architecture}); give the "
                               "context, features, depth and growth it was trained with")
            model.load_state_dict(earlier.state_dict())
            model.training_patients = earlier.training_patients
        return model


class Trainer:
    """The state of one run: network, its moving average, optimiser, schedule, history, and the best weights."""

    PARTS = ("model", "ema", "optimiser", "schedule", "scaler")

    def __init__(self, model: nn.Module, cohort: Cohort, train_patients: list[str], config: TrainConfig):
        self.config, self.device, self.seen = config, pick_device(config.device), seen_by(model)
        self.model = model.to(self.device, memory_format=torch.channels_last)  # twice as fast on a CPU
        self.ema = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True)
        self.network = parallel(torch.compile(self.model) if config.compile else self.model)
        self.data = SliceDataset(cohort, train_patients, config.recipe, soft=True)
        self.augment = Augment(config.augment, zoom=config.zoom, graft=config.graft, cyst=config.cyst)
        self.steps = max(1, config.epoch_slices // config.batch // world_size())
        self.optimiser = torch.optim.AdamW(self.model.parameters(), config.lr, weight_decay=config.weight_decay)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, config.lr, total_steps=config.epochs * self.steps + 1, pct_start=0.15)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=amp_dtype(self.device) == torch.float16)
        self.loss, self.history, self.best = LOSSES[config.loss], [], None

    def loader(self, epoch: int) -> DataLoader:
        """This epoch's batches; the draw depends on seed and epoch alone, so a resumed run sees the same slices."""
        generator = torch.Generator().manual_seed(1_000_003 * self.config.seed + 1009 * epoch + rank())
        torch.manual_seed(generator.initial_seed() + 1)  # augmentation draws from the global generator
        self.data.recipe = replace(self.config.recipe, size=self.config.size_at(epoch))
        sampler = WeightedRandomSampler(self.weights(), self.steps * self.config.batch, generator=generator)
        return DataLoader(self.data, self.config.batch, sampler=sampler, num_workers=self.config.workers,
                          pin_memory=self.device.type == "cuda", generator=generator)

    def weights(self) -> list[float]:
        """How often each slice is drawn: `tumour_share` for those with tumour, patients as even as `balance` asks."""
        tumour, patient = pd.Series(self.data.has_tumour), self.data.rows.patient
        weight = patient.groupby([patient, tumour]).transform("size").astype(float) ** -self.config.balance
        share = self.config.tumour_share if 0 < tumour.mean() < 1 else tumour.mean()
        return (weight / weight.groupby(tumour).transform("sum") * np.where(tumour, share, 1 - share)).tolist()

    def epoch(self, epoch: int, progress: bool) -> float:
        """Train one epoch and return its mean loss."""
        self.model.train()
        total, bar = 0.0, tqdm(self.loader(epoch), self.caption(epoch), leave=False, disable=not progress)
        for image, mask in bar:
            image, mask = self.augment(image.to(self.device), mask.to(self.device))
            total += self.step(image.contiguous(memory_format=torch.channels_last), mask)
        return total / self.steps

    def step(self, image: torch.Tensor, mask: torch.Tensor) -> float:
        """One optimiser step on image (N,C,s,s) and mask (N,1,s,s); returns the loss."""
        with mixed_precision(self.device):
            loss = self.loss(self.network(image), mask)
        self.optimiser.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.schedule.step()
        self.ema.update_parameters(self.model)
        return loss.item()

    def caption(self, epoch: int) -> str:
        """The curve so far in a few characters, for the progress bar."""
        curve = [row["valid_dice"] for row in self.history if np.isfinite(row["valid_dice"])]
        told = f" Dice {sparkline(curve)} {curve[-1]:.3f}" if curve else ""
        return f"epoch {epoch + 1}/{self.config.epochs}{told}"

    def average(self) -> nn.Module:
        """The averaged network, carrying the run's recipe and training patients."""
        network = self.ema.module
        network.recipe = self.config.recipe
        network.training_patients = sorted({*self.data.rows["patient"], *self.seen})
        return network

    def validate(self, cohort: Cohort, patients: list[str]) -> float:
        """Mean Dice per patient volume of the averaged weights at the plain threshold; NaN without patients."""
        if not patients:
            return float("nan")
        network, threshold = self.average(), self.config.recipe.threshold
        found = {p: predict_volume(network, cohort.volume(p).image, self.device.type) >= threshold for p in patients}
        return float(np.nanmean([dice(mask, cohort.volume(p).mask) for p, mask in found.items()]))

    def record(self, row: dict) -> None:
        """Add an epoch to the history; keep its averaged weights if they are the best so far, or cannot be judged."""
        self.history.append(row)
        kept = self.best["score"] if self.best else float("nan")
        if np.isnan(kept) or row["valid_dice"] > kept or not row["judged"]:  # nothing beats NaN, so ask for it
            weights = {key: value.detach().clone() for key, value in self.average().state_dict().items()}
            self.best = {"score": row["valid_dice"], "epoch": row["epoch"], "weights": weights}

    def tired(self) -> bool:
        """True once `patience` validations in a row brought no better Dice."""
        judged = [row["epoch"] for row in self.history if np.isfinite(row["valid_dice"])]
        waited = sum(epoch > self.best["epoch"] for epoch in judged) if self.best else 0
        return bool(self.config.patience) and waited >= self.config.patience

    def save(self, out: Path) -> None:
        """Write last.pt and best.pt (weights), log.csv and, last of all, resume.pt; only rank 0 writes."""
        if rank():
            return
        save_checkpoint(self.average(), out / "last.pt")
        if self.best["epoch"] == len(self.history):
            save_checkpoint(self.average(), out / "best.pt")
        pd.DataFrame(self.history).drop(columns="judged").to_csv(out / "log.csv", index=False)
        parts = {name: getattr(self, name).state_dict() for name in self.PARTS}
        save_atomically(parts | {"history": self.history, "best": self.best, "identity": self.identity()},
                        out / "resume.pt")

    def identity(self) -> dict:
        """What must be equal for two runs to be the same run; the options left out change the speed, not the result."""
        free = {"out", "device", "workers", "compile"}
        settings = {key: value for key, value in asdict(self.config).items() if key not in free}
        return settings | {"patients": self.average().training_patients}

    def resume(self, path: Path) -> None:
        """Go on from `path`, if it is there; refuses a run with other settings or patients."""
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        theirs = asdict(TrainConfig()) | {"robust": False} | state["identity"]  # what an older file could not choose
        changed = [key for key, value in self.identity().items() if theirs[key] != value]
        if changed:
            raise LggError(f"{path} belongs to a run with other {', '.join(changed)}; choose another `out` folder, "
                           "or delete this one to start again")
        for name in self.PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.history, self.best = state["history"], state["best"]


def fit(model: nn.Module, cohort: Cohort, train_patients: list[str], valid_patients: list[str] = (),
        config: TrainConfig | None = None, progress: bool = True,
        on_epoch: Callable[[pd.DataFrame], None] | None = None) -> pd.DataFrame:
    """Train `model` in place; returns the history, one row per epoch: epoch, loss, valid_dice, lr, seconds.

    `valid_dice` is the mean Dice per patient volume of the averaged weights, NaN where an epoch was not
    validated. At the end `model` holds the averaged weights of the best validated epoch, or of the last
    epoch if there are no validation patients. A `model` that was trained before trains on, and its patients
    stay among `training_patients`. With `config.out` set, a run that was stopped goes on
    where its last whole epoch ended, and gives what an unstopped run gives. `on_epoch(history)` is called
    after each epoch, for a live curve. Raises LggError if a patient is in both lists, if there is nobody to
    train on, or if the model was trained on a validation patient before.
    """
    config = config or TrainConfig()
    check_patients([*train_patients], [*valid_patients], seen_by(model))
    trainer = Trainer(model, cohort, train_patients, config)
    if config.out:
        trainer.resume(Path(config.out) / "resume.pt")
    torch.set_flush_denormal(True)  # denormal numbers slow a CPU down several times over
    try:
        while len(trainer.history) < config.epochs and not trainer.tired():
            trainer.record(one_epoch(trainer, cohort, list(valid_patients), progress))
            if config.out:
                trainer.save(Path(config.out))
            if on_epoch:
                on_epoch(pd.DataFrame(trainer.history).drop(columns="judged"))
    finally:
        torch.set_flush_denormal(False)  # other libraries may count on them
    model.load_state_dict(trainer.best["weights"])
    model.recipe, model.training_patients = config.recipe, trainer.average().training_patients
    model.eval()
    return pd.DataFrame(trainer.history).drop(columns="judged")


def one_epoch(trainer: Trainer, cohort: Cohort, valid_patients: list[str], progress: bool) -> dict:
    """Train and, when it is due, validate; returns the epoch's row of the history."""
    start, epoch, config = time.perf_counter(), len(trainer.history), trainer.config
    loss = trainer.epoch(epoch, progress)
    due = (epoch + 1) % config.validate_every == 0 or epoch + 1 == config.epochs
    score = trainer.validate(cohort, valid_patients if due else [])
    if progress:
        tqdm.write(f"epoch {epoch + 1:3d}  loss {loss:.4f}  validation Dice {score:.4f}")
    return {"epoch": epoch + 1, "loss": loss, "valid_dice": score, "lr": trainer.schedule.get_last_lr()[0],
            "seconds": time.perf_counter() - start, "judged": bool(valid_patients)}


def seen_by(model: nn.Module) -> list[str]:
    """The patients that a network was trained on before; none for a fresh one."""
    return list(getattr(model, "training_patients", ()))


def check_patients(train_patients: list[str], valid_patients: list[str], seen: list[str] = ()) -> None:
    """Raise LggError if a validation patient is trained on, or was (`seen`), or there is nobody to train on."""
    both = sorted({*train_patients, *seen} & set(valid_patients))
    if both:
        raise LggError(f"{', '.join(both)}: in training and in validation; slices of one patient look alike, so "
                       "split by patient with `split_patients`")
    if not len(train_patients):
        raise LggError("no training patients; pass at least one id of `cohort.patients`")


def sparkline(values: list[float]) -> str:
    """A curve of values in 0..1 as a row of block characters."""
    return "".join("▁▂▃▄▅▆▇█"[min(7, int(8 * value))] for value in values[-20:])


def rank() -> int:
    """This process's number under torchrun, 0 otherwise."""
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


def world_size() -> int:
    """How many processes train together."""
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def parallel(network: nn.Module) -> nn.Module:
    """The network as each process of `torchrun` trains it: gradients averaged over all of them."""
    return nn.parallel.DistributedDataParallel(network) if world_size() > 1 else network


def add_options(parser: argparse.ArgumentParser) -> None:
    """One command-line option per field of TrainConfig."""
    for field in fields(TrainConfig):
        flag = "--" + field.name.replace("_", "-")
        if isinstance(field.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=field.default)
        else:
            kind = str if field.default is None else type(field.default)
            parser.add_argument(flag, type=kind, default=field.default, help=f"default {field.default}")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m lggseg.train", description=__doc__)
    parser.add_argument("--data", help="cohort folder, or 'phantom'; see lggseg.open_cohort")
    parser.add_argument("--valid", type=float, default=0.2, help="share of the patients held out, 0 for none")
    add_options(parser)
    args = parser.parse_args(argv)
    config = TrainConfig(**{field.name: getattr(args, field.name) for field in fields(TrainConfig)})
    if "WORLD_SIZE" in os.environ:
        torch.distributed.init_process_group()
    cohort = open_cohort(args.data)
    train, valid = cohort.patients, []
    if args.valid:
        train, valid = split_patients(cohort.patients, (1 - args.valid, args.valid), config.seed)
    history = fit(config.model(), cohort, train, valid, config)
    print(history.tail(1).to_string(index=False))


if __name__ == "__main__":
    main()
