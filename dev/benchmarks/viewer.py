"""A step of the viewer's slider and its page without a kernel, against matplotlib figures."""

import base64
import io

import numpy as np
from matplotlib import pyplot as plt

from lggseg.data.cohort import Volume
from lggseg.viewer import SliceViewer
from lggseg.viewer.colours import PREDICTION, TRUTH

from .bench import Bench
from .timing import Row, clock, compare


def redraw(volume: Volume, probability: np.ndarray, at: int) -> bytes:
    """A new figure of 512 x 512 pixels as PNG bytes, as the inline backend makes at each step."""
    figure, axes = plt.subplots(figsize=(5.12, 5.12), dpi=100)
    axes.imshow(volume.image[at, ..., 1], cmap="gray", vmin=0, vmax=255)
    axes.imshow(np.ma.masked_less(probability[at], 0.01), cmap="Oranges", alpha=0.6, vmin=0, vmax=1)
    for values, colour in ((volume.mask[at], TRUTH), (probability[at], PREDICTION)):
        if values.min() < 0.5 < values.max():  # matplotlib warns where there is no line to draw
            axes.contour(values, [0.5], colors=colour)
    axes.set_title(f"slice {at + 1}")
    axes.axis("off")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    plt.close(figure)
    return buffer.getvalue()


def page_of_figures(volume: Volume, probability: np.ndarray, depth: int) -> str:
    """A page with one figure per slice, to be leafed through; no control acts on them."""
    figures = [redraw(volume, probability, at) for at in range(depth)]
    return "".join(
        f'<img src="data:image/png;base64,{base64.b64encode(one).decode()}">' for one in figures
    )


def rows(bench: Bench) -> list[Row]:
    """A patient with manual mask and a probability map, shown at 512 pixels."""
    plt.switch_backend("agg")
    volume = bench.patient()
    probability = (
        0.5 * volume.mask.astype(np.float32)
        + 0.25 * np.roll(volume.mask, 5, axis=2)
        + 0.25 * np.roll(volume.mask, 5, axis=1)
    )
    viewer = SliceViewer(volume.image, volume.mask, probability, width=512)
    viewer.style["prediction"].value = "probability"
    depth = 4 if bench.quick else len(volume.image)

    def step() -> None:
        viewer.slice_slider.value = (viewer.slice_slider.value + 1) % len(volume.image)

    def figure() -> None:
        redraw(volume, probability, viewer.slice_slider.value)

    found = [
        Row(
            "viewer: a step of the slider",
            "matplotlib figure, drawn anew",
            compare(clock(step), clock(figure), bench.repeats),
        ),
        Row(
            "viewer: static page",
            "page of one matplotlib figure per slice",
            compare(
                clock(viewer.page),
                clock(lambda: page_of_figures(volume, probability, depth)),
                min(3, bench.repeats),
            ),
        ),
    ]
    viewer.close()
    return found
