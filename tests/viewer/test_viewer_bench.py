"""The scanner bench: dials change the scan, the network answers, the title tells the Dice."""

import json
import re

import numpy as np
import pytest
import torch
from as_seen import from_page, pixels
from torch import nn

from lggseg.measures.metrics import dice
from lggseg.model.segmenter import Segmenter
from lggseg.prepare.network_grid import GridSpec
from lggseg.prepare.scanner import DIALS, disturb
from lggseg.viewer import ScannerBench
from lggseg.viewer.bench import ON_PAGE
from lggseg.viewer.colours import PREDICTION, TRUTH, rgb


class Bright(nn.Module):
    """Calls tumour what is bright on FLAIR; counts how often it is asked."""

    def __init__(self):
        super().__init__()
        self.asked = 0

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.asked += 1
        return 5 * (image[:, 1:2] - 1.5)


@pytest.fixture
def volume(phantom_cohort):
    return phantom_cohort.volume(phantom_cohort.patients[0])


@pytest.fixture
def bench(volume):
    model = Segmenter(Bright(), GridSpec(size=64, block=1))
    made = ScannerBench(model, volume, phantom=True, width=256)
    yield made
    made.close()


def test_it_begins_with_the_scan_as_it_is(bench, volume):
    assert bench.strengths() == {name: unchanged for name, (unchanged, _) in DIALS.items()}
    assert np.array_equal(bench.image, volume.image)
    assert np.array_equal(bench.mask, bench.model.segment(volume.image))
    assert bench.slice_slider.value == volume.mask.sum(axis=(1, 2)).argmax()


def test_a_dial_changes_scan_mask_and_title(bench, volume):
    before = bench.picture.value
    from_page(bench.dials["noise"], 30)
    assert np.array_equal(bench.image, disturb(volume.image, {"noise": 30}))
    assert np.array_equal(bench.mask, bench.model.segment(bench.image))
    assert bench.dice == dice(bench.mask, volume.mask)
    assert f"Dice {bench.dice:.2f}" in bench.caption()
    assert "PHANTOM" in bench.caption()
    assert str(bench.trust) in bench.note and "expected Dice" in bench.title.value
    assert bench.picture.value != before


def test_back_to_the_scan_as_it_is_asks_once(bench, volume):
    bench.dials["ghosts"].value = 0.5
    bench.dials["shading"].value = 1.0
    asked = bench.model.networks[0].asked
    bench.back.click()
    per_scan = bench.model.networks[0].asked - asked
    assert np.array_equal(bench.image, volume.image)
    bench.dials["contrast"].value = 0.5
    assert bench.model.networks[0].asked - asked == 2 * per_scan


def test_another_slice_does_not_ask_the_network(bench):
    asked = bench.model.networks[0].asked
    before = bench.picture.value
    from_page(bench.slice_slider, bench.slice_slider.value - 1)
    assert bench.model.networks[0].asked == asked and bench.picture.value != before
    assert f"slice {bench.slice_slider.value + 1} of" in bench.caption()


def test_both_outlines_are_drawn_in_the_colours_of_the_legend(bench):
    picture = bench.render().reshape(-1, 3).astype(int)
    for colour in (TRUTH, PREDICTION):
        assert (abs(picture - rgb(colour)).max(axis=1) < 40).any()
    assert bench.legend() == {"manual mask": TRUTH, "prediction": PREDICTION}
    assert pixels(bench).shape == (256, 256, 3)


def test_sliders_wait_until_they_are_let_go(bench):
    for name, dial in bench.dials.items():
        assert not dial.continuous_update
        assert {dial.min, dial.max} == {float(end) for end in DIALS[name]}


def test_figure_and_name(bench, volume):
    assert bench.figure().axes[0].get_title().startswith(bench.caption())
    assert repr(bench) == f"ScannerBench({volume.patient}: contrast, shading, ghosts, noise)"


def test_a_page_has_a_dial_for_each_patient_of_the_menu(bench, volume):
    page = bench.page()
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert [case["depth"] for case in data["cases"]] == [ON_PAGE] * len(DIALS)
    assert data["cases"][3]["patient"] == f"{volume.patient}, noise from 0 to 50"
    assert {case["start"] for case in data["cases"]} == {0}
