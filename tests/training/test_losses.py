"""Losses against MONAI and against values worked by hand."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lggseg.errors import LggError
from lggseg.training import losses
from lggseg.training.losses import DiceBCELoss, DiceLoss, dice_loss, focal_tversky_loss

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MONAI's imports bring deprecations of others
    import monai.losses


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(3, 1, 16, 16, generator=generator)
    target = (torch.rand(3, 1, 16, 16, generator=generator) < 0.3).float()
    target[1] = 0  # a slice without tumour
    return logits, target


def test_by_hand():
    """All logits 0: each of the 8 pixels has p = 1/2; 2 are tumour: hits 1, false alarms 3, misses
    1.
    """
    logits, target = (
        torch.zeros(2, 1, 2, 2),
        torch.tensor([[[[1.0, 1], [0, 0]]], [[[0, 0], [0, 0]]]]),
    )
    assert dice_loss(logits, target).item() == pytest.approx(1 - (2 + 1) / (2 + 3 + 1 + 1))
    assert focal_tversky_loss(logits, target).item() == pytest.approx(
        (1 - 2 / (1 + 0.9 + 0.7 + 1)) ** 0.75
    )
    assert DiceBCELoss(0.25)(logits, target).item() == pytest.approx(
        0.25 * 4 / 7 + 0.75 * math.log(2)
    )


def test_dice_equals_monai(pair):
    theirs = monai.losses.DiceLoss(sigmoid=True, batch=True, smooth_nr=1, smooth_dr=1)
    torch.testing.assert_close(dice_loss(*pair), theirs(*pair))
    torch.testing.assert_close(DiceLoss()(*pair), theirs(*pair))


def test_dice_bce_equals_monai(pair):
    theirs = monai.losses.DiceCELoss(
        sigmoid=True, batch=True, smooth_nr=1, smooth_dr=1, lambda_dice=0.3, lambda_ce=0.7
    )
    torch.testing.assert_close(DiceBCELoss(0.3)(*pair), theirs(*pair))


def test_tversky_equals_monai(pair):
    theirs = monai.losses.TverskyLoss(
        sigmoid=True, batch=True, smooth_nr=1, smooth_dr=1, alpha=0.3, beta=0.7
    )
    torch.testing.assert_close(focal_tversky_loss(*pair), theirs(*pair) ** 0.75)


def test_shares_of_a_pixel_can_be_met_exactly():
    share = torch.tensor([[[[0.25, 0.5], [0.75, 0.01]]]])
    assert dice_loss(torch.logit(share), share).item() == pytest.approx(0, abs=1e-6)
    assert dice_loss(torch.logit(share), share.round()).item() > 0.1


@pytest.mark.parametrize("loss", [dice_loss, focal_tversky_loss, DiceBCELoss()])
class TestEveryLoss:
    def test_is_lowest_when_right(self, loss):
        target = torch.zeros(1, 1, 8, 8)
        target[..., :3] = 1
        perfect, inverted = 40 * target - 20, 20 - 40 * target
        assert loss(perfect, target).item() == pytest.approx(0, abs=1e-4)
        assert loss(inverted, target).item() > 0.9

    def test_gradient(self, loss, pair):
        logits, target = pair
        logits = logits.double().requires_grad_()
        assert loss(logits, target).dtype == torch.float32
        direction = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1)).double()
        (gradient,) = torch.autograd.grad(loss(logits, target), logits)
        step = 1e-2
        slope = (
            loss(logits + step * direction, target) - loss(logits - step * direction, target)
        ) / (2 * step)
        assert (gradient * direction).sum().item() == pytest.approx(
            slope.item(), rel=0.02, abs=1e-5
        )

    def test_finite_at_the_extremes(self, loss):
        for value in (-1e4, 0.0, 1e4):
            for truth in (0.0, 1.0):
                logits = torch.full((2, 1, 8, 8), value, requires_grad=True)
                result = loss(logits, torch.full((2, 1, 8, 8), truth))
                result.backward()
                assert result.isfinite() and logits.grad.isfinite().all()

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_sums_in_float32(self, loss, dtype):
        """A batch of 16 slices of 128 x 128 has 262,144 pixels, more than float16 can count
        (65,504).
        """
        target = torch.ones(16, 1, 128, 128)
        result = loss(torch.full_like(target, 3).to(dtype), target.to(dtype))
        assert result.dtype == torch.float32
        assert result.item() == pytest.approx(
            loss(torch.full_like(target, 3), target).item(), abs=1e-6
        )

    def test_under_autocast(self, loss, pair):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.testing.assert_close(loss(*pair), loss(*pair))
            assert loss(*pair).dtype == torch.float32

    def test_accepts_bool_targets(self, loss, pair):
        logits, target = pair
        assert torch.equal(loss(logits, target.bool()), loss(logits, target))

    @pytest.mark.parametrize(
        ("logits", "target", "words"),
        [
            (torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4), r"\(2, 1, 4, 4\).*\(2, 4, 4\).*equal"),
            (torch.zeros(0, 1, 4, 4), torch.zeros(0, 1, 4, 4), "not empty"),
            (np.zeros((1, 4)), torch.zeros(1, 4), "logits is a ndarray"),
            (torch.zeros(1, 4), [[0.0] * 4], "target is a list"),
            (
                torch.zeros(1, 4, dtype=torch.int64),
                torch.zeros(1, 4),
                "logits are torch.int64.*before the sigmoid",
            ),
            (
                torch.zeros(1, 4),
                torch.full((1, 4), 255, dtype=torch.uint8),
                "target is torch.uint8.*target > 0",
            ),
            (torch.zeros(1, 4), torch.ones(1, 4, dtype=torch.int64), "target is torch.int64"),
            (torch.zeros(1, 4), torch.tensor([[0.0, 255, 0, 255]]), "values from 0 to 255"),
            (torch.zeros(1, 4), torch.tensor([[-0.25, 0, 0, 1]]), "values from -0.25 to 1"),
            (torch.zeros(1, 4), torch.tensor([[0, 1.001, 0, 1]]), "values from 0 to 1.001"),
            (torch.zeros(1, 4), torch.tensor([[0, math.nan, 0, 1]]), "without NaN"),
            (
                torch.tensor([[0, math.nan, 0, 1]]),
                torch.zeros(1, 4),
                "logits hold NaN or infinity.*diverged",
            ),
        ],
    )
    def test_what_is_no_mask_or_no_logit_is_refused(self, loss, logits, target, words):
        with pytest.raises(LggError, match=words):
            loss(logits, target)

    def test_elsewhere_than_on_a_cpu_no_value_is_looked_at(self, loss, monkeypatch):
        """As on a GPU, where a look would wait for all the steps before it: the loss is NaN, and
        nothing is raised.
        """
        for method in ("isfinite", "isnan", "item", "__bool__", "min", "max"):
            monkeypatch.setattr(
                torch.Tensor, method, lambda *_: pytest.fail("a value was looked at")
            )
        monkeypatch.setattr(losses, "CHECKED_DEVICES", ())
        for logits, target in [
            (torch.zeros(1, 4), torch.tensor([[0.0, 255, 0, 255]])),
            (torch.tensor([[0, math.nan, 0, 1]]), torch.zeros(1, 4)),
        ]:
            assert math.isnan(loss(logits, target).detach().numpy())

    def test_where_a_gradient_is_wanted_the_trainer_judges_logits(self, loss):
        """It knows the step, and several processes must stop together; a bad mask is refused all
        the same.
        """
        logits = torch.tensor([[0, math.nan, 0, 1]], requires_grad=True)
        assert loss(logits, torch.zeros(1, 4)).isnan()
        with pytest.raises(LggError, match="values from 0 to 255"):
            loss(logits, torch.tensor([[0.0, 255, 0, 1]]))

    def test_whole_masks_and_their_ends_are_fine(self, loss):
        for target in (torch.zeros(1, 4), torch.ones(1, 4), torch.tensor([[0.0, 0.5, 1, 1]])):
            assert loss(torch.zeros(1, 4), target).isfinite()


@pytest.mark.parametrize("loss", [dice_loss, focal_tversky_loss])
@pytest.mark.parametrize("smooth", [0, -1, math.nan])
def test_smooth_is_positive(loss, smooth):
    with pytest.raises(LggError, match="smooth is"):
        loss(torch.zeros(1, 4), torch.zeros(1, 4), smooth=smooth)


def test_smooth_by_hand():
    """Hits 1, false alarms 1, misses 1 (p = 1/2 everywhere): smooth = 4 gives 6 / 8 and, halved, 5
    / 6.
    """
    logits, target = torch.zeros(1, 4), torch.tensor([[1.0, 1, 0, 0]])
    assert dice_loss(logits, target, smooth=4).item() == pytest.approx(1 - 6 / 8)
    tversky = focal_tversky_loss(logits, target, alpha=0, beta=1, gamma=1, smooth=4)
    assert tversky.item() == pytest.approx(1 - 5 / 6)


def test_infinite_logits_are_sure_pixels_for_dice_and_refused_where_the_loss_is_infinite():
    logits, target = torch.tensor([[math.inf, -math.inf]]), torch.tensor([[1.0, 0.0]])
    assert dice_loss(logits, target).item() == 0
    with pytest.raises(LggError, match="logits hold NaN or infinity"):
        DiceBCELoss()(logits, 1 - target)


def test_empty_batch_has_no_gradient_to_speak_of():
    """No tumour and none predicted: the smooth term makes the Dice loss 0, not 1."""
    assert dice_loss(
        torch.full((4, 1, 8, 8), -30.0), torch.zeros(4, 1, 8, 8)
    ).item() == pytest.approx(0, abs=1e-6)


def test_pooling_is_over_the_batch(pair):
    logits, target = pair
    assert dice_loss(logits, target).item() == pytest.approx(
        dice_loss(logits.flatten(), target.flatten()).item()
    )


@pytest.mark.parametrize("weight", [1.5, -0.1, math.nan])
def test_dice_bce_weight(weight):
    with pytest.raises(LggError, match="from 0 to 1"):
        DiceBCELoss(weight)


def test_dice_bce_is_even_by_default(pair):
    bce = F.binary_cross_entropy_with_logits(*pair)
    torch.testing.assert_close(DiceBCELoss()(*pair), 0.5 * dice_loss(*pair) + 0.5 * bce)
    torch.testing.assert_close(DiceBCELoss(1)(*pair), dice_loss(*pair))


def test_bce_share_is_torchs_own(pair):
    torch.testing.assert_close(DiceBCELoss(0)(*pair), F.binary_cross_entropy_with_logits(*pair))
