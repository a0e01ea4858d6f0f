"""From a scan to a mask: probabilities on the volume's own grid, post-processing, and scores per patient.

`python -m lggseg.predict SCAN --out DIR` does it for a patient's folder, a folder of pictures, one picture or NIfTI.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from scipy import ndimage
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from .checkpoint import Ensemble, load_checkpoint, load_pretrained
from .colours import PREDICTION
from .data import Cohort
from .device import mixed_precision, pick_device
from .errors import LggError
from .metrics import scores
from .scan import OwnScan, read_scan, write_nifti
from .shape import shape_features
from .transforms import Recipe, head_stats, prepare_slices
from .viewer.overlay import blend, boundary


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
    recipe, where, was_training = recipe_of(model), pick_device(device), model.training
    stats = head_stats(image, recipe.robust)
    height, width = image.shape[1:3]
    image = squared(image)
    model.to(where, memory_format=torch.channels_last).eval()
    try:
        parts = [probability(model, prepare_slices(image, stats, recipe, rows).to(where), recipe.flip)
                 for rows in np.array_split(np.arange(len(image)), -(-len(image) // batch))]
    finally:
        model.train(was_training)
    grid = F.interpolate(torch.cat(parts), image.shape[1:3], mode="bilinear", align_corners=False)
    return grid[:, 0, :height, :width].float().cpu().numpy()


def squared(image: np.ndarray) -> np.ndarray:
    """A volume (D,H,W,3) with black added below or on the right until H = W, so that resizing keeps its shape."""
    height, width = image.shape[1:3]
    side = max(height, width)
    missing = ((0, 0), (0, side - height), (0, side - width), (0, 0))
    return image if height == width else np.pad(image, missing)


def probability(model: nn.Module, inputs: torch.Tensor, flip: bool) -> torch.Tensor:
    """Sigmoid of the logits (N,1,h,w), averaged over the slice and its mirror image when `flip` is set."""
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    with mixed_precision(inputs.device):  # twice as fast, and the same Dice to four digits
        straight = model(inputs).float().sigmoid()
        return (straight + model(inputs.flip(-1)).float().sigmoid().flip(-1)) / 2 if flip else straight


def clean(probability: np.ndarray, threshold: float = 0.5, keep: float = 0.0) -> np.ndarray:
    """Mask bool (D,H,W) where `probability` reaches `threshold`, without weak components.

    A 3D component (26 neighbours) weighs the sum of its probability above the threshold, so a small
    certain tumour can outweigh a large doubtful blob. Components below `keep` times the heaviest
    one's weight are removed: 0 keeps all, 1 only the heaviest. An empty mask stays empty.
    """
    if keep == 0:
        return probability >= threshold
    labels, weight = components(probability, threshold)
    kept = np.append(False, weight >= keep * weight.max(initial=0))
    return kept[labels]


def components(probability: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels int (D,H,W), 0 where `probability` is below `threshold`, and the weight of each component 1, 2, ..."""
    labels, n = ndimage.label(probability >= threshold, np.ones((3,) * probability.ndim))
    weight = np.bincount(labels.ravel(), (probability - threshold).ravel(), minlength=n + 1)
    return labels, weight[1:]


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


def write_results(scan: OwnScan, probability: np.ndarray, mask: np.ndarray, out: Path) -> pd.Series:
    """Write mask, probability and overlays of a scan into `out`; returns its measures, also in measures.csv.

    Per slice NAME: NAME_mask.png (0 and 255), NAME_probability.png (255 is 1), and NAME_overlay.png
    where something was found. NIfTI gives mask.nii.gz and probability.nii.gz besides.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name, pixels, p, m in zip(scan.names, scan.image, probability, mask):
        Image.fromarray(m.astype(np.uint8) * 255).save(out / f"{name}_mask.png")
        Image.fromarray(np.rint(255 * p).astype(np.uint8)).save(out / f"{name}_probability.png")
        if m.any():
            Image.fromarray(drawn(pixels, m)).save(out / f"{name}_overlay.png")
    if scan.affine is not None:
        write_nifti(mask.astype(np.uint8), scan.affine, out / "mask.nii.gz")
        write_nifti(probability, scan.affine, out / "probability.nii.gz")
    measures = {"slices": len(mask), "tumour_slices": int(mask.any((1, 2)).sum()), "tumour_voxels": int(mask.sum()),
                **shape_features(mask), **(scores(mask, scan.truth) if scan.truth is not None else {})}
    pd.DataFrame([measures]).to_csv(out / "measures.csv", index=False)
    return pd.Series(measures)


def drawn(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """FLAIR of a slice uint8 (H,W,3) with the outline of a mask (H,W) in colour, uint8 (H,W,3)."""
    picture = np.repeat(pixels[..., 1:2], 3, axis=2)
    blend(picture, boundary(mask).astype(np.float32), PREDICTION)
    return picture


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m lggseg.predict", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path, help="folder of slices, one picture, or .nii.gz")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is found")
    parser.add_argument("--weights", default="kaggle", help="kaggle, phantom, or a checkpoint's path")
    parser.add_argument("--device", help="cpu or cuda; the GPU if there is one")
    args = parser.parse_args(argv)
    try:
        model = (load_checkpoint if Path(args.weights).suffix == ".pt" else load_pretrained)(args.weights)
        scan, recipe = read_scan(args.scan), recipe_of(model)
        probability = predict_volume(model, scan.image, args.device)
        mask = clean(probability, recipe.threshold, recipe.keep)
        measures = write_results(scan, probability, mask, args.out)
    except LggError as error:
        sys.exit(f"error: {error}")
    print(" ".join(f"{name}={value:.4g}" for name, value in measures.items()))


if __name__ == "__main__":
    main()
