"""The page without a kernel, under a reader's hand: each picture it draws is compared with what
Python renders.

Python renders the slices as they are stored, for how much WebP loses is no question to a browser.
`cohort_twin` is the viewer the page was made from. It post-processes at every threshold; the page
only does so at its first one, so elsewhere the page is compared with a plain SliceViewer, which
only cuts the map.
"""

import base64
import html
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from servers import PICTURES

from lggseg.model.segmenter import Segmenter
from lggseg.prepare.network_grid import GridSpec
from lggseg.viewer import CohortViewer, SliceViewer
from lggseg.viewer.colours import PREDICTION, TRUTH, rgb

COLOUR_SCHEMES = {"light": (255, 255, 255), "dark": (22, 24, 27)}


class Bright(torch.nn.Module):
    """Calls tumour what is bright on FLAIR in the middle: half right, with some pieces that the
    clean-up removes.
    """

    def forward(self, x):
        across = torch.linspace(-2, 2, x.shape[-1])
        return torch.where(
            across[:, None] ** 2 + across**2 < 1, 3 * (x[:, 1:2] - 1.2), torch.tensor(-9.0)
        )


class Leaf:
    """The page, by what a reader sees of it; `frame` is where it lies, itself or an iframe."""

    def __init__(self, page, frame=None):
        self.page, self.frame = page, frame or page
        page.set_default_timeout(60_000)  # machines that are busy
        self.ready()

    def ready(self) -> None:
        self.frame.locator("main[aria-busy=false]").wait_for()

    def slider(self, name: str):
        return self.frame.get_by_role("slider", name=name)

    def words(self) -> tuple[str, str]:
        """The title, and after it what the mask is worth where the page says so."""
        title = self.frame.locator("h1").inner_text()
        caption = self.frame.locator("#caption").inner_text()
        before, mark, after = f"{title} · {caption}".partition(" · expected Dice")
        return before, f"{mark}{after}".removeprefix(" · ")

    def title(self) -> str:
        return self.words()[0]

    def worth(self) -> str:
        return self.words()[1]

    def threshold(self) -> float:
        return float(self.frame.locator("#threshold-value").inner_text())

    def drawn(self) -> np.ndarray:
        """The canvas, as it is before the page scales it."""
        data = self.frame.locator("canvas").evaluate(
            "canvas => canvas.toDataURL('image/png').split(',')[1]"
        )
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(int)

    def choose(self, name: str, option: str) -> None:
        self.frame.get_by_label(name, exact=True).select_option(label=option)

    def drag(self, name: str, shares: list[float]) -> None:
        """Press on the slider, move over these shares of its width, let go."""
        self.slider(name).scroll_into_view_if_needed()
        box = self.slider(name).bounding_box()
        middle = box["y"] + box["height"] / 2
        self.page.mouse.move(box["x"] + shares[0] * box["width"], middle)
        self.page.mouse.down()
        for share in shares[1:]:
            self.page.mouse.move(box["x"] + share * box["width"], middle, steps=4)
        self.page.mouse.up()

    def screenshot(self, name: str) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"page_{name}.png", full_page=True)

    def shows(self, twin) -> None:
        """The twin's title, its picture up to roundings, and every pixel of its lines exactly."""
        assert self.title() == twin.caption()
        if twin.note:
            assert self.worth() == twin.note
        picture, wanted = self.drawn(), twin.render().astype(int)
        assert picture.shape == wanted.shape and abs(picture - wanted).max() <= 4
        if twin.opacity.value == 1:
            for colour in (TRUTH, PREDICTION):
                assert np.array_equal(
                    (picture == rgb(colour)).all(-1), (wanted == rgb(colour)).all(-1)
                )


def as_stored(page: str, index: int) -> np.ndarray:
    """Slices uint8 (D,H,W,3) of a patient of the page."""
    case = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])["cases"][index]
    sheets = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(sprite.split(",")[1]))).convert("L"))
        for sprite in case["sprites"]
    ]
    rows = np.stack(sheets, axis=-1).reshape(
        -1, case["height"], case["columns"], case["width"], len(sheets)
    )
    slices = rows.swapaxes(1, 2).reshape(-1, case["height"], case["width"], len(sheets))[
        : case["depth"]
    ]
    return slices[..., [sprite for sprite, _ in case["sequences"]["all three as colours"]]]


@pytest.fixture(scope="module")
def patients(phantom_cohort):
    return phantom_cohort.patients[:2]


@pytest.fixture(scope="module")
def made(phantom_cohort, patients):
    """A viewer and its page."""
    recipe = GridSpec(size=128, block=1, threshold=0.45, min_component_share=0.2)
    viewer = CohortViewer(phantom_cohort, Segmenter(Bright(), recipe))
    viewer.wait()
    viewer.opacity.value = 1
    yield viewer, viewer.page(patients)
    viewer.close()


@pytest.fixture(scope="module")
def cohort_twin(made):
    viewer, page = made
    viewer.image = as_stored(page, 0)
    return viewer


@pytest.fixture(scope="module")
def file(made, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(made[1], encoding="utf-8")
    return path


@pytest.fixture
def leaf(browser, file):
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    faults, asked = [], []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    yield Leaf(page)
    assert faults == [] and [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    page.close()


@pytest.fixture
def cut(cohort_twin):
    """A plain viewer on the twin's scan and map: what the page shows at thresholds other than its
    first.
    """
    viewer = SliceViewer(
        cohort_twin.image,
        cohort_twin.mask,
        cohort_twin.prediction,
        patient=cohort_twin.patient,
        missing=cohort_twin.missing,
        phantom=True,
        threshold=cohort_twin.threshold.value,
    )
    viewer.opacity.value = 1
    yield viewer
    viewer.close()


def test_every_slice_is_what_python_draws(leaf, cohort_twin, cut):
    """With Dice: 0, undefined and in between; and the clean-up, which makes a difference here."""
    leaf.slider("slice").focus()
    leaf.page.keyboard.press("Home")
    said = set()
    for at in range(len(cohort_twin.image)):
        cohort_twin.slice_slider.value = cut.slice_slider.value = at
        leaf.shows(cohort_twin)
        said.add(leaf.title().split("Dice ")[1])
        leaf.page.keyboard.press("ArrowRight")
    assert {"undefined (both empty)", "0.00"} < said and len(said) > 3
    assert (cohort_twin.predicted() != cut.predicted()).any()
    leaf.screenshot("light")


def test_slider_dragged(leaf, cohort_twin):
    leaf.drag("slice", [0.1, 0.9, 0.3])
    at = int(leaf.slider("slice").input_value()) - 1
    assert 2 < at < len(cohort_twin.image) - 4
    cohort_twin.slice_slider.value = at
    leaf.shows(cohort_twin)
    assert (
        leaf.slider("slice").get_attribute("aria-valuetext")
        == f"slice {at + 1} of {len(cohort_twin.image)}"
    )


def test_arrow_keys_wherever_the_reader_is(leaf, cohort_twin):
    cohort_twin.to_largest()
    leaf.page.keyboard.press("ArrowRight")  # nothing has the focus
    cohort_twin.slice_slider.value += 1
    leaf.shows(cohort_twin)
    leaf.frame.locator("canvas").click()
    for _ in range(3):
        leaf.page.keyboard.press("ArrowLeft")
    cohort_twin.slice_slider.value -= 3
    leaf.shows(cohort_twin)
    leaf.slider("opacity").focus()
    leaf.page.keyboard.press("ArrowLeft")  # the slider's own key: the slice stays
    assert leaf.title() == cohort_twin.caption() and leaf.slider("opacity").input_value() == "0.95"


def test_buttons(leaf, cohort_twin):
    cohort_twin.to_largest()
    leaf.frame.get_by_role("button", name="previous slice").click()
    leaf.frame.get_by_role("button", name="previous slice").click()
    leaf.frame.get_by_role("button", name="next slice").click()
    cohort_twin.slice_slider.value -= 1
    leaf.shows(cohort_twin)
    leaf.frame.get_by_role("button", name="largest tumour").click()
    cohort_twin.to_largest()
    leaf.shows(cohort_twin)


def test_threshold_cuts_the_map_and_says_what_is_left_out(leaf, cohort_twin, cut):
    status = leaf.frame.get_by_role("status")
    cohort_twin.to_largest()
    leaf.shows(cohort_twin)
    assert (
        status.inner_text()
        == "At 0.45 the prediction is post-processed: weak components are removed."
    )
    leaf.drag("threshold", [0.45, 0.8])
    assert 0.75 < leaf.threshold() < 0.85
    assert status.inner_text().startswith(f"At {leaf.threshold():.2f} the map is only cut.")
    cut.threshold.value = leaf.threshold()
    leaf.shows(cut)
    for key, times, threshold in (
        ("ArrowLeft", 7, leaf.threshold() - 0.07),
        ("End", 1, 1),
        ("Home", 1, 0),
    ):
        for _ in range(times):
            leaf.slider("threshold").press(key)
        assert leaf.threshold() == pytest.approx(threshold)
        cut.threshold.value = leaf.threshold()
        leaf.shows(cut)


@pytest.mark.parametrize(
    "name, option",
    [
        ("manual mask", "fill"),
        ("manual mask", "off"),
        ("prediction", "fill"),
        ("prediction", "off"),
        ("prediction", "probability"),
        ("sequence", "pre-contrast"),
        ("sequence", "post-contrast"),
        ("sequence", "all three as colours"),
    ],
)
@pytest.mark.parametrize("opacity", [1, 0.5])
def test_menus_and_opacity(leaf, cohort_twin, name, option, opacity):
    menu = {
        "manual mask": cohort_twin.style["truth"],
        "prediction": cohort_twin.style["prediction"],
        "sequence": cohort_twin.sequence,
    }[name]
    cohort_twin.to_largest()
    before = menu.value
    menu.value, cohort_twin.opacity.value = option, opacity
    try:
        leaf.choose(name, option)
        for _ in range(round((1 - opacity) / 0.05)):
            leaf.slider("opacity").press("ArrowLeft")
        leaf.shows(cohort_twin)
        assert (
            leaf.frame.locator("#legend").inner_text().split()
            == " ".join(cohort_twin.legend()).split()
        )
    finally:
        menu.value, cohort_twin.opacity.value = before, 1


def test_another_patient(leaf, made, patients):
    viewer, page = made
    leaf.choose("patient", patients[1])
    leaf.ready()
    before = viewer.image
    viewer.patient_menu.value = patients[1]
    try:
        viewer.wait()
        viewer.image = as_stored(page, 1)
        leaf.shows(viewer)
    finally:
        viewer.patient_menu.value = patients[0]
        viewer.image = before


def test_every_control_has_a_name_and_takes_the_focus(leaf):
    names = []
    for _ in range(12):
        leaf.page.keyboard.press("Tab")
        names.append(
            leaf.page.evaluate("""() => {
            const here = document.activeElement;
            return here.labels?.[0]?.innerText ?? here.getAttribute('aria-label') ?? here.innerText;
        }""")
        )
    assert names[:5] == ["patient", "slice", "previous slice", "next slice", "largest tumour"]
    assert names[5].startswith("TCGA")  # the picture
    assert names[6:11] == ["sequence", "manual mask", "prediction", "opacity", "threshold"]


@pytest.mark.parametrize("scheme", COLOUR_SCHEMES)
@pytest.mark.parametrize("width", [1280, 400, 360])
def test_fits_and_can_be_read(browser, file, scheme, width):
    page = browser.new_page(viewport={"width": width, "height": 720}, color_scheme=scheme)
    page.goto(file.as_uri())
    leaf = Leaf(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
    assert tuple(shot[2, 2]) == COLOUR_SCHEMES[scheme]
    for words in ("h1", "#caption", ".quiet", "label", "button", "select"):
        colour = page.locator(words).first.evaluate(
            "node => getComputedStyle(node).color.match(/[0-9]+/g).map(Number)"
        )
        assert contrast(colour, COLOUR_SCHEMES[scheme]) > 4.5, words
    leaf.screenshot(f"{scheme}_{width}")
    page.close()


def contrast(one: tuple, other: tuple) -> float:
    """WCAG's contrast ratio of two colours, 1 to 21."""

    def luminance(colour):
        parts = np.array(colour) / 255
        return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [
            0.2126,
            0.7152,
            0.0722,
        ]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_inside_another_page(browser, file, cohort_twin, tmp_path):
    outer = tmp_path / "outer.html"
    srcdoc = html.escape(file.read_text(encoding="utf-8"))
    outer.write_text(
        "<!doctype html><p>A notebook.</p>"
        f'<iframe width="900" height="650" srcdoc="{srcdoc}"></iframe>'
    )
    page = browser.new_page(viewport={"width": 1000, "height": 800})
    page.goto(outer.as_uri())
    leaf = Leaf(page, page.frame_locator("iframe"))
    cohort_twin.to_largest()
    leaf.shows(cohort_twin)
    leaf.frame.locator("canvas").click()
    page.keyboard.press("ArrowRight")
    cohort_twin.slice_slider.value += 1
    leaf.shows(cohort_twin)
    leaf.screenshot("iframe")
    page.close()


def test_a_name_is_no_markup(browser, cohort_twin, tmp_path):
    name = "</script><img src=x onerror=window.broken=1><script>window.broken=1</script>"
    viewer = SliceViewer(cohort_twin.image, patient=name)
    (tmp_path / "page.html").write_text(viewer.page(), encoding="utf-8")
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    leaf = Leaf(page)
    assert (
        leaf.title() == viewer.caption()
        and page.title() == name
        and page.evaluate("window.broken") is None
    )
    for hidden in ("patient", "manual mask", "prediction", "threshold"):
        assert not page.get_by_label(hidden, exact=True).is_visible()
    viewer.close()
    page.close()


def test_says_why_nothing_is_drawn(browser, file):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(file.as_uri())
    assert "JavaScript, which is switched off" in page.locator("#caption").inner_text()
    page.context.close()
    page = browser.new_page()
    page.add_init_script("delete window.DecompressionStream")  # an old browser
    page.goto(file.as_uri())
    page.get_by_text(
        "This browser cannot show the slices: DecompressionStream is not defined"
    ).wait_for()
    page.close()
