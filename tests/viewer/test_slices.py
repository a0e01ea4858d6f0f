"""One scan: what each control does to picture and title."""

import gc

import numpy as np
import pytest
import torch
from as_seen import all_widgets, from_page, pixels

from lggseg.errors import LggError
from lggseg.measures.metrics import dice
from lggseg.viewer import SliceViewer
from lggseg.viewer.colours import PREDICTION, TRUTH, rgb


def test_sequences_are_the_channels(make):
    image = np.empty((1, 64, 64, 3), np.uint8)
    image[:] = 40, 120, 200
    viewer, seen = make(image, missing=("pre",)), {}
    for name in viewer.sequence.options:
        viewer.sequence.value = name
        seen[name] = pixels(viewer)[32, 32].tolist()
        assert ("missing" in viewer.caption()) == (name == "pre-contrast")
    grey = {"pre-contrast": 40, "FLAIR": 120, "post-contrast": 200}
    assert {name: seen[name] for name in grey} == {
        name: [value] * 3 for name, value in grey.items()
    }
    assert np.allclose(seen["all three as colours"], [40, 120, 200], atol=2)


def test_contours_fills_opacity_and_off(scan, make):
    image, mask, _ = scan
    viewer = make(image, mask, mask)
    viewer.slice_slider.value, viewer.opacity.value = 3, 1
    picture = viewer.render()
    # Inside, just outside.
    assert tuple(picture[10, 20]) == rgb(TRUTH) and tuple(picture[9, 20]) == rgb(PREDICTION)
    assert picture[20, 20].tolist() == picture[50, 50].tolist() == [60] * 3
    viewer.style["truth"].value = "fill"
    assert viewer.render()[20, 20].tolist() == [round(0.6 * 60 + 0.4 * c) for c in rgb(TRUTH)]
    viewer.style["truth"].value = viewer.style["prediction"].value = "off"
    assert (viewer.render() == 60).all() and viewer.legend() == {}
    viewer.style["truth"].value, viewer.opacity.value = "contour", 0
    assert (viewer.render() == 60).all()


def test_a_viewer_begins_with_flair_contours_and_the_whole_window(scan, make):
    viewer = make(*scan)
    assert (viewer.sequence.value, viewer.window.value, viewer.opacity.value) == (
        "FLAIR",
        (0, 255),
        0.9,
    )
    assert viewer.threshold.value == 0.5 and {menu.value for menu in viewer.style.values()} == {
        "contour"
    }


def test_threshold_decides_what_counts(scan, make):
    image, mask, probability = scan
    viewer = make(image, mask, probability)
    before = viewer.picture.value
    from_page(viewer.threshold, 0.9)
    assert viewer.picture.value != before
    assert np.array_equal(viewer.predicted(), probability >= 0.9)
    assert f"slice Dice {dice(probability[3] >= 0.9, mask[3]):.2f}" in viewer.caption()
    viewer.threshold.value = probability[3, 20, 20]  # the threshold itself counts
    assert viewer.predicted(3)[20, 20]


def test_probability_shading_grows_with_the_probability(make):
    image, probability = np.zeros((1, 64, 64), np.uint8), np.zeros((1, 64, 64))
    probability[0, :, 20:30], probability[0, :, 40:50] = 0.2, 0.4
    viewer = make(image, prediction=probability)
    viewer.style["prediction"].value, viewer.opacity.value = "probability", 1
    shades = [[0.8 * p * c for c in rgb(PREDICTION)] for p in (0, 0.2, 0.4)]
    assert np.allclose(viewer.render()[32, [10, 25, 45]], shades, atol=1)


def test_controls_without_a_use_are_hidden(scan, make):
    image, mask, probability = scan

    def hidden(viewer):
        choices = {**viewer.style, "threshold": viewer.threshold}
        return {name for name, control in choices.items() if control.layout.display == "none"}

    assert hidden(make(image)) == {"truth", "prediction", "threshold"}
    assert hidden(make(image, mask, mask)) == {"threshold"}
    viewer = make(image, mask, probability)
    assert hidden(viewer) == set() and "probability" in viewer.style["prediction"].options
    viewer.style["prediction"].value = "probability"
    viewer.show(image, mask, mask)  # the same widgets, now with a plain mask
    assert (
        "probability" not in viewer.style["prediction"].options
        and viewer.style["prediction"].value == "fill"
    )


def test_title_dice_and_the_empty_mask_rule(scan, make):
    image, mask, _ = scan
    prediction = mask.copy()
    prediction[2, 10:18, 10:14] = False  # half of 64 pixels: Dice 2*32 / (64+32) = 0.67
    prediction[5, 0, 0] = True
    viewer = make(image, mask, prediction, patient="TCGA_<b>", phantom=True)
    wanted = {0: "undefined (both empty)", 2: "0.67", 3: "1.00", 5: "0.00"}
    for at, words in wanted.items():
        viewer.slice_slider.value = at
        assert (
            viewer.caption()
            == f"TCGA_<b> · PHANTOM (synthetic) · slice {at + 1} of 6 · slice Dice {words}"
        )
    assert "TCGA_&lt;b&gt;" in viewer.title.value and TRUTH in viewer.title.value


def test_starts_at_and_jumps_to_the_largest_tumour(scan, make):
    image, mask, _ = scan
    viewer = make(image, mask)
    assert viewer.slice_slider.value == 3
    viewer.slice_slider.value = 0
    viewer.jump.click()
    assert viewer.slice_slider.value == 3
    # The prediction's.
    assert make(image, mask & False, np.roll(mask, 1, axis=0)).slice_slider.value == 4
    assert make(image).slice_slider.value == 3  # the middle


def test_play_and_slider_move_together(scan, make):
    viewer = make(scan[0])
    from_page(viewer.play, 5)
    assert viewer.slice_slider.value == 5 and abs(pixels(viewer) - 100).max() <= 1
    viewer.slice_slider.value = 1
    assert viewer.play.value == 1


def test_masks_of_any_coding(scan, make):
    image, mask, _ = scan
    pictures = {
        make(image, coded).picture.value
        for coded in (mask, mask.astype(int), mask.astype(np.uint8) * 255)
    }
    assert len(pictures) == 1


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda i, m, p: (i.astype(float), m, p), "uint8"),
        (lambda i, m, p: (i[0], m, p), "uint8"),
        (lambda i, m, p: (i[:0], None, None), "at least one slice"),
        (lambda i, m, p: (i, m[:3], p), r"mask has shape \(3, 64, 64\)"),
        (lambda i, m, p: (i, m, p[:, :9]), "prediction has shape"),
        (lambda i, m, p: (i, m, 10 * p - 5), "sigmoid"),
        (lambda i, m, p: (i, m, p * np.nan), "probabilities"),
    ],
)
def test_bad_input_is_refused(scan, change, words):
    before = all_widgets()
    with pytest.raises(LggError, match=words):
        SliceViewer(*change(*scan))
    gc.collect()
    assert all_widgets().keys() == before.keys()


def test_repr_is_stable(scan, make):
    assert repr(make(*scan, patient="TCGA_XX_0000")) == (
        "SliceViewer(TCGA_XX_0000: 6 slices, 64 x 64, truth and prediction)"
    )
    assert repr(make(scan[0])) == "SliceViewer(scan: 6 slices, 64 x 64, image only)"


def test_a_reader_sees_the_data_sets_numbers(scan, make):
    """k runs from 1, as in figures' titles and file names; the index from 0 is seen nowhere."""
    viewer = make(*scan)
    for at in (0, 5):
        viewer.slice_slider.value = at
        assert f"slice {at + 1} of 6" in viewer.caption()
    assert not viewer.slice_slider.readout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": 0}, "width is 0"),
        ({"threshold": 50}, "threshold is 50"),
        ({"threshold": np.nan}, "threshold is nan"),
        ({"missing": ("flair",)}, "missing names 'flair'"),
    ],
)
def test_options_that_cannot_be_shown_are_refused(scan, options, words):
    with pytest.raises(LggError, match=words):
        SliceViewer(*scan, **options)


@pytest.mark.parametrize("value", [np.nan, "yes"])
def test_masks_of_what_is_no_number_are_refused(scan, value):
    with pytest.raises(LggError, match="mask holds NaN, or values that are not numbers"):
        SliceViewer(scan[0], np.full(scan[1].shape, value))


def test_tensors_that_need_a_gradient_are_shown(scan, make):
    image, mask, probability = scan
    viewer = make(
        torch.from_numpy(image),
        torch.from_numpy(mask),
        torch.from_numpy(probability).requires_grad_(),
    )
    np.testing.assert_array_equal(pixels(viewer), pixels(make(image, mask, probability)))


def test_a_note_under_the_title(scan, make):
    viewer = make(*scan, patient="TCGA_XX_0000", note="expected Dice 0.9 (0.8 to 0.95) <b>")
    assert viewer.title.value.endswith("<br>expected Dice 0.9 (0.8 to 0.95) &lt;b&gt;</div>")
    assert (
        viewer.figure().axes[0].get_title()
        == f"{viewer.caption()}\nexpected Dice 0.9 (0.8 to 0.95) <b>"
    )
    assert viewer.page().count("expected Dice 0.9 (0.8 to 0.95)") == 1
    viewer.show(*scan)
    assert "expected" not in viewer.title.value
