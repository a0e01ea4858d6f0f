"""What is decided before anything is drawn: sites, seeds, looks."""

import numpy as np
import pytest

from lggseg.phantom.patient import SCANNERS, Look, Patient

PATIENT = Patient("TCGA_DU_P001_19990101", "DU", (0, 1), 20, 1.0, 2, 0.3, ())


def test_sites_share_the_cohort():
    assert sum(scanner.fraction for scanner in SCANNERS.values()) == pytest.approx(1)
    assert all(
        15 <= low <= high <= 28 for low, high in (scanner.slices for scanner in SCANNERS.values())
    )


def test_draws_of_one_purpose_do_not_move_those_of_another():
    first, again, other = (
        PATIENT.rng(2).random(4),
        PATIENT.rng(2).random(4),
        PATIENT.rng(3).random(4),
    )
    assert (first == again).all() and not np.isin(first, other).any()


def test_looks_vary_within_their_ranges():
    looks = [Look.draw(np.random.default_rng(seed)) for seed in range(400)]
    contrast = np.array([look.contrast for look in looks])
    faint = contrast < 1.15
    assert 0.05 < faint.mean() < 0.11 and contrast.min() >= 1.08 and contrast[~faint].min() >= 1.3
    assert 0.3 < np.mean([np.isfinite(look.enhancing) for look in looks]) < 0.4
    assert {len(look.lesions) for look in looks} == {0, 1, 2, 3}
