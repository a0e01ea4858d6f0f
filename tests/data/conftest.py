"""A small cohort in a folder of its own."""

import pytest
from small_cohort import write_cohort


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The folder of a small cohort (see write_cohort) in the real layout; its own cache."""
    monkeypatch.setenv("LGGSEG_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "archive" / "kaggle_3m"
    write_cohort(root)
    return root
