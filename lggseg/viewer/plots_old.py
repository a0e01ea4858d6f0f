"""Arrays in, matplotlib Axes out: one style and one set of colours for all figures.

In this order: the style and the frame of a figure, slices and masks, groups and tables, a tumour's shape, and the
U-Net's architecture.
"""

import math
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from ..errors import LggError
from ..measures.ellipsoid import Ellipsoid
from ..measures.shape import Outline, sectors, smooth
from ..unet import UNet
from .colours import BLACK, BLUE, GREEN, ORANGE, PREDICTION, PURPLE, SKY, TRUTH, VERMILION, YELLOW
from .colours import OKABE_ITO as OKABE_ITO  # figures take all their colours from here
from .overlay import as_array


def use_style() -> None:
    """Set matplotlib's defaults for the whole session: opaque white ground (dark pages), grey images, our colours."""
    mpl.rcParams.update({
        "figure.facecolor": "white", "savefig.facecolor": "white", "figure.constrained_layout.use": True,
        "figure.dpi": 110, "savefig.dpi": 110, "font.size": 11, "axes.titlesize": 11, "axes.labelsize": 11,
        "axes.prop_cycle": mpl.cycler(color=[BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, BLACK]),
        "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
        "axes.grid": True, "grid.color": "#e6e6e6", "legend.frameon": False,
        "image.cmap": "gray", "image.interpolation": "antialiased"})


def panels(rows: int = 1, columns: int = 1, *, size: tuple[float, float], title: str, data: str = "",
           **options) -> tuple[Figure, np.ndarray]:
    """A figure of several panels, with a title over all of them and whose data they show.

    Parameters
    ----------
    rows, columns : how many panels
    size : width and height of the figure, in inches
    title : over all panels
    data : a second line of it, such as a cohort's label
    options : for `plt.subplots`

    Returns
    -------
    The figure and its Axes: an array as `plt.subplots` gives it, one Axes for one panel
    """
    figure, axes = plt.subplots(rows, columns, figsize=size, **options)
    figure.suptitle(f"{title}\n{data}".strip(), fontsize=11)
    return figure, axes


def show_slice(image: np.ndarray, mask: np.ndarray | None = None, prediction: np.ndarray | None = None,
               ax: Axes | None = None, title: str | None = None, line: float = 1.8) -> Axes:
    """One slice, (H,W) grey or (H,W,3) colour, with outlines of the true and the predicted mask, bool (H,W).

    uint8 is shown from 0 to 255 as it is; a float (H,W) from its least to its greatest value. `line` is the width of
    the true outline in points; the predicted one is a little thinner, so that both show where they agree.
    """
    ax = plt.gca() if ax is None else ax
    image = as_array(image)
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise LggError(f"image is {image.shape}; a slice is (H, W) or (H, W, 3): index the volume, image[k]")
    ax.imshow(image, **({"vmin": 0, "vmax": 255} if image.dtype == np.uint8 else {}))
    for outlined, colour, width in ((mask, TRUTH, line), (prediction, PREDICTION, 0.7 * line)):
        if outlined is not None:
            draw_contour(outlined, image.shape[:2], ax, colour, width)
    ax.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))  # outlines do not widen the view
    ax.set_axis_off()
    ax.set_title(title or "")
    return ax


def draw_contour(mask: np.ndarray, shape: tuple[int, int], ax: Axes, colour: str, width: float = 1.5) -> None:
    """Draw the border of a bool mask of the given shape; an empty mask draws nothing."""
    mask = as_array(mask)
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
            title: str | None = None, line: float = 0.9) -> Axes:
    """Slices of a volume, (D,H,W) or (D,H,W,3), side by side, with outlines and slice numbers (from 1).

    `slices` are indices from 0; without them up to 12 spread evenly over the volume. `line` is the outlines' width.
    """
    if slices is None:
        slices = np.unique(np.linspace(0, len(image) - 1, min(12, len(image))).round().astype(int))
    layers = [None if layer is None else tile(as_array(layer)[slices], columns) for layer in (image, mask, prediction)]
    ax = show_slice(*layers, ax=ax, title=title, line=line)
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


def show_region(region: np.ndarray, ax: Axes, title: str = "") -> Axes:
    """A bool (H,W) region as it is: blue on black."""
    ax.imshow(region, cmap=ListedColormap(["black", SKY]), vmin=0, vmax=1)
    ax.set_axis_off()
    ax.set_title(title)
    return ax


def show_signed(levels: np.ndarray, reach: float, ax: Axes, title: str = "") -> Axes:
    """Levels (H,W) that may be negative: blue below 0, white at 0, red above, full colour at `reach`."""
    ax.imshow(levels, cmap="RdBu_r", vmin=-reach, vmax=reach)
    ax.set_axis_off()
    ax.set_title(title)
    return ax


# ---------------------------------------------------------------------------------------------- groups and tables

def dots_by_group(values: pd.Series, groups: pd.Series, ax: Axes, colours: dict | None = None,
                  order: Sequence | None = None, size: float = 14) -> Axes:
    """A dot for every patient, side by side by group, over a box from the lower to the upper quarter.

    Parameters
    ----------
    values : a number per patient; NaN is left out
    groups : a name per patient; a patient without one is left out
    ax : to draw into
    colours : of the dots, by group; black where it has none
    order : of the groups, from left to right; sorted where nothing is said
    size : of the dots
    """
    order = sorted(groups.dropna().unique()) if order is None else list(order)
    rng = np.random.default_rng(0)
    for place, name in enumerate(order):
        here = values[groups == name].dropna().to_numpy(float)
        if not len(here):
            continue
        ax.boxplot([here], positions=[place], widths=0.6, showfliers=False, patch_artist=True, manage_ticks=False,
                   boxprops={"facecolor": "#e8e8e8", "edgecolor": "#888888"}, medianprops={"color": BLACK})
        aside = place + rng.uniform(-0.18, 0.18, len(here))
        ax.scatter(aside, here, s=size, color=(colours or {}).get(name, BLACK), zorder=3)
    ax.set(xticks=range(len(order)), xticklabels=order, xlim=(-0.6, len(order) - 0.4))
    return ax


def heat(table: pd.DataFrame, ax: Axes, low: float, high: float, notes: pd.DataFrame | None = None,
         label: str = "") -> Axes:
    """A table as colours from `low` (dark) to `high` (bright), with its numbers, or `notes`, in the cells.

    Empty cells stay white. `label` says what a colour bar measures; without it there is none.
    """
    values = table.to_numpy(float)
    shown = ax.imshow(values, vmin=low, vmax=high, cmap="viridis", aspect="auto")
    ax.set(xticks=range(table.shape[1]), xticklabels=table.columns, yticks=range(len(table)), yticklabels=table.index)
    ax.tick_params(length=0, labelsize=9)
    ax.grid(False)
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            text = f"{value:.2f}" if notes is None else notes.iat[row, column]
            dark = value < (low + high) / 2
            ax.text(column, row, text, ha="center", va="center", size=9, color="white" if dark else BLACK)
    if label:
        ax.figure.colorbar(shown, ax=ax, label=label)
    return ax


def roc_curve(scores: np.ndarray, labels: np.ndarray, ax: Axes, colour: str = BLUE, name: str | None = None) -> Axes:
    """Share of the positives found (upwards) against share of the others called positive by mistake (to the right).

    Parameters
    ----------
    scores : (n,), high where a positive is expected
    labels : bool (n,), at least one True and one False
    ax : to draw into
    colour, name : of the curve
    """
    cuts = np.sort(np.unique(scores))[::-1]
    found = [0.0] + [float(np.mean(scores[labels] >= cut)) for cut in cuts]
    mistaken = [0.0] + [float(np.mean(scores[~labels] >= cut)) for cut in cuts]
    ax.plot([0, 1], [0, 1], color="grey", linewidth=1)
    ax.plot(mistaken, found, color=colour, linewidth=2, label=name)
    ax.set(aspect="equal", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    return ax


def seed_dots(scores: pd.DataFrame, ax: Axes, colour: str = BLUE, label: str | None = None,
              shift: float = 0.0) -> Axes:
    """Scores of trainings that were repeated: a dot for each, and a dash at the mean of each column.

    Parameters
    ----------
    scores : a row per seed, a column per variant; NaN is left out
    ax : to draw into; variants stand at 0, 1, 2, ... with their names below
    colour, label : of dots and dash
    shift : to the right, so that several tables can stand side by side
    """
    for place, variant in enumerate(scores.columns):
        values = scores[variant].dropna()
        ax.plot([place + shift] * len(values), values, "o", color=colour, alpha=0.6, label=None if place else label)
        ax.plot([place + shift - 0.1, place + shift + 0.1], [values.mean()] * 2, color=colour, linewidth=2)
    ax.set_xticks(range(len(scores.columns)), scores.columns)
    return ax


# ----------------------------------------------------------------------------------------------- a tumour's shape

SECTOR_COLOURS = np.array(OKABE_ITO)[1:6]  # used twice for the ten sectors


def outline_by_sector(image: np.ndarray, line: Outline, ax: Axes, title: str = "") -> Axes:
    """A tumour's outline on its slice (H,W), each of the ten sectors in a colour, with the sectors' borders."""
    show_slice(image, ax=ax, title=title)
    reach = 1.25 * np.hypot(*(line.points - line.centroid).T).max()
    row, column = line.centroid
    for angle in np.radians(np.arange(0, 360, 36)):
        ax.plot([column, column + reach * np.cos(angle)], [row, row + reach * np.sin(angle)], color="white",
                linewidth=0.7)
    ax.scatter(line.points[:, 1], line.points[:, 0], c=SECTOR_COLOURS[sectors(line.angle) % 5], s=5)
    ax.set(xlim=(column - reach, column + reach), ylim=(row + reach, row - reach))
    return ax


def signal_by_sector(line: Outline, ax: Axes, title: str = "") -> Axes:
    """The boundary signal along an outline, each sector in a colour, and its moving average as a black line."""
    way = np.arange(len(line.radius)) / len(line.radius)
    ax.scatter(way, line.radius, c=SECTOR_COLOURS[sectors(line.angle) % 5], s=8, label="distance, by sector")
    ax.plot(way, smooth(line.radius), color=BLACK, linewidth=1.2, label="moving average")
    ax.set(xlabel="way along the outline", title=title)
    return ax


def ellipsoid_section(ellipsoid: Ellipsoid, height: float, points: int = 100) -> np.ndarray:
    """The ellipse in which a plane at `height` cuts an ellipsoid (z, y, x): its points (n, 2), row and column.

    Where the plane misses the ellipsoid, the points are NaN.

    >>> ball = Ellipsoid(np.zeros(3), np.diag([25.0, 25.0, 25.0]))
    >>> np.abs(ellipsoid_section(ball, 3.0)).max(axis=0).round(2)  # a circle of radius 4
    array([4., 4.])
    """
    matrix, above = ellipsoid.matrix, height - ellipsoid.centre[0]
    lean = matrix[1:, 0] / matrix[0, 0]
    left = 1 - above**2 / matrix[0, 0]
    if left < 0:
        return np.full((points, 2), np.nan)
    flat = left * (matrix[1:, 1:] - np.outer(lean, matrix[0, 1:]))
    turn = np.linspace(0, 2 * np.pi, points)
    circle = np.stack([np.sin(turn), np.cos(turn)])
    return (ellipsoid.centre[1:] + above * lean)[:, None].T + (np.linalg.cholesky(flat + 1e-12 * np.eye(2)) @ circle).T


def ellipsoid_slices(mask: np.ndarray, ellipsoid: Ellipsoid, axes: Sequence[Axes]) -> None:
    """A tumour's slices and the sections of an ellipsoid around it, one slice in each of the Axes.

    Parameters
    ----------
    mask : bool (D,H,W), not empty
    ellipsoid : around the corners of the mask's voxels
    axes : the slices shown are spread evenly over those with tumour, as many as there are Axes
    """
    with_tumour = np.flatnonzero(mask.any(axis=(1, 2)))
    chosen = with_tumour[np.linspace(0, len(with_tumour) - 1, len(axes)).round().astype(int)]
    reach = np.sqrt(np.diag(ellipsoid.matrix)[1:].max()) + 3
    row, column = ellipsoid.centre[1:] - 0.5
    for ax, k in zip(axes, chosen, strict=True):
        ax.imshow(mask[k], cmap=ListedColormap(["white", GREEN]), vmin=0, vmax=1, alpha=0.6)
        section = ellipsoid_section(ellipsoid, k + 0.5)  # voxel k reaches from k to k + 1
        ax.plot(section[:, 1] - 0.5, section[:, 0] - 0.5, color=BLUE, linewidth=1.5)
        ax.set(xlim=(column - reach, column + reach), ylim=(row + reach, row - reach), xticks=[], yticks=[],
               title=f"slice {k + 1}")
        ax.grid(False)


# ------------------------------------------------------------------------------------------ the U-Net's architecture

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
    if not skip:  # beside a concatenation stands the decoder block, which has the same size
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
        _arrow(ax, before, boxes[f"up.{i}"], GREEN)  # lands on the up-convolution's own half
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
    elif rise > 0.1:  # up: arrives from below, at the half that the up-convolution fills
        end = (goal.get_x() + 0.75 * goal.get_width(), goal.get_y())
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "shrinkA": 2, "shrinkB": 1, **style})
    return start, end
