"""A cohort under a slice slider: a patient menu, and a model's predictions."""

from concurrent.futures import Future, ThreadPoolExecutor

import ipywidgets as widgets
import numpy as np
import torch
from torch import nn

from ..data import Cohort
from ..errors import LggError
from ..measures.trust import Trust, assess
from ..model.postprocess import postprocess
from ..model.segmenter import as_segmenter
from ..prepare.network_grid import GridSpec
from .base import row
from .overlay import windowed
from .page import Case, build_page
from .slices import SliceViewer


class CohortViewer(SliceViewer):
    """SliceViewer with a patient menu, and with a model's predictions.

    A patient is read when chosen. With a `model` (one `predict_volume` takes) the probability map is
    computed once per patient, in a thread, so that the page stays alive; a bar tells how far
    it is, and the overlay appears when it is done. The recipe's post-processing is applied, and the title
    says when the model was trained on the patient; the line below it, what the mask is worth (see `measures.trust`).
    `wait()` blocks until the overlay is there.
    `patients` limits the menu. Raises LggError for unknown ids.
    """

    def __init__(self, cohort: Cohort, model: nn.Module | None = None, *, patients: list[str] | None = None,
                 width: int = 448):
        names = [cohort.check(patient) for patient in (cohort.patients if patients is None else patients)]
        if not names:
            raise LggError("patients is empty; name at least one, or leave it out for the whole cohort")
        self.cohort, self.model = cohort, None if model is None else as_segmenter(model)
        self.recipe = GridSpec() if self.model is None else self.model.recipe
        self._jobs, self._predictions, self._cleaned = {}, {}, (None, None)
        self._trust: dict[str, Trust] = {}
        self._worker = ThreadPoolExecutor(1, "lggseg-viewer")  # starts no thread before the first prediction
        self.patient_menu = widgets.Dropdown(options=names, description="patient", style={"description_width": "56px"},
                                             layout=widgets.Layout(flex="0 1 260px", min_width="0"))
        self.progress = widgets.IntProgress(layout=widgets.Layout(flex="1 1 120px", min_width="0", visibility="hidden"),
                                            style={"description_width": "initial"})
        first = cohort.volume(names[0])
        super().__init__(first.image, first.mask, patient=names[0], missing=first.missing,
                         phantom=cohort.kind == "phantom", threshold=self.recipe.threshold, width=width)
        self.patient_menu.observe(self._choose, "value")
        self._choose()

    def _arrange(self) -> list[widgets.Widget]:
        below, top = super()._arrange(), row(self.patient_menu, self.progress)
        self.parts += (self.patient_menu, self.progress, top)
        return [top, *below]

    def _choose(self, _change=None) -> None:
        """Show the patient of the menu at once; ask for the prediction if there is none yet."""
        patient = self.patient_menu.value
        volume = self.cohort.volume(patient)
        with self._lock:
            done = self._predictions.get(patient)
            self.show(volume.image, volume.mask, done, patient=patient, missing=volume.missing,
                      note=self._trusted(patient))
        if self.model is None or done is not None:
            return
        for job in self._jobs.values():
            job.cancel()  # patients passed over on the way; one under way goes on
        self._ask(patient)

    def _ask(self, patient: str) -> Future:
        """The job that predicts the patient; a failed or cancelled one is tried again."""
        if patient not in self._jobs or self._jobs[patient].done():
            self._jobs[patient] = self._worker.submit(self._predict, patient)
        return self._jobs[patient]

    def _predict(self, patient: str) -> None:
        """In the worker's thread: predict, keep, and show if the patient is still the one chosen."""
        image, counter = self.cohort.volume(patient).image, self.model.networks[0].register_forward_hook(self._count)
        self.progress.max, self.progress.value = len(image) * (1 + self.recipe.flip), 0
        self.progress.description, self.progress.bar_style = f"predicting {patient}", ""
        self.progress.layout.visibility = "visible"
        try:
            found = assess(self.model, image)
            self._predictions[patient], self._trust[patient] = found.probability, found.trust
            self._add_prediction(patient)
            self.progress.layout.visibility = "hidden"
        except Exception as error:
            self.progress.description, self.progress.bar_style = f"prediction failed: {error}", "danger"
            raise
        finally:
            counter.remove()

    def _count(self, _model: nn.Module, inputs: tuple, _output: torch.Tensor) -> None:
        """Forward hook: slices done so far."""
        self.progress.value += len(inputs[0])

    def _add_prediction(self, patient: str) -> None:
        with self._lock:
            if self.patient == patient and self.comm is not None:  # neither another patient by now, nor closed
                self.prediction = self._predictions[patient]
                self.note = self._trusted(patient)
                self._offer()
                self._redraw()

    def predicted(self, at=slice(None)) -> np.ndarray | None:
        """The prediction after the recipe's post-processing, bool; the last volume's mask is kept."""
        if self.prediction is None:
            return None
        key = (self.patient, self.threshold.value)
        if self._cleaned[0] != key:
            self._cleaned = key, postprocess(self.prediction, self.threshold.value,
                                              self.recipe.min_component_share)
        return self._cleaned[1][at]

    def caption(self) -> str:
        """As for one scan, and whether the model has seen the patient in training."""
        return " · ".join([super().caption(), *(self._notes(self.patient) if self.prediction is not None else ())])

    def _notes(self, patient: str) -> tuple[str, ...]:
        """What a reader must know about the prediction."""
        seen = self.model is not None and patient in self.model.training_patients
        return ("model trained on this patient",) if seen else ()

    def _trusted(self, patient: str) -> str:
        """What the prediction is worth, in a line; empty before there is one."""
        return str(self._trust[patient]) if patient in self._trust else ""

    def page(self, patients: list[str] | None = None) -> str:
        """One HTML page as for a single scan, with a menu of `patients` (the one on show by default): 1 MB for each.

        Predictions not made yet are made first, and waited for. Post-processing is stored for the present
        threshold; at others the page only cuts the map, and says so. Raises LggError for unknown ids.
        """
        names = [self.cohort.check(patient) for patient in ([self.patient] if patients is None else patients)]
        if not names:
            raise LggError("patients is empty; name at least one, or leave it out for the one on show")
        return build_page(map(self._case_of, names), self._settings())

    def _case_of(self, patient: str) -> Case:
        """One patient for a page, with the prediction, which is made if there is none yet."""
        volume, prediction, processed, notes = self.cohort.volume(patient), None, None, ()
        if self.model is not None:
            if patient not in self._predictions:
                self._ask(patient).result()
            prediction, notes = self._predictions[patient], (*self._notes(patient), self._trusted(patient))
            if self.recipe.min_component_share:
                processed = postprocess(prediction, self.threshold.value, self.recipe.min_component_share)
        return Case(patient, windowed(volume.image, *self.window.value), volume.mask, prediction, processed,
                    volume.missing, self.phantom, notes, self.slice_slider.value if patient == self.patient else None)

    def wait(self, timeout: float | None = 120) -> None:
        """Block until the chosen patient's prediction is shown; raises what the prediction raised, or TimeoutError."""
        if self.patient in self._jobs:
            self._jobs[self.patient].result(timeout)

    def close(self) -> None:
        """Also forget predictions not yet begun."""
        if self.parts:
            self._worker.shutdown(wait=False, cancel_futures=True)
        super().close()
