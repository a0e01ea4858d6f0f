"""Corrections for many tests against their definitions."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from lggseg.genomics.corrections import benjamini_hochberg, bonferroni


@pytest.mark.parametrize("seed", range(5))
def test_against_statsmodels(seed):
    p = np.random.default_rng(seed).random(15) ** 4
    assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1])
    assert bonferroni(p) == pytest.approx(multipletests(p, method="bonferroni")[1])


@pytest.mark.parametrize("correct", [benjamini_hochberg, bonferroni])
def test_what_was_not_tested_does_not_count(correct):
    p = np.array([0.001, 0.2, 0.03])
    assert correct(np.array([np.nan, 0.001, 0.2, np.nan, 0.03])) == pytest.approx(
        [np.nan, *correct(p)[:2], np.nan, correct(p)[2]], nan_ok=True
    )
    assert np.isnan(correct(np.array([np.nan, np.nan]))).all()
    assert p.tolist() == [0.001, 0.2, 0.03]
