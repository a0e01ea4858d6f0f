"""Scores per patient: how well masks agree with the manual ones, and which patients the network had seen."""

from collections.abc import Iterable

import pandas as pd
from torch import nn
from tqdm.auto import tqdm

from ..data.cohort import Cohort
from ..model.segmenter import as_segmenter
from .metrics import scores


def evaluate(model: nn.Module, cohort: Cohort, patients: Iterable[str] | None = None, out_of_fold: bool = False,
             device: str | None = None, progress: bool = True) -> pd.DataFrame:
    """Scores of `segment_volume` per patient volume, indexed by patient.

    Columns: dice, iou, sensitivity, precision in [0, 1], hd95 in pixels (empty-mask rule: see
    `lggseg.measures.metrics`), tumour_voxels, predicted_voxels, and seen: the model was trained on this
    patient. With `out_of_fold` each patient is judged by the part of the model `without` them, so none was seen.
    """
    segmenter, rows = as_segmenter(model), {}
    for patient in tqdm(list(cohort.patients if patients is None else patients), "evaluate", disable=not progress):
        judge = segmenter.without(patient) if out_of_fold else segmenter
        volume = cohort.volume(patient)
        mask = judge.segment(volume.image, device)
        rows[patient] = scores(mask, volume.mask) | {
            "tumour_voxels": int(volume.mask.sum()), "predicted_voxels": int(mask.sum()),
            "seen": patient in judge.training_patients}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("patient")
