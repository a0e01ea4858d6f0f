"""Trained networks on disk: weights and plain values only, never pickled code."""

import os
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from .errors import LggError
from .transforms import Recipe
from .unet import UNet

WEIGHTS = Path(__file__).parent / "weights"


class Ensemble(nn.Module):
    """Several networks as one: the logit of their mean probability, logits (N,1,H,W) like a member's own.

    It takes over the members' recipe, which must be one and the same, unless it is given its own (many networks
    may do without the mirror image that helps a single one), and all their training patients.
    """

    def __init__(self, members: list[nn.Module], recipe: Recipe | None = None):
        super().__init__()
        self.members = nn.ModuleList(members)
        recipes = {getattr(member, "recipe", Recipe()) for member in members}
        if len(recipes) != 1:
            raise LggError(f"members of an ensemble need one recipe, these have {len(recipes)}: {recipes}")
        self.recipe = recipe or recipes.pop()
        self.training_patients = sorted({p for member in members for p in getattr(member, "training_patients", ())})

    def without(self, patient: str) -> nn.Module:
        """The ensemble of those members that were not trained on `patient`; LggError if there is none."""
        members = [member for member in self.members if patient not in getattr(member, "training_patients", ())]
        if not members:
            raise LggError(f"every member was trained on {patient}; none of them can judge it honestly")
        return members[0] if len(members) == 1 else Ensemble(members)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        # averaging probabilities, not logits: one over-confident member cannot outvote the others
        return torch.stack([member(image).float().sigmoid() for member in self.members]).mean(0).logit(eps=1e-6)


def save_atomically(content: object, path: Path) -> None:
    """`torch.save` to a neighbour, then rename: a reader sees the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        torch.save(content, part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def save_checkpoint(model: nn.Module, path: Path | str, bits: int = 32) -> Path:
    """Write a UNet or an Ensemble of UNets with recipe and training patients, in 32, 16 or 8 `bits` a weight."""
    members = list(model.members) if isinstance(model, Ensemble) else [model]
    states = [member.state_dict() for member in members]
    stacked = {name: torch.stack([state[name].detach().cpu() for state in states]) for name in states[0]}
    content = {"format": 2, "architecture": members[0].architecture,
               "states": {name: shorten(values, bits) for name, values in stacked.items()},
               "recipe": asdict(getattr(model, "recipe", Recipe())),
               "member_recipe": asdict(getattr(members[0], "recipe", Recipe())),
               "patients": [list(getattr(member, "training_patients", [])) for member in members]}
    save_atomically(content, Path(path))
    return Path(path)


def shorten(values: torch.Tensor, bits: int) -> torch.Tensor | dict[str, torch.Tensor]:
    """One tensor of all members, stacked, as it is stored: float16, or, for kernels at 8 bits, steps of -127..127.

    A step is the largest weight of its kernel over 127 (symmetric quantisation per channel: Krishnamoorthi 2018).
    """
    if bits not in (32, 16, 8):
        raise LggError(f"bits is {bits}; a weight is stored in 32, 16 or 8")
    if bits == 32 or not values.is_floating_point():
        return values
    if bits == 16 or values.ndim < 3:
        return values.half()
    step = values.abs().amax(dim=tuple(range(2, values.ndim)), keepdim=True).clamp(min=1e-12) / 127
    return {"steps": (values / step).round().to(torch.int8), "step": step}


def lengthen(stored: torch.Tensor | dict[str, torch.Tensor]) -> torch.Tensor:
    """The inverse of `shorten`: float32, or whole numbers as they are."""
    if isinstance(stored, dict):
        return stored["steps"].float() * stored["step"]
    return stored.float() if stored.is_floating_point() else stored


def load_checkpoint(path: Path | str) -> nn.Module:
    """The network in `path`, in eval mode and float32, with `.recipe` and `.training_patients`.

    Loads tensors and plain values only (`weights_only=True`), so a downloaded file cannot run code.
    Raises LggError if the file is missing, cut short, or not one of ours.
    """
    path = Path(path)
    if not path.is_file():
        raise LggError(f"{path}: no such checkpoint; train one with `python -m lggseg.train --out {path.parent}`")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        parts = zip(unstack(content["states"]), content["patients"], strict=True)
        recipe = Recipe(**content["recipe"])
        own = Recipe(**content.get("member_recipe", content["recipe"]))  # format 1 had one for all
        members = [build(content["architecture"], *part, own) for part in parts]
        model = members[0] if len(members) == 1 else Ensemble(members, recipe)
    except Exception as error:
        raise LggError(f"{path}: not a whole lggseg checkpoint ({error}); delete it and train or download it "
                       "again") from error
    return model.eval()


def unstack(states: dict | list) -> list[dict[str, torch.Tensor]]:
    """One state per member, as float32; format 1 had them in a list."""
    if isinstance(states, list):
        return [{name: lengthen(value) for name, value in state.items()} for state in states]
    whole = {name: lengthen(stored) for name, stored in states.items()}
    return [{name: values[i] for name, values in whole.items()} for i in range(len(next(iter(whole.values()))))]


def build(architecture: dict, state: dict, patients: list[str], recipe: Recipe) -> UNet:
    """A UNet of this architecture holding these weights, as float32, and what it carries."""
    model = UNet(**architecture)
    model.load_state_dict(state)
    model.recipe, model.training_patients = recipe, list(patients)
    return model.eval()


def load_pretrained(kind: str = "kaggle") -> nn.Module:
    """The weights that come with the package: "kaggle" (real patients) or "phantom" (synthetic ones)."""
    known = sorted(file.stem for file in WEIGHTS.glob("*.pt"))
    if kind not in known:
        raise LggError(f"no pretrained weights called {kind!r}; there are {', '.join(known) or 'none'}")
    return load_checkpoint(WEIGHTS / f"{kind}.pt")
