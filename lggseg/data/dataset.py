"""Slices for training: what a network is shown, and the mask it should answer with."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset

from ..errors import LggError
from ..prepare.head_finder import Head, find_head
from ..prepare.network_grid import GridSpec, mask_to_grid, slices_to_grid, standardise
from .cohort import Cohort

Pair = tuple[torch.Tensor, torch.Tensor]  # image and mask


def head_of(cohort: Cohort, patient: str) -> Head:
    """Find the head in a patient's volume, as `find_head` does; its LggError names the patient."""
    image = cohort.volume(patient).image
    try:
        return find_head(image)
    except LggError as error:
        raise LggError(f"{patient}: {error}") from error


class SliceDataset(Dataset[Pair]):
    """The slices of some patients, prepared for a network. Slices that show no head are left out.

    Item i is a pair of

    - image, float32 (recipe.channels, size, size): z-scores of the volume's own sequences inside
      the head, from -5 to 10
    - mask, float32 (1, size, size): 0 or 1, tumour where at least half of the shrunken pixel is

    It is pickled as paths and tables, so that the workers of a DataLoader share the cached arrays.

    Parameters
    ----------
    cohort : Cohort
        Where the patients come from.
    patients : iterable of str
        Ids; one that is named twice counts once.
    recipe : GridSpec, optional
        Size of the slices and number of neighbours.
    augment : callable, optional
        Maps an (image, mask) pair to another such pair.
    tumour_only : bool
        Leave out slices without tumour.
    soft : bool
        Masks hold the fraction of each shrunken pixel that is tumour, 0 to 1: where inside the
        pixel the margin runs is then not lost.

    Attributes
    ----------
    rows : DataFrame
        The row of ``cohort.slices`` for each item.
    has_tumour : bool (items,)
    heads : dict
        The head of each patient.

    Raises
    ------
    LggError
        For a patient that the cohort does not have, a volume without FLAIR, and when no slice is
        left.
    """

    def __init__(
        self,
        cohort: Cohort,
        patients: Iterable[str],
        recipe: GridSpec | None = None,
        augment: Callable[[torch.Tensor, torch.Tensor], Pair] | None = None,
        tumour_only: bool = False,
        soft: bool = False,
    ):
        chosen = sorted({cohort.check(patient) for patient in patients})
        self.cohort = cohort
        self.recipe = recipe or GridSpec()
        self.augment = augment
        self.soft = soft
        self.heads = {patient: head_of(cohort, patient) for patient in chosen}
        positions = positions_on_grid(cohort.slices, self.heads)
        wanted = positions >= 0
        if tumour_only:
            wanted &= cohort.slices.tumour_pixels > 0
        self.rows = cohort.slices[wanted].reset_index(drop=True)
        if self.rows.empty:
            raise LggError(
                f"no slice to choose from: {len(chosen)} patients, tumour_only={tumour_only}"
            )
        self.has_tumour = (self.rows.tumour_pixels > 0).to_numpy()
        self._patients = self.rows.patient.tolist()
        self._positions = positions[wanted].tolist()
        self._on_grid: dict[tuple[str, int], Pair] = {}

    def __len__(self) -> int:
        return len(self._patients)

    def __getitem__(self, i: int) -> Pair:
        patient = self._patients[i]
        position = self._positions[i]
        slices, masks = self.on_grid(patient)
        stack = standardise(slices, self.heads[patient], np.array([position]), self.recipe.context)
        image = stack[0]
        mask = masks[position].float() / 255
        if not self.soft:
            mask = (mask >= 0.5).float()
        if self.augment is None:
            return image, mask
        return self.augment(image, mask)

    def on_grid(self, patient: str) -> Pair:
        """A patient's slices on the network's grid, computed once.

        Returns
        -------
        slices : uint8 (n, 3, size, size) for the n slices that show a head
        masks : uint8 (n, 1, size, size), 255 where all of the pixel is tumour
        """
        size = self.recipe.size
        if (patient, size) not in self._on_grid:
            volume = self.cohort.volume(patient)
            head = self.heads[patient]
            slices = slices_to_grid(volume.image, head, size)
            masks = mask_to_grid(volume.mask, head, size)
            self._on_grid[patient, size] = (slices, masks)
        return self._on_grid[patient, size]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_on_grid": {}}


def positions_on_grid(slices: pd.DataFrame, heads: dict[str, Head]) -> pd.Series:
    """Where each slice of a cohort lies among those of its patient that show a head.

    Parameters
    ----------
    slices : DataFrame
        The cohort's: patient and k (from 1) are used.
    heads : dict
        The head of each patient that is wanted.

    Returns
    -------
    int Series, indexed as `slices`; -1 for slices without a head and for other patients
    """
    position_of = {}
    for patient, head in heads.items():
        for position, index in enumerate(head.slices):
            position_of[patient, index + 1] = position
    keys = zip(slices.patient, slices.k)
    return pd.Series([position_of.get(key, -1) for key in keys], slices.index)
