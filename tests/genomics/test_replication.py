"""Manual and predicted shapes held against each other: small tables whose outcome is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lggseg.data.clinical import CLUSTERS
from lggseg.errors import LggError
from lggseg.genomics import CLAIMS, association_table, kept_lead, replication, verdict
from lggseg.genomics.replication import correlation


@pytest.fixture()
def manual():
    """60 patients whose BEVR tells R2 (the first twenty) from the rest."""
    rng = np.random.default_rng(0)
    features = pd.DataFrame(
        rng.uniform(0.1, 0.3, (60, 3)), [f"P{i}" for i in range(60)], ["asd", "mf", "bevr"]
    )
    features.loc[features.index[20:], "bevr"] += 0.25
    return features


@pytest.fixture()
def clusters(manual):
    columns = {name: np.arange(60) % 3 for name in CLUSTERS}
    return pd.DataFrame(
        columns | {"RNASeqCluster": np.where(np.arange(60) < 20, 2, 1)}, manual.index
    )


@pytest.mark.parametrize(
    "kept, word",
    [
        (1.1, "replicated"),
        (0.75, "replicated"),
        (0.74, "weakened"),
        (0.25, "weakened"),
        (0.24, "not replicated"),
        (-1, "not replicated"),
        (np.nan, "nothing to replicate"),
    ],
)
def test_rule_and_its_bounds(kept, word):
    assert verdict(kept) == verdict(np.float64(kept)) == word


def test_kept_lead_by_hand():
    manual = pd.Series([0.1, 0.2, 0.3, 0.4])  # R2 first: an area of 1
    predicted = pd.Series([0.1, 0.35, 0.3, 0.4])  # 3 of 4 pairs: an area of 0.75
    is_r2 = pd.Series([True, True, False, False])
    assert kept_lead(manual, predicted, is_r2).value == 0.5
    assert np.isnan(kept_lead(1 - manual, predicted, is_r2).value)
    assert np.isnan(kept_lead(manual, predicted, is_r2 | True).value)
    missed = predicted.where([True, False, True, True])
    assert kept_lead(manual, missed, is_r2).value == 1


def test_more_patients_make_the_verdict_surer_and_do_not_change_it():
    random = np.random.default_rng(3)
    is_r2 = pd.Series(np.arange(60) < 20)
    manual = pd.Series(random.normal(0, 1, 60)) + 2 * ~is_r2
    predicted = manual + random.normal(0, 2, 60)
    few = kept_lead(manual, predicted, is_r2)
    many = kept_lead(
        *(pd.concat([column] * 10, ignore_index=True) for column in (manual, predicted, is_r2))
    )
    assert many.value == pytest.approx(few.value) and verdict(many.value) == verdict(few.value)
    assert many.same_word >= few.same_word and many.high - many.low < few.high - few.low


def test_predicted_equal_to_manual_replicates(manual, clusters):
    found = replication(manual, manual.iloc[::-1], clusters)
    assert (
        found.verdict == "replicated"
        and np.allclose(found.agreement.r, 1)
        and (found.agreement.n == 60).all()
    )
    assert found.area["manual"] == found.area["predicted"] and found.area["manual"].value == 1
    assert found.claims.manual.equals(found.claims.predicted) and list(found.claims.index) == [
        *CLAIMS
    ]
    assert (
        found.claims.predicted_holds["bevr", "RNASeqCluster"]
        and not found.claims.manual_holds["bevr", "CNCluster"]
    )


def test_shapes_of_nothing_do_not_replicate(manual, clusters):
    predicted = manual.assign(bevr=np.random.default_rng(1).uniform(0.2, 0.5, 60))
    found = replication(manual, predicted, clusters)
    assert found.verdict == "not replicated" and found.area["manual"].value == 1
    table = association_table(predicted, clusters).set_index(["feature", "cluster"])
    assert found.bonferroni["predicted"] == table.p_bonferroni["bevr", "RNASeqCluster"] > 0.05
    assert found.bonferroni["manual"] < 0.05


def test_r_and_its_interval_leave_out_missed_tumours(manual, clusters):
    predicted = manual * 0.9 + np.random.default_rng(2).normal(0, 0.05, manual.shape)
    predicted.iloc[:5] = np.nan
    found = replication(manual, predicted, clusters)
    expected = stats.pearsonr(manual.asd[5:], predicted.asd[5:])
    assert found.agreement.r["asd"] == pytest.approx(expected.statistic)
    assert tuple(found.agreement.loc["asd", ["low", "high"]]) == pytest.approx(
        expected.confidence_interval()
    )
    assert found.agreement.n["asd"] == 55


def test_patients_without_a_subtype_are_left_out_of_the_area(manual, clusters):
    clusters = clusters.astype(object)
    clusters.iloc[40:, clusters.columns.get_loc("RNASeqCluster")] = None
    swapped = manual.copy()
    swapped.iloc[40:] = 0.001  # would all look like R2
    assert replication(swapped, swapped, clusters).area["predicted"].value == 1


def test_refused(manual, clusters):
    with pytest.raises(LggError, match="not of the same patients"):
        replication(manual, manual[1:], clusters)
    with pytest.raises(LggError, match="lack the column COCCluster"):
        replication(manual, manual, clusters.drop(columns="COCCluster"))


@pytest.mark.parametrize("values", [[np.nan] * 4, [1, np.nan, np.nan, np.nan], [2] * 4])
def test_too_little_for_a_correlation(values):
    assert np.isnan(correlation(pd.Series([1.0, 2, 3, 4]), pd.Series(values, dtype=float))["r"])
