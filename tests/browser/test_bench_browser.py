"""A reader's hand on the scanner bench: the dials change the scan when they are let go."""

import pytest
from test_viewer_browser import SETUP, opened_in_lab

from lggseg.viewer import ScannerBench

OPEN = """
from lggseg.viewer import ScannerBench
cohort = open_cohort({root!r}, progress=False)
bench = ScannerBench(model, cohort.volume(cohort.patients[0]), phantom=True)
bench
"""


@pytest.fixture(scope="module")
def opened(browser, lab, phantom_cohort):
    """The bench in a notebook."""
    cells = [SETUP, OPEN.format(root=str(phantom_cohort.root))]
    view = opened_in_lab(browser, lab, "bench", cells)
    yield view
    view.page.close()


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
