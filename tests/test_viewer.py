"""The viewers, without a browser: what a control's change does to the bytes, under ipywidgets 7.7.1 and 8 alike."""

import gc
import io
import sys
import threading
import time
import tracemalloc

import ipywidgets as widgets
import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import nn

from lggseg import overlay
from lggseg.errors import LggError
from lggseg.metrics import dice
from lggseg.plots import PREDICTION, TRUTH
from lggseg.predict import predict_volume, segment_volume
from lggseg.unet import UNet
from lggseg.viewer import ActivationViewer, CohortViewer, SliceViewer, activations

GREEN, VERMILION = ([int(colour[i:i + 2], 16) for i in (1, 3, 5)] for colour in (TRUTH, PREDICTION))


@pytest.fixture
def scan():
    """(image, mask, probability) of 6 slices of 64 x 64; slice i is grey 20 i, tumour in 1 to 4, largest in 3."""
    image = np.broadcast_to(20 * np.arange(6, dtype=np.uint8)[:, None, None, None], (6, 64, 64, 3)).copy()
    mask = np.zeros((6, 64, 64), bool)
    for at, side in ((1, 4), (2, 8), (3, 20), (4, 10)):
        mask[at, 10:10 + side, 10:10 + side] = True
    return image, mask, ndimage.gaussian_filter(mask.astype(np.float32), (0, 2, 2)).clip(0, 1)


@pytest.fixture
def make():
    """SliceViewer, closed after the test."""
    made = []

    def build(*args, **options):
        made.append(SliceViewer(*args, **{"width": 64} | options))
        return made[-1]

    yield build
    for viewer in made:
        viewer.close()


def pixels(viewer) -> np.ndarray:
    """The picture as the browser decodes it."""
    return np.asarray(Image.open(io.BytesIO(viewer.picture.value))).astype(int)


def from_page(widget, value) -> None:
    """What the page sends when the reader moves a control."""
    data = {"method": "update", "state": {"value": value}, "buffer_paths": []}
    widget._handle_msg({"content": {"data": data}, "metadata": {}, "buffers": []})


def all_widgets() -> dict:
    module = sys.modules[widgets.Widget.__module__]
    return dict(getattr(module, "_instances", None) or widgets.Widget.widgets)  # 8 or 7


# ---- pictures from arrays

def test_window_maps_low_to_black_and_high_to_white():
    assert overlay.windowed(np.array([0, 50, 100, 150, 255], np.uint8), 50, 150).tolist() == [0, 0, 127, 255, 255]
    assert overlay.windowed(np.array([99, 100, 101], np.uint8), 100, 100).tolist() == [0, 0, 255]  # no division by 0


@pytest.mark.parametrize("width", [1, 2])
def test_outlines_are_scipys_erosion_and_dilation(width):
    mask = np.random.default_rng(0).random((20, 20)) > 0.7
    mask = overlay.enlarge(mask, 3)
    cross = np.zeros((2 * width + 1,) * 2, bool)
    cross[width, [0, -1]] = cross[[0, -1], width] = cross[width, width] = True
    assert np.array_equal(overlay.outline(mask, width), mask & ~ndimage.binary_erosion(mask, cross))
    assert np.array_equal(overlay.outline(mask, width, outside=True), ndimage.binary_dilation(mask, cross) & ~mask)


def test_blend_is_a_weighted_mean():
    picture = np.full((1, 3, 3), 100, np.uint8)
    overlay.blend(picture, np.array([[0, 0.5, 1]]), "#ff0000")
    assert picture[0].tolist() == [[100, 100, 100], [178, 50, 50], [255, 0, 0]]


@pytest.mark.parametrize("box", [np.s_[3:5, 2:9], np.s_[0:12, 0:1], np.s_[:, :], np.s_[0:0, 0:0]])
def test_a_part_drawn_is_the_whole_drawn(box):
    weight = np.zeros((12, 10), np.float32)
    weight[box] = 0.5
    whole, parts = np.full((2, 24, 20, 3), 80, np.uint8)
    overlay.blend(whole, overlay.enlarge(weight, 2), TRUTH)
    view, weight = overlay.part(parts, weight, 2)
    overlay.blend(view, weight, TRUTH)
    assert np.array_equal(whole, parts)


def test_mosaic_scales_each_channel_by_itself():
    channels = np.array([[[0, 1]], [[-5, 5]], [[7, 7]]], float)  # three channels of 1 x 2
    tiles = overlay.mosaic(channels, side=4, gap=1)
    assert tiles.shape == (4, 6)
    assert tiles[0].tolist() == [0, 255, 60, 0, 255, 60] and tiles[2].tolist() == [0, 0, 60, 60, 60, 60]


# ---- one scan

def test_the_picture_follows_the_slider_at_once(scan, make):
    viewer = make(scan[0])
    for at in (0, 5, 2):
        viewer.slice_slider.value = at
        assert abs(pixels(viewer) - 20 * at).max() <= 1
    from_page(viewer.slice_slider, 4)
    assert abs(pixels(viewer) - 80).max() <= 1
    assert (viewer.slice_slider.min, viewer.slice_slider.max, viewer.slice_slider.continuous_update) == (0, 5, True)


def test_sequences_are_the_channels(make):
    image = np.empty((1, 64, 64, 3), np.uint8)
    image[:] = 40, 120, 200
    viewer, seen = make(image, missing=("pre",)), {}
    for name in viewer.sequence.options:
        viewer.sequence.value = name
        seen[name] = pixels(viewer)[32, 32].tolist()
        assert ("missing" in viewer.caption()) == (name == "pre-contrast")
    grey = {"pre-contrast": 40, "FLAIR": 120, "post-contrast": 200}
    assert {name: seen[name] for name in grey} == {name: [value] * 3 for name, value in grey.items()}
    assert np.allclose(seen["all three as colours"], [40, 120, 200], atol=2)


def test_contours_fills_opacity_and_off(scan, make):
    image, mask, _ = scan
    viewer = make(image, mask, mask)
    viewer.slice_slider.value, viewer.opacity.value = 3, 1
    picture = viewer.render()
    assert picture[10, 20].tolist() == GREEN and picture[9, 20].tolist() == VERMILION  # inside, and just outside
    assert picture[20, 20].tolist() == picture[50, 50].tolist() == [60] * 3
    viewer.style["truth"].value = "fill"
    assert viewer.render()[20, 20].tolist() == [round(0.6 * 60 + 0.4 * c) for c in GREEN]
    viewer.style["truth"].value = viewer.style["prediction"].value = "off"
    assert (viewer.render() == 60).all() and viewer.legend() == {}
    viewer.style["truth"].value, viewer.opacity.value = "contour", 0
    assert (viewer.render() == 60).all()


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
    shades = [[0.8 * p * c for c in VERMILION] for p in (0, 0.2, 0.4)]
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
    assert "probability" not in viewer.style["prediction"].options and viewer.style["prediction"].value == "fill"


def test_title_dice_and_the_empty_mask_rule(scan, make):
    image, mask, _ = scan
    prediction = mask.copy()
    prediction[2, 10:18, 10:14] = False  # half of 64 pixels: Dice 2*32 / (64+32) = 0.67
    prediction[5, 0, 0] = True
    viewer = make(image, mask, prediction, patient="TCGA_<b>", phantom=True)
    wanted = {0: "undefined (both empty)", 2: "0.67", 3: "1.00", 5: "0.00"}
    for at, words in wanted.items():
        viewer.slice_slider.value = at
        assert viewer.caption() == f"TCGA_<b> · PHANTOM (synthetic) · slice {at} of 0 to 5 · slice Dice {words}"
    assert "TCGA_&lt;b&gt;" in viewer.title.value and TRUTH in viewer.title.value


def test_starts_at_and_jumps_to_the_largest_tumour(scan, make):
    image, mask, _ = scan
    viewer = make(image, mask)
    assert viewer.slice_slider.value == 3
    viewer.slice_slider.value = 0
    viewer.jump.click()
    assert viewer.slice_slider.value == 3
    assert make(image, mask & False, np.roll(mask, 1, axis=0)).slice_slider.value == 4  # the prediction's
    assert make(image).slice_slider.value == 3  # the middle


def test_play_and_slider_move_together(scan, make):
    viewer = make(scan[0])
    from_page(viewer.play, 5)
    assert viewer.slice_slider.value == 5 and abs(pixels(viewer) - 100).max() <= 1
    viewer.slice_slider.value = 1
    assert viewer.play.value == 1


def test_masks_of_any_coding(scan, make):
    image, mask, _ = scan
    pictures = {make(image, coded).picture.value for coded in (mask, mask.astype(int), mask.astype(np.uint8) * 255)}
    assert len(pictures) == 1


@pytest.mark.parametrize("change, words", [
    (lambda i, m, p: (i.astype(float), m, p), "uint8"),
    (lambda i, m, p: (i[0], m, p), "uint8"),
    (lambda i, m, p: (i[:0], None, None), "at least one slice"),
    (lambda i, m, p: (i, m[:3], p), r"mask has shape \(3, 64, 64\)"),
    (lambda i, m, p: (i, m, p[:, :9]), "prediction has shape"),
    (lambda i, m, p: (i, m, 10 * p - 5), "sigmoid"),
    (lambda i, m, p: (i, m, p * np.nan), "probabilities"),
])
def test_bad_input_is_refused(scan, change, words):
    before = all_widgets()
    with pytest.raises(LggError, match=words):
        SliceViewer(*change(*scan))
    gc.collect()
    assert all_widgets().keys() == before.keys()


def test_figure_shows_the_same(scan, make):
    viewer = make(*scan, patient="TCGA_XX_0000")
    figure = viewer.figure()
    axes, = figure.axes
    assert np.array_equal(axes.images[0].get_array(), viewer.render()) and axes.get_title() == viewer.caption()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(viewer.legend())


def test_repr_is_stable(scan, make):
    assert repr(make(*scan, patient="TCGA_XX_0000")) == (
        "SliceViewer(TCGA_XX_0000: 6 slices, 64 x 64, truth and prediction)")
    assert repr(make(scan[0])) == "SliceViewer(scan: 6 slices, 64 x 64, image only)"


def test_core_widgets_only(scan, make):
    """No custom manager, no Output: what Colab, Binder and Voila all draw."""
    viewer = make(*scan)
    modules = {widget._model_module for widget in (viewer, *viewer.parts)}
    assert modules == {"@jupyter-widgets/controls"}
    assert not any(isinstance(widget, widgets.Output) for widget in viewer.parts)


def test_close_detaches_everything(scan):
    before = all_widgets()
    viewer = SliceViewer(*scan, width=64)
    viewer.close()
    picture = viewer.picture.value
    viewer.slice_slider.value, viewer.opacity.value = 0, 0.3
    viewer.jump.click()
    assert viewer.picture.value == picture and viewer.slice_slider.value == 0
    left = [type(widget).__name__ for key, widget in all_widgets().items() if key not in before]
    assert set(left) <= {"Layout", "SliderStyle", "DescriptionStyle", "ButtonStyle", "HTMLStyle"}
    viewer.close()  # twice is fine


def test_no_leak_over_2000_steps(scan, make):
    viewer = make(*scan)

    def steps(count):
        for i in range(count):
            viewer.slice_slider.value = i % 6
            if i % 10 == 0:
                viewer.threshold.value = 0.3 + 0.01 * (i % 50)
        viewer.slice_slider.value = 0
        gc.collect()

    tracemalloc.start()
    try:
        steps(500)  # Python's own free lists have filled by then
        before, widgets_before = tracemalloc.get_traced_memory()[0], len(all_widgets())
        steps(2000)
        assert tracemalloc.get_traced_memory()[0] - before < 50_000
        assert len(all_widgets()) == widgets_before
    finally:
        tracemalloc.stop()


def test_a_step_costs_less_than_15_ms():
    """At 512 px with truth and probability map; CPU time of this thread, so that a busy machine does not matter."""
    image = np.random.default_rng(0).integers(0, 255, (4, 256, 256, 3), np.uint8)
    mask = np.zeros((4, 256, 256), bool)
    mask[:, 60:160, 80:190] = True
    viewer = SliceViewer(image, mask, ndimage.gaussian_filter(mask.astype(np.float32), (0, 4, 4)).clip(0, 1))
    viewer.style["prediction"].value, costs = "probability", []
    assert viewer.render().shape == (512, 512, 3)
    for i in range(60):
        start = time.thread_time()
        viewer.slice_slider.value = i % 4
        costs.append(time.thread_time() - start)
    viewer.close()
    assert np.median(costs) < 0.015


# ---- a cohort

class Spy:
    """A cohort that notes which volumes are asked for."""

    def __init__(self, cohort):
        self.cohort, self.asked = cohort, []

    def __getattr__(self, name):
        return getattr(self.cohort, name)

    def volume(self, patient):
        self.asked.append(patient)
        return self.cohort.volume(patient)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return UNet(features=4, depth=3)


def test_patients_are_read_when_chosen(phantom_cohort):
    cohort = Spy(phantom_cohort)
    viewer = CohortViewer(cohort)
    first, _, third = cohort.patients[:3]
    assert set(cohort.asked) == {first} and viewer.patient_menu.options == tuple(cohort.patients)
    viewer.patient_menu.value = third
    assert set(cohort.asked) == {first, third}
    volume = phantom_cohort.volume(third)
    assert np.array_equal(viewer.image, volume.image) and viewer.slice_slider.max == len(volume.image) - 1
    assert viewer.slice_slider.value == volume.mask.sum(axis=(1, 2)).argmax()
    assert "PHANTOM" in viewer.caption() and third in viewer.caption()
    assert repr(viewer).startswith(f"CohortViewer({third}: ")
    viewer.close()


def test_each_patient_is_predicted_once(phantom_cohort, model, monkeypatch):
    calls = []

    def counted(model, image):
        calls.append(threading.current_thread())
        return predict_volume(model, image)

    monkeypatch.setattr("lggseg.viewer.predict_volume", counted)
    viewer = CohortViewer(phantom_cohort, model, patients=phantom_cohort.patients[:2])
    first, second = viewer.patient_menu.options
    viewer.wait()
    for patient in (second, first, second):
        viewer.patient_menu.value = patient
        viewer.wait()
        image = phantom_cohort.volume(patient).image
        assert np.array_equal(viewer.prediction, predict_volume(model, image))
        assert np.array_equal(viewer.predicted(), segment_volume(model, image))
    assert len(calls) == 2 and threading.current_thread() not in calls
    assert viewer.progress.value == viewer.progress.max and not model._forward_hooks
    viewer.close()


def test_the_page_stays_alive_while_predicting(phantom_cohort, model, monkeypatch):
    started, go = threading.Event(), threading.Event()

    def slow(model, image):
        started.set()
        assert go.wait(30)
        return np.full(image.shape[:3], 0.7, np.float32)

    monkeypatch.setattr("lggseg.viewer.predict_volume", slow)
    viewer = CohortViewer(phantom_cohort, model)
    first, second, third, *_ = viewer.patient_menu.options
    assert started.wait(30) and viewer.progress.layout.visibility == "visible" and first in viewer.progress.description
    from_page(viewer.slice_slider, 0)
    assert viewer.slice_slider.value == 0 and viewer.prediction is None
    viewer.patient_menu.value = second  # queued, then passed over
    viewer.patient_menu.value = third
    go.set()
    viewer.wait()
    assert set(viewer._predictions) == {first, third} and viewer.prediction is viewer._predictions[third]
    viewer.close()


def test_a_failed_prediction_is_told(phantom_cohort, model, monkeypatch):
    def broken(model, image):
        raise LggError("too few slices")

    monkeypatch.setattr("lggseg.viewer.predict_volume", broken)
    viewer = CohortViewer(phantom_cohort, model)
    with pytest.raises(LggError, match="too few"):
        viewer.wait()
    assert "too few slices" in viewer.progress.description and viewer.progress.bar_style == "danger"
    monkeypatch.undo()
    viewer.patient_menu.value = viewer.patient_menu.options[1]
    viewer.patient_menu.value = viewer.patient_menu.options[0]  # tried again
    viewer.wait()
    assert viewer.prediction is not None and viewer.progress.bar_style == ""
    viewer.close()


def test_says_when_the_model_was_trained_on_the_patient(phantom_cohort, model):
    first, second = phantom_cohort.patients[:2]
    model.training_patients = [second]
    viewer = CohortViewer(phantom_cohort, model)
    viewer.wait()
    assert "trained on" not in viewer.caption()
    viewer.patient_menu.value = second
    viewer.wait()
    assert "trained on this patient" in viewer.caption()
    viewer.close()


def test_cohort_viewer_refuses(phantom_cohort):
    with pytest.raises(LggError, match="no patient 'TCGA'"):
        CohortViewer(phantom_cohort, patients=["TCGA"])
    with pytest.raises(LggError, match="patients is empty"):
        CohortViewer(phantom_cohort, patients=[])


# ---- activations

def test_activations_are_what_the_layers_return(model):
    x, by_hand = torch.randn(2, 3, 32, 32), {}
    hooks = [model.encoder[1].register_forward_hook(lambda m, i, o: by_hand.update(e=o.clone())),
             model.up[0].register_forward_hook(lambda m, i, o: by_hand.update(u=o.clone()))]
    with torch.no_grad():
        logits = model.eval()(x)
    for hook in hooks:
        hook.remove()
    model.train()
    caught = activations(model, x)
    assert np.allclose(caught["head"], logits) and np.allclose(caught["encoder.1"], by_hand["e"])
    assert np.allclose(caught["up.0"], by_hand["u"])  # with the skip connection, added by the model's own hook
    assert list(caught)[0] == "encoder.0" and list(caught)[-1] == "head"
    assert model.training and all(len(layer._forward_hooks) <= 1 for layer in model.modules())


def test_hooks_go_even_after_an_error(model):
    hooks = [len(layer._forward_hooks) for layer in model.modules()]
    with pytest.raises(LggError):
        activations(model, torch.zeros(1, 2, 32, 32))
    assert [len(layer._forward_hooks) for layer in model.modules()] == hooks and model.training


def test_in_place_layers_do_not_spoil_what_was_caught():
    model = nn.Module()
    model.first, model.second = nn.Conv2d(1, 2, 1), nn.ReLU(inplace=True)
    model.forward = lambda x: model.second(model.first(x))
    caught = activations(model, torch.randn(1, 1, 8, 8))
    assert caught["first"].min() < 0 and np.array_equal(caught["first"].clip(0), caught["second"])


def test_activation_viewer(model):
    viewer = ActivationViewer(model, torch.randn(2, 3, 32, 32), layer="encoder.0", width=64)
    assert viewer.caption() == "encoder.0 · 4 channels of 32 x 32" and viewer.render().shape == (68, 68)
    before = viewer.picture.value
    viewer.slice_slider.value = 1
    assert viewer.picture.value != before
    viewer.layer.value = "bottom"
    assert viewer.caption() == "bottom · 16 channels of 8 x 8" and len(viewer.figure().axes) == 1
    assert repr(viewer) == "ActivationViewer(UNet: 9 layers, 2 inputs)"
    viewer.close()
    with pytest.raises(LggError, match="no layer 'x'; this model has encoder.0"):
        ActivationViewer(model, torch.randn(3, 32, 32), layer="x")
