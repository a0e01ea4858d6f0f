"""What decides a training run: `TrainConfig`, and the same settings as options of a command."""

import argparse
import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ..data.folder import check_plain
from ..errors import LggError
from ..prepare.network_grid import GridSpec
from ..settings import KINDS, WORDS

FREE = ("out", "device", "workers", "compile")  # settings that change where a run is kept, and how fast it is


def setting(default: Any, words: str, **options: Any) -> Any:
    """A field of TrainConfig: its default, what `--help` says of it, and `least`, `most` or `choices` of its values."""
    return field(default=default, metadata={"words": words, **options})


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a training run; each field is also an option of `python -m lggseg.train`.

    `experiments/README.md` tells which defaults were compared with others, and how much they are worth.
    """

    out: str | None = setting(None, "folder for best.pt, last.pt, resume.pt and log.csv; without it nothing is kept")
    start: str | None = setting(None, "checkpoint to begin from, instead of fresh weights")
    size: int = setting(224, "pixels a side of the grid: at twice as many a step costs four times as much", least=8)
    coarse_size: int = setting(160, "pixels a side in the first epochs, which cost less and learn where to look",
                               least=8)
    coarse_share: float = setting(0.5, "share of the epochs that are coarse; 0 trains at `size` from the start",
                                  least=0, most=1)
    block: int = setting(2, "blocks of so many pixels a side are the network's channels: 2 quarters the cost", least=1)
    context: int = setting(0, "neighbouring slices given on either side", least=0, most=64)
    encoder: str = setting("plain", "the left half: fresh blocks, or EfficientNet-lite0 trained on ImageNet; depth "
                           "and growth are then its own", choices=("plain", "efficientnet_lite0"))
    features: int = setting(16, "channels of the first level; 1.9 M weights at depth 5", least=1, most=1024)
    depth: int = setting(5, "levels of the U-Net; the deepest then sees the whole head", least=2, most=10)
    growth: float = setting(2.0, "channels of a level over those of the level above, as in the U-Net paper", least=1,
                            most=4)
    epochs: int = setting(32, "choose the length before: a one-cycle schedule finishes what it starts", least=1)
    epoch_slices: int = setting(2000, "slices drawn per epoch, so that an epoch means the same for any cohort", least=1,
                                most=10**8)
    batch: int = setting(16, "slices per step; the batch norm's statistics get noisy below 8", least=1, most=4096)
    lr: float = setting(3e-3, "learning rate at the peak of the one-cycle schedule", least=0, most=10)
    weight_decay: float = setting(1e-2, "decoupled weight decay (AdamW)", least=0)
    ema: float = setting(0.995, "weights are averaged over about the last 1 / (1 - ema) steps", least=0, most=1)
    loss: str = setting("dice_bce", "overlap for the rare class, cross-entropy for its gradient",
                        choices=("dice_bce", "dice", "bce", "focal_tversky"))
    oversample_foreground: float = setting(0.5, "share of the slices drawn that have tumour; in a scan a third have",
                                           least=0, most=1)
    balance: float = setting(0.5, "0 draws every slice alike, 1 every patient", least=0, most=1)
    augment: float = setting(1.25, "strength of augmentation; see `lggseg.prepare.augment`", least=0, most=10)
    late_augment: float = setting(0.5, "strength of augmentation in the last third of the epochs", least=0, most=10)
    carve_mix: float = setting(0.0, "chance that a slice gets another slice's tumour (CarveMix)", least=0, most=1)
    cyst: float = setting(0.0, "chance that parts of a tumour get another look, as cysts have", least=0, most=1)
    patience: int = setting(0, "validations without a better Dice until it stops early; 0 never stops", least=0)
    validate_every: int = setting(1, "epochs between validations, each of which predicts whole volumes", least=1)
    seed: int = setting(0, "of weights, draws and augmentation", least=0, most=2**32 - 1)
    workers: int = setting(0, "loader processes; on two cores they only compete with the training", least=0,
                           most=256)
    device: str | None = setting(None, "cpu or cuda; without it the GPU if there is one")
    compile: bool = setting(False, "torch.compile: takes a minute or two at first, and needs a C++ compiler")

    def __post_init__(self):
        for entry in fields(self):
            value = getattr(self, entry.name)
            if not isinstance(value, KINDS.get(entry.type, object)):
                raise LggError(f"{entry.name}={value!r}: it must be {words_for(entry.type)}")
            check_setting(entry.name, value, **entry.metadata)
        if self.out and self.start and Path(self.out).resolve() == Path(self.start).resolve().parent:
            raise LggError(f"start {self.start} lies in out, where this run writes files of that name; choose another "
                           "`out` folder")

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
        return self.coarse_size if epoch < self.coarse_share * self.epochs else self.size

    def strength_at(self, epoch: int) -> float:
        """Strength of augmentation in `epoch`, counted from 0: weak at last, to end on pictures as they are."""
        return self.augment if 3 * epoch < 2 * self.epochs else self.late_augment


def check_setting(name: str, value: Any, words: str, least: float | None = None, most: float | None = None,
                  choices: tuple = ()) -> None:
    """Raise LggError if the value of a setting breaks its bounds."""
    if least is not None and not value >= least or most is not None and not value <= most:
        bounds = f"from {least} to {most}" if most is not None else f"at least {least}"
        raise LggError(f"{name}={value}: it must be {bounds} ({words})")
    if choices and value not in choices:
        raise LggError(f"{name}={value!r}: there are {', '.join(choices)}")


def add_options(parser: argparse.ArgumentParser) -> None:
    """`--config FILE`, and one option per field of TrainConfig; `config_of` puts them together."""
    parser.add_argument("--config", metavar="FILE", help="TOML file of the settings below, as in experiments/recipes; "
                        "an option given beside it counts more")
    for entry in fields(TrainConfig):
        flag, default = "--" + entry.name.replace("_", "-"), entry.default
        told = f"{entry.metadata['words']} (default: {default})".replace("%", "%%")
        if isinstance(default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=told)
            continue
        kind, choices = str if default is None else type(default), entry.metadata.get("choices")
        parser.add_argument(flag, type=kind, choices=choices, default=argparse.SUPPRESS, help=told,
                            metavar=None if choices else kind.__name__.upper())


def config_of(options: argparse.Namespace) -> TrainConfig:
    """The TrainConfig of a command's options: its defaults, then what the file of `--config` says, then the options."""
    stored, known = read_config(options.config) if options.config else {}, {entry.name for entry in fields(TrainConfig)}
    return TrainConfig(**stored | {name: value for name, value in vars(options).items() if name in known})


def read_config(path: Path | str) -> dict[str, Any]:
    """Settings from a TOML file; LggError, naming file and setting, for one that does not exist or a wrong value."""
    try:
        check_plain(Path(path))
        stored = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise LggError(f"{path}: not a readable TOML file ({error})") from error
    known = {entry.name: entry for entry in fields(TrainConfig)}
    for name, value in stored.items():
        if name not in known:
            raise LggError(f"{path}: no setting is called {name!r}; there are {', '.join(known)}")
        if not is_a(value, known[name].type):
            raise LggError(f"{path}: {name} = {value!r}; it must be {words_for(known[name].type)}")
        check_setting(f"{path}: {name}", value, **known[name].metadata)
    return stored


def is_a(value: Any, kind: Any) -> bool:
    """Whether a TOML value suits a field of this type: a whole number may stand for a fraction, true for neither."""
    return isinstance(value, int | float if kind is float else kind) and isinstance(value, bool) == (kind is bool)


def words_for(kind: Any) -> str:
    """What a field of this type must be."""
    return WORDS.get(kind, "text in quotation marks")
