"""Slices for training: what a network is shown, and the mask it should answer."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset

from ..errors import LggError
from ..prepare.head_finder import Head, find_head
from ..prepare.network_grid import GridSpec, mask_to_grid, slices_to_grid, standardise
from .cohort import Cohort


def head_of(cohort: Cohort, patient: str) -> Head:
    """`find_head` of a patient's volume; its LggError names the patient."""
    image = cohort.volume(patient).image
    try:
        return find_head(image)
    except LggError as error:
        raise LggError(f"{patient}: {error}") from error


class SliceDataset(Dataset):
    """The slices of some patients as the network wants them; slices that show no head are left out.

    Item i is (image, mask): image float32 (C,size,size), z-scores of the volume's own sequences inside the
    head (-5 to 10), C = recipe.channels; mask float32 (1,size,size), 0 or 1: tumour where at
    least half of the shrunken pixel's area is; with `soft` that share itself, which remembers where inside the pixel
    the margin runs. `augment` maps such a pair to another.
    Attributes: rows (the rows of cohort.slices, in order) and has_tumour, bool per item. Pickles
    as paths and tables, so DataLoader workers share the packed images.
    """

    def __init__(self, cohort: Cohort, patients: Iterable[str], recipe: GridSpec | None = None,
                 augment: Callable | None = None, tumour_only: bool = False, soft: bool = False):
        chosen = sorted({cohort.check(patient) for patient in patients})
        self.cohort, self.recipe, self.augment, self.soft = cohort, recipe or GridSpec(), augment, soft
        self.heads = {patient: head_of(cohort, patient) for patient in chosen}
        row_on_grid = {(patient, k): i for patient, head in self.heads.items() for i, k in enumerate(head.slices + 1)}
        place = pd.Series([row_on_grid.get(key, -1) for key in zip(cohort.slices.patient, cohort.slices.k)])
        wanted = (place >= 0) & (cohort.slices.tumour_pixels >= bool(tumour_only))
        self.rows = cohort.slices[wanted].reset_index(drop=True)
        if self.rows.empty:
            raise LggError(f"no slice to choose from: {len(chosen)} patients, tumour_only={tumour_only}")
        self.has_tumour = (self.rows.tumour_pixels > 0).to_numpy()
        self._items = list(zip(self.rows.patient, place[wanted], strict=True))
        self._on_grid = {}

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        patient, row = self._items[i]
        slices, masks = self.on_grid(patient)
        image = standardise(slices, self.heads[patient], np.array([row]), self.recipe.context)[0]
        share = masks[row].float() / 255
        mask = share if self.soft else (share >= 0.5).float()
        return (image, mask) if self.augment is None else self.augment(image, mask)

    def on_grid(self, patient: str) -> tuple[torch.Tensor, torch.Tensor]:
        """A patient's slices that show a head, uint8 (n,3,size,size), and masks uint8 (n,1,size,size); made once."""
        size = self.recipe.size
        if (patient, size) not in self._on_grid:
            volume, head = self.cohort.volume(patient), self.heads[patient]
            self._on_grid[patient, size] = (slices_to_grid(volume.image, head, size),
                                            mask_to_grid(volume.mask, head, size))
        return self._on_grid[patient, size]

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_on_grid": {}}
