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
from ..prepare.head_finder import Head, find_head
from ..prepare.network_grid import GridSpec, from_grid, slices_to_grid, standardise
from .checkpoint import dequantise, quantise, read_checkpoint, write_checkpoint
from .device import check_float32, mixed_precision, pick_device
from .postprocess import postprocess

WEIGHTS = Path(__file__).parents[1] / "weights"


class Segmenter(nn.Module):
    """One or several networks that answer together, by one recipe.

    networks   each maps float (N,C,h,w) to logits; some may take fewer neighbouring slices than others
    recipe     how a volume becomes their input, and their output a mask
    patients   for each network the patients it was trained on; none for fresh ones

    As a module it maps slices on the grid, float (N,recipe.channels,size,size), to logits (N,1,size,size): for several
    networks the logit of their mean probability. A network that takes fewer neighbouring slices than the recipe gives is
    shown those in the middle. Raises LggError where network and recipe contradict each other.
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
        members = self.member_logits(image)
        if len(members) == 1:
            return members[0]
        # Probabilities are averaged, not logits: no over-confident network outvotes the others.
        return members.float().sigmoid().mean(0).logit(eps=1e-6)

    def member_logits(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (members, N, 1, size, size) of every network for image (N, recipe.channels, size, size)."""
        block = self.recipe.block
        answers = []
        for network in self.networks:
            shown = middle_channels(image, getattr(network, "in_channels", None), block)
            if block > 1:
                shown = F.pixel_unshuffle(shown, block)
            logits = network(shown.contiguous(memory_format=torch.channels_last))
            if block > 1:
                logits = F.pixel_shuffle(logits, block)
            if logits.shape != (len(image), 1, *image.shape[2:]):
                raise LggError(f"the network answers slices {tuple(image.shape)} with {tuple(logits.shape)}; it "
                               "must give one logit for each pixel, (N, 1, H, W)")
            answers.append(logits)
        return torch.stack(answers)

    def probability(self, image: np.ndarray, device: str | None = None, batch: int = 16) -> np.ndarray:
        """Tumour probability of every voxel: the mean of the members'.

        Parameters
        ----------
        image : uint8 (D, H, W, 3), the sequences in the order pre-contrast, FLAIR, post-contrast
        device : cpu, cuda or mps; without it the GPU if there is one. The Segmenter moves there
        batch : slices at a time

        Returns
        -------
        float32 (D, H, W) in [0, 1], on the grid of the volume

        Raises
        ------
        LggError
            for any other shape or type
        """
        head, answers = self._answer_volume(image, device, batch)
        return from_grid(answers.mean(0), head)

    def member_probabilities(self, image: np.ndarray, device: str | None = None, batch: int = 16) -> np.ndarray:
        """Tumour probability of every voxel by each member, float32 (members, D, H, W); see `probability`."""
        head, answers = self._answer_volume(image, device, batch)
        return np.stack([from_grid(answer, head) for answer in answers])

    def _answer_volume(self, image: np.ndarray, device: str | None, batch: int) -> tuple[Head, torch.Tensor]:
        """The head in a volume, and the members' probabilities (members, n, 1, size, size) on the grid."""
        if batch < 1:
            raise LggError(f"batch={batch}: slices are predicted in batches of at least 1")
        where = pick_device(device)
        check_float32(self)
        head = find_head(image)
        if head.missing:
            warnings.warn(f"{' and '.join(head.missing)} shows nothing: FLAIR stands in for it", stacklevel=3)
        slices = slices_to_grid(image, head, self.recipe.size)
        if not len(slices):
            return head, torch.zeros(len(self.networks), 0, 1, self.recipe.size, self.recipe.size)
        parts = np.array_split(np.arange(len(slices)), -(-len(slices) // batch))
        was_training = self.training
        # Moved outside inference mode: weights that change their layout inside it could never be trained again.
        self.to(where, memory_format=torch.channels_last).eval()
        try:
            with torch.inference_mode():
                answers = [self._answer(standardise(slices, head, rows, self.recipe.context).to(where))
                           for rows in parts]
        finally:
            self.train(was_training)
        found = torch.cat(answers, dim=1).cpu()
        if not found.isfinite().all():
            raise LggError("the network answers with NaN or infinity; its training has diverged: train it again")
        return head, found

    def _answer(self, inputs: torch.Tensor) -> torch.Tensor:
        """Probabilities (members, N, 1, s, s), averaged over the slice and its mirror image where the recipe says so."""
        with mixed_precision(inputs.device):  # twice as fast, and the same Dice to four digits
            straight = self.member_logits(inputs).float().sigmoid()
            if not self.recipe.flip:
                return straight
            return (straight + self.member_logits(inputs.flip(-1)).float().sigmoid().flip(-1)) / 2

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

        LggError, and nothing is written, where a weight is NaN or infinite.
        """
        members = []
        for network, patients in zip(self.networks, self.patients, strict=True):
            state = network.state_dict()
            check_finite(state)
            stored = {name: quantise(values.detach().cpu(), bits) for name, values in state.items()}
            members.append({"architecture": network.architecture, "patients": patients, "state": stored})
        return write_checkpoint({"recipe": asdict(self.recipe), "members": members}, path)

    @classmethod
    def load(cls, path: Path | str) -> "Segmenter":
        """A Segmenter from its file, in eval mode and float32.

        LggError where the file is not whole or not ours, or a weight in it is NaN or infinite.
        """
        content = read_checkpoint(path)
        try:
            networks = []
            for member in content["members"]:
                network = build(**member["architecture"])
                network.load_state_dict({name: dequantise(stored) for name, stored in member["state"].items()})
                check_finite(network.state_dict())
                networks.append(network)
            patients = [member["patients"] for member in content["members"]]
            return cls(networks, GridSpec(**content["recipe"]), patients).eval()
        except LggError as error:
            raise LggError(f"{path}: {error}") from error
        except (KeyError, TypeError, RuntimeError, IndexError, AttributeError) as error:
            raise LggError(f"{path}: a checkpoint, but not one of a Segmenter ({error}); give best.pt, last.pt or "
                           "weights of the package") from error


def middle_channels(image: torch.Tensor, taken: int | None, block: int) -> torch.Tensor:
    """The middle slices of image (N, channels, H, W), for a network that takes fewer neighbours than there are.

    >>> middle_channels(torch.arange(9.0).view(1, 9, 1, 1), taken=3, block=1).flatten()
    tensor([3., 4., 5.])
    """
    given = image.shape[1]
    wanted = given if taken is None else taken // block**2
    first = (given - wanted) // 2
    return image[:, first:first + wanted]


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
