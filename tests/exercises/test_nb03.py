"""What is right in exercises 03.1 to 03.5, in other forms too, and what hint a mistake gets."""

import numpy as np
import pandas as pd
import pytest
import torch
from answers import right, words
from torch import nn
from torch.nn import functional as F

from lggseg import UNet
from lggseg.exercises.nb03 import JOINS, widest
from lggseg.unet import UNetBlock

POPPED = [256, 128, 64, 32, 16]


@pytest.mark.parametrize(
    "form", [list, tuple, np.array, pd.Series, torch.tensor, lambda values: np.float32(values)]
)
def test_popped(form):
    assert right("03.1", form(POPPED)) is True


def test_popped_is_what_a_stack_hands_out():
    seen = []

    class Telling(UNet):
        def _pop(self, up, inputs, output):
            seen.append(self.stack.items[-1].shape[1])
            return super()._pop(up, inputs, output)

    Telling(depth=6).eval()(torch.zeros(1, 3, 32, 32))
    assert seen == POPPED


@pytest.mark.parametrize(
    "answer, hint",
    [
        (POPPED[::-1], "in which they are pushed"),
        ([512, *POPPED], "the bottom"),
        ([512, 256, 128, 64, 32], "half"),
        ([128, 64, 32, 16, 8], "8 features"),
        ([128, 64, 32, 16], "depth 5"),
        ([256, 128], "five encoder blocks"),
        ([1, 2, 3, 4, 5], "twice the channels"),
        ("256, 128, 64, 32, 16", "several numbers"),
        (256, "several numbers"),
        ([None] * 5, "where the dots are"),
    ],
)
def test_popped_missed(answer, hint):
    assert hint in words("03.1", answer)


def tried(height, width):
    """By trying: the largest depth that takes a picture of this size."""
    fits = [
        depth
        for depth in range(2, 11)
        if height % 2 ** (depth - 1) == 0 and width % 2 ** (depth - 1) == 0
    ]
    return max(fits, default=None)


def zeros(n):
    return (n & -n).bit_length() - 1


@pytest.mark.parametrize(
    "answer",
    [
        tried,
        lambda h, w: np.int64(tried(h, w)) if tried(h, w) else None,
        lambda h, w: tried(h, w) and float(tried(h, w)),
        lambda h, w: min(zeros(h), zeros(w), 9) + 1 if min(zeros(h), zeros(w)) else None,
    ],
)
def test_deepest(answer):
    assert right("03.2", answer) is True


@pytest.mark.parametrize(
    "answer, hint",
    [
        (
            lambda h, w: min(zeros(h), zeros(w)) + 1 if min(zeros(h), zeros(w)) else None,
            "10 at most",
        ),
        (lambda h, w: min(zeros(h), zeros(w), 9) + 1, "None"),
        (lambda h, w: min(zeros(h), 9) + 1, "the other cannot"),
        (lambda h, w: min(zeros(w), 9) + 1, "the other cannot"),
        (lambda h, w: min(zeros(h), zeros(w), 9), "one more would do"),
        (lambda h, w: 5, "until one of them is odd"),
        (lambda h, w: tried(h, w) if h > 6 else None, "halves them only once"),
        (lambda h, w: 1 / 0, "could not be tried out (ZeroDivisionError"),
        (lambda h, w: "5", "a number is wanted"),
        (lambda h, w: None, "where the dots are"),
        (5, "a function is wanted"),
    ],
)
def test_deepest_missed(answer, hint):
    assert hint in words("03.2", answer)


def shapes_of(model, x, note=lambda output: tuple(output.shape), remove=True, bound=True):
    """The solution, and with other arguments the usual mistakes."""
    shapes, handles, names = {}, [], []
    for name, module in model.named_children():
        if bound:
            hook = lambda m, i, output, name=name: shapes.update({name: note(output)})  # noqa: E731
        else:
            names.append(name)
            hook = lambda m, i, output: shapes.update({names[-1]: note(output)})  # noqa: E731
        handles.append(module.register_forward_hook(hook))
    with torch.no_grad():
        model(x)
    for handle in handles:
        if remove:
            handle.remove()
    return shapes


@pytest.mark.parametrize(
    "answer",
    [
        shapes_of,
        lambda model, x: shapes_of(model, x, lambda output: output.shape),
        lambda model, x: dict(
            reversed(shapes_of(model, x, lambda output: list(output.shape)).items())
        ),
    ],
)
def test_shapes(answer):
    assert right("03.3", answer) is True


def all_modules(model, x):
    found = {}
    handles = [
        module.register_forward_hook(
            lambda m, i, output, name=name: found.update({name: output.shape})
        )
        for name, module in model.named_modules()
    ]
    model(x)
    for handle in handles:
        handle.remove()
    return found


def inputs_of(model, x):
    found = {}
    handles = [
        module.register_forward_hook(
            lambda m, inputs, o, name=name: found.update({name: inputs[0].shape})
        )
        for name, module in model.named_children()
    ]
    model(x)
    for handle in handles:
        handle.remove()
    return found


def returning(model, x):
    found = {}
    for name, module in model.named_children():
        module.register_forward_hook(
            lambda m, i, output, name=name: found.setdefault(name, tuple(output.shape))
        )
    model(x)
    return found


def clearing(model, x):
    found = shapes_of(model, x, remove=False)
    for module in model.modules():
        module._forward_hooks.clear()
    return found


@pytest.mark.parametrize(
    "answer, hint",
    [
        (clearing, "there before is gone"),
        (lambda model, x: shapes_of(model.eval(), x), "another mode"),
        (lambda model, x: shapes_of(model.train(), x), "another mode"),
        (lambda model, x: shapes_of(model, x, bound=False), "the last name"),
        (lambda model, x: shapes_of(model, x, remove=False), "a hook is still on the model"),
        (
            lambda model, x: shapes_of(model, x, note=lambda output: output),
            "their shapes are wanted",
        ),
        (lambda model, x: {**shapes_of(model, x), "last": (1, 1)}, "the shape of last"),
        (lambda model, x: list(shapes_of(model, x).values()), "a dict is wanted"),
        (lambda model, x: {"first": (1, 4, 8, 6)}, "lacking: witness, pool, last"),
        (lambda model, x: {}, "lacking"),
        (all_modules, "named_children()"),
        (inputs_of, "that go in"),
        (returning, "replaces the output"),
        (lambda model, x: None, "where the dots are"),
        (lambda model: {}, "could not be tried out"),
        ({}, "a function is wanted"),
    ],
)
def test_shapes_missed(answer, hint):
    assert hint in words("03.3", answer)


def traced(depth):
    """The receptive field by following a set of columns instead of an interval's ends."""
    widest_seen = 0
    for start in range(2 ** (depth - 1)):
        seen = {start}
        for _ in range(depth - 1):
            seen = {(column + step) // 2 for column in seen for step in range(-2, 3)}
        seen = {column + step for column in seen for step in range(-2, 3)}
        for _ in range(depth - 1):
            seen = {
                2 * column + half + step
                for column in seen
                for half in (0, 1)
                for step in range(-2, 3)
            }
        widest_seen = max(widest_seen, len(seen))
    return widest_seen


def rounded_towards_zero(depth):
    found = []
    for start in range(2 ** (depth - 1)):
        a = b = start
        for _ in range(depth - 1):
            a, b = int((a - 2) / 2), int((b + 2) / 2)
        a, b = a - 2, b + 2
        for _ in range(depth - 1):
            a, b = 2 * a - 2, 2 * b + 3
        found.append(b - a + 1)
    return max(found)


@pytest.mark.parametrize(
    "answer", [traced, lambda depth: np.int64(traced(depth)), lambda depth: [traced(depth)]]
)
def test_field(answer):
    assert right("03.4", answer) is True


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda depth: widest(depth, starts=[0]), "one start only"),
        (lambda depth: widest(depth, bottom=0), "the bottom"),
        (lambda depth: widest(depth, reach=1), "two 3x3 convolutions"),
        (lambda depth: widest(depth, count=0), "b - a + 1"),
        (lambda depth: widest(depth, pooled=0), "pooling makes a column into two"),
        (lambda depth: widest(depth, levels=0), "d - 1 up-convolutions"),
        (lambda depth: rounded_towards_zero(depth), "rounds a negative column down"),
        (lambda depth: widest(depth, block_first=False), "the decoder block comes before"),
        (lambda depth: {2: 18, 3: 44}.get(depth, 0), "not for depth 4"),
        (lambda depth: str(depth), "a number is wanted"),
        (lambda depth: None, "where the dots are"),
        (lambda: 18, "could not be tried out"),
        (18, "a function is wanted"),
    ],
)
def test_field_missed(answer, hint):
    assert hint in words("03.4", answer)


def adding(join, alone=True, narrow=True, decoder=None):
    """An AddUNet that joins by `join`; `alone` minds blocks that run on their own, `narrow` renews
    decoder blocks.
    """

    class AddUNet(UNet):
        def __init__(self, *args, **settings):
            super().__init__(*args, **settings)
            if narrow:
                self.decoder = nn.ModuleList(
                    (decoder or UNetBlock)(up.out_channels, up.out_channels) for up in self.up
                )

        def _pop(self, up, inputs, output):
            if alone and self.stack.items is None:
                return output
            return join(self.stack.items.pop(), output)

    return AddUNet


def test_add_unet():
    def in_place(skip, up):
        up += skip
        return up

    for join in (
        torch.add,
        lambda skip, up: up + skip,
        lambda skip, up: torch.stack([skip, up]).sum(0),
        in_place,
    ):
        assert right("03.5", adding(join)) is True


@pytest.mark.parametrize(
    "hint, join", JOINS.items(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_another_join_is_named(hint, join):
    assert hint in words("03.5", adding(join))


def hooks_twice():
    class AddUNet(adding(torch.add)):
        def __init__(self, *args, **settings):
            super().__init__(*args, **settings)
            for up in self.up:
                up.register_forward_hook(self._pop)

    return AddUNet


def always_adds():
    class AddUNet(adding(torch.add)):
        def _pop(self, up, inputs, output):
            return output + (self.stack.items.pop() if self.stack.items else 1)

    return AddUNet


@pytest.mark.parametrize(
    "answer, hint",
    [
        (adding(torch.add, alone=False), "runs on its own breaks"),
        (always_adds(), "nothing to add"),
        (adding(torch.add, narrow=False), "still takes twice the channels"),
        (hooks_twice(), "pops twice"),
        (
            adding(torch.add, decoder=lambda a, b: UNetBlock(a + 1, b)),
            "a decoder block takes 9 channels",
        ),
        (adding(lambda skip, up: 2 * skip + up), "the sum"),
        (adding(lambda skip, up: F.relu(skip)), "skip alone"),
        (type("AddUNet", (UNet,), {}), "where the dots are"),
        (UNet, "still takes twice"),
        (UNet(), "a class is wanted"),
        (nn.Module, "a class is wanted"),
        ("AddUNet", "a class is wanted"),
    ],
)
def test_add_unet_missed(answer, hint):
    assert hint in words("03.5", answer)
