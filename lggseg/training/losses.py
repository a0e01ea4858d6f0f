"""Losses for logits and masks: each returns one number, lowest where they agree.

Both are (N,C,H,W), or of any one shape. All losses are computed in float32, also under mixed
precision: sums over a batch overflow half precision. Overlap losses pool the pixels of the whole
batch: taken slice by slice, an empty slice has no overlap to speak of, and most slices of a scan
are empty.

A mask may hold fractions: 0.3 where three tenths of a shrunken pixel are tumour. The overlap of p
and t is then min(p, t), which is p t for a mask of 0 and 1, and makes the loss 0 at p = t for any
(Wang et al. 2023, Dice semimetric losses).

What is not a mask is refused with LggError: another shape, whole numbers (0/255 files), values
outside 0..1, NaN. So are logits that are NaN, or infinite where that makes the loss so. There are
two exceptions, in which the loss is NaN instead. Where a gradient is wanted and the logits are at
fault, the trainer has to judge: it knows the step, and several processes must stop together. On a
GPU no value is checked, since the CPU would have to wait for it.
"""

import torch
from torch import nn
from torch.nn import functional as F

from ..errors import LggError

SMOOTH = 1.0  # added to both sides of a ratio, so that a batch without tumour is not 0 / 0
CHECKED_DEVICES = ("cpu",)  # elsewhere a check waits for all work that is queued


def dice_loss(logits: torch.Tensor, target: torch.Tensor, smooth: float = SMOOTH) -> torch.Tensor:
    """Soft Dice loss, 1 - (2 sum(min(p, t)) + smooth) / (sum(p) + sum(t) + smooth).

    p is sigmoid(logits) and t the target; the sums run over all pixels of the batch.

    Parameters
    ----------
    logits : float, any shape
    target : bool, or float in 0..1, of the same shape
    smooth : positive, in pixels

    Returns
    -------
    float32 scalar in 0..1

    Raises
    ------
    LggError
        where `target` is not a mask, the shapes differ, or the loss is not finite

    Notes
    -----
    Milletari et al. 2016, without their squares.

    Examples
    --------
    >>> logits = torch.zeros(1, 1, 2, 2)
    >>> target = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    >>> dice_loss(logits, target)  # 1 - (2 * 0.5 + 1) / (2 + 1 + 1)
    tensor(0.5000)
    """
    logits32, mask = _checked(logits, target, smooth)
    return _finite(_dice(logits32, mask, smooth), logits, target)


def focal_tversky_loss(
    logits: torch.Tensor,
    target: torch.Tensor,
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 0.75,
    smooth: float = SMOOTH,
) -> torch.Tensor:
    """Focal Tversky loss (1 - T)**gamma.

    T = (hits + smooth) / (hits + alpha * false alarms + beta * misses + smooth), where hits, false
    alarms and misses are soft counts over the batch. With alpha = beta = 0.5 and gamma = 1 it is
    the Dice loss but for the smooth term; beta > alpha punishes missed tumour more.

    Parameters
    ----------
    logits, target, smooth : as for `dice_loss`
    alpha, beta : weights of false alarms and of misses
    gamma : below 1 it steepens the loss where it is small

    Returns
    -------
    float32 scalar in 0..1

    Raises
    ------
    LggError
        as `dice_loss`

    Notes
    -----
    Abraham and Khan 2019; their gamma is 1 / this one.

    Examples
    --------
    >>> logits = torch.zeros(1, 1, 2, 2)
    >>> target = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    >>> focal_tversky_loss(logits, target, gamma=1)  # 1 - 1.5 / (0.5 + 0.3 * 1.5 + 0.7 * 0.5 + 1)
    tensor(0.3478)
    """
    logits32, mask = _checked(logits, target, smooth)
    hit, false_alarm, miss = _soft_counts(logits32, mask)
    tversky = (hit + smooth) / (hit + alpha * false_alarm + beta * miss + smooth)
    not_zero = (1 - tversky).clamp(min=1e-7)  # the slope of x**0.75 is infinite at 0
    return _finite(not_zero**gamma, logits, target)


class DiceLoss(nn.Module):
    """`dice_loss` as a module.

    >>> DiceLoss()(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))  # 1 - 1 / (2 + 1)
    tensor(0.6667)
    """

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return dice_loss(logits, target)


class DiceBCELoss(nn.Module):
    """Dice loss and binary cross-entropy: `weight` * Dice + (1 - `weight`) * cross-entropy.

    Dice sees the overlap and ignores how rare tumour is; cross-entropy, the mean over pixels in
    nats, gives every pixel a smooth gradient. From 0, without an upper bound; arguments and errors
    as for `dice_loss`.

    Parameters
    ----------
    weight : share of the Dice loss, 0..1

    Examples
    --------
    >>> logits = torch.zeros(1, 1, 2, 2)
    >>> target = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    >>> DiceBCELoss(weight=0.5)(logits, target)  # 0.5 * 0.5 + 0.5 * log(2)
    tensor(0.5966)
    """

    def __init__(self, weight: float = 0.5):
        super().__init__()
        if not 0 <= weight <= 1:
            raise LggError(f"weight is {weight}; it is the share of the Dice loss, from 0 to 1")
        self.weight = weight

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        logits32, mask = _checked(logits, target)
        overlap = _dice(logits32, mask, SMOOTH)
        cross_entropy = F.binary_cross_entropy_with_logits(logits32, mask)
        loss = self.weight * overlap + (1 - self.weight) * cross_entropy
        return _finite(loss, logits, target)


def _dice(logits: torch.Tensor, target: torch.Tensor, smooth: float) -> torch.Tensor:
    hit, false_alarm, miss = _soft_counts(logits, target)
    return 1 - (2 * hit + smooth) / (2 * hit + false_alarm + miss + smooth)


def _soft_counts(
    logits: torch.Tensor, target: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Soft hits, false alarms and misses over the whole batch, float32 scalars."""
    probability = torch.sigmoid(logits)
    hit = torch.minimum(probability, target).sum()
    return hit, probability.sum() - hit, target.sum() - hit


def _checked(
    logits: torch.Tensor, target: torch.Tensor, smooth: float = SMOOTH
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both as float32; what a mask must not hold becomes NaN, and so does the loss then."""
    if not smooth > 0:
        raise LggError(
            f"smooth is {smooth}; it must be positive, or a batch without tumour is 0 / 0"
        )
    for name, tensor in (("logits", logits), ("target", target)):
        if not isinstance(tensor, torch.Tensor):
            raise LggError(
                f"{name} is a {type(tensor).__name__}; losses take tensors: torch.from_numpy(array)"
            )
    if logits.shape != target.shape or logits.numel() == 0:
        raise LggError(
            f"logits are {tuple(logits.shape)}, target is {tuple(target.shape)}; the shapes must "
            "be equal and not empty, target with its channel axis: (N, 1, H, W)"
        )
    if not logits.is_floating_point():
        raise LggError(
            f"logits are {logits.dtype}; they are the network's output before the sigmoid, as "
            "floats"
        )
    if not (target.is_floating_point() or target.dtype == torch.bool):
        raise LggError(
            f"target is {target.dtype}; a mask is bool, or float from 0 to 1: target > 0"
        )
    target = target.float()
    in_range = (target >= 0) & (target <= 1)
    return logits.float(), target.where(in_range, float("nan"))


def _finite(loss: torch.Tensor, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The loss; where it is not finite, LggError with the reason.

    The head of this file names two exceptions.
    """
    if loss.device.type not in CHECKED_DEVICES or loss.isfinite():
        return loss
    if not ((target >= 0) & (target <= 1)).all():
        raise LggError(
            f"target holds values from {target.min():g} to {target.max():g}; a mask is bool, or "
            "float from 0 to 1 without NaN: target > 0"
        )
    if not logits.requires_grad:
        raise LggError(
            "logits hold NaN or infinity: the network has diverged; train with a lower rate, and "
            "look for NaN in its input"
        )
    return loss
