"""Weights and the state of a training: what is damaged is refused, what is read is what was
written.
"""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import torch

from lggseg import build_model
from lggseg.model.checkpoint import digest
from lggseg.model.segmenter import Segmenter
from lggseg.prepare.network_grid import GridSpec
from lggseg.training.fit import one_epoch
from lggseg.training.trainer import Trainer
from lggseg.unet import UNet

from .cohorts import open_quietly, write_cohort
from .damage import damage_bytes, read_by
from .training import tiny


@cache
def weights(bits: int) -> tuple[bytes, str]:
    """(file, digest of its weights) of a small Segmenter of two networks."""
    torch.manual_seed(bits)
    model = Segmenter(
        [UNet(features=2, depth=2), UNet(features=2, depth=2)],
        GridSpec(32, block=1),
        [["TCGA_CS_4941"], ["TCGA_CS_4942"]],
    )
    with tempfile.TemporaryDirectory() as place:
        path = model.save(Path(place) / "net.pt", bits)
        return path.read_bytes(), segmenter_digest(Segmenter.load(path))


def segmenter_digest(model: Segmenter) -> str:
    """Digest of all that a Segmenter is."""
    return digest([dict(model.state_dict()), repr(model.recipe), model.patients])


def read_weights(rng: np.random.Generator, place: Path) -> str | None:
    """checkpoints."""
    content, expected = weights(int(rng.choice([32, 16, 8])))
    path = place / "net.pt"
    spoilt = rng.random() < 0.9
    path.write_bytes(damage_bytes(content, rng) if spoilt else content)
    if segmenter_digest(read_by(Segmenter.load, path, whole=not spoilt)) != expected:
        return f"a {'damaged' if spoilt else 'whole'} checkpoint was read as other weights"


@cache
def trained() -> tuple[Trainer, bytes, str]:
    """A trainer of one epoch, its resume.pt, and the digest of its state."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "kaggle_3m"
        write_cohort(root)
        cohort = open_quietly(root)
        config = tiny(place, epochs=2, epoch_slices=4)
        trainer = Trainer(
            build_model(config), cohort, cohort.patients[:1], cohort.patients[1:], config
        )
        trainer.record(one_epoch(trainer, False))
        trainer.save(Path(place))
        return trainer, (Path(place) / "resume.pt").read_bytes(), trainer_digest(trainer)


def trainer_digest(trainer: Trainer) -> str:
    """Digest of all that a training goes on with."""
    return digest(
        [
            {name: getattr(trainer, name).state_dict() for name in trainer.PARTS},
            trainer.history,
            trainer.best,
        ]
    )


def read_resume(rng: np.random.Generator, place: Path) -> str | None:
    """resume.pt of trainings."""
    trainer, content, expected = trained()
    path = place / "resume.pt"
    spoilt = rng.random() < 0.9
    path.write_bytes(damage_bytes(content, rng) if spoilt else content)
    trainer.history = []
    trainer.best = None
    read_by(trainer.resume, path, whole=not spoilt)
    if trainer_digest(trainer) != expected:
        return f"a {'damaged' if spoilt else 'whole'} resume.pt was read as another state"
