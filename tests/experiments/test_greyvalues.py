"""Rules for z-scores, on values counted by hand."""

import numpy as np
import pandas as pd
import pytest

from experiments import greyvalues
from experiments.greyvalues import Inside


def inside(levels: list[list[float]]) -> Inside:
    """Slices of one row each, all of it inner head."""
    values = np.float32(levels)[:, None]
    everywhere = np.ones(values.shape, bool)
    return Inside(values, everywhere, everywhere, everywhere)


def test_centre_and_spread_by_rule():
    values = inside([[0, 10, 20, 30, 40]])
    assert greyvalues.inner_mean(values) == pytest.approx((20, np.sqrt(200)))
    assert greyvalues.head_mean(values) == pytest.approx((20, np.sqrt(200)))
    assert greyvalues.tissue_quartiles(values) == pytest.approx((20, 20 / 1.349))
    assert greyvalues.inner_quartiles(values) == pytest.approx((20, 20 / 1.349))
    assert greyvalues.inner_range(values) == pytest.approx((20, 36 / 3.29))


def test_the_peak_is_the_commonest_level():
    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(100, 4, 4000), random.uniform(0, 200, 2000)])
    found = inside([values.tolist()])
    assert greyvalues.peak(found) == pytest.approx(100, abs=3)
    assert greyvalues.peak_alone(found)[1] == pytest.approx(30, abs=1)


def test_slices_are_brought_to_one_level():
    found = inside([[10] * 3, [20] * 3, [40] * 3])
    assert greyvalues.slice_factor(found, 1).tolist() == [2, 1, 0.5]
    assert greyvalues.slice_factor(found, 0.5) == pytest.approx([np.sqrt(2), 1, np.sqrt(0.5)])
    found.inner[0] = False
    assert greyvalues.slice_factor(found, 1)[0] == 1


def test_area_under_the_curve_from_histograms():
    assert greyvalues.area(np.array([0, 0, 1.0]), np.array([1.0, 0, 0])) == 1
    assert greyvalues.area(np.array([0, 1.0]), np.array([0, 1.0])) == 0.5
    assert greyvalues.area(np.array([0.5, 0.5]), np.array([1.0, 0])) == 0.75


def test_pooling_sees_what_own_does_not():
    """Two separable patients whose levels differ: one threshold cannot serve both."""

    def row(tumour, healthy):
        return {
            "tumour": tumour,
            "healthy": healthy,
            "positive": greyvalues.share_per_bin(np.array([tumour])),
            "negative": greyvalues.share_per_bin(np.array([healthy])),
        }

    found = greyvalues.summary(pd.DataFrame([row(3.0, 2.0), row(1.0, 0.0)]))
    assert found.own == pytest.approx(1)
    assert found.pooled == pytest.approx(0.75)
    assert found[["tumour", "sd", "cv", "healthy", "healthy_sd"]].tolist() == pytest.approx(
        [2, 1, 0.5, 1, 1]
    )


def test_a_mean_near_zero_has_no_coefficient_of_variation():
    histogram = greyvalues.share_per_bin(np.zeros(1))
    rows = pd.DataFrame(
        [
            {"tumour": value, "healthy": 1.0, "positive": histogram, "negative": histogram}
            for value in (-1.0, 1.2)
        ]
    )
    assert np.isnan(greyvalues.summary(rows).cv)


def test_the_command_on_phantoms(cohort, tmp_path, capsys):
    greyvalues.main(["--data", str(cohort.root), "--out", str(tmp_path / "table.csv")])
    table = pd.read_csv(tmp_path / "table.csv")
    rules = [*greyvalues.RULES, *greyvalues.PER_SLICE]
    assert table[(table.sequence == "FLAIR") & (table.hospital == "all")].rule.tolist() == rules
    assert table.pooled.between(0, 1).all()
    assert "inner head, mean and deviation" in capsys.readouterr().out
