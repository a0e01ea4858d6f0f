"""A scanner whose dials a reader turns, and what a network makes of the scan."""

import math

import ipywidgets as widgets
import numpy as np

from ..data import Volume
from ..measures.metrics import dice
from ..measures.trust import assess
from ..model.segmenter import Segmenter
from ..prepare.scanner import DIALS, disturb
from ..sequences import FLAIR
from .base import Viewer, row
from .overlay import COLOURS, NAMES, blend, boundary, upscale
from .page import Case, Settings, build_page, largest_slice
from .slices import described

LABELS = {"contrast": "contrast", "shading": "shading", "ghosts": "motion", "noise": "noise"}
PARTS = 50  # steps of each slider
ON_PAGE = 6  # strengths of each dial on a page, from none to the greatest


class ScannerBench(Viewer):
    """One scan, sliders for what a scanner may do to it, and the mask that a network then draws.

    The mask is drawn anew when a slider is let go. The true mask stays as it is, since none of the
    changes moves anything: so the Dice in the title is that of the disturbed scan.

    Parameters
    ----------
    model : Segmenter
        One that has not seen the patient.
    volume : Volume
    phantom : bool
        Say in the title that the scan is synthetic.
    width : int
        Of the picture, in CSS pixels.

    Attributes
    ----------
    dials : dict of FloatSlider
        By the names of `lggseg.prepare.scanner.DIALS`.
    slice_slider : IntSlider
    image : uint8 (slices, height, width, 3)
        The scan as the dials are now.
    mask : bool (slices, height, width)
        What the network draws on it.
    trust : Trust
        What can be said of that mask without the true one.
    dice : float
        Of both masks.

    Examples
    --------
    ``bench.dials["noise"].value = 20`` turns a dial; ``bench.figure()`` gives the view as a
    matplotlib figure; ``bench.close()`` detaches everything.
    """

    def __init__(
        self, model: Segmenter, volume: Volume, *, phantom: bool = False, width: int = 448
    ):
        super().__init__(width)
        self.model = model
        self.volume = volume
        self.phantom = phantom
        self.dials = {}
        for name, (unchanged, greatest) in DIALS.items():
            self.dials[name] = widgets.FloatSlider(
                unchanged,
                min=min(unchanged, greatest),
                max=max(unchanged, greatest),
                step=abs(greatest - unchanged) / PARTS,
                continuous_update=False,  # a prediction takes longer than a step of the hand
                **described(LABELS[name]),
            )
        self.slice_slider = widgets.IntSlider(
            largest_slice(len(volume.image), volume.mask, None),
            0,
            len(volume.image) - 1,
            readout=False,  # it would count from 0
            **described("slice"),
        )
        self.back = widgets.Button(description="as scanned", icon="undo")
        self._scan()
        for dial in self.dials.values():
            dial.observe(self._scan, "value")
        self.slice_slider.observe(self._redraw, "value")
        self.back.on_click(self.to_start)
        self.children = self._arrange()

    def _arrange(self) -> list[widgets.Widget]:
        controls = (*self.dials.values(), self.slice_slider, self.back)
        side = widgets.VBox(controls, layout=widgets.Layout(flex="1 1 220px", min_width="0"))
        bottom = row(self.picture, side)
        self.parts = (*controls, self.title, self.picture, side, bottom)
        return [self.title, bottom]

    def strengths(self) -> dict[str, float]:
        """What the dials are set to, as `lggseg.prepare.scanner.disturb` takes it."""
        return {name: dial.value for name, dial in self.dials.items()}

    def to_start(self, _button: object = None) -> None:
        """Turn all dials back: the scan as it is."""
        with self._lock:
            self._quiet = True
            for name, (unchanged, _) in DIALS.items():
                self.dials[name].value = unchanged
            self._quiet = False
            self._scan()

    def _scan(self, _change: object = None) -> None:
        """Disturb the scan as the dials say, and let the network judge it."""
        with self._lock:
            if self._quiet:
                return
            self.image = disturb(self.volume.image, self.strengths())
            found = assess(self.model, self.image)
            self.mask = found.mask
            self.trust = found.trust
            self.dice = dice(found.mask, self.volume.mask)
            self.note = f"Without the manual mask: {found.trust}"
            self._redraw()

    def render(self) -> np.ndarray:
        """FLAIR with both outlines, uint8 (height * s, width * s, 3); s fills the width."""
        at = self.slice_slider.value
        scale = math.ceil(self.width / self.image.shape[2])
        picture = upscale(self.image[at, ..., FLAIR], scale)
        line = max(1, picture.shape[1] // 256)
        for name, mask in (("truth", self.volume.mask), ("prediction", self.mask)):
            enlarged = mask[at].repeat(scale, axis=0).repeat(scale, axis=1)
            border = boundary(enlarged, line, outside=name == "prediction")
            blend(picture, border * np.float32(0.9), COLOURS[name])
        return picture

    def caption(self) -> str:
        """Patient, slice, and Dice of the whole volume."""
        words = [self.volume.patient]
        if self.phantom:
            words.append("PHANTOM (synthetic)")
        words.append(f"slice {self.slice_slider.value + 1} of {len(self.image)}")
        words.append(f"Dice {self.dice:.2f}")
        return " · ".join(words)

    def legend(self) -> dict[str, str]:
        """Name and colour of both masks."""
        return {NAMES[name]: COLOURS[name] for name in NAMES}

    def page(self) -> str:
        """One HTML page without a kernel, on which the slice slider turns a dial.

        The menu of patients has the dials instead. Each shows the slice on show, in six steps from
        the scan as it is to the greatest strength.

        Returns
        -------
        str
            An HTML document.
        """
        cases = [self._case_of(name) for name in DIALS]
        styles = dict.fromkeys(NAMES, "contour")
        return build_page(cases, Settings(FLAIR.title, styles, 0.9, 0.5, self.width))

    def _case_of(self, name: str) -> Case:
        """A dial for a page: the slice on show at each strength, one after another."""
        unchanged, greatest = DIALS[name]
        at = self.slice_slider.value
        slices = []
        masks = []
        for strength in np.linspace(unchanged, greatest, ON_PAGE):
            image = disturb(self.volume.image, {name: float(strength)})
            slices.append(image[at])
            masks.append(self.model.segment(image)[at])
        return Case(
            f"{self.volume.patient}, {LABELS[name]} from {unchanged:g} to {greatest:g}",
            np.stack(slices),
            np.stack([self.volume.mask[at]] * ON_PAGE),
            np.stack(masks),
            phantom=self.phantom,
            notes=("the slider turns the dial",),
            start=0,
        )

    def __repr__(self) -> str:
        return f"ScannerBench({self.volume.patient}: {', '.join(DIALS)})"
