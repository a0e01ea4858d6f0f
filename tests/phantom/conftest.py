"""Shared by the phantoms' tests: the default cohort, planned and with its masks; nothing is written."""

import pytest

from lggseg.phantom.scanning import draw_masks
from lggseg.phantom.table import plan_cohort


@pytest.fixture(scope="session")
def default():
    """Plan, table (by patient) and masks (by folder) of the default cohort."""
    plan, table = plan_cohort()
    return plan, table.set_index("Patient"), {patient.folder: draw_masks(patient) for patient in plan}
