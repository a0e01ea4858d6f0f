"""A cohort under a slice slider: a patient menu, and a model's predictions."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

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
from .slices import ALL_SLICES, SliceViewer


class CohortViewer(SliceViewer):
    """A `SliceViewer` with a patient menu, and with a model's predictions.

    A patient is read when chosen. With a model, the probability map is computed once per patient,
    in a thread, so that the page stays alive: a bar shows the progress, and the overlay appears
    when it is done. It is post-processed as the model's recipe says, the title says if the model
    was trained on the patient, and the line under it what the mask is worth (`measures.trust`).

    Parameters
    ----------
    cohort : Cohort
    model : nn.Module, optional
        One that `predict_volume` takes.
    patients : list of str, optional
        For the menu; all of the cohort if not given.
    width : int
        Of the picture, in CSS pixels.

    Raises
    ------
    LggError
        For unknown ids, and for no patient at all.
    """

    def __init__(
        self,
        cohort: Cohort,
        model: nn.Module | None = None,
        *,
        patients: list[str] | None = None,
        width: int = 448,
    ):
        if patients is None:
            patients = cohort.patients
        names = [cohort.check(patient) for patient in patients]
        if not names:
            raise LggError(
                "patients is empty; name at least one, or leave it out for the whole cohort"
            )
        self.cohort = cohort
        self.model = None
        self.recipe = GridSpec()
        if model is not None:
            self.model = as_segmenter(model)
            self.recipe = self.model.recipe
        self._jobs: dict[str, Future[None]] = {}
        self._predictions: dict[str, np.ndarray] = {}
        self._trust: dict[str, Trust] = {}
        self._processed: tuple[Any, np.ndarray | None] = (None, None)
        self._worker = ThreadPoolExecutor(1, "lggseg-viewer")  # starts with the first prediction
        self.patient_menu = widgets.Dropdown(
            options=names,
            description="patient",
            style={"description_width": "56px"},
            layout=widgets.Layout(flex="0 1 260px", min_width="0"),
        )
        self.progress = widgets.IntProgress(
            layout=widgets.Layout(flex="1 1 120px", min_width="0", visibility="hidden"),
            style={"description_width": "initial"},
        )
        first = cohort.volume(names[0])
        super().__init__(
            first.image,
            first.mask,
            patient=names[0],
            missing=first.missing,
            phantom=cohort.kind == "phantom",
            threshold=self.recipe.threshold,
            width=width,
        )
        self.patient_menu.observe(self._choose, "value")
        self._choose()

    def _arrange(self) -> list[widgets.Widget]:
        below = super()._arrange()
        top = row(self.patient_menu, self.progress)
        self.parts += (self.patient_menu, self.progress, top)
        return [top, *below]

    def _choose(self, _change: Any = None) -> None:
        """Show the patient of the menu at once; ask for the prediction if there is none yet."""
        patient = self.patient_menu.value
        volume = self.cohort.volume(patient)
        with self._lock:
            done = self._predictions.get(patient)
            self.show(
                volume.image,
                volume.mask,
                done,
                patient=patient,
                missing=volume.missing,
                note=self._trusted(patient),
            )
        if self.model is None or done is not None:
            return
        for job in self._jobs.values():
            job.cancel()  # of patients passed over on the way; a job that has begun goes on
        self._ask(patient)

    def _ask(self, patient: str) -> "Future[None]":
        """The job that predicts the patient; one that failed or was cancelled is started again."""
        job = self._jobs.get(patient)
        if job is None or job.done():
            job = self._worker.submit(self._predict, patient)
            self._jobs[patient] = job
        return job

    def _predict(self, patient: str) -> None:
        """In the worker's thread: predict, keep, and show if the patient is still chosen."""
        assert self.model is not None
        image = self.cohort.volume(patient).image
        last = self.model.networks[-1]  # each runs once for every pass
        counter = last.register_forward_hook(self._count)
        passes = 2 if self.recipe.flip else 1
        self.progress.max = len(image) * passes
        self.progress.value = 0
        self.progress.description = f"predicting {patient}"
        self.progress.bar_style = ""
        self.progress.layout.visibility = "visible"
        try:
            found = assess(self.model, image)
            self._trust[patient] = found.trust
            self._predictions[patient] = found.probability
            self._add_prediction(patient)
            self.progress.layout.visibility = "hidden"
        except Exception as error:
            self.progress.description = f"prediction failed: {error}"
            self.progress.bar_style = "danger"
            raise
        finally:
            counter.remove()

    def _count(
        self, _model: nn.Module, inputs: tuple[torch.Tensor, ...], _output: torch.Tensor
    ) -> None:
        """Forward hook: add the slices of this pass to the progress."""
        self.progress.value += len(inputs[0])

    def _add_prediction(self, patient: str) -> None:
        """Show a prediction, unless another patient was chosen or the viewer was closed."""
        with self._lock:
            is_closed = self.comm is None
            if self.patient == patient and not is_closed:
                self.prediction = self._predictions[patient]
                self.note = self._trusted(patient)
                self._offer()
                self._redraw()

    def predicted(self, at: int | slice = ALL_SLICES) -> np.ndarray | None:
        """The prediction as a mask, post-processed; the mask of the last volume is kept."""
        if self.prediction is None:
            return None
        key = (self.patient, self.threshold.value)
        last_key, mask = self._processed
        if mask is None or last_key != key:
            mask = self._postprocessed(self.prediction)
            self._processed = (key, mask)
        return mask[at]

    def _postprocessed(self, probability: np.ndarray) -> np.ndarray:
        """The mask of a probability map at the present threshold."""
        return postprocess(probability, self.threshold.value, self.recipe.min_component_share)

    def caption(self) -> str:
        """As for one scan, and whether the model was trained on the patient."""
        words = [super().caption()]
        if self.prediction is not None:
            words += self._notes(self.patient)
        return " · ".join(words)

    def _notes(self, patient: str) -> tuple[str, ...]:
        """What a reader must know about the prediction."""
        if self.model is not None and patient in self.model.training_patients:
            return ("model trained on this patient",)
        return ()

    def _trusted(self, patient: str) -> str:
        """What the prediction is worth, in a line; empty before there is one."""
        if patient not in self._trust:
            return ""
        return str(self._trust[patient])

    def page(self, patients: list[str] | None = None) -> str:
        """One HTML page as for a single scan, with a menu of patients; 1 MB for each.

        Predictions not made yet are made first. Post-processing is stored for the present
        threshold; at others the page only compares the probabilities with it, and says so.

        Parameters
        ----------
        patients : list of str, optional
            Ids; the one that is shown now if not given.

        Returns
        -------
        str
            An HTML document.

        Raises
        ------
        LggError
            For unknown ids, no patient, and for more slices than a picture can hold.
        """
        if patients is None:
            patients = [self.patient]
        names = [self.cohort.check(patient) for patient in patients]
        if not names:
            raise LggError(
                "patients is empty; name at least one, or leave it out for the one on show"
            )
        return build_page((self._case_of(name) for name in names), self._settings())

    def _case_of(self, patient: str) -> Case:
        """One patient for a page, with the prediction, which is made if there is none yet."""
        volume = self.cohort.volume(patient)
        prediction = None
        processed = None
        notes: tuple[str, ...] = ()
        if self.model is not None:
            if patient not in self._predictions:
                self._ask(patient).result()
            prediction = self._predictions[patient]
            notes = (*self._notes(patient), self._trusted(patient))
            if self.recipe.min_component_share:
                processed = self._postprocessed(prediction)
        start = None
        if patient == self.patient:
            start = self.slice_slider.value
        return Case(
            patient,
            windowed(volume.image, *self.window.value),
            volume.mask,
            prediction,
            processed,
            volume.missing,
            self.phantom,
            notes,
            start,
        )

    def wait(self, timeout: float | None = 120) -> None:
        """Block until the prediction of the chosen patient is shown.

        Parameters
        ----------
        timeout : float, optional
            Seconds after which TimeoutError is raised; None waits for ever.

        Raises
        ------
        Exception
            What the prediction raised.
        """
        if self.patient in self._jobs:
            self._jobs[self.patient].result(timeout)

    def close(self) -> None:
        """Detach all observers, close every widget, and drop predictions that have not begun."""
        if self.parts:
            self._worker.shutdown(wait=False, cancel_futures=True)
        super().close()
