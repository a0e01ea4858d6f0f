"""Shuffled patients: the promised rates of false positives, and what is kept together."""

import numpy as np
import pandas as pd
import pytest

from lggseg.errors import LggError
from lggseg.genomics import fisher
from lggseg.genomics.association import association_table
from lggseg.genomics.permutation import false_positive_rates, permuted_p_values


def test_permuted_labels_give_the_promised_rates(invented):
    p = permuted_p_values(*invented, 400)
    rates = false_positive_rates(p)
    assert p.shape == (400, 4) and list(p.columns.names) == ["feature", "cluster"]
    assert rates["per test"] <= 0.065  # exact tests keep to 5 %; 0.065 leaves room for 400 draws
    assert 0.08 < rates["any raw"] < 0.25
    assert max(rates["any q_bh"], rates["any p_bonferroni"]) <= 0.08
    pd.testing.assert_frame_equal(p, permuted_p_values(*invented, 400))
    assert not p.equals(permuted_p_values(*invented, 400, seed=1))


def test_each_row_is_a_table_of_shuffled_patients(invented):
    """Whole patients move: features keep their place beside each other, clusters too."""
    features, clusters = invented
    features.loc["P003":"P008", "noise"] = np.nan
    clusters["RNA"] = clusters["RNA"].astype(float).where(clusters.index != "P011")
    p, rng = permuted_p_values(features, clusters, 3, seed=5), np.random.default_rng(5)
    for i in range(3):
        shuffled = features.iloc[rng.permutation(60)].set_index(features.index)
        expected = association_table(shuffled, clusters).set_index(["feature", "cluster"]).p_fisher
        assert p.loc[i].tolist() == pytest.approx(expected.tolist(), rel=1e-12)
        assert p.columns.tolist() == expected.index.tolist()


def test_a_thousand_permutations_unless_told_otherwise():
    features = pd.DataFrame({"bevr": [1.0, 2, 3]}, list("abc"))
    p = permuted_p_values(features, pd.DataFrame({"RNA": [1, 1, 2]}, list("abc")))
    assert len(p) == 1000


def test_what_cannot_be_tested_is_nan_and_not_counted(invented, monkeypatch):
    features, clusters = invented
    p = permuted_p_values(
        features.assign(flat=1.0), clusters.assign(single=1, many=np.arange(60) // 10), 50
    )
    assert p.columns[p.isna().all()].tolist() == [
        ("real", "single"),
        ("noise", "single"),
        ("flat", "RNA"),
        ("flat", "other"),
        ("flat", "single"),
        ("flat", "many"),
    ]
    monkeypatch.setattr(fisher, "MOST_FILLINGS", 500)
    refused = permuted_p_values(features, clusters.assign(many=np.arange(60) // 10), 50)
    assert refused.columns[refused.isna().all()].tolist() == [("real", "many"), ("noise", "many")]
    kept = refused.dropna(axis=1)
    pd.testing.assert_frame_equal(kept, p[kept.columns])
    assert false_positive_rates(refused) == false_positive_rates(kept)


def test_rates_by_hand():
    """Of three tables: one with 0.001, one with 0.04 (lost by either correction), one with 0.05,
    which is not below.
    """
    p = pd.DataFrame([[0.001, 0.5], [0.04, 0.6], [0.05, np.nan]])
    assert false_positive_rates(p) == pytest.approx(
        {"per test": 2 / 5, "any raw": 2 / 3, "any q_bh": 1 / 3, "any p_bonferroni": 1 / 3}
    )
    assert false_positive_rates(p, 0.0005) == {
        "per test": 0,
        "any raw": 0,
        "any q_bh": 0,
        "any p_bonferroni": 0,
    }
    both = pd.DataFrame([[0.03, 0.04]])
    assert (
        false_positive_rates(both)["any q_bh"] == 1
        and false_positive_rates(both)["any p_bonferroni"] == 0
    )


def test_nothing_to_permute_is_refused(invented):
    features, clusters = invented
    for permutations in (0, -3):
        with pytest.raises(LggError, match=f"permutations is {permutations}"):
            permuted_p_values(features, clusters, permutations)
    assert len(permuted_p_values(features, clusters, 1)) == 1
    with pytest.raises(LggError, match="none of the permuted pairs"):
        false_positive_rates(permuted_p_values(features, clusters[["RNA"]] * 0, 5))
