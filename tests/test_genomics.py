"""The statistics against scipy, brute force and hand-worked tables."""

from itertools import product
from math import comb

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lggseg import genomics
from lggseg.errors import LggError
from lggseg.genomics import (
    association_table,
    auc,
    category_codes,
    cramers_v,
    false_positive_rates,
    freeman_halton,
    permuted_p_values,
)

COLUMNS = ["feature", "cluster", "n", "p_fisher", "p_kruskal", "epsilon_sq", "q_bh", "p_bonferroni"]


def cohort(n=60, seed=0):
    """Features and clusters of n invented patients; only `real` depends on `RNA`."""
    rng = np.random.default_rng(seed)
    index = pd.Index([f"P{i:03d}" for i in range(n)], name="patient")
    rna = rng.integers(1, 4, n)
    features = pd.DataFrame({"real": 2 * rna + rng.normal(size=n), "noise": rng.normal(size=n)}, index=index)
    return features, pd.DataFrame({"RNA": rna, "other": rng.integers(1, 5, n)}, index=index)


def brute_force(table):
    """Freeman-Halton in whole numbers: every table with these margins, no rounding anywhere."""
    columns, high = table.sum(axis=0).tolist(), int(table[1].sum())
    ways = [np.prod([comb(c, x) for c, x in zip(columns, xs)], dtype=object)
            for xs in product(*[range(c + 1) for c in columns]) if sum(xs) == high]
    seen = np.prod([comb(c, int(x)) for c, x in zip(columns, table[1])], dtype=object)
    return sum(way for way in ways if way <= seen) / comb(sum(columns), high)


@pytest.mark.parametrize("seed", range(20))
def test_two_by_two_is_scipys_fisher(seed):
    table = np.random.default_rng(seed).integers(0, 15, (2, 2)) + [[1, 0], [0, 1]]
    assert freeman_halton(table) == pytest.approx(stats.fisher_exact(table)[1], rel=1e-9)


@pytest.mark.parametrize("columns, seed", list(product((2, 3, 4, 5), range(4))))
def test_more_columns_against_brute_force(columns, seed):
    table = np.random.default_rng(seed).integers(0, 6, (2, columns)) + 1
    assert freeman_halton(table) == pytest.approx(brute_force(table), rel=1e-9)


def test_tea_tasting():
    """Fisher's lady: 3 of 4 cups right, both sides (1 + 16 + 16 + 1) / 70."""
    assert freeman_halton(np.array([[3, 1], [1, 3]])) == pytest.approx(34 / 70)
    assert freeman_halton(np.array([[5, 5], [5, 5]])) == pytest.approx(1)


@pytest.mark.parametrize("bad", [np.zeros((2, 3), int), np.ones((3, 3), int), np.array([[1, -1], [2, 2]])])
def test_tables_that_make_no_sense_are_refused(bad):
    with pytest.raises(LggError, match="2 x k"):
        freeman_halton(bad)


def test_too_many_tables_are_refused_rather_than_eating_memory(monkeypatch):
    monkeypatch.setattr(genomics, "MOST_TABLES", 1000)
    with pytest.raises(LggError, match="merge small ones"):
        freeman_halton(np.full((2, 6), 17))


def test_the_table_row_by_row_against_scipy():
    features, clusters = cohort()
    table = association_table(features, clusters)
    assert table.columns[:8].tolist() == COLUMNS
    assert list(zip(table.feature, table.cluster)) == list(product(features, clusters))
    for row in table.itertuples():
        x, g = features[row.feature], clusters[row.cluster]
        h, p = stats.kruskal(*[x[g == k] for k in g.unique()])
        assert (row.p_kruskal, row.epsilon_sq) == pytest.approx((p, h / 59))
        assert row.p_fisher == pytest.approx(brute_force(pd.crosstab(x > x.median(), g).to_numpy()))


def test_corrections_by_hand():
    table = association_table(*cohort())
    p = table.p_fisher.to_numpy()
    order, m = np.argsort(p), len(p)
    q = np.minimum.accumulate((p[order] * m / np.arange(1, m + 1))[::-1])[::-1]
    assert table.q_bh.to_numpy()[order] == pytest.approx(q.clip(max=1))
    assert table.p_bonferroni.to_numpy() == pytest.approx((p * m).clip(max=1))


def test_the_true_link_is_found_and_no_other():
    table = association_table(*cohort()).set_index(["feature", "cluster"])
    assert table.p_bonferroni["real", "RNA"] < 0.001
    assert table.p_bonferroni.drop(("real", "RNA")).min() > 0.05


def test_codes_and_missing_values_read_alike():
    features, clusters = cohort()
    clusters["other"] = clusters["other"].where(clusters["other"] != 4)  # now float, with NaN
    expected = association_table(features, clusters)
    for form in (clusters.astype("Int64"), clusters.astype(object), clusters.astype("string").fillna(" ")):
        pd.testing.assert_frame_equal(association_table(features, form), expected)
    assert expected.n.tolist() == [60, int(clusters.other.notna().sum())] * 2
    assert category_codes(pd.Series(["1.0", "1", " R2 ", "", None])).tolist() == ["1", "1", "R2", None, None]


def test_each_pair_uses_its_own_patients_and_median():
    features, clusters = cohort()
    features.loc["P000":"P009", "real"] = np.nan
    clusters.loc["P005":"P019", "RNA"] = np.nan
    row = association_table(features, clusters.iloc[::-1]).iloc[0]
    kept = association_table(features.iloc[20:], clusters.iloc[20:]).iloc[0]
    assert row.n == 40
    assert row.p_fisher == pytest.approx(kept.p_fisher)


def test_small_categories_are_told():
    features, clusters = cohort()
    clusters.loc["P000":"P003", "RNA"] = 9
    assert association_table(features, clusters).small.tolist() == ["9 (n=4)", "", "9 (n=4)", ""]


def test_what_cannot_be_tested_is_nan_and_not_counted():
    features, clusters = cohort()
    whole = association_table(features[["real"]], clusters)
    clusters["single"] = 1
    table = association_table(features[["real"]].assign(flat=0.5), clusters)
    untested = (table.cluster == "single") | (table.feature == "flat")
    assert table.loc[untested, COLUMNS[3:]].isna().all(axis=None)
    assert table.loc[~untested, "p_bonferroni"].tolist() == whole.p_bonferroni.tolist()


def test_bad_tables_are_refused():
    features, clusters = cohort()
    with pytest.raises(LggError, match="no patient in common"):
        association_table(features, clusters.add_prefix("Q", axis=0))
    with pytest.raises(LggError, match="P003 more than once"):
        association_table(features, pd.concat([clusters, clusters.loc[["P003"]]]))
    with pytest.raises(LggError, match="must be numbers"):
        association_table(features.assign(word="x"), clusters)


def test_cramers_v_by_hand():
    """2 x 2 with 30 + 30 against 10 + 10: chi2 = 80 x (900 - 100)^2 / 40^4 = 20, phi2 = 1/4."""
    a = pd.Series(np.repeat([1, 1, 2, 2], [30, 10, 10, 30]))
    b = pd.Series(np.repeat([1, 2, 1, 2], [30, 10, 10, 30]))
    assert cramers_v(a, b) == pytest.approx(np.sqrt((0.25 - 1 / 79) / (1 - 1 / 79)))
    assert cramers_v(a, b) < stats.contingency.association(pd.crosstab(a, b).to_numpy(), "cramer")


def test_cramers_v_is_one_for_copies_and_about_nothing_for_noise():
    rng = np.random.default_rng(0)
    a = pd.Series(rng.integers(1, 5, 400)).astype(float).where(lambda s: s.index > 4)
    assert cramers_v(a, a.astype("Int64")) == pytest.approx(1)
    assert np.mean([cramers_v(a, pd.Series(rng.permutation(a))) for _ in range(50)]) < 0.04
    assert np.isnan(cramers_v(a, a * 0))


def test_auc_counts_pairs():
    """Positives 3, 2 against 1, 2: won, won, won, drawn."""
    assert auc([3, 2, 1, 2, np.nan], [True, True, False, False, True])[0] == 3.5 / 4
    assert auc([1, 2, 3], [False, True, True]) == (1, 1, 1)
    with pytest.raises(LggError, match="0 positive"):
        auc([1, 2], [False, False])


def test_auc_interval_repeats_and_covers():
    """Of 200 intervals around draws with a true AUC of Phi(1 / sqrt 2), about 95 % hold it."""
    rng, truth = np.random.default_rng(1), stats.norm.cdf(1 / np.sqrt(2))
    labels = np.repeat([True, False], [30, 60])
    draws = [rng.normal(size=90) + labels for _ in range(200)]
    held = np.mean([low <= truth <= high for _, low, high in (auc(x, labels, 400) for x in draws)])
    assert 0.89 <= held <= 0.99
    assert auc(draws[0], labels) == auc(draws[0], labels)
    assert auc(draws[0], labels, seed=1).value == auc(draws[0], labels).value


def test_permuted_labels_give_the_promised_rates():
    features, clusters = cohort()
    p = permuted_p_values(features, clusters, 400)
    rates = false_positive_rates(p)
    assert p.shape == (400, 4)
    assert rates["per test"] <= 0.065  # exact tests keep to 5 %; 0.065 leaves room for 400 draws
    assert 0.08 < rates["any raw"] < 0.25
    assert max(rates["any q_bh"], rates["any p_bonferroni"]) <= 0.08
    pd.testing.assert_frame_equal(p, permuted_p_values(features, clusters, 400))


def test_command_on_a_csv(tmp_path, capsys, monkeypatch):
    features, clusters = cohort()
    renamed = features.assign(bevr=features.real.rank(pct=True), asd=features.noise, mf=-features.noise)
    renamed[["asd", "mf", "bevr"]].to_csv(tmp_path / "features.csv")
    clusters = clusters.rename(columns={"RNA": "RNASeqCluster"})
    monkeypatch.setattr(genomics, "read_clinical", lambda path: (None, clusters))
    genomics.main(["--features", str(tmp_path / "features.csv"), "--clusters", "data.csv", "--permutations", "20",
                   "--out", str(tmp_path / "table.csv")])
    printed = capsys.readouterr().out
    assert "60 tumours" in printed and "AUC of 1/BEVR for R2" in printed and "20 permutations" in printed
    assert pd.read_csv(tmp_path / "table.csv")["n"].tolist() == [60] * 6


def test_command_names_what_a_csv_lacks(tmp_path):
    (tmp_path / "features.csv").write_text("patient,asd\nP1,0.1\n")
    with pytest.raises(LggError, match="lacks the columns"):
        genomics.main(["--features", str(tmp_path / "features.csv")])
