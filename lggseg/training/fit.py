"""`fit` trains a network by patient, epoch by epoch, and keeps the best."""

import time
from collections.abc import Callable, Sequence
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
from .trainer import Trainer


def fit(
    model: nn.Module,
    cohort: Cohort,
    train_patients: Sequence[str],
    valid_patients: Sequence[str] = (),
    config: TrainConfig | None = None,
    progress: bool = True,
    on_epoch: Callable[[pd.DataFrame], None] | None = None,
) -> pd.DataFrame:
    """Train a network in place.

    At the end `model` holds the averaged weights of the best validated epoch, or of the last one if
    there are no validation patients. A Segmenter then remembers whom it was trained on, and has the
    recipe of the run. With `config.out` set, a run that was stopped goes on where its last whole
    epoch ended, and gives what a run without a stop gives.

    Parameters
    ----------
    model : what `build_model(config)` makes, or a plain network for that recipe. A network that was
        trained before goes on from its weights
    cohort : where the patients' volumes come from
    train_patients : ids to learn from
    valid_patients : ids by which the best epoch is chosen
    config : settings; the defaults without it
    progress : show a bar, and print a line after each epoch
    on_epoch : called with the history after each epoch, for a live curve

    Returns
    -------
    the history, one row per epoch: epoch, loss, valid_dice, lr, seconds. `valid_dice` is the mean
    Dice per patient volume of the averaged weights, NaN where an epoch was not validated

    Raises
    ------
    LggError
        if a validation patient is trained on or was before, if there is nobody to train on, if the
        weights are not float32, if `config.out` holds patients or another run, or if the loss
        becomes NaN or infinite
    """
    if config is None:
        config = TrainConfig()
    segmenter = model if isinstance(model, Segmenter) else Segmenter(model, config.recipe)
    check_float32(segmenter)
    check_patients(train_patients, valid_patients, segmenter.training_patients)
    trainer = Trainer(segmenter, cohort, list(train_patients), list(valid_patients), config)
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
        torch.set_flush_denormal(False)  # other libraries may need them
    assert trainer.best is not None  # there is at least one epoch
    segmenter.load_state_dict(trainer.best["weights"])
    segmenter.learned_from(trainer.patients, config.recipe)
    segmenter.eval()
    return pd.DataFrame(trainer.history)


def one_epoch(trainer: Trainer, progress: bool) -> dict:
    """Train one epoch and, when it is due, validate; returns the epoch's row of the history."""
    start = time.perf_counter()
    config = trainer.config
    epoch = len(trainer.history)
    number = epoch + 1
    loss = trainer.epoch(epoch, progress)
    score = float("nan")
    if number % config.validate_every == 0 or number == config.epochs:
        score = trainer.validate()
    if progress:
        tqdm.write(f"epoch {number:3d}  loss {loss:.4f}  validation Dice {score:.4f}")
    return {
        "epoch": number,
        "loss": loss,
        "valid_dice": score,
        "lr": trainer.schedule.get_last_lr()[0],
        "seconds": time.perf_counter() - start,
    }


def check_patients(
    train_patients: Sequence[str], valid_patients: Sequence[str], seen: Sequence[str] = ()
) -> None:
    """Check that a training can be judged fairly.

    Parameters
    ----------
    train_patients : whom the network is to learn from
    valid_patients : who judges it
    seen : whom it has learned from before

    Raises
    ------
    LggError
        if a patient who judges is trained on or was, or there is nobody to train on
    """
    trained_on = {*train_patients, *seen}
    both = sorted(trained_on.intersection(valid_patients))
    if both:
        raise LggError(
            f"{', '.join(both)}: in training and in validation; slices of one patient look alike, "
            "so split by patient with `split_patients`"
        )
    if len(train_patients) == 0:
        raise LggError("no training patients; pass at least one id of `cohort.patients`")
