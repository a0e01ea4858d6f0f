"""The site that `make site` left in build/site, as a reader without a network sees it: light, dark
and narrow.
"""

from pathlib import Path

import pytest
from servers import PICTURES, ROOT

SITE = ROOT / "build" / "site"
CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")
PAGES = sorted(
    path.relative_to(SITE).with_suffix("").as_posix()
    for path in SITE.rglob("*.html")
    if "_static" not in path.parts
)
LOOKS = {"light": (1280, "light"), "dark": (1280, "dark"), "narrow": (390, "light")}
CHOPPED = (
    "words => words.filter(word => word.getClientRects().length > 1).map(word => word.innerText)"
)
SCROLLED = (
    "cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth).map(cell => cell.innerText)"
)
CONTRASTED = (
    "images => images.filter(image => getComputedStyle(image).filter.includes('contrast')).length"
)

pytestmark = pytest.mark.skipif(
    not (SITE / "index.html").exists(), reason="no site in build/site; make site"
)


@pytest.fixture(params=LOOKS)
def look(request, browser):
    """(name, page) of a reader's window; a request to the network fails the test."""
    width, scheme = LOOKS[request.param]
    asked = []
    with browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme
    ) as context:
        page = context.new_page()
        page.set_default_timeout(120_000)  # pages of several MB, and machines that are busy
        page.on(
            "request", lambda sent: asked.append(sent.url) if sent.url.startswith("http") else None
        )
        yield request.param, page
    assert asked == []


def address(name: str) -> str:
    return (SITE / f"{name}.html").as_uri()


def test_every_page_can_be_read(look):
    name, page = look
    for each in PAGES:
        page.goto(address(each))
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURES / f"site-{each.replace('/', '-')}-{name}.png")
        assert page.evaluate(CONTRAST) == [], each
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
            f"{each} is wider than the window"
        )
        chopped = page.locator("td code .pre").evaluate_all(CHOPPED)
        assert [word for word in chopped if "-" not in word] == [], (
            f"{each}: names in tables are chopped"
        )
        if name != "narrow":
            scrolled = page.locator(".cell_input pre").evaluate_all(SCROLLED)
            assert scrolled == [], f"{each}: lines of code are cut off"
        assert page.locator("article img").evaluate_all(CONTRASTED) == 0, (
            f"{each}: greys of scans are falsified"
        )


def test_first_notebook_in_one_click_and_its_viewer_lives(look):
    _, page = look
    page.goto(address("index"))
    page.get_by_role("link", name="Start with the first notebook").click()
    page.wait_for_url("**/01_data_exploration.html")
    viewer = page.frame_locator("iframe.viewer").first
    viewer.locator("main[aria-busy=false]").wait_for()
    slider, before = (
        viewer.get_by_role("slider", name="slice"),
        viewer.locator("#caption").inner_text(),
    )
    slider.press("ArrowRight")
    assert viewer.locator("#caption").inner_text() != before
    frame = page.locator("iframe.viewer").first
    inner = frame.evaluate("frame => frame.contentDocument.body.offsetHeight")
    assert abs(frame.bounding_box()["height"] - inner) < 2  # neither cut off nor scrolled in itself


def test_threshold_moves_where_there_is_a_prediction(look):
    _, page = look
    page.goto(address("notebooks/05_evaluation"))
    assert page.locator("iframe.viewer").count() == 2
    viewer = page.frame_locator("iframe.viewer").first
    viewer.locator("main[aria-busy=false]").wait_for()
    before = viewer.locator("#threshold-value").inner_text()
    viewer.get_by_role("slider", name="threshold").press("ArrowRight")
    assert viewer.locator("#threshold-value").inner_text() != before


def test_a_solution_unfolds_by_keyboard_and_next_leads_to_the_next_notebook(look):
    _, page = look
    page.goto(address("notebooks/01_data_exploration"))
    fold = page.locator("details:has(summary:text-is('Solution'))").first
    hidden = fold.locator(":scope > :not(summary)").first
    assert not hidden.is_visible()
    fold.locator("summary").press("Enter")
    assert hidden.is_visible()
    page.locator("article a:has-text('02 Genomic clusters')").first.click()
    page.wait_for_url("**/02_genomic_clusters.html")


def test_every_answer_is_folded(look):
    """Nothing of a closed <details> shows but its summary, in any notebook."""
    _, page = look
    for each in (name for name in PAGES if name.startswith("notebooks/")):
        page.goto(address(each))
        folds = page.locator("details:has(summary:text-matches('Solution|Answer'))")
        assert folds.count() > 0, each
        shown = folds.locator(":scope > :not(summary)").evaluate_all(
            "parts => parts.filter(part => part.checkVisibility()).map(part => part.innerText)"
        )
        assert shown == [], each
        assert folds.locator(":scope > :not(summary)").count() >= folds.count(), each


def test_search_finds(look):
    _, page = look
    page.goto(f"{address('search')}?q=hausdorff")
    page.locator("#search-results li a").first.wait_for()
    assert page.locator("#search-results li a").count() > 2
