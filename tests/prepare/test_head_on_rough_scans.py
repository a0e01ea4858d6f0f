"""The head and its grey values are found in rough scans as in clean ones: on phantoms, and on real
patients.

A change may do something to grey values itself (a gamma bends them). So they are compared with what
the changed scan holds in the places of the clean scan's inner head.
"""

from functools import partial

import numpy as np
import pytest

from lggseg.prepare.head_finder import (
    Head,
    find_head,
    inner_head,
    joint_signal,
    smoothed,
    tissue_bound,
)
from lggseg.prepare.scanner import few_levels, gamma, ghosts, narrow_range, rician_noise, shading

CHANGES = {
    "noise of 3": partial(rician_noise, sigma=3),
    "noise of 20": partial(rician_noise, sigma=20),
    "noise of 20 in FLAIR": partial(rician_noise, sigma=20, channels=[1]),
    "noise of 20 in pre-contrast": partial(rician_noise, sigma=20, channels=[0]),
    "gamma 0.5": partial(gamma, power=0.5),
    "gamma 2": partial(gamma, power=2),
    "shading from side to side": partial(shading, strength=0.7, axis=2),
    "shading from front to back": partial(shading, strength=-0.7, axis=1),
    "shading along the stack": partial(shading, strength=0.7, axis=0),
    "ghosts": partial(ghosts, amplitude=0.15),
    "16 grey levels": partial(few_levels, count=16),
    "60 of 255 levels": partial(narrow_range, brightest=60),
}
SIDE = 0.04  # share by which the square's side may change
MIDDLE = 3  # pixels by which its middle may move
GREY = 0.1  # share by which centre and spread may differ from what the change does to them


def mean_air(head: Head) -> np.ndarray:
    """Level of the air per sequence, over the slices that show the head."""
    return head.air[head.slices].mean(axis=0)


def grey_values(
    image: np.ndarray, inside: np.ndarray, slices: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each sequence of an image where `inside` is true."""
    levels = [smoothed(image[slices, :, :, channel])[:, ::2, ::2][inside] for channel in range(3)]
    return np.array([level.mean() for level in levels]), np.array([level.std() for level in levels])


def inner_mask(image: np.ndarray, head: Head) -> np.ndarray:
    """The inner head of an image, in every second pixel of the slices that show it."""
    levels = [smoothed(image[..., channel]) for channel in range(3)]
    signal = joint_signal(levels, head.air, [True] * 3)
    return inner_head((signal > tissue_bound(signal))[head.slices, ::2, ::2], head.box[2] / 2)


def differences(image: np.ndarray, name: str) -> dict[str, float]:
    """How far the head of the changed image is from that of the clean one, by what the bounds speak
    of.
    """
    changed = CHANGES[name](image)
    before, after = find_head(image), find_head(changed)
    middles = [np.add(head.box[:2], head.box[2] / 2) for head in (before, after)]
    inside = inner_mask(image, before)
    mean, deviation = grey_values(changed, inside, before.slices)
    found = mean_air(after) + after.centre
    return {
        "side": abs(after.box[2] / before.box[2] - 1),
        "middle": abs(middles[1] - middles[0]).max(),
        "centre": abs(found / mean - 1).max(),
        "spread": abs(after.spread / deviation - 1).max(),
    }


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("number", [0, 20, 40])
def test_phantoms_keep_their_head(phantom_cohort, number, name):
    found = differences(phantom_cohort.volume(phantom_cohort.patients[number]).image, name)
    assert found["side"] <= SIDE and found["middle"] <= MIDDLE, found
    assert found["centre"] <= GREY and found["spread"] <= GREY, found
