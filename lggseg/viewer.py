"""Scans under a slider: each step sends one small JPEG to a plain ipywidgets Image.

Redrawing a matplotlib figure costs 90 to 230 ms a step and flickers; composing the slice in numpy and
encoding it with Pillow costs a few milliseconds. Core ipywidgets only, so 7.7.1 (Colab) and 8 both do.
`python benchmarks/viewer.py` measures a step.
"""

import html
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import nn

from .data import Cohort
from .errors import LggError
from .metrics import dice
from .overlay import blend, encode, mosaic, outline, part, windowed, zoom
from .plots import PREDICTION, TRUTH
from .predict import clean, predict_volume, recipe_of
from .transforms import Recipe

SEQUENCES = {"pre-contrast": 0, "FLAIR": 1, "post-contrast": 2, "all three as colours": slice(None)}
ABSENT = {"pre": "pre-contrast", "post": "post-contrast"}
NAMES = {"truth": "manual mask", "prediction": "prediction"}
COLOURS = {"truth": TRUTH, "prediction": PREDICTION}


def check_scan(image, mask, prediction) -> tuple:
    """(image uint8 (D,H,W,3), mask bool or None, prediction bool or float or None), or LggError."""
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[-1] > 4:  # else it is one slice in colour
        image = np.repeat(image[..., None], 3, axis=-1)
    if image.ndim != 4 or image.shape[-1] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise LggError(f"image is {image.dtype} {image.shape}; it must be uint8 (D, H, W, 3), or (D, H, W) for one "
                       "sequence, with at least one slice; a single slice is image[None]")
    return image, check_mask(mask, "mask", image.shape), check_prediction(prediction, image.shape)


def check_mask(mask, name: str, shape: tuple) -> np.ndarray | None:
    """`mask` as bool (D,H,W), anything above 0 being True (so 0/1 and 0/255 mean the same), None, or LggError."""
    if mask is not None and np.shape(mask) != shape[:3]:
        raise LggError(f"{name} has shape {np.shape(mask)} and the image {shape[:3]}; they must agree")
    return None if mask is None else np.asarray(mask) > 0


def check_prediction(prediction, shape: tuple) -> np.ndarray | None:
    """A float array as it is if it holds probabilities, anything else as a mask; None, or LggError."""
    if prediction is None or np.asarray(prediction).dtype.kind != "f":
        return check_mask(prediction, "prediction", shape)
    prediction = np.asarray(prediction)
    check_mask(prediction, "prediction", shape)
    if not 0 <= prediction.min() <= prediction.max() <= 1:
        raise LggError(f"prediction runs from {prediction.min():.3g} to {prediction.max():.3g}; probabilities lie "
                       "in 0 to 1 (apply the sigmoid to logits first)")
    return prediction


class Viewer(widgets.VBox):
    """What the viewers share: a picture under a title, drawn again when a control changes, and `close`."""

    parts: tuple[widgets.Widget, ...] = ()  # every widget inside
    picture: widgets.Image
    title: widgets.HTML

    def __init__(self, width: int):
        self.width, self._quiet, self._lock = width, False, threading.RLock()
        self.title = widgets.HTML(layout=wide())
        self.picture = widgets.Image(format="jpeg", layout=widgets.Layout(
            flex="10 1 240px", min_width="0", max_width=f"{width}px", height="auto", align_self="flex-start"))
        super().__init__(layout=widgets.Layout(width="100%", max_width=f"{width + 330}px"))

    def render(self) -> np.ndarray:
        """The picture now on show, uint8 (H,W,3) or (H,W)."""
        raise TypeError(f"{type(self).__name__} does not say what to draw")

    def caption(self) -> str:
        """The title in plain words."""
        return ""

    def legend(self) -> dict[str, str]:
        """Colour of everything drawn over the picture, by its name in words."""
        return {}

    @contextmanager
    def _one_redraw(self):
        """Let several controls change, then draw once; no other thread draws meanwhile."""
        with self._lock:
            self._quiet = True
            try:
                yield
            finally:
                self._quiet = False
            self._redraw()

    def _redraw(self, _change=None) -> None:
        with self._lock:
            if self._quiet:
                return
            self.picture.value = encode(self.render())
            marks = [f'<span style="color:{colour}">&#9632;</span> {name}' for name, colour in self.legend().items()]
            self.title.value = " &nbsp; ".join([f"<b>{html.escape(self.caption())}</b>", *marks])

    def figure(self) -> Figure:
        """The view now on show as a matplotlib Figure, with title and legend, for paper and for GitHub."""
        figure = Figure(figsize=(5, 5.4), facecolor="white", layout="constrained")
        axes = figure.add_subplot()
        axes.imshow(self.render(), cmap="gray")
        axes.set_title(self.caption(), fontsize=9)
        axes.axis("off")
        handles = [Patch(color=colour, label=name) for name, colour in self.legend().items()]
        if handles:
            figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
        return figure

    def close(self) -> None:
        """Detach all observers and close every widget; the arrays stay."""
        for widget in self.parts:
            widget.unobserve_all()
            widget.close()
        super().close()


def wide() -> widgets.Layout:
    """A layout that takes the width there is; each control needs its own, since hiding one changes it."""
    return widgets.Layout(width="auto", min_width="0")


def row(*children: widgets.Widget) -> widgets.HBox:
    """Children side by side, below each other where the page is narrow."""
    return widgets.HBox(children, layout=widgets.Layout(width="100%", flex_flow="row wrap", align_items="flex-start"))


class SliceViewer(Viewer):
    """One scan under a slice slider, with manual outline and prediction on top.

    image       uint8 (D,H,W,3): pre-contrast, FLAIR, post-contrast; or uint8 (D,H,W), one sequence
    mask        the truth, bool (D,H,W); anything above 0 counts, so 0/255 is fine
    prediction  bool (D,H,W), or probabilities float (D,H,W) in 0..1, which add a threshold slider
    patient     named in the title;  missing  sequences ("pre", "post") that are copies of FLAIR
    phantom     True says in the title that the scan is synthetic
    threshold   probability from which a pixel counts as tumour;  width  of the picture, in CSS pixels

    `.slice_slider` (0 .. D-1) and `.picture` (JPEG bytes in `.value`) change together: when an assignment to
    the slider returns, the picture shows that slice. `.figure()` gives the same view as a matplotlib figure,
    `.close()` detaches everything. Raises LggError for shapes or values that do not fit.
    """

    def __init__(self, image, mask=None, prediction=None, *, patient: str = "", missing: tuple[str, ...] = (),
                 phantom: bool = False, threshold: float = 0.5, width: int = 448):
        check_scan(image, mask, prediction)  # refuse before any widget exists
        super().__init__(width)
        self.phantom = phantom
        self._make_controls(threshold)
        self.show(image, mask, prediction, patient=patient, missing=missing)
        for control in (self.slice_slider, *self._choices):
            control.observe(self._redraw, "value")
        self.slice_slider.observe(self._move_play, "value")
        self.play.observe(self._follow_play, "value")
        self.jump.on_click(self.to_largest)
        self.children = self._arrange()

    def _make_controls(self, threshold: float) -> None:
        def named(name: str) -> dict:
            return {"description": name, "style": {"description_width": "76px"}, "layout": wide()}

        self.slice_slider = widgets.IntSlider(0, 0, 0, description="slice", style={"description_width": "32px"},
                                              layout=widgets.Layout(flex="1 1 0", min_width="0"))
        self.play = widgets.Play(interval=150, max=0, layout=widgets.Layout(flex="0 0 auto"))
        self.jump = widgets.Button(description="largest tumour", icon="crosshairs",
                                   tooltip="go to the slice with the largest tumour area")
        self.sequence = widgets.Dropdown(options=list(SEQUENCES), value="FLAIR", **named("sequence"))
        self.style = {name: widgets.Dropdown(options=["contour", "fill", "off"], **named(name)) for name in NAMES}
        self.opacity = widgets.FloatSlider(0.9, min=0, max=1, step=0.05, **named("opacity"))
        self.threshold = widgets.FloatSlider(threshold, min=0, max=1, step=0.01, **named("threshold"))
        self.window = widgets.IntRangeSlider(value=(0, 255), min=0, max=255, **named("window"))
        self._choices = (self.sequence, *self.style.values(), self.opacity, self.threshold, self.window)

    def _arrange(self) -> list[widgets.Widget]:
        """Title and slice slider on top; what is used less beside the picture, so that all fits a small screen."""
        top = row(self.play, self.slice_slider, self.jump)
        side = widgets.VBox(self._choices, layout=widgets.Layout(flex="1 1 220px", min_width="0"))
        bottom = row(self.picture, side)
        self.parts = (self.slice_slider, self.play, self.jump, *self._choices, self.title, self.picture,
                      top, side, bottom)
        return [self.title, top, bottom]

    def show(self, image, mask=None, prediction=None, *, patient: str = "", missing: tuple[str, ...] = ()) -> None:
        """Show another scan in the same widgets, at the slice with the largest tumour area."""
        scan = check_scan(image, mask, prediction)
        with self._one_redraw():
            self.image, self.mask, self.prediction = scan
            self.patient, self.missing = patient, missing
            self.slice_slider.max = self.play.max = len(self.image) - 1
            self._offer()
            self.to_largest()

    def _offer(self) -> None:
        """Hide the controls that have nothing to act on."""
        for name, masks in {"truth": self.mask, "prediction": self.prediction}.items():
            self.style[name].layout.display = "none" if masks is None else ""
        graded = self.prediction is not None and self.prediction.dtype.kind == "f"
        self.threshold.layout.display = "" if graded else "none"
        menu, styles = self.style["prediction"], ("contour", "fill", "off", "probability")[:4 if graded else 3]
        if menu.options != styles:
            chosen = menu.value if menu.value in styles else "fill"
            menu.options, menu.value = styles, chosen

    def to_largest(self, _button=None) -> None:
        """Go to the slice with the largest tumour area: the truth's, else the prediction's, else the middle."""
        for mask in (self.mask, self.predicted()):
            if mask is not None and mask.any():
                self.slice_slider.value = int(mask.sum(axis=(1, 2)).argmax())
                return
        self.slice_slider.value = len(self.image) // 2

    def predicted(self, at=slice(None)) -> np.ndarray | None:
        """The prediction as bool, (D,H,W) or that of slice `at`; None without one."""
        if self.prediction is None or self.prediction.dtype == bool:
            return None if self.prediction is None else self.prediction[at]
        return self.prediction[at] >= self.threshold.value

    def masks(self) -> dict[str, np.ndarray]:
        """The masks bool (H,W) to draw on the present slice, by name."""
        at = self.slice_slider.value
        both = {"truth": None if self.mask is None else self.mask[at], "prediction": self.predicted(at)}
        return {name: mask for name, mask in both.items() if mask is not None and self.style[name].value != "off"}

    def render(self) -> np.ndarray:
        """The picture now on show, uint8 (H*s, W*s, 3), s the smallest whole number that fills the width."""
        at, scale = self.slice_slider.value, math.ceil(self.width / self.image.shape[2])
        picture = zoom(windowed(self.image[at][..., SEQUENCES[self.sequence.value]], *self.window.value), scale)
        opacity, masks = np.float32(self.opacity.value), self.masks()
        for name, mask in masks.items():
            if self.style[name].value == "fill":
                blend(*part(picture, mask * (np.float32(0.4) * opacity), scale), COLOURS[name])
        if self.style["prediction"].value == "probability":
            weight = self.prediction[at].astype(np.float32) * (np.float32(0.8) * opacity)
            blend(*part(picture, np.where(weight > 0.01, weight, 0), scale), PREDICTION)
        for name, mask in masks.items():  # lines last, so that no fill hides them
            view, mask = part(picture, mask, scale)
            line = outline(mask, max(1, picture.shape[1] // 256), outside=name == "prediction")
            blend(view, line * opacity, COLOURS[name])
        return picture

    def caption(self) -> str:
        """Patient, slice and slice Dice; the Dice of two empty masks is undefined."""
        at = self.slice_slider.value
        words = [self.patient, "PHANTOM (synthetic)" if self.phantom else "",
                 f"slice {at} of 0 to {len(self.image) - 1}"]
        if self.mask is not None and self.prediction is not None:
            score = dice(self.predicted(at), self.mask[at])
            words.append("slice Dice undefined (both empty)" if math.isnan(score) else f"slice Dice {score:.2f}")
        if self.sequence.value in [ABSENT[name] for name in self.missing]:
            words.append(f"{self.sequence.value} is missing: FLAIR shown")
        return " · ".join(word for word in words if word)

    def legend(self) -> dict[str, str]:
        """Colour of each mask drawn."""
        return {NAMES[name]: COLOURS[name] for name in self.masks()}

    def _move_play(self, change) -> None:
        self.play.value = change["new"]

    def _follow_play(self, change) -> None:
        self.slice_slider.value = change["new"]

    def close(self) -> None:
        """Detach all observers and close every widget; the arrays stay."""
        if self.parts:
            self.jump.on_click(self.to_largest, remove=True)
        super().close()

    def __repr__(self) -> str:
        depth, height, width = self.image.shape[:3]
        masks = {"truth": self.mask, "prediction": self.prediction}
        shown = " and ".join(name for name, mask in masks.items() if mask is not None)
        return (f"{type(self).__name__}({self.patient or 'scan'}: {depth} slices, {height} x {width}, "
                f"{shown or 'image only'})")


class CohortViewer(SliceViewer):
    """SliceViewer with a patient menu, and with a model's predictions.

    A patient is read when chosen. With a `model` (one `predict_volume` takes) the probability map is
    computed once per patient, in a thread, so that the page stays alive; a bar tells how far
    it is, and the overlay appears when it is done. The recipe's post-processing is applied, and the title
    says when the model was trained on the patient. `wait()` blocks until the overlay is there.
    `patients` limits the menu. Raises LggError for unknown ids.
    """

    def __init__(self, cohort: Cohort, model: nn.Module | None = None, *, patients: list[str] | None = None,
                 width: int = 448):
        names = [cohort.check(patient) for patient in (cohort.patients if patients is None else patients)]
        if not names:
            raise LggError("patients is empty; name at least one, or leave it out for the whole cohort")
        self.cohort, self.model = cohort, model
        self.recipe = Recipe() if model is None else recipe_of(model)
        self._jobs, self._predictions, self._cleaned = {}, {}, (None, None)
        self._worker = ThreadPoolExecutor(1, "lggseg-viewer")  # starts no thread before the first prediction
        self.patient_menu = widgets.Dropdown(options=names, description="patient", style={"description_width": "56px"},
                                             layout=widgets.Layout(flex="0 1 260px", min_width="0"))
        self.progress = widgets.IntProgress(layout=widgets.Layout(flex="1 1 120px", min_width="0", visibility="hidden"),
                                            style={"description_width": "initial"})
        first = cohort.volume(names[0])
        super().__init__(first.image, first.mask, patient=names[0], missing=first.missing,
                         phantom=cohort.kind == "phantom", threshold=self.recipe.threshold, width=width)
        self.patient_menu.observe(self._choose, "value")
        self._choose()

    def _arrange(self) -> list[widgets.Widget]:
        below, top = super()._arrange(), row(self.patient_menu, self.progress)
        self.parts += (self.patient_menu, self.progress, top)
        return [top, *below]

    def _choose(self, _change=None) -> None:
        """Show the patient of the menu at once; ask for the prediction if there is none yet."""
        patient = self.patient_menu.value
        volume = self.cohort.volume(patient)
        with self._lock:
            done = self._predictions.get(patient)
            self.show(volume.image, volume.mask, done, patient=patient, missing=volume.missing)
        if self.model is None or done is not None:
            return
        for job in self._jobs.values():
            job.cancel()  # patients passed over on the way; one under way goes on
        if patient not in self._jobs or self._jobs[patient].done():
            self._jobs[patient] = self._worker.submit(self._predict, patient)

    def _predict(self, patient: str) -> None:
        """In the worker's thread: predict, keep, and show if the patient is still the one chosen."""
        image, counter = self.cohort.volume(patient).image, self.model.register_forward_hook(self._count)
        self.progress.max, self.progress.value = len(image) * (1 + self.recipe.flip), 0
        self.progress.description, self.progress.bar_style = f"predicting {patient}", ""
        self.progress.layout.visibility = "visible"
        try:
            self._predictions[patient] = predict_volume(self.model, image)
            self._add_prediction(patient)
            self.progress.layout.visibility = "hidden"
        except Exception as error:
            self.progress.description, self.progress.bar_style = f"prediction failed: {error}", "danger"
            raise
        finally:
            counter.remove()

    def _count(self, _model: nn.Module, inputs: tuple, _output: torch.Tensor) -> None:
        """Forward hook: slices done so far."""
        self.progress.value += len(inputs[0])

    def _add_prediction(self, patient: str) -> None:
        with self._lock:
            if self.patient == patient and self.comm is not None:  # neither another patient by now, nor closed
                self.prediction = self._predictions[patient]
                self._offer()
                self._redraw()

    def predicted(self, at=slice(None)) -> np.ndarray | None:
        """The prediction after the recipe's post-processing, bool; the last volume's mask is kept."""
        if self.prediction is None:
            return None
        key = (self.patient, self.threshold.value)
        if self._cleaned[0] != key:
            self._cleaned = key, clean(self.prediction, self.threshold.value, self.recipe.keep)
        return self._cleaned[1][at]

    def caption(self) -> str:
        """As for one scan, and whether the model has seen the patient in training."""
        seen = self.prediction is not None and self.patient in getattr(self.model, "training_patients", ())
        return super().caption() + (" · model trained on this patient" if seen else "")

    def wait(self, timeout: float | None = 120) -> None:
        """Block until the chosen patient's prediction is shown; raises what the prediction raised, or TimeoutError."""
        if self.patient in self._jobs:
            self._jobs[self.patient].result(timeout)

    def close(self) -> None:
        """Also forget predictions not yet begun."""
        if self.parts:
            self._worker.shutdown(wait=False, cancel_futures=True)
        super().close()


@torch.inference_mode()
def activations(model: nn.Module, x: torch.Tensor) -> dict[str, np.ndarray]:
    """What each named layer returns for `x` float (N,C,H,W): name -> float32 (N,C,h,w), in the order of the pass.

    Caught by forward hooks, which are removed again even after an error. Ours come after those the
    model has, so an up-convolution of the U-Net shows what its own hook made of it. Layers inside
    an nn.Sequential are left out, and of a layer that runs several times the last result counts.
    """
    inner = {id(layer) for part in model.modules() if isinstance(part, nn.Sequential) for layer in part.modules()
             if layer is not part}
    caught, hooks, training = {}, [], model.training
    for name, layer in model.named_modules():
        if name and id(layer) not in inner:
            hooks.append(layer.register_forward_hook(_catcher(caught, name)))
    try:
        model.eval()(x)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return {name: value for name, value in caught.items() if value.ndim == 4}


def _catcher(caught: dict, name: str):
    def catch(_layer, _inputs, output: torch.Tensor) -> None:
        caught.pop(name, None)
        caught[name] = output.float().cpu().numpy().copy()  # a copy: an in-place ReLU may follow
    return catch


class ActivationViewer(Viewer):
    """The channels of one layer as a mosaic of grey tiles, for input `x` float (N,C,H,W) or (C,H,W).

    `.layer` chooses the layer by name, `.slice_slider` which of the N inputs; at most `channels` channels
    are shown, each with its own grey scale. `.values` holds the present input's activations, by layer.
    """

    def __init__(self, model: nn.Module, x: torch.Tensor, *, layer: str | None = None, channels: int = 64,
                 width: int = 448):
        self.model, self.x, self.channels = model, x if x.ndim == 4 else x[None], channels
        self.values = activations(model, self.x[:1])
        if layer not in (None, *self.values):
            raise LggError(f"no layer {layer!r}; this model has {', '.join(self.values)}")
        super().__init__(width)
        self.layer = widgets.Dropdown(options=list(self.values), value=layer or next(iter(self.values)),
                                      description="layer", layout=widgets.Layout(flex="0 1 260px", min_width="0"))
        self.slice_slider = widgets.IntSlider(0, 0, len(self.x) - 1, description="input", layout=widgets.Layout(
            flex="1 1 200px", min_width="0", display="none" if len(self.x) == 1 else ""))
        top = row(self.layer, self.slice_slider)
        self.parts = (self.layer, self.slice_slider, self.title, self.picture, top)
        self.children = [self.title, top, self.picture]
        self.layer.observe(self._redraw, "value")
        self.slice_slider.observe(self._run, "value")
        self._redraw()

    def _run(self, change) -> None:
        self.values = activations(self.model, self.x[change["new"]][None])
        self._redraw()

    def render(self) -> np.ndarray:
        """The mosaic, uint8 (H,W)."""
        return mosaic(self.values[self.layer.value][0, :self.channels], self.width)

    def caption(self) -> str:
        """Layer, number of channels and their size."""
        count, height, width = self.values[self.layer.value].shape[1:]
        shown = f"{count} channels" if count <= self.channels else f"{self.channels} of {count} channels"
        return f"{self.layer.value} · {shown} of {height} x {width}"

    def __repr__(self) -> str:
        return f"ActivationViewer({type(self.model).__name__}: {len(self.values)} layers, {len(self.x)} inputs)"
