"""`make app`: the viewer as a page of its own, without a notebook around it."""

import sys

import pytest
from servers import ROOT, free_port, served
from test_viewer_browser import Page

from lggseg.viewer import SliceViewer

pytest.importorskip("voila", reason="voila is not installed, so the app was not tested: pip install voila")


def test_the_app_shows_the_cohort(browser, phantom_cohort, tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "voila", str(ROOT / "dev" / "tools" / "app.ipynb"), "--no-browser",
               "--Voila.ip=127.0.0.1", f"--port={port}"]
    environment = {"LGGSEG_DATA": str(phantom_cohort.root), "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    with served(command, tmp_path, f"http://127.0.0.1:{port}/voila/static/voila.js", environment):
        page = browser.new_page(viewport={"width": 1280, "height": 700})
        page.goto(f"http://127.0.0.1:{port}/", timeout=180_000)
        view = Page(page, page.locator(".widget-vbox").first)
        view.picture.wait_for(timeout=120_000)
        view.choose("patient", phantom_cohort.patients[2])
        view.soon(lambda: phantom_cohort.patients[2] in view.box.inner_text(), "the title does not name the patient")
        view.press("slice", "Home")
        view.choose("prediction", "off") if view.slider("threshold").is_visible() else None
        volume = phantom_cohort.volume(phantom_cohort.patients[2])
        twin = SliceViewer(volume.image, volume.mask)
        twin.slice_slider.value = 0
        view.soon(lambda: view.bytes() == twin.picture.value, "the page does not show slice 0")
        view.soon(lambda: "predicting" not in view.box.inner_text(), "the prediction does not end")  # it moves the page
        view.screenshot("app")
        assert view.box.bounding_box()["y"] + view.box.bounding_box()["height"] <= 700
        page.close()
        twin.close()
