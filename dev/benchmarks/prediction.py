"""Predicting a patient, against slice by slice, against the first edition's ensemble, and beside
the bare network; and by all shipped networks.
"""

import numpy as np
import torch
from skimage.transform import resize
from torch import nn
from torch.nn import functional as F

from lggseg import GridSpec, Segmenter, TrainConfig, UNet, build_model, load_pretrained
from lggseg.model.device import mixed_precision
from lggseg.prepare.head_finder import find_head
from lggseg.prepare.network_grid import slices_to_grid, standardise

from . import ceiling
from .bench import Bench
from .timing import Ratio, Row, clock, rounds, share


def slice_by_slice(network: nn.Module, image: np.ndarray, recipe: GridSpec) -> np.ndarray:
    """Probabilities (D,H,W) as scripts make them: one slice after the other, resized by
    scikit-image, whole picture.
    """
    mean = image.mean(axis=(0, 1, 2))
    deviation = image.std(axis=(0, 1, 2))
    found = []
    for picture in image:
        grid = resize((picture - mean) / deviation, (recipe.size, recipe.size), anti_aliasing=True)
        blocks = F.pixel_unshuffle(
            torch.from_numpy(grid).float().permute(2, 0, 1)[None], recipe.block
        )
        with torch.no_grad():
            answer = torch.sigmoid(F.pixel_shuffle(network(blocks), recipe.block))
        found.append(resize(answer[0, 0].numpy(), picture.shape[:2]))
    return np.stack(found)


def first_edition(networks: int = 8) -> Segmenter:
    """What the first edition had: eight U-Nets of full resolution with a neighbouring slice on
    either side.

    The weights are random: speed does not depend on them.
    """
    recipe = GridSpec(size=192, context=1, block=1, threshold=0.45, min_component_share=0.5)
    return Segmenter(
        [UNet(recipe.channels, features=16, depth=5) for _ in range(networks)], recipe
    ).eval()


def rows(bench: Bench) -> list[Row]:
    """One patient of middle depth; the network of the default settings, with fresh weights, and the
    shipped ones.
    """
    image = bench.patient().image[: 4 if bench.quick else None]
    new = build_model(TrainConfig()).eval()
    old = first_edition()
    shipped = load_pretrained()
    plain = build_model(TrainConfig()).networks[0].eval()
    head = find_head(image)
    inputs = standardise(
        slices_to_grid(image, head, new.recipe.size), head, np.arange(len(head.slices)), 0
    )

    @torch.inference_mode()
    def plain_forward() -> None:
        for batch in inputs.split(16):
            new(batch)

    def bare() -> None:
        with mixed_precision(inputs.device):  # as the prediction itself
            plain_forward()

    flops = ceiling.operations(bare)
    sides = (
        lambda: new.probability(image, "cpu"),
        lambda: slice_by_slice(plain, image, new.recipe),
        lambda: old.probability(image, "cpu"),
        lambda: new.segment(image, "cpu"),
        bare,
        plain_forward,
        lambda: shipped.probability(image, "cpu"),
    )
    costs = rounds(bench.repeats, *map(clock, sides), lambda: flops / ceiling.convolution())
    predict, one, ensemble, segment, forward, in_float32, all_shipped, peak = costs.T
    return [
        Row(
            "predict a patient",
            "slice by slice, contiguous float32, scikit-image's resize",
            Ratio.of(one / predict),
            None,
            f"{share(peak / predict)} of the convolution peak",
        ),
        Row(
            "predict a patient", "eight networks of the first edition", Ratio.of(ensemble / predict)
        ),
        Row(
            "predict a patient by all shipped networks",
            "eight networks of the first edition",
            Ratio.of(ensemble / all_shipped),
        ),
        Row(
            "segment a patient",
            "the network's forward pass alone",
            Ratio.of(forward / segment),
            None,
            f"{share(peak / segment)} of the convolution peak",
        ),
        Row(
            "segment a patient", "the same forward pass in float32", Ratio.of(in_float32 / segment)
        ),
    ]
