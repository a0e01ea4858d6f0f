"""One scan under a slice slider."""

import math

import ipywidgets as widgets
import numpy as np

from ..errors import LggError
from ..measures.metrics import dice
from .base import Viewer, row, wide
from .overlay import ABSENT, COLOURS, NAMES, VIEWS, as_array, blend, boundary, part, upscale, windowed
from .page import Case, Settings, build_page, largest_slice


def check_scan(image, mask, prediction) -> tuple:
    """(image uint8 (D,H,W,3), mask bool or None, prediction bool or float or None), or LggError."""
    try:
        image = as_array(image)
    except ValueError:  # rows of several lengths
        image = np.array(None)
    if image.ndim == 3 and image.shape[-1] > 4:  # else it is one slice in colour
        image = np.repeat(image[..., None], 3, axis=-1)
    if image.ndim != 4 or image.shape[-1] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise LggError(f"image is {image.dtype} {image.shape}; it must be uint8 (D, H, W, 3), or (D, H, W) for one "
                       "sequence, with at least one slice; a single slice is image[None]")
    return image, check_mask(mask, "mask", image.shape), check_prediction(prediction, image.shape)


def check_mask(mask, name: str, shape: tuple) -> np.ndarray | None:
    """`mask` as bool (D,H,W), anything above 0 being True (so 0/1 and 0/255 mean the same), None, or LggError."""
    if mask is None:
        return None
    mask = check_shape(mask, name, shape)
    if mask.dtype.kind not in "biuf" or (mask.dtype.kind == "f" and np.isnan(mask).any()):
        raise LggError(f"{name} holds NaN or what is no number ({mask.dtype}); it must be bool, or numbers from 0 up")
    return mask > 0


def check_shape(mask, name: str, shape: tuple) -> np.ndarray:
    """`mask` as an array, or LggError where it does not lie on the image's pixels."""
    mask = as_array(mask)
    if mask.shape != shape[:3]:
        raise LggError(f"{name} has shape {mask.shape} and the image {shape[:3]}; they must agree")
    return mask


def check_prediction(prediction, shape: tuple) -> np.ndarray | None:
    """A float array as it is if it holds probabilities, anything else as a mask; None, or LggError."""
    if prediction is None or as_array(prediction).dtype.kind != "f":
        return check_mask(prediction, "prediction", shape)
    prediction = check_shape(prediction, "prediction", shape)
    if not 0 <= prediction.min() <= prediction.max() <= 1:
        raise LggError(f"prediction runs from {prediction.min():.3g} to {prediction.max():.3g}; probabilities lie "
                       "in 0 to 1 (apply the sigmoid to logits first)")
    return prediction


class SliceViewer(Viewer):
    """One scan under a slice slider, with manual outline and prediction on top.

    image       uint8 (D,H,W,3): pre-contrast, FLAIR, post-contrast; or uint8 (D,H,W), one sequence
    mask        the truth, bool (D,H,W); anything above 0 counts, so 0/255 is fine
    prediction  bool (D,H,W), or probabilities float (D,H,W) in 0..1, which add a threshold slider
    patient     named in the title;  missing  sequences ("pre", "post") that are copies of FLAIR
    phantom     True says in the title that the scan is synthetic
    threshold   probability from which a pixel counts as tumour;  width  of the picture, in CSS pixels
    note        a line under the title, such as the expected Dice, str(segment_scan(...).trust)

    `.slice_slider` holds the index 0 .. D-1; the title says the data set's number k = index + 1. `.picture`
    (JPEG bytes in `.value`) follows: when an assignment to the slider returns, it shows that slice.
    `.figure()` gives the same view as a matplotlib figure, `.close()` detaches everything. Raises LggError
    for shapes or values that do not fit.
    """

    def __init__(self, image, mask=None, prediction=None, *, patient: str = "", missing: tuple[str, ...] = (),
                 phantom: bool = False, threshold: float = 0.5, width: int = 448, note: str = ""):
        check_scan(image, mask, prediction)  # refuse before any widget exists
        if not 0 <= threshold <= 1:
            raise LggError(f"threshold is {threshold}; a probability lies in 0 to 1")
        if odd := [name for name in missing if name not in ABSENT]:
            raise LggError(f"missing names {odd[0]!r}; it may name {' and '.join(ABSENT)}")
        super().__init__(width)
        self.phantom = phantom
        self._make_controls(threshold)
        self.show(image, mask, prediction, patient=patient, missing=missing, note=note)
        for control in (self.slice_slider, *self._choices):
            control.observe(self._redraw, "value")
        self.slice_slider.observe(self._move_play, "value")
        self.play.observe(self._follow_play, "value")
        self.jump.on_click(self.to_largest)
        self.children = self._arrange()

    def _make_controls(self, threshold: float) -> None:
        def named(name: str) -> dict:
            return {"description": name, "style": {"description_width": "76px"}, "layout": wide()}

        self.slice_slider = widgets.IntSlider(0, 0, 0, description="slice", readout=False,  # it would count from 0
                                              style={"description_width": "32px"},
                                              layout=widgets.Layout(flex="1 1 0", min_width="0"))
        self.play = widgets.Play(interval=150, max=0, layout=widgets.Layout(flex="0 0 auto"))
        self.jump = widgets.Button(description="largest tumour", icon="crosshairs",
                                   tooltip="go to the slice with the largest tumour area")
        self.sequence = widgets.Dropdown(options=list(VIEWS), value="FLAIR", **named("sequence"))
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

    def show(self, image, mask=None, prediction=None, *, patient: str = "", missing: tuple[str, ...] = (),
             note: str = "") -> None:
        """Show another scan in the same widgets, at the slice with the largest tumour area."""
        scan = check_scan(image, mask, prediction)
        with self._one_redraw():
            self.image, self.mask, self.prediction = scan
            self.patient, self.missing, self.note = patient, missing, note
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
        self.slice_slider.value = largest_slice(len(self.image), self.mask, self.predicted())

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
        picture = upscale(windowed(self.image[at][..., VIEWS[self.sequence.value]], *self.window.value), scale)
        opacity, masks = np.float32(self.opacity.value), self.masks()
        for name, mask in masks.items():
            if self.style[name].value == "fill":
                blend(*part(picture, mask * (np.float32(0.4) * opacity), scale), COLOURS[name])
        if self.style["prediction"].value == "probability":
            weight = self.prediction[at].astype(np.float32) * (np.float32(0.8) * opacity)
            blend(*part(picture, np.where(weight > 0.01, weight, 0), scale), COLOURS["prediction"])
        for name, mask in masks.items():  # lines last, so that no fill hides them
            width = max(1, picture.shape[1] // 256)
            view, mask = part(picture, mask, scale, margin=math.ceil(width / scale))
            line = boundary(mask, width, outside=name == "prediction")
            blend(view, line * opacity, COLOURS[name])
        return picture

    def caption(self) -> str:
        """Patient, slice and slice Dice; the Dice of two empty masks is undefined."""
        at = self.slice_slider.value
        words = [self.patient, "PHANTOM (synthetic)" if self.phantom else "",
                 f"slice {at + 1} of {len(self.image)}"]  # the data set's k, from 1
        if self.mask is not None and self.prediction is not None:
            score = dice(self.predicted(at), self.mask[at])
            words.append("slice Dice undefined (both empty)" if math.isnan(score) else f"slice Dice {score:.2f}")
        if self.sequence.value in [ABSENT[name] for name in self.missing]:
            words.append(f"{self.sequence.value} is missing: FLAIR shown")
        return " · ".join(word for word in words if word)

    def legend(self) -> dict[str, str]:
        """Colour of each mask drawn."""
        return {NAMES[name]: COLOURS[name] for name in self.masks()}

    def page(self) -> str:
        """The view as one HTML page that needs neither kernel nor network, about 1 MB, set as the controls are now.

        It keeps sliders for slice, opacity and threshold, menus for sequence and masks, arrow keys, and the Dice
        per slice. The window stays as it is. Raises LggError for more slices than a picture can hold.
        """
        return build_page([self._case()], self._settings())

    def _case(self) -> Case:
        """The scan on show, for a page."""
        image = windowed(self.image, *self.window.value)
        notes = (self.note,) if self.note else ()
        return Case(self.patient, image, self.mask, self.prediction, missing=self.missing, phantom=self.phantom,
                    notes=notes, start=self.slice_slider.value)

    def _settings(self) -> Settings:
        styles = {name: menu.value for name, menu in self.style.items()}
        return Settings(self.sequence.value, styles, self.opacity.value, self.threshold.value, self.width)

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
