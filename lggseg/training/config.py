"""The settings of a training run: `TrainConfig`, and the same settings as options of a command."""

import argparse
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..data.folder import check_plain
from ..errors import LggError
from ..prepare.network_grid import GridSpec
from ..settings import check_settings, setting

# Settings that change where a run is kept and how fast it is, but not what comes out.
FREE = ("out", "device", "workers", "compile")


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a training run.

    Each field is also an option of `python -m lggseg.train`, whose `--help` says what it means and
    which values it may have. `experiments/README.md` says which defaults were compared with others.

    Raises
    ------
    LggError
        naming setting, value and rule, where a value breaks its rule

    Examples
    --------
    >>> config = TrainConfig(epochs=4, coarse_share=0.5)
    >>> [config.size_at(epoch) for epoch in range(4)]
    [160, 160, 224, 224]
    """

    out: str | Path | None = setting(
        None, "folder for best.pt, last.pt, resume.pt and log.csv; without it nothing is kept"
    )
    start: str | None = setting(None, "checkpoint to begin from, instead of fresh weights")
    size: int = setting(
        224, "pixels a side of the grid: at twice as many a step costs four times as much", least=8
    )
    coarse_size: int = setting(
        160, "pixels a side in the first epochs, which cost less and learn where to look", least=8
    )
    coarse_share: float = setting(
        0.5,
        "share of the epochs that are coarse; 0 trains at `size` from the start",
        least=0,
        most=1,
    )
    block: int = setting(
        2,
        "blocks of so many pixels a side are the network's channels: 2 quarters the cost",
        least=1,
    )
    context: int = setting(0, "neighbouring slices given on either side", least=0, most=64)
    features: int = setting(
        16, "channels of the first level; 1.9 M weights at depth 5", least=1, most=1024
    )
    depth: int = setting(
        5, "levels of the U-Net; the deepest then sees the whole head", least=2, most=10
    )
    growth: float = setting(
        2.0,
        "channels of a level over those of the level above, as in the U-Net paper",
        least=1,
        most=4,
    )
    epochs: int = setting(
        32, "choose the length before: a one-cycle schedule finishes what it starts", least=1
    )
    epoch_slices: int = setting(
        2000,
        "slices drawn per epoch, so that an epoch means the same for any cohort",
        least=1,
        most=10**8,
    )
    batch: int = setting(
        16, "slices per step; the batch norm's statistics get noisy below 8", least=1, most=4096
    )
    lr: float = setting(
        3e-3, "learning rate at the peak of the one-cycle schedule", least=0, most=10
    )
    weight_decay: float = setting(1e-2, "decoupled weight decay (AdamW)", least=0)
    ema: float = setting(
        0.995, "weights are averaged over about the last 1 / (1 - ema) steps", least=0, most=1
    )
    loss: str = setting(
        "dice_bce",
        "overlap for the rare class, cross-entropy for its gradient",
        choices=("dice_bce", "dice", "bce", "focal_tversky"),
    )
    oversample_foreground: float = setting(
        0.5,
        "share of the slices drawn that have tumour; in a scan most have none",
        least=0,
        most=1,
    )
    balance: float = setting(0.5, "0 draws every slice alike, 1 every patient", least=0, most=1)
    augment: float = setting(
        1.25, "strength of augmentation; see `lggseg.prepare.augment`", least=0, most=10
    )
    late_augment: float = setting(
        0.75, "strength of augmentation in the last third of the epochs", least=0, most=10
    )
    grey_augment: float = setting(
        0.5,
        "strength of what changes grey levels, ghosts aside, as a share of `augment` and "
        "`late_augment`",
        least=0,
        most=10,
    )
    carve_mix: float = setting(
        0.4, "chance that a slice gets another slice's tumour (CarveMix)", least=0, most=1
    )
    cyst: float = setting(
        0.25, "chance that parts of a tumour get another look, as cysts have", least=0, most=1
    )
    patience: int = setting(
        0, "validations without a better Dice until it stops early; 0 never stops", least=0
    )
    validate_every: int = setting(
        1, "epochs between validations, each of which predicts whole volumes", least=1
    )
    seed: int = setting(0, "of weights, draws and augmentation", least=0, most=2**32 - 1)
    workers: int = setting(
        0, "loader processes; on two cores they only compete with the training", least=0, most=256
    )
    device: str | None = setting(None, "cpu, cuda or mps; without it the GPU if CUDA sees one")
    compile: bool = setting(
        False, "torch.compile: takes a minute or two at first, and needs a C++ compiler"
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.out and self.start:
            folder_of_start = Path(self.start).resolve().parent
            if Path(self.out).resolve() == folder_of_start:
                raise LggError(
                    f"start {self.start} lies in out, where this run writes files of that name; "
                    "choose another `out` folder"
                )

    @property
    def recipe(self) -> GridSpec:
        """The part of the settings that the trained network must remember."""
        return GridSpec(size=self.size, context=self.context, block=self.block)

    @property
    def identity_settings(self) -> dict[str, Any]:
        """The settings that must be equal for two runs to be the same run."""
        return {name: value for name, value in asdict(self).items() if name not in FREE}

    def size_at(self, epoch: int) -> int:
        """Pixels a side in `epoch`, counted from 0: first coarse, then fine."""
        if epoch < self.coarse_share * self.epochs:
            return self.coarse_size
        return self.size

    def strength_at(self, epoch: int) -> float:
        """Strength of augmentation in `epoch`, counted from 0: weaker in the last third."""
        in_last_third = 3 * epoch >= 2 * self.epochs
        if in_last_third:
            return self.late_augment
        return self.augment


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add `--config FILE` and one option for each field of TrainConfig; `config_of` reads them."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="TOML file of the settings below, as in experiments/recipes; "
        "an option given beside it counts more",
    )
    for entry in fields(TrainConfig):
        flag = "--" + entry.name.replace("_", "-")
        words = f"{entry.metadata['words']} (default: {entry.default})".replace("%", "%%")
        # An option that is not given leaves no trace, so that the file's value counts.
        common: dict[str, Any] = {"default": argparse.SUPPRESS, "help": words}
        if entry.type is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, **common)
        elif entry.metadata["choices"]:
            parser.add_argument(flag, choices=entry.metadata["choices"], **common)
        elif entry.type in (int, float):
            parser.add_argument(
                flag, type=entry.type, metavar=entry.type.__name__.upper(), **common
            )
        else:
            parser.add_argument(flag, metavar="TEXT", **common)


def config_of(options: argparse.Namespace) -> TrainConfig:
    """The TrainConfig of a command's options.

    An option counts more than the file of `--config`, and the file more than the defaults.
    """
    chosen = read_config(options.config) if options.config else {}
    for entry in fields(TrainConfig):
        if entry.name in options:
            chosen[entry.name] = getattr(options, entry.name)
    return TrainConfig(**chosen)


def read_config(path: Path | str) -> dict[str, Any]:
    """Settings from a TOML file, by their names.

    Raises
    ------
    LggError
        naming the file, where it cannot be read, names no setting of TrainConfig, or holds a value
        that breaks its setting's rule
    """
    path = Path(path)
    try:
        check_plain(path)
        stored = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise LggError(f"{path}: not a readable TOML file ({error})") from error

    known = [entry.name for entry in fields(TrainConfig)]
    for name in stored:
        if name not in known:
            raise LggError(f"{path}: no setting is called {name!r}; there are {', '.join(known)}")
    try:
        TrainConfig(**stored)
    except LggError as error:
        raise LggError(f"{path}: {error}") from error
    return stored
