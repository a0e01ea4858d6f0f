"""Arrays in, matplotlib Axes out: one style and one set of colours for all figures."""

import math
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from ..errors import LggError
from ..unet import UNet
from .colours import BLACK, BLUE, GREEN, ORANGE, PREDICTION, PURPLE, SKY, TRUTH, VERMILION, YELLOW
from .colours import OKABE_ITO as OKABE_ITO  # figures take all their colours from here


def use_style() -> None:
    """Set matplotlib's defaults for the whole session: opaque white ground (dark pages), grey images, our colours."""
    mpl.rcParams.update({
        "figure.facecolor": "white", "savefig.facecolor": "white", "figure.constrained_layout.use": True,
        "figure.dpi": 110, "savefig.dpi": 110, "font.size": 11, "axes.titlesize": 11, "axes.labelsize": 11,
        "axes.prop_cycle": mpl.cycler(color=[BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, BLACK]),
        "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
        "axes.grid": True, "grid.color": "#e6e6e6", "legend.frameon": False,
        "image.cmap": "gray", "image.interpolation": "antialiased"})


def show_slice(image: np.ndarray, mask: np.ndarray | None = None, prediction: np.ndarray | None = None,
               ax: Axes | None = None, title: str | None = None) -> Axes:
    """One slice, (H,W) grey or (H,W,3) colour, with outlines of the true and the predicted mask, bool (H,W).

    uint8 is shown from 0 to 255 as it is; a float (H,W) from its least to its greatest value.
    """
    ax = plt.gca() if ax is None else ax
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise LggError(f"image is {image.shape}; a slice is (H, W) or (H, W, 3): index the volume, image[k]")
    ax.imshow(image, **({"vmin": 0, "vmax": 255} if image.dtype == np.uint8 else {}))
    for outlined, colour, width in ((mask, TRUTH, 1.8), (prediction, PREDICTION, 1.3)):
        if outlined is not None:
            draw_contour(outlined, image.shape[:2], ax, colour, width)
    ax.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))  # outlines do not widen the view
    ax.set_axis_off()
    ax.set_title(title or "")
    return ax


def draw_contour(mask: np.ndarray, shape: tuple[int, int], ax: Axes, colour: str, width: float = 1.5) -> None:
    """Draw the border of a bool mask of the given shape; an empty mask draws nothing."""
    if mask.shape != shape:
        raise LggError(f"mask is {mask.shape}, image is {shape}; a mask has the height and width of its image")
    if mask.any():
        height, width_px = shape  # padded by one, so that borders at the image's edge are closed
        ax.contour(np.arange(-1, width_px + 1), np.arange(-1, height + 1), np.pad(mask.astype(float), 1), [0.5],
                   colors=colour, linewidths=width)


def legend(ax: Axes, truth: str | None = "manual mask", prediction: str | None = "prediction", **options) -> Axes:
    """A legend for the outlines of `show_slice`; None leaves one out."""
    entries = [(name, colour) for name, colour in ((truth, TRUTH), (prediction, PREDICTION)) if name]
    lines = [Line2D([], [], color=colour, linewidth=2) for _, colour in entries]
    ax.legend(lines, [name for name, _ in entries], **options)
    return ax


def montage(image: np.ndarray, mask: np.ndarray | None = None, prediction: np.ndarray | None = None,
            slices: Sequence[int] | None = None, columns: int = 6, ax: Axes | None = None,
            title: str | None = None) -> Axes:
    """Slices of a volume, (D,H,W) or (D,H,W,3), side by side, with outlines and slice numbers (from 1).

    `slices` are indices from 0; without them up to 12 spread evenly over the volume.
    """
    if slices is None:
        slices = np.unique(np.linspace(0, len(image) - 1, min(12, len(image))).round().astype(int))
    layers = [None if layer is None else tile(layer[slices], columns) for layer in (image, mask, prediction)]
    ax = show_slice(*layers, ax=ax, title=title)
    for i, k in enumerate(slices):
        row, column = divmod(i, columns)
        ax.text(column * image.shape[2] + 6, row * image.shape[1] + 8, str(k + 1), color="white", va="top", size=8)
    return ax


def tile(stack: np.ndarray, columns: int) -> np.ndarray:
    """(n,H,W,...) as one (rows*H, columns*W, ...) array, filled row by row, the rest with zeros."""
    n, height, width, *rest = stack.shape
    columns = min(columns, n)
    rows = math.ceil(n / columns)
    full = np.zeros((rows * columns, height, width, *rest), stack.dtype)
    full[:n] = stack
    return full.reshape(rows, columns, height, width, *rest).swapaxes(1, 2).reshape(rows * height, -1, *rest)


def activation_shapes(model: UNet, size: int = 256) -> dict[str, tuple[int, int, int]]:
    """Output shape (C,H,W) of each part of a U-Net for one image of size x size, seen by hooks in a real forward pass.

    Names: encoder.0 ..., bottom, up.0 ... (after concatenation), decoder.0 ..., head.
    """
    shapes, training, weight = {}, model.training, model.head.weight
    parts = [(name, part) for name, part in model.named_modules()
             if name in ("bottom", "head") or name.rpartition(".")[0] in ("encoder", "up", "decoder")]
    hooks = [part.register_forward_hook(lambda _, __, output, name=name: shapes.update({name: tuple(output.shape[1:])}))
             for name, part in parts]
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, model.in_channels, size, size, device=weight.device, dtype=weight.dtype))
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return shapes


def architecture(model: UNet, ax: Axes | None = None, size: int = 256) -> Axes:
    """Draw a U-Net from the object itself: boxes as high as log(size) and as wide as log(channels), skips as arrows."""
    shapes, last = activation_shapes(model, size), model.depth - 1
    if ax is None:
        _, ax = plt.subplots(figsize=(3 + 1.7 * model.depth, 1.2 + 1.05 * model.depth))
    boxes = {"input": _box(ax, 0, 0, (model.in_channels, size, size), "#bbbbbb")}
    for level in range(last):
        boxes[f"encoder.{level}"] = _box(ax, 1.2 + level, level, shapes[f"encoder.{level}"], SKY)
    boxes["bottom"] = _box(ax, 1.2 + last, last, shapes["bottom"], SKY)
    for i, level in enumerate(reversed(range(last))):
        x = 2.2 + last + 1.7 * i
        skip = shapes[f"encoder.{level}"][0]
        boxes[f"up.{i}"] = _box(ax, x, level, shapes[f"up.{i}"], YELLOW, skip / shapes[f"up.{i}"][0])
        boxes[f"decoder.{i}"] = _box(ax, x + 0.95, level, shapes[f"decoder.{i}"], ORANGE)
    boxes["head"] = _box(ax, 2.2 + last + 1.7 * last + 0.1, 0, shapes["head"], "#bbbbbb")
    _arrows(ax, boxes, last)
    ax.set(xlim=(-0.5, 2.9 + 2.7 * last), ylim=(-last - 0.62, 0.62))
    ax.set_axis_off()
    return ax


def _box(ax: Axes, x: float, level: int, shape: tuple[int, int, int], colour: str, skip: float = 0) -> Rectangle:
    """One activation, its left edge at `x`; the share `skip` of its width is drawn in the encoder's colour."""
    channels, size, _ = shape
    width, height = 0.06 + 0.045 * math.log2(channels), 0.02 + 0.08 * math.log2(size)
    y = -level - height / 2
    box = ax.add_patch(Rectangle((x, y), width, height, facecolor=colour, edgecolor=BLACK, linewidth=0.8))
    if skip:
        ax.add_patch(Rectangle((x, y), width * skip, height, facecolor=SKY, edgecolor=BLACK, linewidth=0.8))
    ax.text(x + width / 2, y + height + 0.02, str(channels), ha="center", va="bottom", size=10)
    ax.text(x + width / 2, y - 0.03, f"{size}²", ha="center", va="top", size=8, color="#555555")
    return box


def _arrows(ax: Axes, boxes: dict[str, Rectangle], last: int) -> None:
    """Blocks, pooling, up-convolutions, and the skip connections with their turn on the stack."""
    _arrow(ax, boxes["input"], boxes["encoder.0"], BLACK)
    for level in range(last):
        below = boxes["bottom" if level == last - 1 else f"encoder.{level + 1}"]
        _arrow(ax, boxes[f"encoder.{level}"], below, VERMILION)
    for i, level in enumerate(reversed(range(last))):
        before = boxes["bottom" if i == 0 else f"decoder.{i - 1}"]
        start, end = _arrow(ax, boxes[f"encoder.{level}"], boxes[f"up.{i}"], BLUE, linestyle=(0, (4, 2)))
        ax.text(start[0] + 0.1, start[1] + 0.03, f"push {level + 1}", color=BLUE, size=9, va="bottom")
        ax.text(end[0] - 0.12, end[1] + 0.03, f"pop {level + 1}", color=BLUE, size=9, va="bottom", ha="right")
        _arrow(ax, before, boxes[f"up.{i}"], GREEN)
        _arrow(ax, boxes[f"up.{i}"], boxes[f"decoder.{i}"], BLACK)
    _arrow(ax, boxes[f"decoder.{last - 1}"], boxes["head"], PURPLE)
    _explain(ax)


def _explain(ax: Axes) -> None:
    """Two legends: what the boxes are, and what the arrows do."""
    boxes = {"encoder block's output": SKY, "up-convolution's output": YELLOW, "decoder block's output": ORANGE}
    arrows = {"max pooling 2×2, then a block": VERMILION, "up-convolution 2×2": GREEN,
              "skip connection, by hooks": BLUE, "block: 2 × (conv 3×3, norm, ReLU)": BLACK, "conv 1×1": PURPLE}
    patches = [Patch(facecolor=colour, edgecolor=BLACK) for colour in boxes.values()]
    lines = [Line2D([], [], color=colour) for colour in arrows.values()]
    ax.add_artist(ax.legend(patches, list(boxes), loc="lower left", fontsize=9, handlelength=1.2))
    ax.legend(lines, list(arrows), loc="lower right", fontsize=9, handlelength=1.4)


def _arrow(ax: Axes, source: Rectangle, goal: Rectangle, colour: str, **style) -> tuple[tuple, tuple]:
    """From the right edge of a box to the left edge of one beside it, or over or under it; returns both ends."""
    rise = goal.get_y() + goal.get_height() / 2 - source.get_y() - source.get_height() / 2
    start = (source.get_x() + source.get_width(), source.get_y() + source.get_height() / 2)
    end = (goal.get_x(), goal.get_y() + goal.get_height() / 2)
    if rise < -0.1:  # down: lands on the upper part of the box below
        start, end = (start[0], source.get_y() + 0.1), (end[0], goal.get_y() + goal.get_height() * 0.8)
    elif rise > 0.1:
        end = (end[0], goal.get_y() + 0.1)
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "shrinkA": 2, "shrinkB": 1, **style})
    return start, end
