"""Scans under a slider: each step sends one small JPEG to a plain ipywidgets Image.

Redrawing a matplotlib figure costs 90 to 230 ms a step and flickers; composing the slice in numpy and
encoding it with Pillow costs a few milliseconds. Core ipywidgets only, so 7.7.1 (Colab) and 8 both do.
`python benchmarks/viewer.py` measures a step.
"""

import html
import io
import math
from contextlib import contextmanager

import ipywidgets as widgets
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from .errors import LggError
from .metrics import dice

TRUTH, PREDICTION = "#009E73", "#D55E00"  # Okabe-Ito green and vermilion
SEQUENCES = {"pre-contrast": 0, "FLAIR": 1, "post-contrast": 2, "all three as colours": slice(None)}
NAMES = {"truth": "manual outline", "prediction": "prediction"}
COLOURS = {"truth": TRUTH, "prediction": PREDICTION}


def windowed(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map uint8 grey values linearly so that `low` becomes black and `high` white, uint8 of the same shape."""
    table = (np.arange(256) - low) / max(high - low, 1) * 255
    return table.clip(0, 255).astype(np.uint8)[pixels]


def outline(mask: np.ndarray, width: int = 1, outside: bool = False) -> np.ndarray:
    """The line `width` pixels wide along the border of a bool (H,W) mask, just inside it or just outside.

    The truth is drawn inside and the prediction outside: where the two agree, both lines stay visible.
    """
    here, there = (~mask, mask) if outside else (mask, ~mask)
    wide, w = np.pad(there, width, constant_values=not outside), slice(width, -width)
    return here & (wide[:-2 * width, w] | wide[2 * width:, w] | wide[w, :-2 * width] | wide[w, 2 * width:])


def blend(picture: np.ndarray, weight: np.ndarray, colour: str) -> None:
    """Mix `colour` into a uint8 (H,W,3) picture in place; `weight` (H,W) runs from 0 (nothing) to 1 (all)."""
    where = np.flatnonzero(weight)
    flat, share = picture.reshape(-1, 3), weight.reshape(-1)[where, None]
    flat[where] = flat[where] * (1 - share) + 255 * np.array(to_rgb(colour), np.float32) * share + 0.5


def enlarge(pixels: np.ndarray, scale: int) -> np.ndarray:
    """Repeat each pixel of (H,W) `scale` times down and across."""
    return pixels.repeat(scale, axis=0).repeat(scale, axis=1)


def encode(picture: np.ndarray) -> bytes:
    """uint8 (H,W,3) as JPEG. Full colour resolution keeps thin lines sharp; PNG would cost ten times the time."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=90, subsampling=0)
    return buffer.getvalue()


def check_scan(image, mask, prediction) -> tuple:
    """(image uint8 (D,H,W,3), mask bool or None, prediction bool or float32 or None), or LggError."""
    image = np.asarray(image)
    image = np.repeat(image[..., None], 3, axis=-1) if image.ndim == 3 else image
    if image.ndim != 4 or image.shape[-1] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise LggError(f"image is {image.dtype} {image.shape}; it must be uint8 (D, H, W, 3), or (D, H, W) for one "
                       "sequence, with at least one slice")
    parts = {"mask": mask, "prediction": prediction}
    for name, part in parts.items():
        if part is not None and np.shape(part) != image.shape[:3]:
            raise LggError(f"{name} has shape {np.shape(part)} and the image {image.shape[:3]}; they must agree")
    mask = None if mask is None else np.asarray(mask).astype(bool)  # 0/1 and 0/255 mean the same
    prediction = None if prediction is None else np.asarray(prediction)
    if prediction is not None and prediction.dtype.kind == "f" and not (0 <= prediction.min() <= prediction.max() <= 1):
        raise LggError(f"prediction runs from {prediction.min():.3g} to {prediction.max():.3g}; probabilities lie "
                       "in 0 to 1 (for logits apply the sigmoid first)")
    return image, mask, prediction if prediction is None or prediction.dtype.kind == "f" else prediction.astype(bool)


class SliceViewer(widgets.VBox):
    """One scan under a slice slider, with manual outline and prediction on top.

    image       uint8 (D,H,W,3): pre-contrast, FLAIR, post-contrast; or uint8 (D,H,W), one sequence
    mask        the truth, bool (D,H,W); anything above 0 counts, so 0/255 is fine
    prediction  bool (D,H,W), or probabilities float (D,H,W) in 0..1, which add a threshold slider
    patient     named in the title;  phantom  says in the title that the scan is synthetic
    threshold   probability from which a pixel counts as tumour;  width  of the picture on screen, in CSS pixels

    `.slice_slider` (0 .. D-1) and `.picture` (JPEG bytes in `.value`) change together: when an assignment to
    the slider returns, the picture shows that slice. `.figure()` gives the same view for paper and for GitHub,
    `.close()` detaches everything. Raises LggError for shapes or values that do not fit.
    """

    _parts: tuple = ()  # every widget inside, for close()

    def __init__(self, image, mask=None, prediction=None, *, patient: str = "", phantom: bool = False,
                 threshold: float = 0.5, width: int = 448):
        check_scan(image, mask, prediction)  # refuse before any widget exists
        self.phantom, self.width, self._quiet = phantom, width, False
        self._make_controls(threshold)
        super().__init__(self._arrange(), layout=widgets.Layout(width="100%", max_width=f"{width + 330}px"))
        self.show(image, mask, prediction, patient=patient)
        for control in (self.slice_slider, *self._choices):
            control.observe(self._redraw, "value")
        self.play.observe(self._play_step, "value")
        self.jump.on_click(self.to_largest)

    def _make_controls(self, threshold: float) -> None:
        row = dict(style={"description_width": "76px"})
        self.title = widgets.HTML()
        self.picture = widgets.Image(format="jpeg", layout=widgets.Layout(
            flex="1 1 240px", min_width="0", max_width=f"{self.width}px", height="auto", align_self="flex-start"))
        self.slice_slider = widgets.IntSlider(0, 0, 0, description="slice", layout=widgets.Layout(flex="1 1 0",
                                              min_width="0"), style={"description_width": "32px"})
        self.play = widgets.Play(interval=150, max=0, layout=widgets.Layout(flex="0 0 auto"))
        self.jump = widgets.Button(description="largest tumour", icon="crosshairs", tooltip="go to the slice "
                                   "with the largest tumour area", layout=widgets.Layout(flex="0 0 128px"))
        self.sequence = widgets.Dropdown(options=list(SEQUENCES), value="FLAIR", description="sequence", **row)
        self.style = {name: widgets.Dropdown(options=["contour", "fill", "off"], description=name, **row)
                      for name in NAMES}
        self.opacity = widgets.FloatSlider(0.9, min=0, max=1, step=0.05, description="opacity", **row)
        self.threshold = widgets.FloatSlider(threshold, min=0, max=1, step=0.01, description="threshold", **row)
        self.window = widgets.IntRangeSlider(value=(0, 255), min=0, max=255, description="window", **row)

    def _arrange(self) -> list:
        """Title and slice slider on top; beside the picture what is used less, so that all fits a small screen."""
        top = widgets.HBox([self.play, self.slice_slider, self.jump], layout=widgets.Layout(
            width="100%", flex_flow="row wrap", align_items="center"))
        self._choices = (self.sequence, *self.style.values(), self.opacity, self.threshold, self.window)
        for control in (self.title, *self._choices):
            control.layout = widgets.Layout(width="100%", min_width="0")
        side = widgets.VBox(self._choices, layout=widgets.Layout(flex="1 1 220px", max_width="310px"))
        bottom = widgets.HBox([self.picture, side], layout=widgets.Layout(
            width="100%", flex_flow="row wrap", align_items="flex-start"))
        self._parts = (self.slice_slider, self.play, self.jump, *self._choices, self.title, self.picture,
                       top, side, bottom)
        return [self.title, top, bottom]

    def show(self, image, mask=None, prediction=None, *, patient: str = "") -> None:
        """Show another scan in the same widgets, at the slice with the largest tumour area."""
        self.image, self.mask, self.prediction = check_scan(image, mask, prediction)
        self.patient, last = patient, len(self.image) - 1
        with self._one_redraw():
            self.slice_slider.max = self.play.max = last
            for name, part in (("truth", self.mask), ("prediction", self.prediction)):
                self.style[name].layout.display = "none" if part is None else ""
            self._offer_probability()
            self.to_largest()

    def _offer_probability(self) -> None:
        """Threshold slider and shading by probability make sense only for probabilities."""
        is_probability = self.prediction is not None and self.prediction.dtype.kind == "f"
        self.threshold.layout.display = "" if is_probability else "none"
        styles = ("contour", "fill", "off") + (("probability",) if is_probability else ())
        if self.style["prediction"].options != styles:
            kept = self.style["prediction"].value
            self.style["prediction"].options = styles
            self.style["prediction"].value = kept if kept in styles else "fill"

    @contextmanager
    def _one_redraw(self):
        """Hold back the picture while several controls change, then draw once."""
        self._quiet = True
        try:
            yield
        finally:
            self._quiet = False
        self._redraw()

    def to_largest(self, _button=None) -> None:
        """Go to the slice with the largest tumour area: the truth's, else the prediction's, else the middle."""
        for part in (self.mask, self.predicted()):
            if part is not None and part.any():
                self.slice_slider.value = int(part.sum(axis=(1, 2)).argmax())
                return
        self.slice_slider.value = len(self.image) // 2

    def predicted(self, at=slice(None)) -> np.ndarray | None:
        """The prediction as bool, (D,H,W) or that of slice `at`; None without one."""
        if self.prediction is None:
            return None
        part = self.prediction[at]
        return part if part.dtype == bool else part >= self.threshold.value

    def render(self) -> np.ndarray:
        """The picture now on show, uint8 (H*s, W*s, 3), s the whole number that fills the width."""
        at, scale = self.slice_slider.value, math.ceil(self.width / self.image.shape[2])
        grey = windowed(self.image[at][..., SEQUENCES[self.sequence.value]], *self.window.value)
        size = (scale * grey.shape[1], scale * grey.shape[0])
        picture = np.array(Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR).convert("RGB"))
        shown = {name: enlarge(mask, scale) for name, mask in self._masks(at).items()}
        if self.style["prediction"].value == "probability":
            weight = 0.8 * self.opacity.value * self.prediction[at].astype(np.float32)
            blend(picture, enlarge(np.where(weight > 0.01, weight, 0), scale), PREDICTION)
        for name, mask in shown.items():
            if self.style[name].value == "fill":
                blend(picture, mask * np.float32(0.4 * self.opacity.value), COLOURS[name])
        for name, mask in shown.items():  # lines last, so that no fill hides them
            line = outline(mask, max(1, picture.shape[1] // 256), outside=name == "prediction")
            blend(picture, line * np.float32(self.opacity.value), COLOURS[name])
        return picture

    def _masks(self, at: int) -> dict[str, np.ndarray]:
        """The bool (H,W) masks to draw on slice `at`, by name."""
        masks = {"truth": self.mask, "prediction": self.prediction}
        return {name: self.mask[at] if name == "truth" else self.predicted(at) for name, part in masks.items()
                if part is not None and self.style[name].value != "off"}

    def caption(self) -> str:
        """Patient, slice and slice Dice in words; a Dice of two empty masks is undefined."""
        at, parts = self.slice_slider.value, [self.patient] if self.patient else []
        parts += ["PHANTOM (synthetic)"] * self.phantom + [f"slice {at} of 0 to {self.slice_slider.max}"]
        if self.mask is not None and self.prediction is not None:
            score = dice(self.predicted(at), self.mask[at])
            parts.append("Dice undefined (both empty)" if math.isnan(score) else f"slice Dice {score:.2f}")
        return " · ".join(parts)

    def _redraw(self, _change=None) -> None:
        if self._quiet:
            return
        self.play.value = self.slice_slider.value
        self.picture.value = encode(self.render())
        legend = "".join(f' &nbsp; <span style="color:{COLOURS[name]}">■</span> {NAMES[name]}'
                         for name in self._masks(0))
        self.title.value = f"<b>{html.escape(self.caption())}</b>{legend}"

    def _play_step(self, change) -> None:
        self.slice_slider.value = change["new"]

    def figure(self) -> Figure:
        """The view now on show as a matplotlib Figure with title and legend."""
        figure = Figure(figsize=(5, 5.4), facecolor="white", layout="constrained")
        axes = figure.add_subplot()
        axes.imshow(self.render())
        axes.set_title(self.caption(), fontsize=9)
        axes.axis("off")
        handles = [Patch(color=COLOURS[name], label=NAMES[name]) for name in self._masks(0)]
        if handles:
            figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
        return figure

    def close(self) -> None:
        """Detach all observers and close every widget; the arrays stay."""
        for part in self._parts:
            if part is self.jump:
                part.on_click(self.to_largest, remove=True)
            part.unobserve_all()
            part.close()
        super().close()

    def __repr__(self) -> str:
        parts = {"truth": self.mask, "prediction": self.prediction}
        shown = [name for name, part in parts.items() if part is not None]
        return (f"{type(self).__name__}({self.patient or 'scan'}, {len(self.image)} slices of "
                f"{self.image.shape[1]} x {self.image.shape[2]}, {' and '.join(shown) or 'no overlay'})")
