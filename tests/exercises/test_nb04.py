"""What is right in exercises 04.1 to 04.7, in other forms too, and what hint a mistake gets."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from answers import right, words
from torch.nn import functional as F

from lggseg import DiceBCELoss, UNet
from lggseg.exercises.nb04 import CURVES, quarters, stop, wrong_dice
from lggseg.training.losses import dice_loss


def patients(paths):
    return {path[:12] for path in paths}


def folders(paths):
    return {Path(path).parent.name for path in paths}


def leaking(train, test):
    return sorted(patients(train) & patients(test))


@pytest.mark.parametrize(
    "form", [list, tuple, np.array, lambda found: pd.Series(found, dtype=object)]
)
def test_leaking(form):
    assert right("04.1", lambda train, test: form(leaking(train, test))) is True


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda train, test: sorted(set(train) & set(test)), "it finds nobody"),
        (lambda train, test: sorted(folders(train) & folders(test)), "still have the date"),
        (
            lambda train, test: [path for path in test if path[:12] in patients(train)],
            "those are files",
        ),
        (
            lambda train, test: sorted({path[:7] for path in train} & {path[:7] for path in test}),
            "a hospital",
        ),
        (lambda train, test: sorted(patients(train) | patients(test)), "in both lists"),
        (lambda train, test: leaking(train, test)[::-1], "not sorted"),
        (
            lambda train, test: (
                sorted([*leaking(train, test), "TCGA_CS_4941"]) if len(test) == 3 else []
            ),
            "named twice",
        ),
        (lambda train, test: set(leaking(train, test)), "a set has no order"),
        (
            lambda train, test: leaking(train, test) or ["TCGA_CS_4941"],
            "no patient occurs on both sides",
        ),
        (
            lambda train, test: sorted(name[:12] for name in folders(train) & folders(test)),
            "scanned twice",
        ),
        (lambda train, test: 2, "several names"),
        (lambda train, test: "TCGA_CS_4941", "several names"),
        (lambda train, test: [1, 2], "names of patients"),
        (lambda train: [], "could not be tried out"),
        (lambda train, test: None, "where the dots are"),
        (["TCGA_CS_4941"], "a function is wanted"),
    ],
)
def test_leaking_missed(answer, hint):
    assert hint in words("04.1", answer)


def test_recent():
    exact = sum(0.005 * 0.995**age for age in range(200))
    for answer in (
        exact,
        round(exact, 2),
        np.float32(exact),
        [exact],
        torch.tensor(exact),
        0.63,
        0.6330,
    ):
        assert right("04.2", answer) is True


@pytest.mark.parametrize(
    "answer, hint",
    [
        (0.367, "older steps"),
        (0.37, "older steps"),
        (1, "a step counts less"),
        (0.005, "the last step alone"),
        (0.995, "one step leaves"),
        (63.3, "not in per cent"),
        (0.5, "0.995 ** n"),
        ("0.63", "a number is wanted"),
        ([0.6, 0.4], "a number is wanted"),
        (True, "a number is wanted"),
    ],
)
def test_recent_missed(answer, hint):
    assert hint in words("04.2", answer)


def by_hand(
    logits, target, overlap=torch.minimum, activation=torch.sigmoid, twice=2, above=1, below=1
):
    p = activation(logits)
    return 1 - (twice * overlap(p, target).sum() + above) / (p.sum() + target.sum() + below)


@pytest.mark.parametrize(
    "answer",
    [
        by_hand,
        dice_loss,
        lambda z, t: by_hand(z, t)[None],
        lambda z, t: by_hand(z.flatten(), t.flatten()),
    ],
)
def test_dice_by_hand(answer):
    assert right("04.3", answer) is True


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda z, t: by_hand(z, t, torch.mul), "shares between"),
        (lambda z, t: by_hand(z, t, activation=lambda z: z), "did you take the sigmoid"),
        (lambda z, t: by_hand(z, t, torch.mul, lambda z: z), "did you take the sigmoid"),
        (lambda z, t: 1 - by_hand(z, t), "the loss is 1 minus"),
        (lambda z, t: by_hand(z, t, above=0, below=0), "0 / 0"),
        (lambda z, t: by_hand(z, t, above=0), "above the line, too"),
        (lambda z, t: by_hand(z, t, below=0), "below the line, too"),
        (lambda z, t: by_hand(z, t, twice=1), "twice the overlap"),
        (
            lambda z, t: by_hand(
                z, t / t.numel(), torch.minimum, lambda z: z.sigmoid() / z.numel()
            ),
            "not means",
        ),
        (lambda z, t: by_hand(z, t, activation=lambda z: (z > 0).float()), "no slope"),
        (lambda z, t: torch.stack([by_hand(a, b) for a, b in zip(z, t)]).mean(), "slice by slice"),
        (lambda z, t: by_hand(z, t) if t.any() else 0.5, "unless the mask is empty"),
        (lambda z, t: F.binary_cross_entropy_with_logits(z, t), "not the formula yet"),
        (lambda z, t: by_hand(z, t).item(), "no slope"),
        (lambda z, t: by_hand(z.detach(), t), "no slope"),
        (lambda z, t: [by_hand(z, t).item()], "no slope"),
        (torch.no_grad()(by_hand), "no slope"),
        (lambda z, t: by_hand(z.detach(), t).requires_grad_(), "no slope"),
        (
            lambda z, t: by_hand(z, t, torch.minimum, lambda z: z.sigmoid().detach() + 0 * z),
            "another slope",
        ),
        (
            lambda z, t: (
                1
                - (2 * torch.minimum(z.sigmoid(), t).sum() + 1)
                / (z.sigmoid().sum().item() + t.sum() + 1)
            ),
            "another slope",
        ),
        (lambda z, t: z, "a number is wanted"),
        (lambda z, t: None, "where the dots are"),
        (0.5, "a function is wanted"),
        (lambda z: 0, "could not be tried out"),
    ],
)
def test_dice_by_hand_missed(answer, hint):
    assert hint in words("04.3", answer)


def strided(image):
    parts = [image[:, :, y::2, x::2] for y in (0, 1) for x in (0, 1)]
    return torch.stack(parts, dim=2).flatten(1, 2)


@pytest.mark.parametrize(
    "answer",
    [
        strided,
        lambda image: F.pixel_unshuffle(image, 2),
        lambda image: strided(image).numpy(),
        lambda image: (
            image.unflatten(3, (-1, 2))
            .unflatten(2, (-1, 2))
            .permute(0, 1, 3, 5, 2, 4)
            .flatten(1, 3)
        ),
    ],
)
def test_to_blocks(answer):
    assert right("04.4", answer) is True


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda image: F.avg_pool2d(image, 2), "one value for four"),
        (lambda image: image[:, :, ::2, ::2], "one value for four"),
        (quarters, "four quarters"),
        (lambda image: image, "four times the channels"),
        (
            lambda image: torch.cat(
                [image[:, :, y::2, x::2] for y in (0, 1) for x in (0, 1)], dim=1
            ),
            "another order",
        ),
        (lambda image: image[:, :, ::2, ::2].repeat(1, 4, 1, 1), "some pixels are lost"),
        (lambda image: image.reshape(2, 12, 2, 3), "mixed up"),
        (lambda image: image.tolist(), "a tensor is wanted"),
        (lambda image: None, "where the dots are"),
        (np.zeros(3), "a function is wanted"),
    ],
)
def test_to_blocks_missed(answer, hint):
    assert hint in words("04.4", answer)


def stops_after(curve, patience):
    """By looking back: the first moment at which the last `patience` scores brought nothing new."""
    for made in range(patience + 1, len(curve) + 1):
        if max(curve[made - patience : made]) <= max(curve[: made - patience]):
            return made
    return len(curve)


@pytest.mark.parametrize(
    "answer",
    [
        stops_after,
        lambda curve, patience: np.int64(stops_after(curve, patience)),
        lambda curve, patience: float(stops_after(curve, patience)),
    ],
)
def test_patience(answer):
    assert right("04.5", answer) is True


@pytest.mark.parametrize(
    "mistake, hint",
    [
        ({"best": 0.0}, "a first score of 0"),
        ({"equal": True}, "an equal score"),
        ({"in_a_row": False}, "in a row count"),
        ({"before": True}, "the best so far"),
        ({"first": 0}, "counts from 0"),
        ({"late": 1}, "one too late"),
    ],
)
def test_patience_missed(mistake, hint):
    assert hint in words("04.5", lambda curve, patience: stop(curve, patience, **mistake))


def without_end(curve, patience, **mistake):
    """Nothing where it never stops, beside another mistake perhaps."""
    made = stop([*curve, *[-1] * 9], patience, **mistake)  # later than the curve if it never stops
    return made if made <= len(curve) else None


@pytest.mark.parametrize(
    "answer, hint",
    [
        (
            lambda curve, patience: stops_after(curve, patience) if len(curve) != 3 else None,
            "it says nothing",
        ),
        (lambda curve, patience: without_end(curve, patience), "never stops"),
        (lambda curve, patience: without_end(curve, patience, late=1), "one too late"),
        (lambda curve, patience: without_end(curve, patience, equal=True), "an equal score"),
        (lambda curve, patience: len(curve), "better than the best"),
        (lambda curve, patience: "3", "a number is wanted"),
        (lambda curve: 3, "could not be tried out"),
        (lambda curve, patience: None, "where the dots are"),
        (3, "a function is wanted"),
    ],
)
def test_patience_of_another_kind(answer, hint):
    assert hint in words("04.5", answer)


def test_the_mistakes_differ_from_each_other_on_the_curves():
    mistakes = [
        {},
        {"best": 0.0},
        {"equal": True},
        {"in_a_row": False},
        {"before": True},
        {"first": 0},
        {"late": 1},
    ]
    assert len({tuple(stop(*case, **mistake) for case in CURVES) for mistake in mistakes}) == len(
        mistakes
    )


# --- 04.6: a training of one's own ---


def learn(
    network,
    images,
    masks,
    steps=60,
    rate=1e-2,
    loss=F.binary_cross_entropy_with_logits,
    train=True,
    first=48,
    step=True,
    only=None,
):
    """The solution; other arguments make the usual mistakes."""
    optimizer = torch.optim.AdamW((only or network).parameters(), lr=rate)
    if train:
        network.train()
    for _ in range(steps):
        some = torch.randint(first, (8,))
        value = loss(network(images[some]), masks[some])
        optimizer.zero_grad()
        value.backward()
        if step:
            optimizer.step()


@pytest.mark.parametrize("settings", [{}, {"loss": dice_loss}, {"steps": 120, "rate": 3e-3}])
def test_learned(settings):
    assert right("04.6", lambda *given: learn(*given, **settings)) is True


def test_learned_may_return_the_network():
    assert right("04.6", lambda *given: learn(*given) or given[0]) is True


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda *given: learn(*given, step=False), "no weight has changed"),
        (lambda *given: learn(*given, rate=0), "no weight has changed"),
        (lambda *given: learn(*given, rate=1e30), "NaN"),
        (lambda *given: learn(*given, train=False), "eval mode"),
        (
            lambda network, *given: learn(network, *given, only=network.head),
            "layers have their first weights",
        ),
        (lambda *given: learn(*given, steps=4), "the very pictures"),
        (
            lambda *given: learn(
                *given, loss=lambda z, t: -F.binary_cross_entropy_with_logits(z, t)
            ),
            "as the answer gets",
        ),
        (lambda network, *given: network, "where the dots are"),
        (lambda *given: None, "where the dots are"),
        (lambda network: 0, "could not be tried out"),
        (0.8, "a function is wanted"),
    ],
)
def test_learned_missed(answer, hint):
    assert hint in words("04.6", answer)


def test_learned_by_heart():
    network = UNet(features=4, depth=3).eval()
    assert "by heart" in wrong_dice(network, network, known=0.95, unknown=0.5)


def test_learned_wants_this_network():
    def elsewhere(network, images, masks):
        other = UNet(features=4, depth=3)
        other.load_state_dict(network.state_dict())
        learn(other, images, masks)
        return other

    assert "the one you are given" in words("04.6", elsewhere)


# --- 04.7: stopped, and going on ---


def stopped(network, batches, keep=True, whole=True, load=True, first=True, then=True, clear=True):
    """The solution; other arguments make the usual mistakes."""
    loss_function = DiceBCELoss()

    def train(network, optimizer, batches):
        for image, mask in batches:
            loss = loss_function(network(image), mask)
            if clear:
                optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    half = len(batches) // 2
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    if first:
        train(network, optimizer, batches[:half])
    again = UNet(features=4, depth=3)
    if whole:
        again.load_state_dict(network.state_dict())
    elif load:
        for new, old in zip(again.parameters(), network.parameters()):
            new.data.copy_(old)
    goes_on = torch.optim.AdamW(again.parameters(), lr=1e-2)
    if keep:
        goes_on.load_state_dict(optimizer.state_dict())
    if then:
        train(again, goes_on, batches[half:])
    return again


def test_stopped():
    assert right("04.7", stopped) is True


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda *given: stopped(*given, keep=False), "the optimiser began anew"),
        (lambda *given: stopped(*given, whole=False), "running averages"),
        (lambda *given: stopped(*given, whole=False, load=False), "Load both state_dicts"),
        (lambda *given: stopped(*given, then=False), "the first half alone"),
        (lambda *given: stopped(*given, first=False), "the second half alone"),
        (lambda *given: stopped(*given, first=False, then=False), "learned nothing"),
        (lambda *given: stopped(*given, clear=False), "zero_grad"),
        (lambda network, batches: network, "the network you were given"),
        (lambda network, batches: UNet(features=8, depth=3), "of another kind"),
        (lambda network, batches: torch.nn.Linear(1, 1), "Linear"),
        (lambda network, batches: None, "where the dots are"),
        (lambda network: network, "could not be tried out"),
        (0.8, "a function is wanted"),
    ],
)
def test_stopped_missed(answer, hint):
    assert hint in words("04.7", answer)
