"""From a scan to a mask: probabilities on the volume's own grid, post-processing, and scores per patient."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import torch
from scipy import ndimage
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from .checkpoint import Ensemble
from .data import Cohort
from .device import pick_device
from .errors import LggError
from .metrics import scores
from .transforms import Recipe, head_stats, prepare_slices


def recipe_of(model: nn.Module) -> Recipe:
    """The recipe a network carries, or the default one; LggError if its input channels contradict it."""
    recipe = getattr(model, "recipe", None) or Recipe()
    channels = getattr(model, "in_channels", recipe.channels)
    if channels != recipe.channels:
        raise LggError(f"the network takes {channels} channels but its recipe (context={recipe.context}) gives "
                       f"{recipe.channels}; set model.recipe = Recipe(context=...) to match")
    return recipe


@torch.inference_mode()
def predict_volume(model: nn.Module, image: np.ndarray, device: str | None = None, batch: int = 16) -> np.ndarray:
    """Tumour probability float32 (D,H,W) in [0, 1] on the grid of a volume uint8 (D,H,W,3).

    Raises LggError for any other shape or type. Moves the model to `device`, predicts in eval mode, restores its mode.
    """
    recipe, stats, where, was_training = recipe_of(model), head_stats(image), pick_device(device), model.training
    model.to(where, memory_format=torch.channels_last).eval()
    try:
        parts = [probability(model, prepare_slices(image, stats, recipe, rows).to(where), recipe.flip)
                 for rows in np.array_split(np.arange(len(image)), -(-len(image) // batch))]
    finally:
        model.train(was_training)
    grid = F.interpolate(torch.cat(parts), image.shape[1:3], mode="bilinear", align_corners=False)
    return grid[:, 0].float().cpu().numpy()


def probability(model: nn.Module, inputs: torch.Tensor, flip: bool) -> torch.Tensor:
    """Sigmoid of the logits (N,1,h,w), averaged over the slice and its mirror image when `flip` is set."""
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    straight = model(inputs).float().sigmoid()
    return (straight + model(inputs.flip(-1)).float().sigmoid().flip(-1)) / 2 if flip else straight


def clean(probability: np.ndarray, threshold: float = 0.5, keep: float = 0.0) -> np.ndarray:
    """Mask bool (D,H,W) where `probability` reaches `threshold`, without weak components.

    A 3D component (26 neighbours) weighs the sum of its probability above the threshold, so a small
    certain tumour can outweigh a large doubtful blob. Components below `keep` times the heaviest
    one's weight are removed: 0 keeps all, 1 only the heaviest. An empty mask stays empty.
    """
    mask = probability >= threshold
    labels, n = ndimage.label(mask, np.ones((3,) * mask.ndim))
    if n < 2 or keep == 0:
        return mask
    weight = ndimage.sum_labels(probability - threshold, labels, np.arange(1, n + 1))
    return np.isin(labels, 1 + np.flatnonzero(weight >= keep * weight.max()))


def segment_volume(model: nn.Module, image: np.ndarray, device: str | None = None) -> np.ndarray:
    """Mask bool (D,H,W) of a volume uint8 (D,H,W,3), by the threshold and post-processing of the model's recipe."""
    recipe = recipe_of(model)
    return clean(predict_volume(model, image, device), recipe.threshold, recipe.keep)


def unseen_part(model: nn.Module, patient: str) -> nn.Module:
    """What of `model` never saw `patient`: for an ensemble of folds the members that did not train on it.

    A model that did not train on the patient is returned whole. Raises LggError if nothing is left.
    """
    if patient not in getattr(model, "training_patients", ()):
        return model
    if not isinstance(model, Ensemble):
        raise LggError(f"the network was trained on {patient}; judge it on other patients")
    return model.without(patient)


def evaluate(model: nn.Module, cohort: Cohort, patients: Iterable[str] | None = None, out_of_fold: bool = False,
             device: str | None = None, progress: bool = True) -> pd.DataFrame:
    """Scores of `segment_volume` per patient volume, indexed by patient.

    Columns: dice, iou, sensitivity, precision in [0, 1], hd95 in pixels (empty-mask rule: see
    `lggseg.metrics`), tumour_voxels, predicted_voxels, and seen: the model was trained on this
    patient. With `out_of_fold` each patient is judged by `unseen_part` of the model, so none was seen.
    """
    rows = {}
    for patient in tqdm(list(cohort.patients if patients is None else patients), "evaluate", disable=not progress):
        judge, volume = unseen_part(model, patient) if out_of_fold else model, cohort.volume(patient)
        mask = segment_volume(judge, volume.image, device)
        rows[patient] = scores(mask, volume.mask) | {
            "tumour_voxels": int(volume.mask.sum()), "predicted_voxels": int(mask.sum()),
            "seen": patient in getattr(judge, "training_patients", ())}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("patient")
