"""The state of one training run."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from ..data.cohort import Cohort
from ..data.dataset import SliceDataset
from ..errors import LggError
from ..files import atomic_write
from ..measures.metrics import dice
from ..model.checkpoint import read_checkpoint, write_checkpoint
from ..model.device import amp_dtype, augmentation_device, mixed_precision, pick_device
from ..model.segmenter import Segmenter
from ..prepare.augment import Augment
from .config import TrainConfig
from .distributed import first_decides, mean_of_all, parallel, rank, share_of, world_size
from .losses import DiceBCELoss, DiceLoss, focal_tversky_loss

LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "dice_bce": DiceBCELoss(),
    "dice": DiceLoss(),
    "bce": DiceBCELoss(weight=0),
    "focal_tversky": focal_tversky_loss,
}
CHECK_EVERY = 20  # steps between checks of the loss: each one waits for the steps before it


class Trainer:
    """Trains a Segmenter of one network epoch by epoch; `fit` decides how many, and what is kept.

    Parameters
    ----------
    model : what `build_model(config)` makes
    cohort : where the patients' volumes come from
    train_patients, valid_patients : ids of `cohort.patients`
    config : settings of the run

    Attributes
    ----------
    model : the network as it is trained, step by step
    patients : everybody it has been trained on, earlier runs included
    history : one row per finished epoch
    best : score, epoch and weights of the best epoch so far; None before the first one
    """

    PARTS = ("model", "ema", "optimiser", "schedule", "scaler")  # whose state a run goes on from

    def __init__(
        self,
        model: Segmenter,
        cohort: Cohort,
        train_patients: list[str],
        valid_patients: list[str],
        config: TrainConfig,
    ):
        self.config = config
        self.device = pick_device(config.device)
        self.cohort = cohort
        self.patients = sorted({*train_patients, *model.training_patients})
        self.valid_patients = [cohort.check(patient) for patient in valid_patients]
        self.history: list[dict] = []
        self.best: dict | None = None

        # Channels last in memory: twice as fast on a CPU.
        self.model = model.to(self.device).to(memory_format=torch.channels_last)
        self.ema = AveragedModel(
            self.model, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True
        )
        self.average().learned_from(self.patients, config.recipe)
        network: nn.Module = self.model
        if config.compile:
            network = cast(nn.Module, torch.compile(self.model))
        self.network = parallel(network, self.device)

        self.data = SliceDataset(cohort, train_patients, config.recipe, soft=True)
        self.augment = Augment(
            config.augment,
            carve_mix=config.carve_mix,
            cyst=config.cyst,
            grey=config.grey_augment,
        )
        self.steps = max(1, config.epoch_slices // config.batch)

        self.loss = LOSSES[config.loss]
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), config.lr, weight_decay=config.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, config.lr, total_steps=config.epochs * self.steps + 1, pct_start=0.15
        )
        # Gradients in float16 would vanish without a scaler; bfloat16 and float32 need none.
        uses_float16 = amp_dtype(self.device) == torch.float16
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=uses_float16)

    def average(self) -> Segmenter:
        """The Segmenter of the averaged weights."""
        return cast(Segmenter, self.ema.module)

    # --- what is drawn ---

    def batches(self, epoch: int) -> DataLoader:
        """This process's part of the epoch's batches.

        Which slices are drawn depends on seed and epoch alone: a run that was stopped, and another
        number of workers or processes, see the same slices in the same batches.
        """
        generator = torch.Generator().manual_seed(1_000_003 * self.config.seed + 1009 * epoch)
        drawn = torch.multinomial(
            self.draw_weights(),
            self.steps * self.config.batch,
            replacement=True,
            generator=generator,
        )
        slices_each = share_of(self.config.batch)
        of_each_process = drawn.view(self.steps, world_size(), slices_each)
        mine = of_each_process[:, rank()].flatten().tolist()

        # Augmentation draws from the global generator.
        torch.manual_seed(generator.initial_seed() + 1 + rank())
        self.data.recipe = replace(self.config.recipe, size=self.config.size_at(epoch))
        return DataLoader(
            self.data,
            batch_size=slices_each,
            sampler=mine,
            num_workers=self.config.workers,
            pin_memory=self.device.type == "cuda",
            generator=generator,
        )

    def draw_weights(self) -> torch.Tensor:
        """Chance of each slice to be drawn, float64 (slices,), sum 1.

        The slices with tumour have the chance `oversample_foreground` together. Among these, and
        among those without, a patient of n slices has a chance in proportion to n**(1 - balance):
        at balance 0 every slice is drawn alike, at 1 every patient.
        """
        has_tumour = pd.Series(self.data.has_tumour)
        patient = self.data.rows.patient
        slices_of_patient = patient.groupby([patient, has_tumour]).transform("size")
        weight = slices_of_patient.astype(float) ** -self.config.balance
        sum_of_kind = weight.groupby(has_tumour).transform("sum")

        tumour_share = self.config.oversample_foreground
        if has_tumour.nunique() == 1:  # all slices have tumour, or none has
            tumour_share = has_tumour.mean()
        share_of_kind = np.where(has_tumour, tumour_share, 1 - tumour_share)
        weight = weight / sum_of_kind * share_of_kind
        return torch.from_numpy(weight.to_numpy(copy=True))

    # --- training ---

    def epoch(self, epoch: int, progress: bool) -> float:
        """Train one epoch and return its mean loss.

        Raises LggError, naming the step, where the loss is NaN or infinite.
        """
        self.model.train()
        self.augment.strength = self.config.strength_at(epoch)
        losses: list[torch.Tensor] = []
        where = augmentation_device(self.device)
        bar = tqdm(self.batches(epoch), self.caption(epoch), leave=False, disable=not progress)
        for image, mask in bar:
            image, mask = self.augment(image.to(where), mask.to(where))
            losses.append(self.step(image.to(self.device), mask.to(self.device)))
            if len(losses) % CHECK_EVERY == 0 or len(losses) == self.steps:
                self.check(losses)
        return mean_of_all(torch.stack(losses)).mean().item()

    def step(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Take one optimiser step.

        Parameters
        ----------
        image : float32 (N, C, size, size)
        mask : float32 (N, 1, size, size), 0 to 1

        Returns
        -------
        the loss, a scalar on the device, so that nobody waits for it
        """
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
        """Raise LggError at the first loss of the last steps that is not finite.

        The network then gets back its last good weights.
        """
        recent = mean_of_all(torch.stack(losses[-CHECK_EVERY:]))  # NaN in one process is NaN in all
        broken = (~recent.isfinite()).nonzero().flatten()
        if len(broken) == 0:
            return
        step = max(0, len(losses) - CHECK_EVERY) + int(broken[0]) + 1
        if self.best:
            self.model.load_state_dict(self.best["weights"])
        written = "nothing was written yet"
        if self.config.out and self.history:
            written = f"{self.config.out}/last.pt holds epoch {len(self.history)}"
        raise LggError(
            f"the loss is NaN or infinite at step {step} of epoch {len(self.history) + 1}; "
            f"{written}. Try a smaller lr (it is {self.config.lr}), and look for NaN in the input"
        )

    def caption(self, epoch: int) -> str:
        """The curve so far in a few characters, for the progress bar."""
        text = f"epoch {epoch + 1}/{self.config.epochs}"
        curve = [row["valid_dice"] for row in self.history if np.isfinite(row["valid_dice"])]
        if curve:
            text += f" Dice {sparkline(curve)} {curve[-1]:.3f}"
        return text

    # --- validation, and what is kept ---

    def validate(self) -> float:
        """Mean Dice per validation patient of the averaged weights at the plain threshold.

        NaN without validation patients.
        """
        if not self.valid_patients:
            return float("nan")
        return first_decides(self._validate)

    def _validate(self) -> float:
        scores = []
        for patient in self.valid_patients:
            volume = self.cohort.volume(patient)
            probability = self.average().probability(volume.image, self.device.type)
            scores.append(dice(probability >= self.config.recipe.threshold, volume.mask))
        return float(np.nanmean(scores))

    def record(self, row: dict) -> None:
        """Add an epoch to the history, and keep its averaged weights where it is the best so far.

        Without validation patients nothing can be judged, and the last epoch counts as the best.
        """
        self.history.append(row)
        is_best = (
            not self.valid_patients
            or self.best is None
            or np.isnan(self.best["score"])
            or row["valid_dice"] > self.best["score"]
        )
        if is_best:
            state = self.average().state_dict()
            weights = {name: value.detach().clone() for name, value in state.items()}
            self.best = {"score": row["valid_dice"], "epoch": row["epoch"], "weights": weights}

    def out_of_patience(self) -> bool:
        """True once `patience` validations in a row brought no better Dice."""
        if not self.config.patience or self.best is None:
            return False
        judged = [row["epoch"] for row in self.history if np.isfinite(row["valid_dice"])]
        since_the_best = [epoch for epoch in judged if epoch > self.best["epoch"]]
        return len(since_the_best) >= self.config.patience

    # --- files ---

    def save(self, out: Path) -> None:
        """Write last.pt and best.pt (weights), log.csv and, last of all, resume.pt.

        Only the first process writes.
        """
        if rank() != 0:
            return
        self.average().save(out / "last.pt")
        if self.best and self.best["epoch"] == len(self.history):
            self.average().save(out / "best.pt")
        with atomic_write(out / "log.csv") as part:
            pd.DataFrame(self.history).to_csv(part, index=False)
        state = {name: getattr(self, name).state_dict() for name in self.PARTS}
        state |= {"history": self.history, "best": self.best, "identity": self.identity()}
        write_checkpoint(state, out / "resume.pt")

    def identity(self) -> dict:
        """What must be equal for two runs to be the same run."""
        return self.config.identity_settings | {
            "patients": self.patients,
            "validation patients": self.valid_patients,
            "number of processes": world_size(),
        }

    def resume(self, path: Path) -> None:
        """Go on from the state of a run in `path`, if the file is there.

        Raises
        ------
        LggError
            for a damaged file, one of a run with other settings or patients, and where another
            process found another file
        """
        if path.exists():
            self.restore(path)
        if first_decides(lambda: len(self.history)) != len(self.history):
            raise LggError(
                f"{path} is another file for the first process; give an `out` that all machines "
                "share"
            )

    def restore(self, path: Path) -> None:
        """Take the state of the run in `path`."""
        state = read_checkpoint(path)
        theirs = state.get("identity", {})
        changed = []
        for name, value in self.identity().items():
            if name not in theirs or theirs[name] != value:
                changed.append(name)
        if changed:
            raise LggError(
                f"{path} belongs to a run with other {', '.join(changed)}; choose another `out` "
                "folder, or delete this one to start again. To train a finished run for longer, "
                "give its last.pt as `start`"
            )
        for name in self.PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.history = state["history"]
        self.best = state["best"]


def sparkline(values: list[float]) -> str:
    """The last 20 values of a curve, each in 0..1, as a row of block characters.

    >>> sparkline([0, 0.5, 1])
    '▁▅█'
    """
    blocks = "▁▂▃▄▅▆▇█"
    return "".join(blocks[min(7, int(8 * value))] for value in values[-20:])
