"""A reader's hand on the scanner bench: the dials change the scan when they are let go."""

import nbformat
import pytest
from test_viewer_browser import SETUP, Page

from lggseg.viewer import ScannerBench

OPEN = """
from lggseg.viewer import ScannerBench
cohort = open_cohort({root!r}, progress=False)
bench = ScannerBench(model, cohort.volume(cohort.patients[0]), phantom=True)
bench
"""


@pytest.fixture(scope="module")
def opened(browser, lab, phantom_cohort):
    """The bench in a notebook that JupyterLab has run, at 1280 x 700."""
    address, token, folder = lab
    cells = [SETUP, OPEN.format(root=str(phantom_cohort.root))]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        },
    )
    nbformat.write(notebook, folder / "bench.ipynb")
    page = browser.new_page(viewport={"width": 1280, "height": 700})
    page.goto(f"{address}/lab/tree/bench.ipynb?reset&token={token}")
    page.locator(".jp-Notebook .jp-CodeCell").nth(1).wait_for(timeout=120_000)
    page.wait_for_function(
        "jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
        timeout=120_000,
    )
    page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
    view = Page(page, page.locator(".jp-OutputArea-output .widget-vbox").first)
    view.picture.wait_for(timeout=120_000)
    yield view
    page.close()


@pytest.fixture(scope="module")
def twin(phantom_cohort):
    """What the page should show: the same bench, without a page."""
    space = {}
    exec(SETUP, space)
    volume = phantom_cohort.volume(phantom_cohort.patients[0])
    bench = ScannerBench(space["model"], volume, phantom=True)
    yield bench
    bench.close()


def test_starts_with_the_scan_as_it_is_and_fits(opened, twin):
    opened.shows(twin, "the scan as it is")
    assert twin.note in opened.box.inner_text()
    assert opened.too_large() == ""
    opened.screenshot("bench")


def test_a_dial_that_is_dragged_and_let_go_scans_again(opened, twin):
    before = twin.dice
    opened.drag("noise", [0.3, 0.6])
    twin.dials["noise"].value = opened.value("noise")
    assert twin.dials["noise"].value > 20 and twin.dice != before
    opened.shows(twin, "the noisy scan")
    opened.drag("motion", [0.5])
    twin.dials["ghosts"].value = opened.value("motion")
    opened.shows(twin, "noise and ghosts together")
    opened.screenshot("bench-disturbed")


def test_the_button_turns_all_dials_back(opened, twin):
    opened.box.get_by_role("button", name="as scanned").click()
    twin.to_start()
    opened.shows(twin, "the scan as it is")
    assert opened.value("noise") == opened.value("motion") == 0
