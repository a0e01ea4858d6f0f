"""What a slider step costs: `python benchmarks/viewer.py [--steps 200] [--size 256]`.

Beside the viewer's step stands, in the same run, what notebooks usually do instead: draw slice, truth and probability
map anew as a matplotlib figure. CPU time is told too, since it hardly depends on what else the machine does.
"""

import argparse
import io
import time

import numpy as np
from matplotlib import pyplot as plt
from scipy import ndimage

from lggseg.colours import PREDICTION, TRUTH
from lggseg.viewer import SliceViewer
from lggseg.viewer.overlay import encode


def scan(size: int, depth: int = 24) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(image uint8 (D,H,W,3), mask, probability): noise under a blob; no data set needed."""
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(size=(depth, size, size)), (1, size / 24, size / 24))
    grey = (120 + 40 * smooth / smooth.std() + rng.normal(0, 8, smooth.shape)).clip(0, 255).astype(np.uint8)
    mask = ndimage.gaussian_filter(rng.normal(size=smooth.shape), (1, size / 24, size / 24)) > 0
    mask &= np.hypot(*np.ogrid[-size / 2:size / 2, -size / 2:size / 2]) < size / 5
    probability = ndimage.gaussian_filter(mask.astype(np.float32), (0, 2, 2)).clip(0, 1)
    return np.repeat(grey[..., None], 3, axis=-1), mask, probability


def redraw(image, mask, probability, at: int) -> bytes:
    """A new figure of 512 x 512 pixels as PNG bytes, as the inline backend makes after each step."""
    figure, axes = plt.subplots(figsize=(5.12, 5.12), dpi=100)
    axes.imshow(image[at, ..., 1], cmap="gray", vmin=0, vmax=255)
    axes.imshow(np.ma.masked_less(probability[at], 0.01), cmap="Oranges", alpha=0.6, vmin=0, vmax=1)
    axes.contour(mask[at], [0.5], colors=TRUTH)
    axes.contour(probability[at], [0.5], colors=PREDICTION)
    axes.set_title(f"slice {at + 1}")
    axes.axis("off")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    plt.close(figure)
    return buffer.getvalue()


def cost(step, depth: int, steps: int) -> np.ndarray:
    """Median and 95th percentile of wall-clock time, and median CPU time, of `step(slice)`, each in ms."""
    clocks = np.array([(time.perf_counter(), time.thread_time(), step(i % depth))[:2] for i in range(steps + 3)])
    spent = 1000 * np.diff(clocks, axis=0)[2:]  # the first steps warm up
    return np.array([*np.percentile(spent[:, 0], [50, 95]), np.median(spent[:, 1])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--size", type=int, default=256, help="pixels a side of the scan; shown at 512")
    given = parser.parse_args()
    plt.switch_backend("agg")
    image, mask, probability = scan(given.size)
    viewer = SliceViewer(image, mask, probability, width=512)
    viewer.style["prediction"].value = "probability"

    def step(at: int) -> None:
        viewer.slice_slider.value = at

    size = len(encode(viewer.render()))
    rows = {"viewer step": cost(step, len(image), given.steps),
            "matplotlib redraw": cost(lambda at: redraw(image, mask, probability, at), len(image), given.steps // 4)}
    height, width = viewer.render().shape[:2]
    print(f"truth and probability map, shown at {width} x {height}; {size / 1000:.0f} kB a step")
    for name, (median, high, cpu) in rows.items():
        print(f"{name:<18} median {median:6.1f} ms   p95 {high:6.1f} ms   CPU time {cpu:6.1f} ms")
    print(f"ratio of medians {rows['matplotlib redraw'][0] / rows['viewer step'][0]:.0f}")


if __name__ == "__main__":
    main()
