"""An invented cohort for the tests of genomics."""

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def invented():
    """Features and clusters of 60 invented patients; only `real` depends on `RNA`."""
    rng, n = np.random.default_rng(0), 60
    index = pd.Index([f"P{i:03d}" for i in range(n)], name="patient")
    rna = rng.integers(1, 4, n)
    features = pd.DataFrame(
        {"real": 2 * rna + rng.normal(size=n), "noise": rng.normal(size=n)}, index=index
    )
    return features, pd.DataFrame({"RNA": rna, "other": rng.integers(1, 5, n)}, index=index)
