"""A trained network ready for use: `Segmenter`.

It holds one network or several, the recipe they work by, and who trained them.
"""

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..errors import LggError
from ..patient_ids import patient_id
from ..prepare.head_finder import Head, find_head
from ..prepare.network_grid import GridSpec, from_grid, slices_to_grid, standardise
from ..unet import UNet
from .checkpoint import dequantise, quantise, read_checkpoint, write_checkpoint
from .device import check_float32, mixed_precision, pick_device
from .postprocess import postprocess

WEIGHTS = Path(__file__).parents[1] / "weights"


class Segmenter(nn.Module):
    """One or several networks that answer together, by one recipe.

    As a module it maps slices on the grid, float (N, recipe.channels, size, size), to logits
    (N, 1, size, size): for several networks the logit of their mean probability. A network that
    takes fewer neighbouring slices than the recipe gives is shown those in the middle.

    Parameters
    ----------
    networks : one network, or several; each maps float (N, C, h, w) to logits
    recipe : how a volume becomes their input, and their output a mask; without it the one that fits
        the first network's channels
    patients : for each network the ids of the patients it was trained on; none for fresh networks

    Raises
    ------
    LggError
        where network and recipe contradict each other
    """

    def __init__(
        self,
        networks: nn.Module | Iterable[nn.Module],
        recipe: GridSpec | None = None,
        patients: Sequence[Iterable[str]] = (),
    ):
        super().__init__()
        self.networks = nn.ModuleList(_list_of_networks(networks))
        if recipe is None:
            recipe = GridSpec.of(self.networks[0])
        for network in self.networks:
            recipe.check(network)
        self.recipe = recipe
        self.patients = _lists_of_patients(patients, len(self.networks))

    @property
    def training_patients(self) -> list[str]:
        """Everybody that any of the networks was trained on."""
        everybody = set()
        for names in self.patients:
            everybody.update(names)
        return sorted(everybody)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits = self.member_logits(image)
        if len(logits) == 1:
            return logits[0]
        # Probabilities are averaged, not logits: no over-confident network outvotes the others.
        return logits.float().sigmoid().mean(0).logit(eps=1e-6)

    def member_logits(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of every network.

        Parameters
        ----------
        image : float (N, recipe.channels, size, size)

        Returns
        -------
        float (members, N, 1, size, size)

        Raises
        ------
        LggError
            where a network does not answer with one logit for each pixel
        """
        block = self.recipe.block
        blocks = image
        if block > 1:
            blocks = F.pixel_unshuffle(image, block)
        blocks = blocks.contiguous(memory_format=torch.channels_last)
        of_all = []
        for network in self.networks:
            shown = middle_channels(blocks, getattr(network, "in_channels", None))
            logits = network(shown.contiguous(memory_format=torch.channels_last))
            if block > 1:
                logits = F.pixel_shuffle(logits, block)
            if logits.shape != (len(image), 1, *image.shape[2:]):
                raise LggError(
                    f"the network answers slices {tuple(image.shape)} with {tuple(logits.shape)}; "
                    "it must give one logit for each pixel, (N, 1, H, W)"
                )
            of_all.append(logits)
        return torch.stack(of_all)

    # --- whole volumes ---

    def probability(
        self, image: np.ndarray, device: str | None = None, batch: int = 16
    ) -> np.ndarray:
        """Tumour probability of every voxel: the mean of the members'.

        Parameters
        ----------
        image : uint8 (D, H, W, 3), the sequences in the order pre-contrast, FLAIR, post-contrast
        device : cpu, cuda or mps; without it the GPU if CUDA sees one. The Segmenter moves there
        batch : slices at a time

        Returns
        -------
        float32 (D, H, W) in [0, 1], on the grid of the volume

        Raises
        ------
        LggError
            for any other shape or type, and where the network answers with NaN
        """
        head = find_head(image)
        return from_grid(self._predict_on_grid(image, head, device, batch).mean(0), head)

    def member_probabilities(
        self,
        image: np.ndarray,
        device: str | None = None,
        batch: int = 16,
        head: Head | None = None,
    ) -> np.ndarray:
        """Tumour probability of every voxel by each member, float32 (members, D, H, W).

        Parameters and errors as for `probability`; `head` is what `find_head` found in the image,
        for a caller that has looked already.
        """
        if head is None:
            head = find_head(image)
        on_grid = self._predict_on_grid(image, head, device, batch)
        return np.stack([from_grid(of_member, head) for of_member in on_grid])

    def segment(self, image: np.ndarray, device: str | None = None) -> np.ndarray:
        """Tumour mask of a volume, by the recipe's threshold and post-processing.

        Parameters
        ----------
        image, device : as for `probability`

        Returns
        -------
        bool (D, H, W)
        """
        return postprocess(
            self.probability(image, device),
            self.recipe.threshold,
            self.recipe.min_component_share,
        )

    def _predict_on_grid(
        self, image: np.ndarray, head: Head, device: str | None, batch: int
    ) -> torch.Tensor:
        """Probabilities of the n slices that show the head, float32 (members, n, 1, size, size)."""
        if batch < 1:
            raise LggError(f"batch={batch}: slices are predicted in batches of at least 1")
        where = pick_device(device)
        check_float32(self)
        if head.missing:
            names = " and ".join(head.missing)
            warnings.warn(f"{names} shows nothing: FLAIR stands in for it", stacklevel=3)
        size = self.recipe.size
        slices = slices_to_grid(image, head, size)
        if len(slices) == 0:
            return torch.zeros(len(self.networks), 0, 1, size, size)

        batches = math.ceil(len(slices) / batch)
        was_training = self.training
        # Moved outside inference mode: weights that change their layout in it cannot be trained.
        self.to(where).to(memory_format=torch.channels_last)
        self.eval()
        answers = []
        try:
            with torch.inference_mode():
                for rows in np.array_split(np.arange(len(slices)), batches):
                    inputs = standardise(slices, head, rows, self.recipe.context)
                    answers.append(self._probabilities(inputs.to(where)))
        finally:
            self.train(was_training)
        on_grid = torch.cat(answers, dim=1).cpu()
        if not on_grid.isfinite().all():
            raise LggError(
                "the network answers with NaN or infinity; its training has diverged: train it "
                "again"
            )
        return on_grid

    def _probabilities(self, inputs: torch.Tensor) -> torch.Tensor:
        """Probabilities (members, N, 1, size, size).

        Averaged with those of the mirror image, where the recipe says so.
        """
        with mixed_precision(inputs.device):  # twice as fast, and the same Dice to four digits
            probability = self.member_logits(inputs).float().sigmoid()
            if self.recipe.flip:
                of_mirror_image = self.member_logits(inputs.flip(-1)).float().sigmoid()
                probability = (probability + of_mirror_image.flip(-1)) / 2
        return probability

    # --- who trained it, and by which recipe ---

    def without(self, patient: str) -> "Segmenter":
        """The part that never saw a patient, which alone can judge them honestly.

        Parameters
        ----------
        patient : id such as TCGA_CS_4941, or the name of the patient's folder

        Returns
        -------
        self where no network saw them, else a Segmenter of the others

        Raises
        ------
        LggError
            where every network was trained on the patient, or `patient` is not text
        """
        if not isinstance(patient, str):
            raise LggError(f"{patient!r} is not a patient's id; give one, such as TCGA_CS_4941")
        patient = patient_id(patient)
        networks = []
        patients = []
        for network, names in zip(self.networks, self.patients, strict=True):
            if patient not in names:
                networks.append(network)
                patients.append(names)
        if len(networks) == len(self.networks):
            return self
        if not networks:
            which = "the network" if len(self.networks) == 1 else "every network"
            raise LggError(f"{which} was trained on {patient}; judge it on other patients")
        return Segmenter(networks, self.recipe, patients)

    def with_recipe(self, **change: Any) -> "Segmenter":
        """The same networks by a recipe that differs in these fields, such as threshold=0.4.

        This Segmenter stays as it is.
        """
        return Segmenter(self.networks, replace(self.recipe, **change), self.patients)

    def learned_from(self, patients: Iterable[str], recipe: GridSpec) -> None:
        """Remember that every network has been trained on these patients, too, by this recipe."""
        for network in self.networks:
            recipe.check(network)
        self.recipe = recipe
        self.patients = [sorted({*names, *patients}) for names in self.patients]

    # --- files ---

    def save(self, path: Path | str, bits: int = 32) -> Path:
        """Write networks, recipe and training patients.

        Parameters
        ----------
        path : of the file, which is replaced as a whole
        bits : 32, 16 or 8 for each weight; see `lggseg.model.checkpoint.quantise`

        Raises
        ------
        LggError
            where a weight is NaN or infinite; nothing is written then
        """
        members = []
        for network, patients in zip(self.networks, self.patients, strict=True):
            state = network.state_dict()
            check_finite(state)
            stored = {name: quantise(values.detach().cpu(), bits) for name, values in state.items()}
            members.append(
                {"architecture": network.architecture, "patients": patients, "state": stored}
            )
        return write_checkpoint({"recipe": asdict(self.recipe), "members": members}, path)

    @classmethod
    def load(cls, path: Path | str) -> "Segmenter":
        """Read a Segmenter from its file, in eval mode and float32.

        Raises
        ------
        LggError
            where the file is damaged or not a Segmenter's, or a weight in it is NaN or infinite
        """
        content = read_checkpoint(path)
        try:
            networks = []
            patients = []
            for member in content["members"]:
                stored = member["state"]
                network = UNet(**member["architecture"])
                network.load_state_dict({name: dequantise(stored[name]) for name in stored})
                check_finite(network.state_dict())
                networks.append(network)
                patients.append(member["patients"])
            return cls(networks, GridSpec(**content["recipe"]), patients).eval()
        except LggError as error:
            raise LggError(f"{path}: {error}") from error
        except (KeyError, TypeError, RuntimeError, IndexError, AttributeError) as error:
            raise LggError(
                f"{path}: a checkpoint, but not one of a Segmenter ({error}); give best.pt, "
                "last.pt or weights of the package"
            ) from error


def _list_of_networks(networks: nn.Module | Iterable[nn.Module]) -> list[nn.Module]:
    """One network, or several in any collection, as a list; LggError for anything else."""
    if isinstance(networks, nn.Module) and not isinstance(networks, nn.ModuleList):
        return [networks]
    found = list(networks) if isinstance(networks, Iterable) else []
    if not found or not all(isinstance(network, nn.Module) for network in found):
        raise LggError(
            f"the network is {networks!r:.60}; it must be an nn.Module, or several: load one by "
            "load_pretrained or load_checkpoint"
        )
    return found


def _lists_of_patients(patients: Sequence[Iterable[str]], networks: int) -> list[list[str]]:
    """A sorted list of ids for each network; LggError where there is another number of lists."""
    for names in patients:
        if isinstance(names, str):
            raise LggError(
                f"patients has the text {names!r}; it must hold a list of ids for each network"
            )
    if len(patients) == 0:
        return [[] for _ in range(networks)]
    if len(patients) != networks:
        raise LggError(f"{networks} networks but {len(patients)} lists of patients; give one each")
    return [sorted(names) for names in patients]


def middle_channels(blocks: torch.Tensor, taken: int | None) -> torch.Tensor:
    """The middle slices of an input, for a network that takes fewer neighbours than there are.

    Parameters
    ----------
    blocks : (N, channels, h, w), each pixel of a block a channel of its own
    taken : channels that the network takes; None for all

    Examples
    --------
    >>> middle_channels(torch.arange(9.0).view(1, 9, 1, 1), taken=3).flatten()
    tensor([3., 4., 5.])
    """
    if taken is None:
        return blocks
    first = (blocks.shape[1] - taken) // 2
    return blocks[:, first : first + taken]


def check_finite(state: dict[str, torch.Tensor]) -> None:
    """Raise LggError, naming the tensor, where a network's state holds NaN or infinity."""
    for name, values in state.items():
        if not values.isfinite().all():
            raise LggError(f"{name} holds NaN or infinity; train the network again")


def as_segmenter(model: nn.Module) -> Segmenter:
    """`model` itself, or a plain network as a Segmenter by the recipe that fits its channels."""
    if isinstance(model, Segmenter):
        return model
    return Segmenter(model)


def predict_volume(
    model: nn.Module, image: np.ndarray, device: str | None = None, batch: int = 16
) -> np.ndarray:
    """Tumour probability by a Segmenter or a plain network; see `Segmenter.probability`."""
    return as_segmenter(model).probability(image, device, batch)


def segment_volume(model: nn.Module, image: np.ndarray, device: str | None = None) -> np.ndarray:
    """Tumour mask by a Segmenter or a plain network; see `Segmenter.segment`."""
    return as_segmenter(model).segment(image, device)


def save_checkpoint(model: nn.Module, path: Path | str, bits: int = 32) -> Path:
    """Write a Segmenter, or a U-Net as one; see `Segmenter.save`."""
    return as_segmenter(model).save(path, bits)


def load_checkpoint(path: Path | str) -> Segmenter:
    """The Segmenter in a file; see `Segmenter.load`."""
    return Segmenter.load(path)


def load_pretrained(kind: str = "kaggle") -> Segmenter:
    """The weights that come with the package.

    Parameters
    ----------
    kind : "kaggle" (trained on real patients) or "phantom" (on drawn ones)

    Raises
    ------
    LggError
        for another name
    """
    known = sorted(file.stem for file in WEIGHTS.glob("*.pt"))
    if kind not in known:
        raise LggError(
            f"no pretrained weights called {kind!r}; there are {', '.join(known) or 'none'}"
        )
    return Segmenter.load(WEIGHTS / f"{kind}.pt")
