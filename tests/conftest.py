"""Shared by all tests: where caches go, a small phantom cohort, the real patients where they are at
hand.
"""

import os
from pathlib import Path

import matplotlib
import pytest

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("LGGSEG_CACHE", str(ROOT / "build" / "cache"))
os.environ.setdefault("LGGSEG_DATA", "phantom")
matplotlib.use("agg")  # not by MPLBACKEND: the notebooks that run beside the tests would inherit it

from lggseg.data import load_cohort, open_cohort  # noqa: E402  the cache must be chosen before
from lggseg.phantom import write_phantom_cohort  # noqa: E402


@pytest.fixture(scope="session")
def phantom_cohort(tmp_path_factory):
    """Eight phantoms, written and packed once per test run, away from the user's cache."""
    place = tmp_path_factory.mktemp("phantoms")
    root = write_phantom_cohort(place, patients=8, seed=7, progress=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LGGSEG_CACHE", str(place / "cache"))
        return load_cohort(root, progress=False)


@pytest.fixture(scope="session")
def real_cohort():
    """The real patients in $LGGSEG_DATA_REAL; tests that use it are marked `real`."""
    if not os.environ.get("LGGSEG_DATA_REAL"):
        pytest.skip("set LGGSEG_DATA_REAL to the unpacked kaggle_3m to test on real patients")
    return open_cohort(os.environ["LGGSEG_DATA_REAL"], progress=False)
