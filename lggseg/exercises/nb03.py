"""The exercises of notebook 03: the order of the stack, depth, hooks, the receptive field, skips
that are added.
"""

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from ..unet import UNet
from .base import DOTS, Wrong, called, number, numbers


def popped(answer: Any) -> str | None:
    told = numbers(answer).tolist()
    right = [256, 128, 64, 32, 16]
    if told == right:
        return None
    hints = {
        tuple(right[::-1]): "that is the order in which they are pushed.",
        (512, *right): "the bottom's activation crosses to nowhere: no hook pushes it.",
        (
            512,
            256,
            128,
            64,
            32,
        ): "so many there are after the concatenation; only half of them were popped.",
        (
            128,
            64,
            32,
            16,
            8,
        ): "that would be right for 8 features at the first level; here there are 16.",
        (128, 64, 32, 16): "that is depth 5; a level more has an encoder block more.",
    }
    if tuple(told) in hints:
        return hints[tuple(told)]
    if len(told) != len(right):
        return "depth 6 has five encoder blocks, and each pushes once."
    return (
        "each level has twice the channels of the one above; what is pushed last is popped first."
    )


def deepest(answer: Any) -> str | None:
    called(answer, 64, 64)  # dots answer None, which is right for some sizes
    for size, right in {
        (128, 128): 8,
        (96, 80): 5,
        (80, 96): 5,
        (240, 256): 5,
        (6, 10): 2,
        (1024, 1024): 10,
        (15, 16): None,
        (16, 15): None,
        (7, 9): None,
    }.items():
        told = answer(*size)
        told = None if told is None else number(told)
        if told != right:
            said = "None" if told is None else f"{told:g}"
            return f"for {size[0]} x {size[1]} it says {said}: {why_not(told, right, size)}"
    return None


def why_not(told: float | None, right: int | None, size: tuple[int, int]) -> str:
    """What is wrong with `told` as the largest depth."""
    if right is None:
        return "no depth from 2 on takes an odd side, so the answer is None."
    if told is None:
        return "both sides are even, and a U-Net of depth 2 halves them only once."
    if told > 10:
        return "the question asks for 10 at most."
    if told == right - 1:
        return "one more would do; depth d halves the picture d - 1 times."
    if told > right and any(side % 2 ** (int(told) - 1) == 0 for side in size):
        return "one side can be halved so often, the other cannot."
    return "halve both sides until one of them is odd: how often did that go?"


class Witness(nn.Module):
    """Passes a tensor on; notes what else it was given."""

    def __init__(self):
        super().__init__()
        self.strange = False

    def forward(self, x: Any) -> torch.Tensor:
        self.strange = self.strange or not isinstance(x, torch.Tensor)
        return x if isinstance(x, torch.Tensor) else torch.zeros(1, 4, 8, 6)


def shapes(answer: Any) -> str | None:
    if not callable(answer):
        raise Wrong(f"a function is wanted here, this is a {type(answer).__name__}.")
    first = nn.Conv2d(1, 4, 3, padding=1)
    witness = Witness()
    pool = nn.MaxPool2d(2)
    last = nn.Sequential(nn.Conv2d(4, 2, 1), nn.ReLU())
    model = nn.Sequential(OrderedDict(first=first, witness=witness, pool=pool, last=last))
    right: dict[str, tuple[int, ...]] = {
        "first": (1, 4, 8, 6),
        "witness": (1, 4, 8, 6),
        "pool": (1, 4, 4, 3),
        "last": (1, 2, 4, 3),
    }
    foreign = first.register_forward_hook(lambda module, inputs, output: None)  # somebody else's
    pool.eval()
    modes = [module.training for module in model.modules()]
    try:
        told = answer(model, torch.zeros(1, 1, 8, 6))
    except Exception:
        if not witness.strange:
            raise
    if witness.strange:
        return "a hook that returns something replaces the output by it; let yours return None."
    if told is None:
        raise Wrong("the function returns nothing yet: " + DOTS)
    if not isinstance(told, dict):
        return f"it returns a {type(told).__name__}; a dict is wanted, name -> shape."
    if hint := wrong_shapes({str(name): value for name, value in told.items()}, right):
        return hint
    if foreign.id not in first._forward_hooks:
        return (
            "right, but a hook that was there before is gone: remove your own hooks only, by what "
            "register_forward_hook returned."
        )
    foreign.remove()
    if any(module._forward_hooks for module in model.modules()):
        return (
            "right, but a hook is still on the model: keep what register_forward_hook returns, and "
            "remove it."
        )
    if modes != [module.training for module in model.modules()]:
        return (
            "right, but some modules are in another mode than before (train or eval). Shapes are "
            "the same in both: leave the mode alone."
        )
    return None


def wrong_shapes(told: dict[str, Any], right: dict[str, tuple[int, ...]]) -> str | None:
    """What is wrong with a dict of names and shapes."""
    if list(told) == [list(right)[-1]]:
        return (
            "every hook used the last name: a function looks a name up when it is called, and the "
            "loop is over by then. Bind it at once: `lambda module, inputs, output, name=name: "
            "...`."
        )
    if set(told) > set(right):
        return (
            f"{', '.join(sorted(set(told) - set(right)))}: not a child of the model; take "
            "named_children()."
        )
    if set(told) != set(right):
        return (
            f"names are lacking: {', '.join(name for name in right if name not in told) or 'all'}."
        )
    if any(isinstance(value, torch.Tensor) for value in told.values()):
        return "those are the activations; their shapes are wanted."
    sizes = {name: tuple(value) for name, value in told.items()}
    inputs = dict(zip(right, [(1, 1, 8, 6), *right.values()]))
    if sizes == inputs:
        return "those are the shapes that go in; wanted are those that come out."
    for name, shape in right.items():
        if sizes[name] != shape:
            return f"the shape of {name} is not {sizes[name]}."
    return None


def field(answer: Any) -> str | None:
    told = [number(called(answer, depth)) for depth in range(2, 7)]
    usual: dict[str, dict[str, Any]] = {
        "that is one start only; where a pixel lies in its coarse cell matters: take the widest "
        "of all starts. "
        "(If you do: `//` rounds a negative column down, `int(a / 2)` towards 0.)": {"starts": [0]},
        "the bottom is a block too.": {"bottom": 0},
        "a block has two 3x3 convolutions: it widens the interval by 2 on either side.": {
            "reach": 1
        },
        "the interval from a to b holds b - a + 1 columns.": {"count": 0},
        "pooling makes a column into two: `[2 * a, 2 * b + 1]`.": {"pooled": 0},
        "depth d has d - 1 up-convolutions and poolings: the bottom is a level, too.": {
            "levels": 0
        },
        "read backwards, the decoder block comes before the up-convolution of its level.": {
            "block_first": False
        },
    }
    if told == [widest(depth) for depth in range(2, 7)]:
        return None
    for hint, mistake in usual.items():
        if told == [widest(depth, **mistake) for depth in range(2, 7)]:
            return hint
    wrong = next(depth for depth, value in zip(range(2, 7), told) if value != widest(depth))
    return (
        f"not for depth {wrong}: on the way back come decoder block and up-convolution of each "
        "level, the bottom, then pooling and encoder block of each level."
    )


def widest(
    depth: int,
    starts: list[int] | None = None,
    reach: int = 2,
    bottom: int = 1,
    count: int = 1,
    pooled: int = 1,
    levels: int = -1,
    block_first: bool = True,
) -> int:
    """Columns that one output pixel can see, the widest of all starts; other arguments make the
    usual mistakes.
    """
    poolings = depth + levels
    before_halving = reach if block_first else 0
    after_halving = 0 if block_first else reach
    if starts is None:
        starts = list(range(2**poolings))
    widths = []
    for start in starts:
        left = right = start
        for _ in range(poolings):  # back through decoder block and up-convolution
            left = (left - before_halving) // 2 - after_halving
            right = (right + before_halving) // 2 + after_halving
        left -= bottom * reach
        right += bottom * reach
        for _ in range(poolings):  # back through pooling and encoder block
            left = 2 * left - reach
            right = 2 * right + pooled + reach
        widths.append(right - left + count)
    return max(widths)


JOINS = {
    "that is the skip alone; the up-convolution's output is lost.": lambda skip, up: skip,
    "that is the up-convolution's output alone; the skip is lost.": lambda skip, up: up,
    "they are subtracted; add them.": lambda skip, up: up - skip,
    "they are subtracted, the up-convolution's output from the skip; add them.": lambda skip, up: (
        skip - up
    ),
    "they are multiplied; add them.": lambda skip, up: skip * up,
    "that is their mean; the sum is wanted.": lambda skip, up: (skip + up) / 2,
    "that is the larger of the two; the sum is wanted.": torch.maximum,
}


def add_unet(answer: Any) -> str | None:
    if not (isinstance(answer, type) and issubclass(answer, UNet)):
        raise Wrong("a class is wanted here that is a kind of UNet: `class AddUNet(UNet):`.")
    if "_pop" not in vars(answer) and "__init__" not in vars(answer):
        raise Wrong("the class changes nothing yet: " + DOTS)
    for features, depth, growth in ((4, 3, 2), (3, 4, 1.5), (5, 2, 2)):
        if hint := wrong_addition(answer, {"features": features, "depth": depth, "growth": growth}):
            return hint
    return None


def wrong_addition(answer: type[UNet], settings: dict[str, Any]) -> str | None:
    """What is wrong with a UNet that should add, of these settings."""
    torch.manual_seed(0)
    model = answer(**settings).eval()
    x = torch.randn(1, 3, 16, 24)
    for up, decoder in zip(model.up, model.decoder):
        up_channels = up.get_parameter("weight").shape[1]
        width = getattr(next(decoder.children()), "in_channels", None)
        if width == 2 * up_channels:
            return (
                "a decoder block still takes twice the channels; after an addition there are only "
                "`up.out_channels`."
            )
        if width != up.out_channels:
            return (
                f"a decoder block takes {width} channels; the up-convolution before it gives "
                f"{up_channels}."
            )
    if any(len(up._forward_hooks) > 1 for up in model.up):
        return (
            "an up-convolution has two hooks, and pops twice: that of UNet.__init__ calls your "
            "`_pop` already."
        )
    with torch.no_grad():
        told = model(x)
        if torch.allclose(told, by_hand(model, x, torch.add), atol=1e-5):
            return wrong_alone(model)
        for hint, join in JOINS.items():
            if torch.allclose(told, by_hand(model, x, join), atol=1e-5):
                return hint
    return "`_pop` should return the sum of what it pops and the up-convolution's output."


def by_hand(model: UNet, x: torch.Tensor, join: Any) -> torch.Tensor:
    """The model's output with another way to join; no hook is called, for hooks would join as they
    were told to.
    """
    skips = []
    for block in model.encoder:
        skips.append(block.forward(x))
        x = model.pool(skips[-1])
    x = model.bottom(x)
    for up, block in zip(model.up, model.decoder):
        x = block(join(skips.pop(), up.forward(x)))
    return model.head(x)


def wrong_alone(model: UNet) -> str | None:
    """What happens to an up-convolution that runs on its own, outside the model's forward."""
    up = model.up[0]
    alone = torch.randn(1, len(up.get_parameter("weight")), 3, 2)
    with torch.no_grad():
        try:
            told = up(alone)
        except (AttributeError, TypeError, IndexError):
            return (
                "right in a forward pass, but an up-convolution that runs on its own breaks: no "
                "pass is under way then and `self.stack.items` is None. UNet._pop shows what to "
                "do."
            )
        if not torch.equal(told, up.forward(alone)):
            return "an up-convolution that runs on its own has nothing to add."
    return None


RULES = {"1": popped, "2": deepest, "3": shapes, "4": field, "5": add_unet}
