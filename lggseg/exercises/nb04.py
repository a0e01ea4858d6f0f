"""The exercises of notebook 04: leaks, averaged weights, Dice loss, blocks, early stopping, a
training of one's own, and one that is stopped and goes on.
"""

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..measures.metrics import dice
from ..training.losses import DiceBCELoss, dice_loss
from ..unet import UNet
from .base import DOTS, Wrong, called, close, number

SHUFFLED = (
    [
        "TCGA_HT_7693_19950520/TCGA_HT_7693_19950520_3.tif",
        "TCGA_CS_4941_19960909/TCGA_CS_4941_19960909_7.tif",
        "TCGA_DU_6404_19850629/TCGA_DU_6404_19850629_12.tif",
        "TCGA_CS_4941_19960909/TCGA_CS_4941_19960909_9.tif",
        "TCGA_CS_5393_19990606/TCGA_CS_5393_19990606_1.tif",
    ],
    [
        "TCGA_HT_7693_19950520/TCGA_HT_7693_19950520_4.tif",
        "TCGA_CS_4941_19960909/TCGA_CS_4941_19960909_8.tif",
        "TCGA_CS_4942_19970222/TCGA_CS_4942_19970222_8.tif",
    ],
)
AGAIN = (
    ["TCGA_DU_6404_19850629/TCGA_DU_6404_19850629_12.tif"],
    ["TCGA_DU_6404_19860101/TCGA_DU_6404_19860101_5.tif"],
)
CLEAN = (SHUFFLED[0], ["TCGA_HT_7694_19950404/TCGA_HT_7694_19950404_3.tif"])


def leaking(answer: Any) -> str | None:
    right = ["TCGA_CS_4941", "TCGA_HT_7693"]
    told = names(called(answer, *SHUFFLED))
    if told != right:
        return wrong_names(told, right)
    if isinstance(answer(*SHUFFLED), (set, frozenset)):
        return "the right patients, but a set has no order; return them sorted."
    if clean := names(called(answer, *CLEAN)):
        return f"it names {', '.join(clean)} where no patient occurs on both sides."
    if names(called(answer, *AGAIN)) != ["TCGA_DU_6404"]:
        return (
            "a patient who was scanned twice has two folders; only the date tells them apart, so "
            "leave it out."
        )
    return None


def names(told: Any) -> list[str]:
    """Several names in any form."""
    if isinstance(told, (str, bytes)) or not np.iterable(told):
        raise Wrong(f"it should return several names; this is a {type(told).__name__}.")
    listed = sorted(told) if isinstance(told, (set, frozenset)) else list(told)
    if not all(isinstance(name, str) for name in listed):
        raise Wrong("it should return names of patients, such as TCGA_CS_4941.")
    return [str(name) for name in listed]


def wrong_names(told: list[str], right: list[str]) -> str:
    """What is wrong with `told` as the patients of SHUFFLED that leak."""
    if not told:
        return (
            "it finds nobody, but two patients are on both sides: no slice is, so compare patients "
            "and not files."
        )
    if sorted(told) == right:
        return "the right patients, but not sorted."
    if sorted(set(told)) == right:
        return "the right patients, but one of them is named twice."
    if any("/" in name or name.endswith(".tif") for name in told):
        return "those are files; a patient is the first three parts of the folder's name."
    if any(name.count("_") > 2 for name in told):
        return "those names still have the date."
    if all(name.count("_") < 2 for name in told):
        return "a name of two parts is a hospital; many patients share it."
    return "only those who occur in both lists, please."


def recent(answer: Any) -> str | None:
    told = number(answer)
    right = 1 - 0.995**200
    usual = [
        (1 - right, "that is what the older steps have left to say."),
        (1.0, "a step counts less with each that follows it; 200 times 0.005 forgets that."),
        (0.005, "that is the last step alone."),
        (0.995, "that is what one step leaves of the average before it."),
        (100 * right, "as a share from 0 to 1, not in per cent."),
    ]
    if close(told, right, 0.0051):
        return None
    if close(told, 1 - right, 0.0051):
        return usual[0][1]  # rounded, too
    for wrong, hint in usual:
        tolerance = 0.0006 if wrong <= 1 else 0.51  # a share, or per cent
        if close(told, wrong, tolerance):
            return hint
    return "after n steps, 0.995 ** n is left of what was there before."


def dice_by_hand(answer: Any) -> str | None:
    torch.manual_seed(0)
    logits = torch.randn(4, 1, 8, 8)
    hard = (torch.rand(4, 1, 8, 8) < 0.2).float()
    soft = F.avg_pool2d(hard, 3, 1, 1)
    told = [
        number(called(answer, logits, target)) for target in (hard, soft, torch.zeros_like(hard))
    ]
    right = [dice_loss(logits, target).item() for target in (hard, soft, torch.zeros_like(hard))]
    wrong = [not close(value, expected, 1e-4) for value, expected in zip(told, right)]
    if not any(wrong):
        return wrong_slope(answer, logits, soft)
    for hint, mistake in DICE_MISTAKES.items():
        mistaken = mistake(logits, hard)
        if close(told[0], mistaken, 1e-4) and not close(right[0], mistaken, 1e-4):
            return hint
    if wrong == [False, True, False]:
        return (
            "right for masks of 0 and 1, but not for shares between: there the overlap is the "
            "smaller of p and t."
        )
    if wrong == [False, False, True]:
        return "right unless the mask is empty: add 1 above and below the line."
    return "not the formula yet: which of its three sums could differ?"


def wrong_slope(answer: Any, logits: torch.Tensor, target: torch.Tensor) -> str | None:
    """What keeps a loss of the right value from being trained with."""
    slopes = []
    for loss in (answer, dice_loss):
        asked = logits.clone().requires_grad_()
        told = loss(asked, target)
        if not isinstance(told, torch.Tensor) or not told.requires_grad:
            return (
                "the right numbers, but no slope to go down: return a tensor computed from the "
                "logits, without `.item()`, `.detach()` or `torch.no_grad()`."
            )
        slopes.append(torch.autograd.grad(told.sum(), asked, allow_unused=True)[0])
    told, right = slopes
    if told is None:
        return (
            "the right numbers, but no slope to go down: the result does not depend on the logits "
            "handed to it."
        )
    if torch.allclose(told, right, rtol=1e-3, atol=1e-6):
        return None
    return (
        "the right numbers, but another slope: a part of the formula is cut off from the "
        "logits, by `.item()` or `.detach()`."
    )


def soft_dice(p: torch.Tensor, t: torch.Tensor, above: float = 1, below: float = 1) -> float:
    return float((2 * torch.minimum(p, t).sum() + above) / (p.sum() + t.sum() + below))


DICE_MISTAKES = {
    "did you take the sigmoid? Logits are no probabilities.": lambda z, t: 1 - soft_dice(z, t),
    "did you take the sigmoid? And p t is not the smaller of the two.": lambda z, t: (
        1 - float((2 * (z * t).sum() + 1) / (z.sum() + t.sum() + 1))
    ),
    "that is the overlap, which should be large; the loss is 1 minus that.": lambda z, t: soft_dice(
        z.sigmoid(), t
    ),
    "add 1 above and below the line, or an empty mask is 0 / 0.": lambda z, t: (
        1 - soft_dice(z.sigmoid(), t, 0, 0)
    ),
    "add 1 above the line, too.": lambda z, t: 1 - soft_dice(z.sigmoid(), t, 0, 1),
    "add 1 below the line, too.": lambda z, t: 1 - soft_dice(z.sigmoid(), t, 1, 0),
    "twice the overlap, or two equal masks would score one half.": lambda z, t: (
        1 - float((torch.minimum(z.sigmoid(), t).sum() + 1) / (z.sigmoid().sum() + t.sum() + 1))
    ),
    "sums are wanted, not means: beside a mean, 1 is far too large.": lambda z, t: (
        1 - soft_dice(z.sigmoid() / z.numel(), t / t.numel())
    ),
    "that cuts at one half, and has no slope to go down: take p itself.": lambda z, t: (
        1 - soft_dice((z > 0).float(), t)
    ),
    "sum over the whole batch, not slice by slice: some have no tumour.": lambda z, t: float(
        np.mean([1 - soft_dice(a.sigmoid(), b) for a, b in zip(z, t)])
    ),
}


def to_blocks(answer: Any) -> str | None:
    image = torch.arange(2 * 3 * 4 * 6.0).reshape(2, 3, 4, 6)
    told = called(answer, image)
    if isinstance(told, np.ndarray):
        told = torch.from_numpy(told)
    if not isinstance(told, torch.Tensor):
        return f"it returns a {type(told).__name__}; a tensor is wanted."
    if told.shape == (2, 3, 2, 3):
        return "one value for four pixels: the other three are lost. Keep them as channels."
    if told.shape != (2, 12, 2, 3):
        return (
            f"{tuple(image.shape)} becomes {tuple(told.shape)}; wanted are four times the channels "
            "at half the size."
        )
    if torch.equal(told, F.pixel_unshuffle(image, 2)):
        return None
    if told.unique().numel() < image.numel():
        return "some pixels are lost, and others are there twice."
    if torch.equal(told[:, :, 0, 0].sort().values, quarters(image)[:, :, 0, 0].sort().values):
        return (
            "those are the picture's four quarters; neighbours must share a block, so take every "
            "second pixel."
        )
    if torch.equal(told.sort(dim=1).values, F.pixel_unshuffle(image, 2).sort(dim=1).values):
        return (
            "all pixels are there, but pixel_shuffle wants another order: first the four of the "
            "first channel."
        )
    return (
        "the right shape, but pixels of different blocks got mixed up; try a picture whose pixels "
        "you can count."
    )


def quarters(image: torch.Tensor) -> torch.Tensor:
    """(N,C,H,W) cut in the middle: (N,4C,H/2,W/2)."""
    return torch.cat([part for half in image.chunk(2, 2) for part in half.chunk(2, 3)], dim=1)


def patience(answer: Any) -> str | None:
    if not callable(answer):
        raise Wrong(f"a function is wanted here, this is a {type(answer).__name__}.")
    told = [validations(answer(list(curve), waits)) for curve, waits in CURVES]
    right = [stop(*case) for case in CURVES]
    if told == right:
        return None
    if all(value is None for value in told):
        raise Wrong("the function returns nothing yet: " + DOTS)
    # A function may return nothing where it never stops; what else is wrong with it is told first.
    filled = [len(curve) if value is None else value for value, (curve, _) in zip(told, CURVES)]
    if filled == right:
        return "it returns nothing where training never stops; that is len(curve)."
    for hint, mistake in STOP_MISTAKES.items():
        if filled == [stop(*case, **mistake) for case in CURVES]:
            return hint
    wrong = next(i for i, value in enumerate(filled) if value != right[i])
    curve, waits = CURVES[wrong]
    said = "nothing" if told[wrong] is None else f"{told[wrong]:g}"
    return (
        f"for {curve} and patience {waits} it says {said}. Go through the scores one by one: is "
        "this one better than the best before it? If not, how many in a row were not?"
    )


def validations(told: Any) -> float | None:
    """A number of validations; None where the function returned nothing."""
    return None if told is None else number(told)


CURVES = [
    ([0.5, 0.6, 0.6, 0.7], 1),
    ([0.5, 0.4, 0.6, 0.5, 0.5, 0.9], 2),
    ([0.1, 0.2, 0.3], 2),
    ([0.9, 0.1, 0.2, 0.3, 0.4], 3),
    ([0.0, 0.0, 0.3], 1),
    ([0.0, 0.1, 0.2], 1),
    ([0.5, 0.4, 0.6, 0.5, 0.7], 2),
    ([0.7], 1),
    ([0.3, 0.2, 0.25, 0.1], 2),
    ([0.5, 0.4, 0.3, 0.2], 1),
]
STOP_MISTAKES: dict[str, dict[str, Any]] = {
    "a first score of 0 is better than nothing: begin with a best that anything beats.": {
        "best": 0.0
    },
    "an equal score is not better.": {"equal": True},
    "only misses in a row count: a better score starts the count anew.": {"in_a_row": False},
    "each score is to be compared with the best so far, not with the one before it.": {
        "before": True
    },
    "that counts from 0; the number of validations made is one more.": {"first": 0},
    "one too late: with patience 1, the first score that is not better ends it.": {"late": 1},
}


def stop(
    curve: list[float],
    patience: int,
    best: float = float("-inf"),
    equal: bool = False,
    in_a_row: bool = True,
    before: bool = False,
    first: int = 1,
    late: int = 0,
) -> int:
    """Validations made until early stopping; other arguments make the usual mistakes."""
    waited = 0
    for made, score in enumerate(curve, start=first):
        better = score >= best if equal else score > best
        waited = (0 if in_a_row else waited) if better else waited + 1
        best = score if before or better else best
        if waited == patience + late:
            return made
    return len(curve)


# Dice on unseen pictures that a trained network must reach; the solution has above 0.9.
ENOUGH = 0.8


def learned(answer: Any) -> str | None:
    if not callable(answer):
        raise Wrong(f"a function is wanted here, this is a {type(answer).__name__}.")
    torch.manual_seed(0)
    network = UNet(features=4, depth=3).eval()
    before = deepcopy(network)
    calls = []
    watcher = network.register_forward_hook(
        lambda module, inputs, output: calls.append(len(output))
    )
    images, masks = spots(48, seed=0)
    told = answer(network, images.clone(), masks.clone())
    watcher.remove()
    elsewhere = isinstance(told, torch.nn.Module) and told is not network
    if not calls and not elsewhere and same_weights(network, before):
        raise Wrong("the network was never asked anything: " + DOTS)
    if hint := wrong_weights(network, before, told):
        return hint
    network.eval()
    known = spot_dice(network, images, masks)
    unknown = spot_dice(network, *spots(48, seed=1))
    if unknown >= ENOUGH:
        return None
    return wrong_dice(network, before, known, unknown)


def spots(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (n,3,32,32) of noise with two round spots; masks (n,1,32,32) of the one bright in
    channel 1 alone.
    """
    generator = torch.Generator().manual_seed(seed)
    images = 0.5 * torch.randn(n, 3, 32, 32, generator=generator)
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    masks = torch.zeros(n, 1, 32, 32)
    for image, mask in zip(images, masks):
        radius = 3 + 3 * torch.rand(2, generator=generator)
        row = 7 + 18 * torch.rand(2, generator=generator)
        column = torch.tensor([8, 24])[torch.randperm(2, generator=generator)]
        tumour, decoy = [
            (rows - row[i]) ** 2 + (columns - column[i]) ** 2 <= radius[i] ** 2 for i in (0, 1)
        ]
        image[1] += 2.0 * (tumour | decoy)
        image[2] += 2.0 * decoy
        mask[0] = tumour
    return images, masks


def spot_dice(network: UNet, images: torch.Tensor, masks: torch.Tensor) -> float:
    """Dice of all pixels together, at a probability above one half."""
    with torch.no_grad():
        found = network(images) > 0
    return dice(found.numpy(), masks.numpy() > 0)


def same_weights(network: UNet, before: UNet, exactly: bool = True) -> bool:
    tolerance = 0.0
    if not exactly:
        tolerance = 1e-6
    pairs = zip(network.parameters(), before.parameters())
    return all(torch.allclose(now, then, rtol=0, atol=tolerance) for now, then in pairs)


def wrong_weights(network: UNet, before: UNet, told: Any) -> str | None:
    """What the weights tell of a training that went wrong."""
    weights = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    if not weights.isfinite().all():
        return "the weights are NaN or infinite now: the learning rate is far too large."
    if same_weights(network, before):
        if isinstance(told, torch.nn.Module) and told is not network:
            return (
                "another network was trained, and this one left as it was: train the one you are "
                "given."
            )
        return (
            "no weight has changed: each step needs `loss.backward()` and `optimizer.step()`, at a "
            "rate above 0."
        )
    unchanged = [
        name
        for (name, now), then in zip(network.named_parameters(), before.parameters())
        if torch.equal(now, then)
    ]
    if unchanged:
        return (
            f"{len(unchanged)} layers have their first weights still: give the optimiser all of "
            "`network.parameters()`."
        )
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    if not any(norm.num_batches_tracked for norm in norms):
        return (
            "the network was in eval mode all along, and its batch normalisation measured nothing: "
            "`network.train()` comes first."
        )
    return None


def wrong_dice(network: UNet, before: UNet, known: float, unknown: float) -> str:
    """What the Dice on pictures it was given (`known`) and on others tells of a training that was
    not enough.
    """
    images, masks = spots(48, seed=0)
    with torch.no_grad():
        now = F.binary_cross_entropy_with_logits(network(images), masks)
        then = F.binary_cross_entropy_with_logits(before(images), masks)
    if known < ENOUGH and now > then:
        return (
            f"Dice {known:.2f} on the pictures it was given, and a larger cross-entropy than "
            "before the training: is the loss one that falls as the answer gets better, and "
            "computed from logits?"
        )
    if known < ENOUGH:
        return (
            f"Dice {known:.2f} on the very pictures it was given: it has not learned enough yet. "
            "More steps, or another rate; and does each step forget the old gradients "
            "(`zero_grad`)?"
        )
    return (
        f"Dice {known:.2f} on the pictures it was given, but {unknown:.2f} on others: it knows "
        "its own by heart. Fewer steps, or pictures that are changed as they are drawn "
        "(mirrored, say)."
    )


def stopped(answer: Any) -> str | None:
    if not callable(answer):
        raise Wrong(f"a function is wanted here, this is a {type(answer).__name__}.")
    torch.manual_seed(0)
    fresh = UNet(features=4, depth=3)
    images, masks = spots(32, seed=0)
    batches = list(zip(images.split(4), masks.split(4)))
    given = deepcopy(fresh)
    told = answer(given, list(batches))
    if told is None:
        raise Wrong("the function returns nothing yet: " + DOTS)
    if not isinstance(told, UNet):
        return f"it returns a {type(told).__name__}; the new network is wanted."
    if told is given:
        return "that is the network you were given: build a new one for the second half."
    if told.architecture != fresh.architecture:
        return "the new network is of another kind: build it with `UNet(features=4, depth=3)`."
    right = trained(fresh, batches)
    if not same_weights(told, right, exactly=False):
        return wrong_ending(told, fresh, batches)
    buffers = zip(told.buffers(), right.buffers())
    if not all(torch.allclose(now, wanted) for now, wanted in buffers):
        return (
            "the weights are right, but the running averages of batch normalisation are not: load "
            "the whole state_dict, not the parameters alone."
        )
    return None


def trained(
    network: UNet,
    batches: list[tuple[torch.Tensor, torch.Tensor]],
    remember: bool = True,
    clear: bool = True,
) -> UNet:
    """Return a copy of `network`, trained on all batches.

    With `remember=False` the optimiser begins anew half-way; with `clear=False` gradients add up
    in each half.
    """
    network = deepcopy(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    loss_function = DiceBCELoss()
    for number_of_batch, (image, mask) in enumerate(batches):
        if number_of_batch == len(batches) // 2:
            network.zero_grad()  # a new network has no gradients
            if not remember:
                optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
        loss = loss_function(network(image), mask)
        if clear:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


def wrong_ending(told: UNet, fresh: UNet, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> str:
    """What is wrong with a run whose weights are not those of an unstopped one."""
    half = batches[: len(batches) // 2]
    rest = batches[len(batches) // 2 :]
    mistakes = {
        "the optimiser began anew: AdamW remembers how large each weight's gradients have been, "
        "so its `state_dict` has to be kept and loaded, too.": trained(
            fresh, batches, remember=False
        ),
        "it has learned from the first half alone.": trained(fresh, half),
        "it has learned from the second half alone: were the weights loaded, and into the new "
        "network?": trained(fresh, rest),
        "it has learned nothing: train before and after.": fresh,
        "does each step forget the old gradients (`zero_grad`)?": trained(
            fresh, batches, clear=False
        ),
    }
    for hint, mistaken in mistakes.items():
        if same_weights(told, mistaken, exactly=False):
            return hint
    return (
        "the weights are not those of a run that was never stopped. Load both state_dicts before "
        "you go on; one step per batch, in the order of the list, AdamW with lr=1e-2, "
        "`DiceBCELoss()`."
    )


RULES = {
    "1": leaking,
    "2": recent,
    "3": dice_by_hand,
    "4": to_blocks,
    "5": patience,
    "6": learned,
    "7": stopped,
}
