"""`fit` trains a network by patient, epoch by epoch, and keeps the best."""

import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from ..data.cohort import Cohort
from ..data.places import check_no_patients
from ..errors import LggError
from ..files import check_folder
from ..model.device import check_float32
from ..model.segmenter import Segmenter
from .config import TrainConfig
from .trainer import Trainer, seen_by


def fit(model: nn.Module, cohort: Cohort, train_patients: list[str], valid_patients: list[str] = (),
        config: TrainConfig | None = None, progress: bool = True,
        on_epoch: Callable[[pd.DataFrame], None] | None = None, teacher: Segmenter | None = None) -> pd.DataFrame:
    """Train `model` in place; returns the history, one row per epoch: epoch, loss, valid_dice, lr, seconds.

    `model` is what `build_model(config)` makes, or a plain network for that recipe. `valid_dice` is the mean Dice per
    patient volume of the averaged weights, NaN where an epoch was not validated. At the end `model` holds the
    averaged weights of the best validated epoch, or of the last epoch if there are no validation patients. A
    Segmenter remembers its training patients, and the recipe becomes the run's; one that was trained before trains on.
    With `config.out` set, a run that was stopped goes on where its last whole epoch ended, and gives what an unstopped
    run gives. `on_epoch(history)` is called after each epoch, for a live curve. With a `teacher` its probabilities for
    the augmented slices take the masks' place (distillation: Hinton et al. 2015), and who trained it counts as seen.
    Raises LggError if a patient is in both lists, if there is nobody to train on, if the model or its teacher was
    trained on a validation patient before, if `config.out` holds patients, or if the loss ceases to be a number.
    """
    config = config or TrainConfig()
    segmenter = model if isinstance(model, Segmenter) else Segmenter(model, config.recipe)
    check_float32(segmenter)
    check_patients([*train_patients], [*valid_patients], seen_by(segmenter, teacher))
    trainer = Trainer(segmenter, cohort, list(train_patients), list(valid_patients), config, teacher)
    if config.out:
        check_no_patients(Path(config.out))
        check_folder(config.out)
        trainer.resume(Path(config.out) / "resume.pt")
    torch.set_flush_denormal(True)  # denormal numbers slow a CPU down several times over
    try:
        while len(trainer.history) < config.epochs and not trainer.out_of_patience():
            trainer.record(one_epoch(trainer, progress))
            if config.out:
                trainer.save(Path(config.out))
            if on_epoch:
                on_epoch(pd.DataFrame(trainer.history))
    finally:
        torch.set_flush_denormal(False)  # other libraries may count on them
    segmenter.load_state_dict(trainer.best["weights"])
    segmenter.learned_from(trainer.patients, config.recipe)
    segmenter.eval()
    return pd.DataFrame(trainer.history)


def one_epoch(trainer: Trainer, progress: bool) -> dict:
    """Train and, when it is due, validate; returns the epoch's row of the history."""
    start, epoch, config = time.perf_counter(), len(trainer.history), trainer.config
    loss = trainer.epoch(epoch, progress)
    due = (epoch + 1) % config.validate_every == 0 or epoch + 1 == config.epochs
    score = trainer.validate() if due else float("nan")
    if progress:
        tqdm.write(f"epoch {epoch + 1:3d}  loss {loss:.4f}  validation Dice {score:.4f}")
    return {"epoch": epoch + 1, "loss": loss, "valid_dice": score, "lr": trainer.schedule.get_last_lr()[0],
            "seconds": time.perf_counter() - start}


def check_patients(train_patients: list[str], valid_patients: list[str], seen: list[str] = ()) -> None:
    """Raise LggError if a validation patient is trained on, or was (`seen`), or there is nobody to train on."""
    both = sorted({*train_patients, *seen} & set(valid_patients))
    if both:
        raise LggError(f"{', '.join(both)}: in training and in validation; slices of one patient look alike, so "
                       "split by patient with `split_patients`")
    if not len(train_patients):
        raise LggError("no training patients; pass at least one id of `cohort.patients`")
