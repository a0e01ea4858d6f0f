"""Scores per patient: how well masks agree with the manual ones, and whom the network had seen."""

from collections.abc import Iterable

import pandas as pd
from torch import nn
from tqdm.auto import tqdm

from ..data.cohort import Cohort
from ..model.segmenter import as_segmenter
from .metrics import scores
from .trust import assess


def evaluate(
    model: nn.Module,
    cohort: Cohort,
    patients: Iterable[str] | None = None,
    out_of_fold: bool = False,
    device: str | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Segment patients, and score each volume against its manual mask.

    Parameters
    ----------
    model : nn.Module
        A network or `Segmenter`, as `segment_volume` takes it.
    cohort : Cohort
        Where the patients come from.
    patients : iterable of str, optional
        Ids; all of the cohort if not given.
    out_of_fold : bool
        Judge each patient by the part of the model that was not trained on them.
    device : str, optional
        Where to compute, such as "cpu"; chosen by `pick_device` if not given.
    progress : bool
        Show a progress bar.

    Returns
    -------
    DataFrame
        Indexed by patient, with the columns

        dice, iou, sensitivity, precision
            From 0 to 1, over the whole volume; see `lggseg.measures.metrics` for empty masks.
        hd95
            In pixels.
        tumour_voxels, predicted_voxels
            Of the manual and of the predicted mask.
        seen
            Whether the model was trained on this patient.
        expected_dice, low, high, warnings
            What can be said without the manual mask; see `lggseg.measures.trust`.

    Raises
    ------
    LggError
        For an unknown patient, and with `out_of_fold` for one that every part was trained on.
    """
    segmenter = as_segmenter(model)
    if patients is None:
        patients = cohort.patients
    rows = {}
    for patient in tqdm(list(patients), "evaluate", disable=not progress):
        judge = segmenter
        if out_of_fold:
            judge = segmenter.without(patient)
        volume = cohort.volume(patient)
        found = assess(judge, volume.image, device)
        rows[patient] = {
            **scores(found.mask, volume.mask),
            "tumour_voxels": int(volume.mask.sum()),
            "predicted_voxels": int(found.mask.sum()),
            "seen": patient in judge.training_patients,
            **found.trust.columns(),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("patient")
