"""A cohort: patients read when chosen, predictions in a thread."""

import html
import threading

import numpy as np
import pytest
from as_seen import from_page

from lggseg.errors import LggError
from lggseg.measures.trust import assess
from lggseg.model.segmenter import Segmenter
from lggseg.viewer import CohortViewer


class Spy:
    """A cohort that notes which volumes are asked for."""

    def __init__(self, cohort):
        self.cohort, self.asked = cohort, []

    def __getattr__(self, name):
        return getattr(self.cohort, name)

    def volume(self, patient):
        self.asked.append(patient)
        return self.cohort.volume(patient)


def test_patients_are_read_when_chosen(phantom_cohort):
    cohort = Spy(phantom_cohort)
    viewer = CohortViewer(cohort)
    first, _, third = cohort.patients[:3]
    assert set(cohort.asked) == {first} and viewer.patient_menu.options == tuple(cohort.patients)
    viewer.patient_menu.value = third
    assert set(cohort.asked) == {first, third}
    volume = phantom_cohort.volume(third)
    assert (
        np.array_equal(viewer.image, volume.image)
        and viewer.slice_slider.max == len(volume.image) - 1
    )
    assert viewer.slice_slider.value == volume.mask.sum(axis=(1, 2)).argmax()
    assert "PHANTOM" in viewer.caption() and third in viewer.caption()
    assert repr(viewer).startswith(f"CohortViewer({third}: ")
    viewer.close()


def test_each_patient_is_predicted_once(phantom_cohort, model, monkeypatch):
    threads, answer = [], Segmenter.member_probabilities

    def counted(model, image, device=None, **more):
        threads.append(threading.current_thread())
        return answer(model, image, device, **more)

    monkeypatch.setattr(Segmenter, "member_probabilities", counted)
    here = threading.current_thread()
    viewer = CohortViewer(phantom_cohort, model, patients=phantom_cohort.patients[:2])
    first, second = viewer.patient_menu.options
    viewer.wait()
    for patient in (second, first, second):
        viewer.patient_menu.value = patient
        viewer.wait()
        image = phantom_cohort.volume(patient).image
        assert np.allclose(viewer.prediction, model.probability(image), atol=1e-6)
        note = str(assess(model, image).trust)
        assert viewer.note == note and viewer.title.value.endswith(f"{html.escape(note)}</div>")
        assert np.array_equal(viewer.predicted(), viewer.prediction >= 0.5)
    assert len([thread for thread in threads if thread is not here]) == 2
    assert viewer.progress.value == viewer.progress.max
    assert not any(network._forward_hooks for network in model.networks)
    viewer.close()


def test_the_recipes_threshold_and_components_count(phantom_cohort, model, monkeypatch):
    def answer(model, image, device, head):
        found = np.zeros(image.shape[:3], np.float32)
        found[2, :9, :9], found[8, 20:22, 20:22] = 0.9, 0.6
        return found[None]

    monkeypatch.setattr(Segmenter, "member_probabilities", answer)
    viewer = CohortViewer(
        phantom_cohort, model.with_recipe(threshold=0.55, min_component_share=0.5)
    )
    viewer.wait()
    assert (
        viewer.threshold.value == 0.55
        and viewer.predicted().sum() == viewer.predicted(2).sum() == 81
    )
    viewer.close()


def test_the_page_stays_alive_while_predicting(phantom_cohort, model, monkeypatch):
    started, go = threading.Event(), threading.Event()

    def slow(model, image, device, head):
        started.set()
        assert go.wait(30)
        return np.full((1, *image.shape[:3]), 0.7, np.float32)

    monkeypatch.setattr(Segmenter, "member_probabilities", slow)
    viewer = CohortViewer(phantom_cohort, model)
    first, second, third, *_ = viewer.patient_menu.options
    assert (
        started.wait(30)
        and viewer.progress.layout.visibility == "visible"
        and first in viewer.progress.description
    )
    from_page(viewer.slice_slider, 0)
    assert viewer.slice_slider.value == 0 and viewer.prediction is None
    viewer.patient_menu.value = second  # queued, then passed over
    viewer.patient_menu.value = third
    go.set()
    viewer.wait()
    assert (
        set(viewer._predictions) == {first, third}
        and viewer.prediction is viewer._predictions[third]
    )
    viewer.close()


def test_a_failed_prediction_is_told(phantom_cohort, model, monkeypatch):
    def broken(model, image, device, head):
        raise LggError("too few slices")

    monkeypatch.setattr(Segmenter, "member_probabilities", broken)
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
    second = phantom_cohort.patients[1]
    model.learned_from([second], model.recipe)
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
