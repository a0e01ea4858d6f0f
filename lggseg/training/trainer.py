"""The state of one training run: network, moving average, optimiser, schedule, history, and the best weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from ..data.cohort import Cohort
from ..data.dataset import SliceDataset
from ..errors import LggError
from ..files import atomic_write
from ..measures.metrics import dice
from ..model.checkpoint import digest, read_checkpoint, write_checkpoint
from ..model.device import amp_dtype, mixed_precision, pick_device
from ..model.segmenter import Segmenter
from ..prepare.augment import Augment
from .config import TrainConfig
from .distributed import first_decides, mean_of_all, parallel, rank, share_of, world_size
from .losses import DiceBCELoss, DiceLoss, focal_tversky_loss

LOSSES = {
    "dice_bce": DiceBCELoss(),
    "dice": DiceLoss(),
    "bce": DiceBCELoss(weight=0),
    "focal_tversky": focal_tversky_loss,
}
CHECK_EVERY = 20  # steps between looks at the loss: on a GPU each look waits for the steps before it


class Trainer:
    """Trains a Segmenter of one network epoch by epoch; `fit` decides how many, and what is kept."""

    PARTS = ("model", "ema", "optimiser", "schedule", "scaler")

    def __init__(self, model: Segmenter, cohort: Cohort, train_patients: list[str], valid_patients: list[str],
                 config: TrainConfig, teacher: Segmenter | None = None):
        self.config, self.device, self.cohort = config, pick_device(config.device), cohort
        self.patients = sorted({*train_patients, *seen_by(model, teacher)})
        self.valid_patients = [cohort.check(patient) for patient in valid_patients]
        self.taught_by = teacher and digest(teacher.state_dict())
        self.teacher = teacher and teacher.to(self.device, memory_format=torch.channels_last).eval()
        self.model = model.to(self.device, memory_format=torch.channels_last)  # twice as fast on a CPU
        self.ema = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True)
        self.ema.module.learned_from(self.patients, config.recipe)
        self.network = parallel(torch.compile(self.model) if config.compile else self.model, self.device)
        self.data = SliceDataset(cohort, train_patients, config.recipe, soft=True)
        self.augment = Augment(config.augment, carve_mix=config.carve_mix, cyst=config.cyst)
        self.steps = max(1, config.epoch_slices // config.batch)
        groups = parameter_groups(self.model, config.lr)
        self.optimiser = torch.optim.AdamW(groups, config.lr, weight_decay=config.weight_decay)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, [group["lr"] for group in groups], total_steps=config.epochs * self.steps + 1,
            pct_start=0.15)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=amp_dtype(self.device) == torch.float16)
        self.loss, self.history, self.best = LOSSES[config.loss], [], None

    def loader(self, epoch: int) -> DataLoader:
        """This process's part of the epoch's batches.

        The draw depends on seed and epoch alone: a resumed run, another number of workers or of processes sees the
        same slices in the same batches.
        """
        generator = torch.Generator().manual_seed(1_000_003 * self.config.seed + 1009 * epoch)
        drawn = torch.multinomial(self.weights(), self.steps * self.config.batch, True, generator=generator)
        mine = drawn.view(self.steps, world_size(), share_of(self.config.batch))[:, rank()].flatten().tolist()
        torch.manual_seed(generator.initial_seed() + 1 + rank())  # augmentation draws from the global generator
        self.data.recipe = replace(self.config.recipe, size=self.config.size_at(epoch))
        return DataLoader(self.data, share_of(self.config.batch), sampler=mine, num_workers=self.config.workers,
                          pin_memory=self.device.type == "cuda", generator=generator)

    def weights(self) -> torch.Tensor:
        """How often each slice is drawn: a share of those with tumour, patients as even as `balance` asks; sum 1."""
        tumour, patient = pd.Series(self.data.has_tumour), self.data.rows.patient
        weight = patient.groupby([patient, tumour]).transform("size").astype(float) ** -self.config.balance
        share = self.config.oversample_foreground if 0 < tumour.mean() < 1 else tumour.mean()
        weight = weight / weight.groupby(tumour).transform("sum") * np.where(tumour, share, 1 - share)
        return torch.from_numpy(weight.to_numpy(copy=True))

    def epoch(self, epoch: int, progress: bool) -> float:
        """Train one epoch and return its mean loss; LggError, naming the step, where it is no number."""
        self.model.train()
        self.augment.strength, losses = self.config.strength_at(epoch), []
        for image, mask in tqdm(self.loader(epoch), self.caption(epoch), leave=False, disable=not progress):
            image, mask = self.augment(image.to(self.device), mask.to(self.device))
            losses.append(self.step(image, self.teacher_probability(image) if self.teacher else mask))
            if len(losses) % CHECK_EVERY == 0 or len(losses) == self.steps:
                self.check(losses)
        return mean_of_all(torch.stack(losses)).mean().item()

    @torch.no_grad()
    def teacher_probability(self, image: torch.Tensor) -> torch.Tensor:
        """The teacher's probability (N,1,s,s) for image (N,C,s,s), which takes the mask's place."""
        with mixed_precision(self.device):
            return self.teacher(image).float().sigmoid()

    def step(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """One optimiser step on image (N,C,s,s) and mask (N,1,s,s); returns the loss, a number on the device."""
        with mixed_precision(self.device):
            loss = self.loss(self.network(image), mask)
        self.optimiser.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.schedule.step()
        self.ema.update_parameters(self.model)
        return loss.detach()

    def check(self, losses: list[torch.Tensor]) -> None:
        """Raise LggError at the first loss that is not finite; the network gets back its last good weights."""
        wrong = (~mean_of_all(torch.stack(losses[-CHECK_EVERY:])).isfinite()).nonzero().flatten()  # in any process
        if not len(wrong):
            return
        step = max(0, len(losses) - CHECK_EVERY) + int(wrong[0]) + 1
        if self.best:
            self.model.load_state_dict(self.best["weights"])
        last = f"{self.config.out}/last.pt holds epoch {len(self.history)}" if self.config.out and self.history else \
            "nothing was written yet"
        raise LggError(f"the loss is no finite number at step {step} of epoch "
                       f"{len(self.history) + 1}; {last}. Try a smaller lr (it is {self.config.lr}), and look for NaN "
                       "in the input")

    def caption(self, epoch: int) -> str:
        """The curve so far in a few characters, for the progress bar."""
        curve = [row["valid_dice"] for row in self.history if np.isfinite(row["valid_dice"])]
        told = f" Dice {sparkline(curve)} {curve[-1]:.3f}" if curve else ""
        return f"epoch {epoch + 1}/{self.config.epochs}{told}"

    def average(self) -> Segmenter:
        """The Segmenter of the averaged weights."""
        return self.ema.module

    def validate(self) -> float:
        """Mean Dice per validation patient of the averaged weights at the plain threshold; NaN without patients."""
        return first_decides(self._validate) if self.valid_patients else float("nan")

    def _validate(self) -> float:
        scores = []
        for volume in map(self.cohort.volume, self.valid_patients):
            found = self.average().probability(volume.image, self.device.type)
            scores.append(dice(found >= self.config.recipe.threshold, volume.mask))
        return float(np.nanmean(scores))

    def record(self, row: dict) -> None:
        """Add an epoch to the history; keep its averaged weights if they are the best so far, or cannot be judged."""
        self.history.append(row)
        kept = self.best["score"] if self.best else float("nan")
        if np.isnan(kept) or row["valid_dice"] > kept or not self.valid_patients:  # nothing beats NaN, so ask for it
            weights = {key: value.detach().clone() for key, value in self.average().state_dict().items()}
            self.best = {"score": row["valid_dice"], "epoch": row["epoch"], "weights": weights}

    def out_of_patience(self) -> bool:
        """True once `patience` validations in a row brought no better Dice."""
        judged = [row["epoch"] for row in self.history if np.isfinite(row["valid_dice"])]
        waited = sum(epoch > self.best["epoch"] for epoch in judged) if self.best else 0
        return bool(self.config.patience) and waited >= self.config.patience

    def save(self, out: Path) -> None:
        """Write last.pt and best.pt (weights), log.csv and, last of all, resume.pt; only the first process writes."""
        if rank():
            return
        self.average().save(out / "last.pt")
        if self.best["epoch"] == len(self.history):
            self.average().save(out / "best.pt")
        with atomic_write(out / "log.csv") as part:
            pd.DataFrame(self.history).to_csv(part, index=False)
        parts = {name: getattr(self, name).state_dict() for name in self.PARTS}
        write_checkpoint(parts | {"history": self.history, "best": self.best, "identity": self.identity()},
                         out / "resume.pt")

    def identity(self) -> dict:
        """What must be equal for two runs to be the same run."""
        return self.config.identity_settings | {"patients": self.patients, "validation patients": self.valid_patients,
                                       "number of processes": world_size(), "teacher": self.taught_by}

    def resume(self, path: Path) -> None:
        """Go on from `path`, if it is there; LggError for a damaged file, a run with other settings or patients, and
        where another process found another file."""
        if path.exists():
            self.restore(path)
        if first_decides(lambda: len(self.history)) != len(self.history):
            raise LggError(f"{path} is another file for the first process; give an `out` that all machines share")

    def restore(self, path: Path) -> None:
        """Take the state of the run in `path`."""
        state = read_checkpoint(path)
        theirs, mine = state.get("identity", {}), self.identity()
        if changed := [key for key in mine if key not in theirs or theirs[key] != mine[key]]:
            raise LggError(f"{path} belongs to a run with other {', '.join(changed)}; choose another `out` folder, "
                           "or delete this one to start again. To train a finished run for longer, give its last.pt "
                           "as `start`")
        for name in self.PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.history, self.best = state["history"], state["best"]


def seen_by(*models: Segmenter | None) -> list[str]:
    """Everybody that one of these was trained on."""
    return sorted({patient for model in models if model for patient in model.training_patients})


def parameter_groups(model: Segmenter, lr: float) -> list[dict]:
    """Its parameters for an optimiser; what has learned before learns at a third of the rate, lest it forget."""
    before = [parameter for network in model.networks
              for parameter in getattr(network, "pretrained_parameters", list)()]
    known = {id(parameter) for parameter in before}
    fresh = [parameter for parameter in model.parameters() if id(parameter) not in known]
    return [{"params": fresh, "lr": lr}, *([{"params": before, "lr": lr / 3}] if before else [])]


def sparkline(values: list[float]) -> str:
    """A curve of values in 0..1 as a row of block characters."""
    return "".join("▁▂▃▄▅▆▇█"[min(7, int(8 * value))] for value in values[-20:])
