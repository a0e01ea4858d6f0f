"""Shared by the phantoms' tests: the default cohort, planned and with its masks,
and slices of a tidy head.
"""

import numpy as np
import pytest

from lggseg.phantom.patient import Look
from lggseg.phantom.scanning import draw_masks
from lggseg.phantom.table import plan_cohort
from lggseg.phantom.tissue import Plane


@pytest.fixture(scope="session")
def default():
    """Plan, table (by patient) and masks (by folder) of the default cohort; nothing is written."""
    plan, table = plan_cohort()
    return (
        plan,
        table.set_index("Patient"),
        {patient.folder: draw_masks(patient) for patient in plan},
    )


@pytest.fixture
def look():
    return Look(
        ventricles=1.0,
        rims=0.0,
        contrast=1.5,
        softness=0.02,
        enhancing=np.inf,
        rim=False,
        lesions=[],
        scalp=0.05,
        diploe=0.5,
        fat_after=1.0,
    )


class Tidy(Plane):
    """A slice without noise, sulci, vessels in them or tumour; 100 pixels are a head unit."""

    def __init__(self, z: float, **fields):
        place = (np.arange(256, dtype=np.float32) - 127.5) / 100
        x, y = (np.ascontiguousarray(field) for field in np.broadcast_arrays(place, place[:, None]))
        flat = {"fold": 1, "texture": 0, "vein": -9, "scalp": 0.05, "tumour": -1} | fields
        super().__init__(z, x, y, *(np.full_like(x, 1) * value for value in flat.values()))

    def at(self, x: float, y: float) -> list[float]:
        """Signal of the three sequences at a place."""
        return self.image[:, round(100 * y + 127.5), round(100 * x + 127.5)].tolist()


@pytest.fixture
def tidy():
    """Makes a Tidy slice at a height."""
    return Tidy
