"""A trained network ready for use: `Segmenter` holds one or several, the recipe they work by, and who trained them."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..efficientnet import build
from ..errors import LggError
from ..patient_ids import patient_id
from ..prepare.head_finder import find_head
from ..prepare.network_grid import GridSpec, from_grid, slices_to_grid, standardise
from .checkpoint import dequantise, quantise, read_checkpoint, write_checkpoint
from .device import mixed_precision, pick_device
from .postprocess import postprocess

WEIGHTS = Path(__file__).parents[1] / "weights"


class Segmenter(nn.Module):
    """One or several networks that answer together, by one recipe.

    networks   each maps float (N,C,h,w) to logits; U-Nets of one architecture, where they are to be saved
    recipe     how a volume becomes their input, and their output a mask
    patients   for each network the patients it was trained on; none for fresh ones

    As a module it maps slices on the grid, float (N,recipe.channels,size,size), to logits (N,1,size,size): for several
    networks the logit of their mean probability. Raises LggError where network and recipe contradict each other.
    """

    def __init__(self, networks: nn.Module | Iterable[nn.Module], recipe: GridSpec | None = None,
                 patients: Sequence[Iterable[str]] = ()):
        super().__init__()
        several = isinstance(networks, nn.ModuleList) or not isinstance(networks, nn.Module)
        networks = [*networks] if several and isinstance(networks, Iterable) else [networks]
        if not networks or not all(isinstance(network, nn.Module) for network in networks):
            raise LggError(f"the network is {networks!r:.60}; it must be an nn.Module, or several: load one by "
                           "load_pretrained or load_checkpoint")
        if words := [names for names in patients if isinstance(names, str)]:
            raise LggError(f"patients has the text {words[0]!r}; it must hold a list of ids for each network")
        self.networks = nn.ModuleList(networks)
        self.recipe = recipe or GridSpec.of(self.networks[0])
        self.patients = [sorted(names) for names in patients] or [[] for _ in self.networks]
        if len(self.patients) != len(self.networks):
            raise LggError(f"{len(self.networks)} networks but {len(self.patients)} lists of patients; give one each")
        for network in self.networks:
            self.recipe.check(network)

    @property
    def training_patients(self) -> list[str]:
        """Everybody that any of the networks was trained on."""
        return sorted({patient for names in self.patients for patient in names})

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        blocks = F.pixel_unshuffle(image, self.recipe.block) if self.recipe.block > 1 else image
        blocks = blocks.contiguous(memory_format=torch.channels_last)
        logits = [network(blocks) for network in self.networks]
        if len(logits) > 1:  # probabilities are averaged, not logits: no over-confident network outvotes the others
            logits = [torch.stack([one.float().sigmoid() for one in logits]).mean(0).logit(eps=1e-6)]
        return F.pixel_shuffle(logits[0], self.recipe.block) if self.recipe.block > 1 else logits[0]

    @torch.inference_mode()
    def probability(self, image: np.ndarray, device: str | None = None, batch: int = 16) -> np.ndarray:
        """Tumour probability float32 (D,H,W) in [0, 1] on the grid of a volume uint8 (D,H,W,3).

        Raises LggError for any other shape or type. Moves itself to `device`, predicts in eval mode, restores its mode.
        """
        where, was_training, head = pick_device(device), self.training, find_head(image)
        if batch < 1:
            raise LggError(f"batch={batch}: slices are predicted in batches of at least 1")
        if len(head.slices) == 0:
            return np.zeros(head.shape, np.float32)
        if head.missing:
            warnings.warn(f"{' and '.join(head.missing)} shows nothing: FLAIR stands in for it", stacklevel=2)
        slices = slices_to_grid(image, head, self.recipe.size)
        self.to(where, memory_format=torch.channels_last).eval()
        try:
            parts = [self._answer(standardise(slices, head, rows, self.recipe.context).to(where))
                     for rows in np.array_split(np.arange(len(slices)), -(-len(slices) // batch))]
        finally:
            self.train(was_training)
        found = torch.cat(parts)
        if not found.isfinite().all():
            raise LggError("the network answers with what is no number; its training has diverged: train it again")
        return from_grid(found, head)

    def _answer(self, inputs: torch.Tensor) -> torch.Tensor:
        """Probability (N,1,s,s), averaged over the slice and its mirror image where the recipe says so."""
        with mixed_precision(inputs.device):  # twice as fast, and the same Dice to four digits
            straight = self(inputs).float().sigmoid()
            if straight.shape != (len(inputs), 1, *inputs.shape[2:]):
                raise LggError(f"the network answers slices {tuple(inputs.shape)} with {tuple(straight.shape)}; it "
                               "must give one logit for each pixel, (N, 1, H, W)")
            if not self.recipe.flip:
                return straight
            return (straight + self(inputs.flip(-1)).float().sigmoid().flip(-1)) / 2

    def segment(self, image: np.ndarray, device: str | None = None) -> np.ndarray:
        """Mask bool (D,H,W) of a volume uint8 (D,H,W,3), by the recipe's threshold and post-processing."""
        return postprocess(self.probability(image, device), self.recipe.threshold, self.recipe.min_component_share)

    def without(self, patient: str) -> "Segmenter":
        """The part that never saw `patient`, which alone can judge them honestly; LggError where there is none.

        The folder's name does for the id; what is no text is refused.
        """
        if not isinstance(patient, str):
            raise LggError(f"{patient!r} is no patient's id; give one, such as TCGA_CS_4941")
        patient = patient_id(patient)
        unseen = [i for i, names in enumerate(self.patients) if patient not in names]
        if len(unseen) == len(self.networks):
            return self
        if not unseen:
            what = "the network was" if len(self.networks) == 1 else "every network was"
            raise LggError(f"{what} trained on {patient}; judge it on other patients")
        return Segmenter([self.networks[i] for i in unseen], self.recipe, [self.patients[i] for i in unseen])

    def with_recipe(self, **change: float) -> "Segmenter":
        """The same networks by a recipe that differs in these fields, such as threshold=0.4; self stays as it is."""
        return Segmenter(list(self.networks), replace(self.recipe, **change), self.patients)

    def learned_from(self, patients: Iterable[str], recipe: GridSpec) -> None:
        """Remember that every network has been trained on these patients, too, and works by this recipe from now on."""
        for network in self.networks:
            recipe.check(network)
        self.recipe, self.patients = recipe, [sorted({*names, *patients}) for names in self.patients]

    def save(self, path: Path | str, bits: int = 32) -> Path:
        """Write networks, recipe and training patients in 32, 16 or 8 `bits` a weight; see `checkpoint`.

        LggError, and nothing is written, where a weight is no finite number.
        """
        states = [network.state_dict() for network in self.networks]
        for state in states:
            check_finite(state)
        stacked = {name: torch.stack([state[name].detach().cpu() for state in states]) for name in states[0]}
        return write_checkpoint({"architecture": self.networks[0].architecture, "recipe": asdict(self.recipe),
                                 "patients": self.patients,
                                 "states": {name: quantise(values, bits) for name, values in stacked.items()}}, path)

    @classmethod
    def load(cls, path: Path | str) -> "Segmenter":
        """A Segmenter from its file, in eval mode and float32.

        LggError where the file is not whole or not ours, or a weight in it is no finite number.
        """
        content = read_checkpoint(path)
        try:
            whole = {name: dequantise(stored) for name, stored in content["states"].items()}
            networks = [build(**content["architecture"]) for _ in content["patients"]]
            for i, network in enumerate(networks):
                network.load_state_dict({name: values[i] for name, values in whole.items()})
                check_finite(network.state_dict())
            return cls(networks, GridSpec(**content["recipe"]), content["patients"]).eval()
        except LggError as error:
            raise LggError(f"{path}: {error}") from error
        except (KeyError, TypeError, RuntimeError, IndexError, AttributeError) as error:
            raise LggError(f"{path}: a checkpoint, but not one of a Segmenter ({error}); give best.pt, last.pt or "
                           "weights of the package") from error


def check_finite(state: dict[str, torch.Tensor]) -> None:
    """Raise LggError, naming the tensor, where a network's state holds infinities or NaN."""
    for name, values in state.items():
        if not values.isfinite().all():
            raise LggError(f"{name} holds what is no finite number; such a network is of no use: train it again")


def as_segmenter(model: nn.Module) -> Segmenter:
    """`model` itself, or a plain network as a Segmenter by the recipe that fits its channels."""
    return model if isinstance(model, Segmenter) else Segmenter(model)


def predict_volume(model: nn.Module, image: np.ndarray, device: str | None = None, batch: int = 16) -> np.ndarray:
    """Tumour probability float32 (D,H,W) in [0, 1] of a volume uint8 (D,H,W,3), by a Segmenter or a plain network."""
    return as_segmenter(model).probability(image, device, batch)


def segment_volume(model: nn.Module, image: np.ndarray, device: str | None = None) -> np.ndarray:
    """Mask bool (D,H,W) of a volume uint8 (D,H,W,3), by a Segmenter or a plain network."""
    return as_segmenter(model).segment(image, device)


def save_checkpoint(model: nn.Module, path: Path | str, bits: int = 32) -> Path:
    """Write a Segmenter, or a U-Net as one; see `Segmenter.save`."""
    return as_segmenter(model).save(path, bits)


def load_checkpoint(path: Path | str) -> Segmenter:
    """The Segmenter in the file `path`; see `Segmenter.load`."""
    return Segmenter.load(path)


def load_pretrained(kind: str = "kaggle") -> Segmenter:
    """The weights that come with the package: "kaggle" (real patients), "kaggle_halves" or "phantom" (synthetic ones).

    The halves are two small networks, each trained on one half of the real patients, so that `without(patient)` finds
    one that never saw this patient: for judging, not for use.
    """
    known = sorted(file.stem for file in WEIGHTS.glob("*.pt"))
    if kind not in known:
        raise LggError(f"no pretrained weights called {kind!r}; there are {', '.join(known) or 'none'}")
    return Segmenter.load(WEIGHTS / f"{kind}.pt")
