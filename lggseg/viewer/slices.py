"""One scan under a slice slider."""

import math
from typing import Any

import ipywidgets as widgets
import numpy as np

from ..errors import LggError
from ..measures.metrics import dice
from .base import Viewer, row, wide
from .overlay import (
    ABSENT,
    COLOURS,
    NAMES,
    VIEWS,
    as_array,
    blend,
    boundary,
    part,
    upscale,
    windowed,
)
from .page import Case, Settings, build_page, largest_slice

STYLES: tuple[str, ...] = ("contour", "fill", "off")  # how a mask is drawn
ALL_SLICES = slice(None)


def check_scan(
    image: Any, mask: Any, prediction: Any
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Bring a scan and its masks into one form, or raise LggError.

    Returns
    -------
    image : uint8 (slices, height, width, 3)
    mask : bool (slices, height, width), or None
    prediction : bool or float (slices, height, width), or None
    """
    try:
        image = as_array(image)
    except ValueError:  # rows of several lengths
        image = np.array(None)
    if image.ndim == 3 and image.shape[-1] > 4:  # else it is one slice in colour
        image = np.repeat(image[..., None], 3, axis=-1)
    if image.ndim != 4 or image.shape[-1] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise LggError(
            f"image is {image.dtype} {image.shape}; it must be uint8 (D, H, W, 3), or (D, H, W) "
            "for one sequence, with at least one slice; a single slice is image[None]"
        )
    shape = image.shape[:3]
    return image, check_mask(mask, "mask", shape), check_prediction(prediction, shape)


def check_mask(mask: Any, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """A mask as bool; anything above 0 counts, so that 0/1 and 0/255 mean the same."""
    if mask is None:
        return None
    mask = check_shape(mask, name, shape)
    is_number = mask.dtype.kind in "biuf"
    if not is_number or (mask.dtype.kind == "f" and np.isnan(mask).any()):
        raise LggError(
            f"{name} holds NaN, or values that are not numbers ({mask.dtype}); "
            "it must be bool, or numbers from 0 up"
        )
    return mask > 0


def check_shape(mask: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A mask as an array; LggError unless it has the shape of the image."""
    mask = as_array(mask)
    if mask.shape != shape:
        raise LggError(f"{name} has shape {mask.shape} and the image {shape}; they must agree")
    return mask


def check_prediction(prediction: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """Probabilities as they are if the array is float, anything else as a mask."""
    if prediction is None or as_array(prediction).dtype.kind != "f":
        return check_mask(prediction, "prediction", shape)
    prediction = check_shape(prediction, "prediction", shape)
    if not 0 <= prediction.min() <= prediction.max() <= 1:
        raise LggError(
            f"prediction runs from {prediction.min():.3g} to {prediction.max():.3g}; "
            "probabilities lie in 0 to 1 (apply the sigmoid to logits first)"
        )
    return prediction


class SliceViewer(Viewer):
    """One scan under a slice slider, with manual outline and prediction on top.

    Parameters
    ----------
    image : uint8 (slices, height, width, 3), or (slices, height, width)
        Pre-contrast, FLAIR and post-contrast; or a single sequence.
    mask : bool (slices, height, width), optional
        The truth. Of other arrays, anything above 0 counts, so that 0/255 is fine.
    prediction : bool or float, 0 to 1 (slices, height, width), optional
        A mask, or probabilities, which add a threshold slider.
    patient : str
        For the title.
    missing : tuple of str
        Sequences ("pre", "post") that are copies of FLAIR.
    phantom : bool
        Say in the title that the scan is synthetic.
    threshold : float, 0 to 1
        Probability from which a pixel counts as tumour.
    width : int
        Of the picture, in CSS pixels.
    note : str
        A line under the title, such as what the mask is worth: ``str(segment_scan(...).trust)``.

    Attributes
    ----------
    slice_slider : IntSlider
        Its value is the index 0 .. D-1; the title says the data set's number k = index + 1.
    picture : Image
        JPEG bytes are in its ``value``. When an assignment to the slider returns, it shows that
        slice.

    Raises
    ------
    LggError
        For shapes or values that do not fit.

    Examples
    --------
    ``viewer.figure()`` gives the same view as a matplotlib figure, ``viewer.page()`` as an HTML
    page; ``viewer.close()`` detaches everything.
    """

    def __init__(
        self,
        image: Any,
        mask: Any = None,
        prediction: Any = None,
        *,
        patient: str = "",
        missing: tuple[str, ...] = (),
        phantom: bool = False,
        threshold: float = 0.5,
        width: int = 448,
        note: str = "",
    ):
        check_scan(image, mask, prediction)  # before any widget exists
        if not 0 <= threshold <= 1:
            raise LggError(f"threshold is {threshold}; a probability lies in 0 to 1")
        unknown = [name for name in missing if name not in ABSENT]
        if unknown:
            raise LggError(f"missing names {unknown[0]!r}; it may name {' and '.join(ABSENT)}")
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
        self.slice_slider = widgets.IntSlider(
            0,
            0,
            0,
            description="slice",
            readout=False,  # it would count from 0
            style={"description_width": "32px"},
            layout=widgets.Layout(flex="1 1 0", min_width="0"),
        )
        self.play = widgets.Play(interval=150, max=0, layout=widgets.Layout(flex="0 0 auto"))
        self.jump = widgets.Button(
            description="largest tumour",
            icon="crosshairs",
            tooltip="go to the slice with the largest tumour area",
        )
        self.sequence = widgets.Dropdown(
            options=list(VIEWS), value="FLAIR", **described("sequence")
        )
        self.style = {}
        for name in NAMES:
            self.style[name] = widgets.Dropdown(options=STYLES, **described(name))
        self.opacity = widgets.FloatSlider(0.9, min=0, max=1, step=0.05, **described("opacity"))
        self.threshold = widgets.FloatSlider(
            threshold, min=0, max=1, step=0.01, **described("threshold")
        )
        self.window = widgets.IntRangeSlider(value=(0, 255), min=0, max=255, **described("window"))
        self._choices = (
            self.sequence,
            *self.style.values(),
            self.opacity,
            self.threshold,
            self.window,
        )

    def _arrange(self) -> list[widgets.Widget]:
        """Title and slider on top, other controls beside the picture: it fits a small screen."""
        top = row(self.play, self.slice_slider, self.jump)
        side_layout = widgets.Layout(flex="1 1 220px", min_width="0")
        side = widgets.VBox(self._choices, layout=side_layout)
        bottom = row(self.picture, side)
        self.parts = (
            self.slice_slider,
            self.play,
            self.jump,
            *self._choices,
            self.title,
            self.picture,
            top,
            side,
            bottom,
        )
        return [self.title, top, bottom]

    def show(
        self,
        image: Any,
        mask: Any = None,
        prediction: Any = None,
        *,
        patient: str = "",
        missing: tuple[str, ...] = (),
        note: str = "",
    ) -> None:
        """Show another scan in the same widgets, at the slice with the largest tumour area.

        Parameters are those of the class.
        """
        image, mask, prediction = check_scan(image, mask, prediction)
        with self._one_redraw():
            self.image = image
            self.mask = mask
            self.prediction = prediction
            self.patient = patient
            self.missing = missing
            self.note = note
            self.slice_slider.max = len(image) - 1
            self.play.max = len(image) - 1
            self._offer()
            self.to_largest()

    def _offer(self) -> None:
        """Hide the controls that have nothing to act on."""
        show_if(self.style["truth"], self.mask is not None)
        show_if(self.style["prediction"], self.prediction is not None)
        has_probabilities = self.prediction is not None and self.prediction.dtype.kind == "f"
        show_if(self.threshold, has_probabilities)
        styles = STYLES
        if has_probabilities:
            styles = (*STYLES, "probability")
        menu = self.style["prediction"]
        if menu.options != styles:
            chosen = menu.value
            menu.options = styles
            menu.value = chosen if chosen in styles else "fill"

    def to_largest(self, _button: Any = None) -> None:
        """Go to the slice with the largest tumour area.

        That of the truth, else that of the prediction, else the middle slice.
        """
        self.slice_slider.value = largest_slice(len(self.image), self.mask, self.predicted())

    def predicted(self, at: int | slice = ALL_SLICES) -> np.ndarray | None:
        """The prediction as a mask, all slices or one of them; None without a prediction."""
        if self.prediction is None:
            return None
        if self.prediction.dtype == bool:
            return self.prediction[at]
        return self.prediction[at] >= self.threshold.value

    def masks(self) -> dict[str, np.ndarray]:
        """The masks to draw on the present slice, bool (height, width), by name."""
        at = self.slice_slider.value
        drawn = {}
        if self.mask is not None and self.style["truth"].value != "off":
            drawn["truth"] = self.mask[at]
        predicted = self.predicted(at)
        if predicted is not None and self.style["prediction"].value != "off":
            drawn["prediction"] = predicted
        return drawn

    def render(self) -> np.ndarray:
        """The picture that is shown now.

        Returns
        -------
        uint8 (height * s, width * s, 3), s the smallest whole number that fills the width
        """
        at = self.slice_slider.value
        scale = math.ceil(self.width / self.image.shape[2])
        pixels = self.image[at][..., VIEWS[self.sequence.value]]
        picture = upscale(windowed(pixels, *self.window.value), scale)
        opacity = np.float32(self.opacity.value)
        masks = self.masks()
        for name, mask in masks.items():
            if self.style[name].value == "fill":
                view, weight = part(picture, mask * (np.float32(0.4) * opacity), scale)
                blend(view, weight, COLOURS[name])
        if self.prediction is not None and self.style["prediction"].value == "probability":
            weight = self.prediction[at].astype(np.float32) * (np.float32(0.8) * opacity)
            view, weight = part(picture, np.where(weight > 0.01, weight, 0), scale)
            blend(view, weight, COLOURS["prediction"])
        width = max(1, picture.shape[1] // 256)
        margin = math.ceil(width / scale)
        for name, mask in masks.items():  # lines last, so that no fill hides them
            view, mask = part(picture, mask, scale, margin)
            line = boundary(mask, width, outside=name == "prediction")
            blend(view, line * opacity, COLOURS[name])
        return picture

    def caption(self) -> str:
        """Patient, slice and slice Dice; the Dice of two empty masks is undefined."""
        at = self.slice_slider.value
        words = []
        if self.patient:
            words.append(self.patient)
        if self.phantom:
            words.append("PHANTOM (synthetic)")
        words.append(f"slice {at + 1} of {len(self.image)}")  # the data set counts from 1
        predicted = self.predicted(at)
        if self.mask is not None and predicted is not None:
            score = dice(predicted, self.mask[at])
            if math.isnan(score):
                words.append("slice Dice undefined (both empty)")
            else:
                words.append(f"slice Dice {score:.2f}")
        if self.sequence.value in [ABSENT[name] for name in self.missing]:
            words.append(f"{self.sequence.value} is missing: FLAIR shown")
        return " · ".join(words)

    def legend(self) -> dict[str, str]:
        """Name and colour of each mask that is drawn."""
        return {NAMES[name]: COLOURS[name] for name in self.masks()}

    def page(self) -> str:
        """The view as one HTML page that needs neither kernel nor network, about 1 MB.

        Its controls are set as those of the viewer are now: sliders for slice, opacity and
        threshold, menus for sequence and masks, arrow keys. It shows the Dice of each slice. The
        grey window cannot be changed on it.

        Returns
        -------
        str
            An HTML document.

        Raises
        ------
        LggError
            For more slices than a picture can hold.
        """
        return build_page([self._case()], self._settings())

    def _case(self) -> Case:
        """The scan that is shown, for a page."""
        notes: tuple[str, ...] = ()
        if self.note:
            notes = (self.note,)
        return Case(
            self.patient,
            windowed(self.image, *self.window.value),
            self.mask,
            self.prediction,
            missing=self.missing,
            phantom=self.phantom,
            notes=notes,
            start=self.slice_slider.value,
        )

    def _settings(self) -> Settings:
        """What the controls are set to, for a page."""
        styles = {name: menu.value for name, menu in self.style.items()}
        return Settings(
            self.sequence.value, styles, self.opacity.value, self.threshold.value, self.width
        )

    def _move_play(self, change: Any) -> None:
        self.play.value = change["new"]

    def _follow_play(self, change: Any) -> None:
        self.slice_slider.value = change["new"]

    def close(self) -> None:
        """Detach all observers and close every widget; the arrays stay."""
        if self.parts:
            self.jump.on_click(self.to_largest, remove=True)
        super().close()

    def __repr__(self) -> str:
        depth, height, width = self.image.shape[:3]
        shown = []
        if self.mask is not None:
            shown.append("truth")
        if self.prediction is not None:
            shown.append("prediction")
        masks = " and ".join(shown) or "image only"
        name = type(self).__name__
        return f"{name}({self.patient or 'scan'}: {depth} slices, {height} x {width}, {masks})"


def described(name: str) -> dict[str, Any]:
    """Options of a control: its name beside it, and all of the width."""
    return {"description": name, "style": {"description_width": "76px"}, "layout": wide()}


def show_if(control: widgets.Widget, useful: bool) -> None:
    """Show a control, or hide it."""
    control.layout.display = "" if useful else "none"
