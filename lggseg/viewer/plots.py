"""Arrays in, matplotlib Axes out: one style and one set of colours for all figures.

In this order: the style and the frame of a figure, slices and masks, groups and tables, a tumour's
shape, and the U-Net's architecture.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.rcsetup import cycler
from torch import nn

from ..errors import LggError
from ..measures.ellipsoid import Ellipsoid
from ..measures.shape import Outline, sectors, smooth
from ..unet import UNet
from .colours import BLACK, BLUE, GREEN, ORANGE, PREDICTION, PURPLE, SKY, TRUTH, VERMILION, YELLOW
from .colours import OKABE_ITO as OKABE_ITO  # figures take all their colours from here
from .overlay import as_array

Shape = tuple[int, int, int]  # channels, height, width
Point = tuple[float, float]  # x, y
LIGHT_GREY = "#e6e6e6"


def use_style() -> None:
    """Set matplotlib's defaults for the whole session.

    Figures have a white background, which stays readable on dark pages, grey images and our
    colours.
    """
    mpl.rcParams.update(
        {
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "figure.constrained_layout.use": True,
            "figure.dpi": 110,
            "savefig.dpi": 110,
            "font.size": 11,
            "axes.titlesize": 11,
            "axes.labelsize": 11,
            "axes.prop_cycle": cycler(color=[BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, BLACK]),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "axes.grid": True,
            "grid.color": LIGHT_GREY,
            "legend.frameon": False,
            "image.cmap": "gray",
            "image.interpolation": "antialiased",
        }
    )


def panels(
    rows: int = 1,
    columns: int = 1,
    *,
    size: tuple[float, float],
    title: str,
    data: str = "",
    **options: Any,
) -> tuple[Figure, Any]:
    """A figure of several panels, with a title over all of them and whose data they show.

    Parameters
    ----------
    rows, columns : int
        How many panels.
    size : (float, float)
        Width and height of the figure, in inches.
    title : str
        Over all panels.
    data : str
        A second line of it, such as a cohort's label.
    **options
        For `plt.subplots`.

    Returns
    -------
    figure : Figure
    axes : Axes, or array of Axes
        As `plt.subplots` returns it.
    """
    figure, axes = plt.subplots(rows, columns, figsize=size, **options)
    figure.suptitle(f"{title}\n{data}".strip(), fontsize=11)
    return figure, axes


# Slices and masks.


def show_slice(
    image: np.ndarray,
    mask: np.ndarray | None = None,
    prediction: np.ndarray | None = None,
    ax: Axes | None = None,
    title: str | None = None,
    line: float = 1.8,
) -> Axes:
    """Show a slice, with the outlines of the true and of the predicted mask.

    Parameters
    ----------
    image : (height, width) or (height, width, 3)
        uint8 is shown as it is, from 0 to 255; a float array from its least to its greatest value.
    mask, prediction : bool (height, width), optional
    ax : Axes, optional
        The current one if not given.
    title : str, optional
    line : float
        Width of the true outline in points. The predicted one is a little thinner, so that both
        show where they agree.

    Returns
    -------
    Axes

    Raises
    ------
    LggError
        If this is no slice, or a mask has another height or width.
    """
    if ax is None:
        ax = plt.gca()
    image = as_array(image)
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise LggError(
            f"image is {image.shape}; a slice is (H, W) or (H, W, 3): index the volume, image[k]"
        )
    if image.dtype == np.uint8:
        ax.imshow(image, vmin=0, vmax=255)
    else:
        ax.imshow(image)
    height, width = image.shape[:2]
    if mask is not None:
        draw_contour(mask, (height, width), ax, TRUTH, line)
    if prediction is not None:
        draw_contour(prediction, (height, width), ax, PREDICTION, 0.7 * line)
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))  # outlines do not widen the view
    ax.set_axis_off()
    ax.set_title(title or "")
    return ax


def draw_contour(
    mask: np.ndarray, shape: tuple[int, int], ax: Axes, colour: str, width: float = 1.5
) -> None:
    """Draw the border of a mask; an empty mask draws nothing.

    Parameters
    ----------
    mask : bool (height, width)
    shape : (int, int)
        Of the image that it must fit.
    ax : Axes
    colour : str
    width : float
        Of the line, in points.
    """
    mask = as_array(mask)
    if mask.shape != shape:
        raise LggError(
            f"mask is {mask.shape}, image is {shape}; a mask has the height and width of its image"
        )
    if not mask.any():
        return
    padded = np.pad(mask.astype(float), 1)  # so that borders at the image's edge are closed
    rows = np.arange(-1, shape[0] + 1)
    columns = np.arange(-1, shape[1] + 1)
    ax.contour(columns, rows, padded, [0.5], colors=colour, linewidths=width)


def legend(
    ax: Axes,
    truth: str | None = "manual mask",
    prediction: str | None = "prediction",
    **options: Any,
) -> Axes:
    """Add a legend for the outlines of `show_slice`.

    Parameters
    ----------
    ax : Axes
    truth, prediction : str, optional
        What the outlines are called; None leaves one out.
    **options
        For `ax.legend`.

    Returns
    -------
    Axes
    """
    names = []
    lines = []
    for name, colour in ((truth, TRUTH), (prediction, PREDICTION)):
        if name:
            names.append(name)
            lines.append(Line2D([], [], color=colour, linewidth=2))
    ax.legend(lines, names, **options)
    return ax


def montage(
    image: np.ndarray,
    mask: np.ndarray | None = None,
    prediction: np.ndarray | None = None,
    slices: Sequence[int] | None = None,
    columns: int = 6,
    ax: Axes | None = None,
    title: str | None = None,
    line: float = 0.9,
) -> Axes:
    """Show slices of a volume side by side, with outlines and slice numbers (from 1).

    Parameters
    ----------
    image : (slices, height, width) or (slices, height, width, 3)
    mask, prediction : bool (slices, height, width), optional
    slices : sequence of int, optional
        Indices from 0; up to 12 spread evenly over the volume if not given.
    columns : int
        Slices in a row.
    ax : Axes, optional
        The current one if not given.
    title : str, optional
    line : float
        Width of the outlines in points.

    Returns
    -------
    Axes
    """
    if slices is None:
        evenly = np.linspace(0, len(image) - 1, min(12, len(image)))
        slices = np.unique(evenly.round().astype(int)).tolist()
    chosen = list(slices)
    tiled = tile(as_array(image)[chosen], columns)
    if mask is not None:
        mask = tile(as_array(mask)[chosen], columns)
    if prediction is not None:
        prediction = tile(as_array(prediction)[chosen], columns)
    ax = show_slice(tiled, mask, prediction, ax=ax, title=title, line=line)
    height, width = image.shape[1:3]
    for i, k in enumerate(chosen):
        row, column = divmod(i, columns)
        x = column * width + 6
        y = row * height + 8
        ax.text(x, y, str(k + 1), color="white", va="top", size=8)
    return ax


def closeup(
    image: np.ndarray,
    mask: np.ndarray,
    prediction: np.ndarray,
    ax: Axes,
    title: str | None = None,
    columns: int = 5,
    margin: int = 16,
) -> Axes:
    """Show slices spread over a tumour, cut out around the tumour and what was predicted.

    Parameters
    ----------
    image : (slices, height, width)
        One sequence of a scan.
    mask, prediction : bool (slices, height, width)
        At least one of them is not empty.
    ax : Axes
    title : str, optional
    columns : int
        How many slices, at most.
    margin : int
        Pixels around what is drawn.

    Returns
    -------
    Axes
    """
    drawn = as_array(mask) | as_array(prediction)
    slices = np.flatnonzero(drawn.any(axis=(1, 2)))
    evenly = np.linspace(0, len(slices) - 1, min(columns, len(slices)))
    slices = slices[evenly.round().astype(int)]
    rows = np.flatnonzero(drawn.any(axis=(0, 2)))[[0, -1]]
    across = np.flatnonzero(drawn.any(axis=(0, 1)))[[0, -1]]
    side = max(rows[1] - rows[0], across[1] - across[0]) + 2 * margin
    window = [slice(None)]
    for (first, last), size in zip((rows, across), drawn.shape[1:]):
        start = np.clip((first + last - side) // 2, 0, max(0, size - side))
        window.append(slice(start, start + side))
    cut = tuple(window)
    return montage(image[cut], mask[cut], prediction[cut], slices, columns, ax, title)


def zoom_to(mask: np.ndarray, ax: Axes, margin: int = 30) -> Axes:
    """Show only what lies around a mask.

    Parameters
    ----------
    mask : bool (height, width)
        Not empty.
    ax : Axes
        With a picture of the same size.
    margin : int
        Pixels around the mask.

    Returns
    -------
    Axes
    """
    rows, columns = np.nonzero(mask)
    ax.set_xlim(columns.min() - margin, columns.max() + margin)
    ax.set_ylim(rows.max() + margin, rows.min() - margin)
    return ax


def tile(stack: np.ndarray, columns: int) -> np.ndarray:
    """Arrange pictures in rows of one picture.

    Parameters
    ----------
    stack : (n, height, width, ...)
    columns : int
        Pictures in a row, at most.

    Returns
    -------
    (rows * height, columns * width, ...)
        Filled row by row, the rest with zeros.
    """
    n, height, width, *rest = stack.shape
    columns = min(columns, n)
    rows = math.ceil(n / columns)
    full = np.zeros((rows * columns, height, width, *rest), stack.dtype)
    full[:n] = stack
    grid = full.reshape(rows, columns, height, width, *rest).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, *rest)


def show_region(region: np.ndarray, ax: Axes, title: str = "") -> Axes:
    """Show a region bool (height, width): blue on black."""
    ax.imshow(region, cmap=ListedColormap(["black", SKY]), vmin=0, vmax=1)
    ax.set_axis_off()
    ax.set_title(title)
    return ax


def show_signed(levels: np.ndarray, reach: float, ax: Axes, title: str = "") -> Axes:
    """Show levels (height, width) that may be negative.

    They are blue below 0, white at 0 and red above; colours are full at `reach`.
    """
    ax.imshow(levels, cmap="RdBu_r", vmin=-reach, vmax=reach)
    ax.set_axis_off()
    ax.set_title(title)
    return ax


# Groups and tables.


def dots_by_group(
    values: pd.Series,
    groups: pd.Series,
    ax: Axes,
    colours: dict[Any, str] | None = None,
    order: Sequence[Any] | None = None,
    size: float = 14,
) -> Axes:
    """Draw a dot for every patient, side by side by group, over a box of the middle half.

    Parameters
    ----------
    values : Series
        A number per patient; NaN is left out.
    groups : Series
        A name per patient; a patient without one is left out.
    ax : Axes
    colours : dict, optional
        Of the dots, by group; black for groups that are not in it.
    order : sequence, optional
        The groups from left to right; sorted if not given.
    size : float
        Of the dots.

    Returns
    -------
    Axes
    """
    if order is None:
        order = sorted(groups.dropna().unique())
    if colours is None:
        colours = {}
    rng = np.random.default_rng(0)
    for place, name in enumerate(order):
        members = values[groups == name].dropna().to_numpy(float)
        if not len(members):
            continue
        ax.boxplot(
            [members],
            positions=[place],
            widths=0.6,
            showfliers=False,
            patch_artist=True,
            manage_ticks=False,
            boxprops={"facecolor": "#e8e8e8", "edgecolor": "#888888"},
            medianprops={"color": BLACK},
        )
        aside = place + rng.uniform(-0.18, 0.18, len(members))
        ax.scatter(aside, members, s=size, color=colours.get(name, BLACK), zorder=3)
    ax.set(xticks=range(len(order)), xticklabels=list(order), xlim=(-0.6, len(order) - 0.4))
    return ax


def sorted_scores(scores: pd.DataFrame, ax: Axes, colours: dict[str, str]) -> Axes:
    """Draw two or more scores of every patient, joined by a line, patients in the table's order.

    Parameters
    ----------
    scores : DataFrame
        A row per patient, a column per score; NaN is left out.
    ax : Axes
    colours : dict
        Of the columns.

    Returns
    -------
    Axes
    """
    places = np.arange(len(scores))
    ax.vlines(places, scores.min(axis=1), scores.max(axis=1), color="#bbbbbb", linewidth=1)
    for name, colour in colours.items():
        ax.plot(places, scores[name], "o", color=colour, markersize=4, label=name)
    return ax


def means_with_intervals(
    rows: dict[str, dict[str, Sequence[float]]], ax: Axes, colours: dict[str, str]
) -> Axes:
    """Draw statistics of several studies below each other, the first on top.

    Parameters
    ----------
    rows : dict
        By study, by statistic: a value alone, drawn hollow, or a value and the two ends of its
        interval, drawn full.
    ax : Axes
    colours : dict
        Of the statistics; their order is the order within a row.

    Returns
    -------
    Axes
    """
    for place, values in enumerate(rows.values()):
        for shift, (statistic, colour) in enumerate(colours.items()):
            if statistic not in values:
                continue
            value, *ends = values[statistic]
            height = place + 0.24 * (shift - (len(colours) - 1) / 2)
            if ends:
                ax.plot(ends, [height] * 2, color=colour, linewidth=3)
                ax.plot(value, height, "o", color=colour, markersize=8)
            else:
                ax.plot(value, height, "D", color=colour, markerfacecolor="white")
    ax.set_yticks(range(len(rows)), list(rows))
    ax.set_ylim(len(rows) - 0.4, -0.6)
    handles = [Line2D([], [], color=colour, linewidth=3) for colour in colours.values()]
    ax.legend(handles, list(colours), loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def heat(
    table: pd.DataFrame,
    ax: Axes,
    low: float,
    high: float,
    notes: pd.DataFrame | None = None,
    label: str = "",
) -> Axes:
    """Show a table as colours, with its numbers in the cells. Empty cells stay white.

    Parameters
    ----------
    table : DataFrame
        Numbers.
    ax : Axes
    low, high : float
        Shown dark and bright.
    notes : DataFrame, optional
        Text for the cells, in place of the numbers.
    label : str
        What the colours measure, beside a colour bar; without it there is no bar.

    Returns
    -------
    Axes
    """
    values = table.to_numpy(float)
    shown = ax.imshow(values, vmin=low, vmax=high, cmap="viridis", aspect="auto")
    ax.set_xticks(range(table.shape[1]), table.columns)
    ax.set_yticks(range(len(table)), table.index)
    ax.tick_params(length=0, labelsize=9)
    ax.grid(False)
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):
            continue
        text = f"{value:.2f}"
        if notes is not None:
            text = notes.iat[row, column]
        colour = BLACK
        if value < (low + high) / 2:
            colour = "white"
        ax.text(column, row, text, ha="center", va="center", size=9, color=colour)
    if label:
        ax.figure.colorbar(shown, ax=ax, label=label)
    return ax


def equality(x: pd.Series, y: pd.Series, ax: Axes, shade: pd.Series) -> PathCollection:
    """Draw two measurements of the same patients against each other, with the line of equality.

    Parameters
    ----------
    x, y : Series of float (n,)
    ax : Axes
    shade : Series of float (n,)
        Colours the dots, from 0.5 to 1, such as a Dice.

    Returns
    -------
    PathCollection
        The dots, for a colour bar.
    """
    dots = _shaded_dots(x, y, ax, shade)
    ends = [min(x.min(), y.min()), max(x.max(), y.max())]
    ax.plot(ends, ends, color="grey", linewidth=1)
    return dots


def bland_altman(x: pd.Series, y: pd.Series, ax: Axes, shade: pd.Series) -> PathCollection:
    """Draw the differences y - x over the means, with the bias and the limits of agreement.

    Parameters and result are those of `equality`. Source: Bland and Altman, The Lancet, 1986.
    """
    difference = y - x
    dots = _shaded_dots((x + y) / 2, difference, ax, shade)
    reach = 1.96 * difference.std()
    ax.axhline(0, color="grey", linewidth=1)
    ax.axhline(difference.mean(), color=VERMILION)
    for limit in (difference.mean() - reach, difference.mean() + reach):
        ax.axhline(limit, color=VERMILION, linestyle=":")
    return dots


def _shaded_dots(x: pd.Series, y: pd.Series, ax: Axes, shade: pd.Series) -> PathCollection:
    look: dict[str, Any] = {
        "cmap": "viridis",
        "vmin": 0.5,
        "vmax": 1,
        "edgecolor": "black",
        "linewidth": 0.5,
    }
    return ax.scatter(x, y, c=shade, s=28, **look)


def roc_curve(
    scores: np.ndarray,
    labels: np.ndarray,
    ax: Axes,
    colour: str = BLUE,
    name: str | None = None,
) -> Axes:
    """Draw an ROC curve.

    Upwards is the fraction of positives that are found, to the right the fraction of the others
    that are called positive by mistake.

    Parameters
    ----------
    scores : (n,)
        High where a positive is expected.
    labels : bool (n,)
        At least one True and one False.
    ax : Axes
    colour, name : str
        Of the curve.

    Returns
    -------
    Axes
    """
    found = [0.0]
    mistaken = [0.0]
    for cut in np.sort(np.unique(scores))[::-1]:
        found.append(float(np.mean(scores[labels] >= cut)))
        mistaken.append(float(np.mean(scores[~labels] >= cut)))
    unit_square(ax)
    ax.plot(mistaken, found, color=colour, linewidth=2, label=name)
    return ax


def unit_square(ax: Axes) -> Axes:
    """Prepare for two fractions from 0 to 1: a square, with the line on which they are equal."""
    ax.plot([0, 1], [0, 1], color="grey", linewidth=1)
    ax.set(aspect="equal", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    return ax


def means_of_patients(
    scores: pd.DataFrame,
    ax: Axes,
    colour: str = BLUE,
    line: str = "-",
    shift: float = 0.0,
    name: str | None = None,
) -> Axes:
    """Draw a curve of means over patients, each with its 95 % interval.

    The interval is that of `scipy.stats.bootstrap`, by percentiles of 10,000 draws of patients.

    Parameters
    ----------
    scores : DataFrame
        A row per patient, a column per place on the x axis, such as 5, 10 and 20.
    ax : Axes
    colour, line, name : str
        Of the curve.
    shift : float
        To the right, so that several curves do not hide each other.

    Returns
    -------
    Axes
    """
    from scipy import stats  # here, since it takes long to import

    means = scores.mean()
    drawn = stats.bootstrap(
        (scores.to_numpy(),), np.mean, n_resamples=10_000, method="percentile", rng=0
    )
    ends = drawn.confidence_interval
    places = scores.columns.to_numpy(float) + shift
    reach = (means - ends.low, ends.high - means)
    ax.errorbar(places, means, reach, color=colour, ls=line, marker="o", capsize=3, label=name)
    return ax


def seed_dots(
    scores: pd.DataFrame,
    ax: Axes,
    colour: str = BLUE,
    label: str | None = None,
    shift: float = 0.0,
) -> Axes:
    """Show scores of repeated trainings: a dot for each, and a dash at the mean of each column.

    Parameters
    ----------
    scores : DataFrame
        A row per seed, a column per variant; NaN is left out.
    ax : Axes
        Variants stand at 0, 1, 2, ... with their names below.
    colour, label : str
        Of dots and dashes.
    shift : float
        To the right, so that several tables can stand side by side.

    Returns
    -------
    Axes
    """
    for place, variant in enumerate(scores.columns):
        values = scores[variant].dropna()
        middle = place + shift
        once = None
        if place == 0:
            once = label  # in the legend once, not for each variant
        ax.plot([middle] * len(values), values, "o", color=colour, alpha=0.6, label=once)
        ax.plot([middle - 0.1, middle + 0.1], [values.mean()] * 2, color=colour, linewidth=2)
    ax.set_xticks(range(len(scores.columns)), scores.columns)
    return ax


# A tumour's shape.

SECTOR_COLOURS = np.array(OKABE_ITO)[1:6]  # used twice for the ten sectors


def outline_by_sector(image: np.ndarray, line: Outline, ax: Axes, title: str = "") -> Axes:
    """Draw a tumour's outline on its slice, each of the ten sectors in a colour.

    Parameters
    ----------
    image : (height, width)
    line : Outline
    ax : Axes
    title : str

    Returns
    -------
    Axes
    """
    show_slice(image, ax=ax, title=title)
    down, right = (line.points - line.centroid).T
    reach = 1.25 * np.hypot(down, right).max()
    row, column = line.centroid
    for angle in np.radians(np.arange(0, 360, 36)):
        x = [column, column + reach * np.cos(angle)]
        y = [row, row + reach * np.sin(angle)]
        ax.plot(x, y, color="white", linewidth=0.7)
    colours = SECTOR_COLOURS[sectors(line.angle) % 5]
    ax.scatter(line.points[:, 1], line.points[:, 0], c=colours, s=5)
    ax.set(xlim=(column - reach, column + reach), ylim=(row + reach, row - reach))
    return ax


def signal_by_sector(line: Outline, ax: Axes, title: str = "") -> Axes:
    """Draw the boundary signal along an outline, with its moving average as a black line.

    Each sector has the colour that `outline_by_sector` gives it.
    """
    along = np.arange(len(line.radius)) / len(line.radius)
    colours = SECTOR_COLOURS[sectors(line.angle) % 5]
    ax.scatter(along, line.radius, c=colours, s=8, label="distance, by sector")
    ax.plot(along, smooth(line.radius), color=BLACK, linewidth=1.2, label="moving average")
    ax.set(xlabel="way along the outline", title=title)
    return ax


def ellipsoid_section(ellipsoid: Ellipsoid, height: float, points: int = 100) -> np.ndarray:
    """The ellipse in which a horizontal plane cuts an ellipsoid.

    Parameters
    ----------
    ellipsoid : Ellipsoid
        With axes z, y, x.
    height : float
        z of the plane.
    points : int
        How many to return.

    Returns
    -------
    float (points, 2)
        Row and column; NaN if the plane misses the ellipsoid.

    Examples
    --------
    >>> ball = Ellipsoid(np.zeros(3), np.diag([25.0, 25.0, 25.0]))
    >>> np.abs(ellipsoid_section(ball, 3.0)).max(axis=0).round(2)  # a circle of radius 4
    array([4., 4.])
    """
    matrix = ellipsoid.matrix
    above = height - ellipsoid.centre[0]
    size = 1 - above**2 / matrix[0, 0]  # 1 through the centre, 0 where the plane only touches
    if size < 0:
        return np.full((points, 2), np.nan)
    lean = matrix[1:, 0] / matrix[0, 0]  # how far the ellipse moves as the plane rises by 1
    middle = ellipsoid.centre[1:] + above * lean
    section = size * (matrix[1:, 1:] - np.outer(lean, matrix[0, 1:]))
    turn = np.linspace(0, 2 * np.pi, points)
    circle = np.stack([np.sin(turn), np.cos(turn)])
    axes = np.linalg.cholesky(section + 1e-12 * np.eye(2))
    return middle[None] + (axes @ circle).T


def ellipsoid_slices(mask: np.ndarray, ellipsoid: Ellipsoid, axes: Sequence[Axes]) -> None:
    """Draw a tumour's slices, and the sections of an ellipsoid around it.

    Parameters
    ----------
    mask : bool (slices, height, width), not empty
    ellipsoid : Ellipsoid
        Around the corners of the mask's voxels.
    axes : sequence of Axes
        One slice in each; the slices are spread evenly over those with tumour. Where there are more
        axes than slices, the last ones stay empty.
    """
    with_tumour = np.flatnonzero(mask.any(axis=(1, 2)))
    shown = min(len(axes), len(with_tumour))
    evenly = np.linspace(0, len(with_tumour) - 1, shown).round().astype(int)
    for spare in axes[shown:]:
        spare.set_axis_off()
    reach = np.sqrt(np.diag(ellipsoid.matrix)[1:].max()) + 3
    row, column = ellipsoid.centre[1:] - 0.5
    for ax, k in zip(axes[:shown], with_tumour[evenly], strict=True):
        ax.imshow(mask[k], cmap=ListedColormap(["white", GREEN]), vmin=0, vmax=1, alpha=0.6)
        section = ellipsoid_section(ellipsoid, k + 0.5)  # voxel k reaches from k to k + 1
        ax.plot(section[:, 1] - 0.5, section[:, 0] - 0.5, color=BLUE, linewidth=1.5)
        ax.set(
            xlim=(column - reach, column + reach),
            ylim=(row + reach, row - reach),
            xticks=[],
            yticks=[],
            title=f"slice {k + 1}",
        )
        ax.grid(False)


# The U-Net's architecture.


def activation_shapes(model: UNet, size: int = 256) -> dict[str, Shape]:
    """Shape of what each part of a U-Net returns for one image, seen by hooks in a forward pass.

    Parameters
    ----------
    model : UNet
    size : int
        Height and width of the image.

    Returns
    -------
    dict
        Name -> (channels, height, width). The names are encoder.0 ..., bottom, up.0 ... (after
        concatenation), decoder.0 ..., head.
    """
    shapes: dict[str, Shape] = {}
    hooks = []
    for name, part in model.named_modules():
        in_list = name.rpartition(".")[0] in ("encoder", "up", "decoder")
        if in_list or name in ("bottom", "head"):
            hooks.append(part.register_forward_hook(_shape_recorder(shapes, name)))
    weight = model.head.weight
    image = torch.zeros(1, model.in_channels, size, size, device=weight.device, dtype=weight.dtype)
    was_training = model.training
    try:
        with torch.no_grad():
            model.eval()(image)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return shapes


def _shape_recorder(shapes: dict[str, Shape], name: str) -> Any:
    """A forward hook that notes the shape of an output under a name."""

    def record(_part: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        _, channels, height, width = output.shape
        shapes[name] = (channels, height, width)

    return record


def architecture(model: UNet, ax: Axes | None = None, size: int = 256) -> Axes:
    """Draw a U-Net from the object itself.

    Boxes are activations, as high as the logarithm of their size and as wide as that of their
    channels; skip connections are arrows.

    Parameters
    ----------
    model : UNet
    ax : Axes, optional
        Of a new figure if not given.
    size : int
        Height and width of the input.

    Returns
    -------
    Axes
    """
    shapes = activation_shapes(model, size)
    last = model.depth - 1
    if ax is None:
        _, ax = plt.subplots(figsize=(3 + 1.7 * model.depth, 1.2 + 1.05 * model.depth))
    boxes = {"input": _box(ax, 0, 0, (model.in_channels, size, size), "#bbbbbb")}
    for level in range(last):
        name = f"encoder.{level}"
        boxes[name] = _box(ax, 1.2 + level, level, shapes[name], SKY)
    boxes["bottom"] = _box(ax, 1.2 + last, last, shapes["bottom"], SKY)
    for i, level in enumerate(reversed(range(last))):
        x = 2.2 + last + 1.7 * i
        up = f"up.{i}"
        skipped = shapes[f"encoder.{level}"][0] / shapes[up][0]
        boxes[up] = _box(ax, x, level, shapes[up], YELLOW, skipped)
        decoder = f"decoder.{i}"
        boxes[decoder] = _box(ax, x + 0.95, level, shapes[decoder], ORANGE)
    boxes["head"] = _box(ax, 2.2 + last + 1.7 * last + 0.1, 0, shapes["head"], "#bbbbbb")
    _arrows(ax, boxes, last)
    ax.set(xlim=(-0.5, 2.9 + 2.7 * last), ylim=(-last - 0.62, 0.62))
    ax.set_axis_off()
    return ax


def _box(
    ax: Axes, x: float, level: int, shape: Shape, colour: str, skipped: float = 0
) -> Rectangle:
    """Draw one activation, its left edge at `x`.

    `skipped` is the fraction of its channels that came over the skip connection: that part has the
    encoder's colour.
    """
    channels, size, _ = shape
    width = 0.06 + 0.045 * math.log2(channels)
    height = 0.02 + 0.08 * math.log2(size)
    y = -level - height / 2
    box = Rectangle((x, y), width, height, facecolor=colour, edgecolor=BLACK, linewidth=0.8)
    ax.add_patch(box)
    if skipped:
        part = Rectangle(
            (x, y), width * skipped, height, facecolor=SKY, edgecolor=BLACK, linewidth=0.8
        )
        ax.add_patch(part)
    middle = x + width / 2
    ax.text(middle, y + height + 0.02, str(channels), ha="center", va="bottom", size=10)
    if not skipped:  # beside a concatenation is the decoder block, which has the same size
        ax.text(middle, y - 0.03, f"{size}²", ha="center", va="top", size=8, color="#555555")
    return box


def _arrows(ax: Axes, boxes: dict[str, Rectangle], last: int) -> None:
    """Draw blocks, pooling, up-convolutions, and skip connections with their turn on the stack."""
    _arrow(ax, boxes["input"], boxes["encoder.0"], BLACK)
    encoder = [boxes[f"encoder.{level}"] for level in range(last)] + [boxes["bottom"]]
    for above, below in pairwise(encoder):
        _arrow(ax, above, below, VERMILION)
    before = boxes["bottom"]
    for i, level in enumerate(reversed(range(last))):
        up = boxes[f"up.{i}"]
        start, end = _arrow(ax, encoder[level], up, BLUE, linestyle=(0, (4, 2)))
        push = f"push {level + 1}"
        pop = f"pop {level + 1}"
        ax.text(start[0] + 0.1, start[1] + 0.03, push, color=BLUE, size=9, va="bottom")
        ax.text(end[0] - 0.12, end[1] + 0.03, pop, color=BLUE, size=9, va="bottom", ha="right")
        _arrow(ax, before, up, GREEN)  # lands on the half that the up-convolution fills
        _arrow(ax, up, boxes[f"decoder.{i}"], BLACK)
        before = boxes[f"decoder.{i}"]
    _arrow(ax, before, boxes["head"], PURPLE)
    _explain(ax)


def _explain(ax: Axes) -> None:
    """Add two legends: what the boxes are, and what the arrows do."""
    boxes = {
        "encoder block's output": SKY,
        "up-convolution's output": YELLOW,
        "decoder block's output": ORANGE,
    }
    arrows = {
        "max pooling 2×2, then a block": VERMILION,
        "up-convolution 2×2": GREEN,
        "skip connection, by hooks": BLUE,
        "block: 2 × (conv 3×3, norm, ReLU)": BLACK,
        "conv 1×1": PURPLE,
    }
    patches = [Patch(facecolor=colour, edgecolor=BLACK) for colour in boxes.values()]
    lines = [Line2D([], [], color=colour) for colour in arrows.values()]
    ax.add_artist(ax.legend(patches, list(boxes), loc="lower left", fontsize=9, handlelength=1.2))
    ax.legend(lines, list(arrows), loc="lower right", fontsize=9, handlelength=1.4)


def _arrow(
    ax: Axes, source: Rectangle, goal: Rectangle, colour: str, **style: Any
) -> tuple[Point, Point]:
    """Draw an arrow from the right edge of a box to another box; return both of its ends.

    It ends at the left edge of a box beside it, or at the top or bottom of one below or above.
    """
    right = source.get_x() + source.get_width()
    source_middle = source.get_y() + source.get_height() / 2
    goal_middle = goal.get_y() + goal.get_height() / 2
    rise = goal_middle - source_middle
    start = (right, source_middle)
    end = (goal.get_x(), goal_middle)
    if rise < -0.1:  # down, to the upper part of the box below
        start = (right, source.get_y() + 0.1)
        end = (goal.get_x(), goal.get_y() + goal.get_height() * 0.8)
    elif rise > 0.1:  # up, from below, to the half that the up-convolution fills
        end = (goal.get_x() + 0.75 * goal.get_width(), goal.get_y())
    properties = {"arrowstyle": "-|>", "color": colour, "shrinkA": 2, "shrinkB": 1, **style}
    ax.annotate("", end, start, arrowprops=properties)
    return start, end
