"""A reader's hand on the viewer: drag, keys, menus, and whether the pixels on the page are the
right ones.

The test holds a second viewer of its own, without a page, in the state the page should be in. The
picture's bytes in the browser must equal that viewer's bytes.
"""

import base64
import io
import json
import re
import time

import nbformat
import numpy as np
import pytest
from PIL import Image
from servers import PICTURES

from lggseg.viewer import CohortViewer

SETUP = """
import torch
from lggseg.data import open_cohort
from lggseg.prepare.network_grid import GridSpec
from lggseg.model.segmenter import Segmenter
from lggseg.viewer import CohortViewer, SliceViewer

class Bright(torch.nn.Module):
    'Calls tumour what is bright on FLAIR: right about most of it, with false positives.'
    def forward(self, x):
        return 3 * (x[:, 1:2] - 1.5)

model = Segmenter(Bright(), GridSpec(size=128, block=1))
"""
OPEN = "viewer = CohortViewer(open_cohort({root!r}, progress=False), model)\nviewer"
BYTES = """async image => {
    const buffer = await (await fetch(image.src)).arrayBuffer();
    return btoa(Array.from(new Uint8Array(buffer), byte => String.fromCharCode(byte)).join(''));
}"""


class Page:
    """The viewer on the page, by what a reader sees of it."""

    def __init__(self, page, box):
        self.page, self.box = page, box
        self.picture = self.box.locator("img.widget-image")

    def bytes(self) -> bytes:
        return base64.b64decode(self.picture.evaluate(BYTES))

    def slider(self, name: str):
        """The row of a slider by its label."""
        return self.box.locator(f".widget-slider:has(label:text-is('{name}'))")

    def value(self, name: str) -> float:
        return float(self.slider(name).locator(".widget-readout").inner_text())

    def at(self) -> int:
        """Index of the slice on show, by the number (from 1) in the title."""
        return int(re.search(r"slice (\d+) of", self.box.inner_text())[1]) - 1

    def settled(self) -> int:
        """Index of the slice on show, once it has been the same for a second."""
        before = None
        now = self.at()
        while now != before:
            self.page.wait_for_timeout(1000)
            before = now
            now = self.at()
        return now

    def drag(self, name: str, shares: list[float], followed=lambda: True) -> None:
        """Press on the handle, move over these shares of the track, let go.

        After each move the viewer has time until it has `followed`.
        """
        track = self.slider(name).locator(".noUi-base").bounding_box()
        handle = self.slider(name).locator(".noUi-handle").bounding_box()
        self.page.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
        self.page.mouse.down()
        for share in shares:
            self.page.mouse.move(track["x"] + share * track["width"], track["y"] + 2, steps=4)
            self.page.wait_for_timeout(150)
            self.soon(followed, f"the viewer does not follow the {name} to {share} of its way")
        self.page.mouse.up()

    def press(self, name: str, key: str, times: int = 1) -> None:
        for _ in range(times):
            self.slider(name).locator(".noUi-handle").press(key)

    def choose(self, name: str, option: str) -> None:
        self.box.locator(f".widget-dropdown:has(label:text-is('{name}')) select").select_option(
            label=option
        )

    def soon(self, condition, words: str, seconds: float = 30) -> None:
        """Wait for `condition`, as one waits for a page; fail with `words`."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, words
            self.page.wait_for_timeout(50)

    def shows(self, twin, words: str) -> None:
        self.soon(
            lambda: self.bytes() == twin.picture.value,
            f"the page does not show {words}: {twin.caption()}",
        )
        assert twin.caption() in self.box.inner_text()

    def screenshot(self, name: str) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.box.evaluate("box => box.scrollIntoView({block: 'end'})")
        self.page.wait_for_timeout(300)
        self.page.screenshot(path=PICTURES / f"{name}.png")

    def too_large(self) -> str:
        """What cannot be seen at once or has scroll bars, in words; empty where all fits."""
        room = self.page.locator(".jp-WindowedPanel-outer").first.bounding_box()
        over = (
            "boxes => boxes.filter(b => b.scrollWidth > b.clientWidth || b.scrollHeight > "
            "b.clientHeight).length"
        )
        scrolled = self.page.locator(".jp-OutputArea-output .widget-box").evaluate_all(over)
        height = self.box.bounding_box()["height"]
        if height > room["height"]:
            return f"the viewer is {height} pixels high, in {room['height']}"
        return f"{scrolled} boxes have scroll bars" if scrolled else ""

    def theme(self, name: str) -> None:
        self.page.evaluate(
            "name => jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name
        )
        self.page.wait_for_timeout(1500)


def fragmented(cohort) -> str:
    """The patient whose largest slice shows the most separate pieces."""
    from scipy import ndimage

    masks = {patient: cohort.volume(patient).mask for patient in cohort.patients}
    return max(
        masks,
        key=lambda patient: ndimage.label(masks[patient][masks[patient].sum((1, 2)).argmax()])[1],
    )


def opened_in_lab(browser, lab, name: str, cells: list[str]) -> Page:
    """The widget of a notebook that JupyterLab has run, at 1280 x 700."""
    address, token, folder = lab
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        },
    )
    nbformat.write(notebook, folder / f"{name}.ipynb")
    page = browser.new_page(viewport={"width": 1280, "height": 700})
    page.goto(f"{address}/lab/tree/{name}.ipynb?reset&token={token}")
    page.locator(".jp-Notebook .jp-CodeCell").nth(1).wait_for(timeout=120_000)
    page.wait_for_function(
        "jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
        timeout=120_000,
    )
    page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
    view = Page(page, page.locator(".jp-OutputArea-output .widget-vbox").first)
    view.picture.wait_for(timeout=120_000)
    return view


@pytest.fixture(scope="module")
def opened(browser, lab, phantom_cohort):
    """The viewer in a notebook."""
    cells = [SETUP, OPEN.format(root=str(phantom_cohort.root))]
    view = opened_in_lab(browser, lab, "viewer", cells)
    yield view
    view.page.close()


@pytest.fixture(scope="module")
def twin(phantom_cohort):
    """What the page should show: the same viewer, without a page."""
    space = {}
    exec(SETUP, space)
    viewer = CohortViewer(phantom_cohort, space["model"])
    viewer.wait()
    yield viewer
    viewer.close()


def test_starts_with_the_prediction_and_the_right_pixels_on_the_screen(opened, twin):
    opened.shows(twin, "the first patient with its prediction")
    assert twin.prediction is not None and "slice Dice" in twin.caption()
    shot = Image.open(io.BytesIO(opened.picture.screenshot())).convert("RGB")
    wanted = Image.open(io.BytesIO(twin.picture.value)).resize(shot.size, Image.Resampling.BILINEAR)
    assert np.abs(np.asarray(shot, float) - np.asarray(wanted, float)).mean() < 4
    opened.screenshot("light")


def test_slices_are_numbered_from_1_and_only_so(opened, twin):
    # It would show the index, from 0.
    assert not opened.slider("slice").locator(".widget-readout").is_visible()
    assert f"slice {twin.slice_slider.value + 1} of {len(twin.image)}" in opened.box.inner_text()


def test_fits_a_screen_700_pixels_high(opened, twin):
    assert opened.too_large() == ""


def test_scrubbing_follows_the_mouse(opened, twin):
    opened.page.evaluate("""() => {
        window.shown = [];
        const image = document.querySelector('img.widget-image');
        new MutationObserver(() => window.shown.push(image.src)).observe(image, {attributes: true});
    }""")
    counts = [0]

    def followed() -> bool:
        """Whether the mouse's last move has changed the picture."""
        shown = opened.page.evaluate("window.shown.length")
        if shown == counts[-1]:
            return False
        counts.append(shown)
        return True

    opened.drag("slice", [0.0, 0.2, 0.5, 0.8, 0.4], followed)
    assert len(counts) == 6  # the picture followed each of five moves
    last = opened.settled()
    assert 0 < last < twin.slice_slider.max
    before = twin.picture.value
    twin.slice_slider.value = last
    assert twin.picture.value != before
    opened.shows(twin, "the slice the handle was left on")


def test_arrow_keys(opened, twin):
    start = opened.at()
    opened.press("slice", "ArrowRight")
    twin.slice_slider.value = start + 1
    opened.shows(twin, "the next slice")
    opened.press("slice", "ArrowLeft", 3)
    twin.slice_slider.value = start - 2
    opened.shows(twin, "three slices back")
    opened.press("slice", "End")
    twin.slice_slider.value = twin.slice_slider.max
    opened.shows(twin, "the last slice")


def test_button_goes_to_the_largest_tumour(opened, twin):
    opened.box.get_by_role("button", name="largest tumour").click()
    twin.to_largest()
    opened.shows(twin, "the largest tumour")


def test_threshold(opened, twin):
    opened.drag("threshold", [0.8])
    value = opened.value("threshold")
    assert 0.7 < value < 0.9
    before = twin.picture.value
    twin.threshold.value = value
    assert twin.picture.value != before
    opened.shows(twin, "the higher threshold")
    opened.press("threshold", "Home")
    twin.threshold.value = 0
    opened.shows(twin, "everything predicted")
    opened.drag("threshold", [0.5])
    twin.threshold.value = opened.value("threshold")
    opened.shows(twin, "a middle threshold")


@pytest.mark.parametrize(
    "name, option",
    [
        ("truth", "fill"),
        ("prediction", "fill"),
        ("prediction", "probability"),
        ("sequence", "post-contrast"),
        ("sequence", "all three as colours"),
        ("sequence", "FLAIR"),
        ("truth", "contour"),
        ("prediction", "contour"),
    ],
)
def test_menus(opened, twin, name, option):
    opened.choose(name, option)
    {**twin.style, "sequence": twin.sequence}[name].value = option
    opened.shows(twin, f"{name}: {option}")
    if option == "probability":
        opened.screenshot("probability")


def test_another_patient(opened, twin, phantom_cohort):
    patient = fragmented(phantom_cohort)
    patient = patient if patient != twin.patient else phantom_cohort.patients[-1]
    opened.choose("patient", patient)
    twin.patient_menu.value = patient
    opened.soon(
        lambda: patient in opened.box.inner_text(), "the title does not name the new patient"
    )
    twin.wait()
    opened.shows(twin, "the new patient with its prediction")
    opened.screenshot("fragmented")


def test_play_and_stop(opened, twin):
    opened.press("slice", "Home")
    twin.slice_slider.value = 0
    opened.shows(twin, "the first slice")
    buttons = opened.box.locator(".widget-play button")
    buttons.first.click()
    opened.soon(lambda: opened.at() >= 4, "the play button moves nothing")
    opened.box.locator(".widget-play button").first.click()  # pause
    twin.slice_slider.value = opened.settled()
    opened.shows(twin, "the slice where it was paused")


def test_dark_theme_and_narrow_window(opened, twin):
    opened.box.get_by_role("button", name="largest tumour").click()
    twin.to_largest()
    opened.shows(twin, "the largest tumour")
    opened.theme("JupyterLab Dark")
    title = opened.box.locator(".widget-html-content").first
    colour = "node => '[' + getComputedStyle(node).color.match(/[0-9]+/g).join() + ']'"
    opened.soon(
        lambda: np.mean(json.loads(title.evaluate(colour))[:3]) > 150,
        "the letters are not light on dark ground",
    )
    opened.screenshot("dark")
    opened.theme("JupyterLab Light")
    opened.page.set_viewport_size({"width": 640, "height": 700})
    opened.soon(
        lambda: opened.too_large() == "", "the viewer does not fit a window 640 pixels wide"
    )
    opened.screenshot("narrow")
    opened.page.set_viewport_size({"width": 1280, "height": 700})
