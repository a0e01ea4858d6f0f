"""Losses for logits and masks (0 to 1), both (N,C,H,W) or any one shape; each returns one number, lowest
where they agree.

All are computed in float32, also under mixed precision: sums over a batch overflow half precision.
Overlap losses pool the pixels of the whole batch: taken slice by slice, an empty slice has no
overlap to speak of, and most slices of a scan are empty.

A mask may hold shares: 0.3 where three tenths of a shrunken pixel are tumour. The overlap of p and t is then
min(p, t), which is p t for a mask of 0 and 1, and 0 loss at p = t for any (Wang et al. 2023, Dice semimetric losses).
"""

import torch
from torch import nn
from torch.nn import functional as F

from .errors import LggError

SMOOTH = 1.0  # added to both sides of a ratio, so that a batch without tumour gives 0/0 no chance


def dice_loss(logits: torch.Tensor, target: torch.Tensor, smooth: float = SMOOTH) -> torch.Tensor:
    """Soft Dice loss 1 - (2 sum(min(p, t)) + smooth) / (sum(p) + sum(t) + smooth), p = sigmoid(logits), in 0..1.

    The sums run over all pixels of the batch; Milletari et al. 2016, without their squares. `target` is in 0..1.
    """
    hit, false_alarm, miss = _soft_counts(logits, target)
    return 1 - (2 * hit + smooth) / (2 * hit + false_alarm + miss + smooth)


def focal_tversky_loss(logits: torch.Tensor, target: torch.Tensor, alpha: float = 0.3, beta: float = 0.7,
                       gamma: float = 0.75, smooth: float = SMOOTH) -> torch.Tensor:
    """Focal Tversky loss (1 - T)**gamma, in 0..1; Abraham and Khan 2019 (their gamma is 1 / this one).

    T = (hits + smooth) / (hits + alpha * false alarms + beta * misses + smooth), soft counts over the batch.
    With alpha = beta = 0.5 and gamma = 1 it is the Dice loss but for the smooth term; beta > alpha
    punishes missed tumour more.
    """
    hit, false_alarm, miss = _soft_counts(logits, target)
    tversky = (hit + smooth) / (hit + alpha * false_alarm + beta * miss + smooth)
    return (1 - tversky).clamp(min=1e-7) ** gamma  # the slope of x**0.75 is infinite at 0


def _soft_counts(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Soft hits, false alarms and misses over the whole batch, float32 scalars."""
    _check(logits, target)
    probability, target = torch.sigmoid(logits.float()), target.float()
    hit = torch.minimum(probability, target).sum()
    return hit, probability.sum() - hit, target.sum() - hit


def _check(logits: torch.Tensor, target: torch.Tensor) -> None:
    if logits.shape != target.shape:
        raise LggError(f"logits are {tuple(logits.shape)}, target is {tuple(target.shape)}; "
                       "the shapes must be equal, target with its channel axis: (N, 1, H, W)")


class DiceLoss(nn.Module):
    """`dice_loss` as a module."""

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return dice_loss(logits, target)


class DiceBCELoss(nn.Module):
    """`weight` * Dice loss + (1 - `weight`) * binary cross-entropy (mean over pixels); `weight` in 0..1.

    Dice sees the overlap and ignores how rare tumour is; cross-entropy gives every pixel a smooth gradient.
    """

    def __init__(self, weight: float = 0.5):
        super().__init__()
        if not 0 <= weight <= 1:
            raise LggError(f"weight is {weight}; it is the share of the Dice loss, from 0 to 1")
        self.weight = weight

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        _check(logits, target)
        entropy = F.binary_cross_entropy_with_logits(logits.float(), target.float())
        return self.weight * dice_loss(logits, target) + (1 - self.weight) * entropy
