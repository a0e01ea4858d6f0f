"""The association table row by row against scipy, and its habits with what is missing,
small or untestable.
"""

import subprocess
import sys
from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lggseg.errors import LggError
from lggseg.genomics import fisher
from lggseg.genomics.association import (
    aligned,
    association_table,
    category_codes,
    cohort_features,
    compare,
    median_split,
    untestable,
)
from lggseg.genomics.fisher import freeman_halton
from lggseg.measures.shape import shape_features

COLUMNS = [
    "feature",
    "cluster",
    "n",
    "p_fisher",
    "p_kruskal",
    "epsilon_sq",
    "q_bh",
    "p_bonferroni",
    "small",
    "note",
]
NUMBERS = COLUMNS[3:8]


def test_the_table_row_by_row_against_scipy(invented):
    features, clusters = invented
    table = association_table(features, clusters)
    assert table.columns.tolist() == COLUMNS
    assert list(zip(table.feature, table.cluster)) == list(product(features, clusters))
    for row in table.itertuples():
        x, g = features[row.feature], clusters[row.cluster]
        h, p = stats.kruskal(*[x[g == k] for k in g.unique()])
        assert (row.p_kruskal, row.epsilon_sq) == pytest.approx((p, h / 59))
        assert row.p_fisher == freeman_halton(pd.crosstab(x > x.median(), g).to_numpy())
    assert table.note.tolist() == [""] * 4 and (table.n == 60).all()


def test_corrections_by_hand(invented):
    table = association_table(*invented)
    p = table.p_fisher.to_numpy()
    order, m = np.argsort(p), len(p)
    q = np.minimum.accumulate((p[order] * m / np.arange(1, m + 1))[::-1])[::-1]
    assert table.q_bh.to_numpy()[order] == pytest.approx(q.clip(max=1))
    assert table.p_bonferroni.to_numpy() == pytest.approx((p * m).clip(max=1))


def test_the_true_link_is_found_and_no_other(invented):
    table = association_table(*invented).set_index(["feature", "cluster"])
    assert table.p_bonferroni["real", "RNA"] < 0.001
    assert table.p_bonferroni.drop(("real", "RNA")).min() > 0.05


def test_codes_and_missing_values_read_alike(invented):
    features, clusters = invented
    clusters["other"] = clusters["other"].where(clusters["other"] != 4)  # now float, with NaN
    expected = association_table(features, clusters)
    for form in (
        clusters.astype("Int64"),
        clusters.astype(object),
        clusters.astype("string").fillna(" "),
    ):
        pd.testing.assert_frame_equal(association_table(features, form), expected)
    assert expected.n.tolist() == [60, int(clusters.other.notna().sum())] * 2
    assert category_codes(pd.Series(["1.0", "1", " R2 ", "", None])).tolist() == [
        "1",
        "1",
        "R2",
        None,
        None,
    ]


def test_each_pair_uses_its_own_patients_and_median(invented):
    features, clusters = invented
    features.loc["P000":"P009", "real"] = np.nan
    clusters.loc["P005":"P019", "RNA"] = np.nan
    row = association_table(features, clusters.iloc[::-1]).iloc[0]
    kept = association_table(features.iloc[20:], clusters.iloc[20:]).iloc[0]
    assert row.n == 40
    assert row.p_fisher == pytest.approx(kept.p_fisher)
    assert (row.p_kruskal, row.epsilon_sq) == pytest.approx((kept.p_kruskal, kept.epsilon_sq))


def test_median_split_puts_the_median_below():
    x, group = np.array([1.0, 2, 3, 4, 5, 3]), np.array([0, 0, 0, 1, 1, 2])
    assert median_split(x, group).tolist() == [[3, 0, 1], [0, 2, 0]]
    assert median_split(x, group[::-1]).sum(axis=1).tolist() == [4, 2]


def test_small_categories_are_told(invented):
    features, clusters = invented
    clusters.loc["P000":"P003", "RNA"] = 9
    clusters.loc["P004":"P008", "RNA"] = 8  # five are enough
    assert association_table(features, clusters).small.tolist() == ["9 (n=4)", "", "9 (n=4)", ""]
    clusters.iloc[:4, 0], clusters.iloc[4:9, 0] = [9, 9, 7, 9], [8, 6, 8, 6, 8]
    assert association_table(features, clusters).small[0] == "6 (n=2), 7 (n=1), 8 (n=3), 9 (n=3)"


def test_what_cannot_be_tested_is_nan_and_not_counted(invented):
    features, clusters = invented
    whole = association_table(features[["real"]], clusters)
    clusters["single"], clusters["none"] = 1, None
    table = association_table(features[["real"]].assign(flat=0.5, missing=np.nan), clusters)
    tested = table.feature.eq("real") & table.cluster.isin(["RNA", "other"])
    assert table.loc[~tested, NUMBERS].isna().all(axis=None)
    assert table.loc[tested, "p_bonferroni"].tolist() == whole.p_bonferroni.tolist()
    notes = table.set_index(["feature", "cluster"]).note
    assert notes["flat", "RNA"] == "the feature has one value only"
    assert (
        notes["real", "single"]
        == notes["real", "none"]
        == notes["missing", "RNA"]
        == "fewer than two categories"
    )
    assert notes["real", "RNA"] == ""


def test_a_table_of_untestable_pairs_has_all_columns(invented):
    table = association_table(invented[0][["real"]], invented[1][["RNA"]] * 0)
    assert (
        table.columns.tolist() == COLUMNS
        and table[NUMBERS].isna().all(axis=None)
        and table.n.tolist() == [60]
    )


def test_two_patients_can_be_tested():
    row = compare(pd.Series([1.0, 2.0]), pd.Series(["a", "b"]))
    assert (row["n"], row["p_fisher"], row["epsilon_sq"], row["note"]) == (
        2,
        1,
        pytest.approx(1),
        "",
    )
    assert untestable(np.array([1.0, 1.0]), np.array([0, 0])) == "fewer than two categories"


def test_a_pair_with_too_many_tables_is_refused_alone(invented, monkeypatch):
    features, clusters = invented
    clusters["many"] = np.arange(60) // 10
    whole = association_table(features, clusters.drop(columns="many"))
    monkeypatch.setattr(fisher, "MOST_FILLINGS", 500)
    table = association_table(features, clusters)
    refused = table.cluster == "many"
    assert (
        table[refused]
        .note.str.contains("10, 10, 10, 10, 10, 10 patients give about 1e5 tables")
        .all()
    )
    assert table.loc[refused, ["p_fisher", "q_bh", "p_bonferroni"]].isna().all(axis=None)
    assert table.loc[refused, ["p_kruskal", "epsilon_sq"]].notna().all(axis=None)
    pd.testing.assert_frame_equal(table[~refused].reset_index(drop=True), whole)


def test_bad_tables_are_refused(invented):
    features, clusters = invented
    with pytest.raises(LggError, match="no patient in common"):
        association_table(features, clusters.add_prefix("Q", axis=0))
    with pytest.raises(LggError, match="no patient in common"):
        association_table(features.iloc[:0], clusters)
    with pytest.raises(LggError, match="clusters has patient P003 more than once"):
        association_table(features, pd.concat([clusters, clusters.loc[["P003"]]]))
    with pytest.raises(LggError, match="features has column noise more than once"):
        association_table(pd.concat([features, features["noise"]], axis=1), clusters)
    with pytest.raises(LggError, match="must be numbers"):
        association_table(features.assign(word="x"), clusters)
    for nothing in (features[[]], features["real"], None):
        with pytest.raises(LggError, match="features must be a DataFrame with at least one column"):
            association_table(nothing, clusters)
    with pytest.raises(LggError, match="clusters must be a DataFrame"):
        association_table(features, clusters[[]])


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_values_are_refused_by_name(invented, value):
    features, clusters = invented
    features.loc["P007", "noise"] = value
    with pytest.raises(LggError, match="feature noise of patient P007 is infinite"):
        association_table(features, clusters)
    clusters["RNA"] = clusters["RNA"].astype(float)
    clusters.loc["P002", "RNA"] = value
    with pytest.raises(LggError, match="category -?inf of RNA"):
        association_table(features.dropna(axis=1).drop(columns="noise"), clusters)


@pytest.mark.parametrize("word", ["inf", "-Inf", "+inf", "INFINITY", " Infinity "])
def test_infinity_in_words_is_no_category(word):
    with pytest.raises(LggError, match="is no category"):
        category_codes(pd.Series([word]))
    assert category_codes(pd.Series(["info"])).tolist() == ["info"]


def test_aligned_keeps_what_both_have():
    values, codes = aligned(
        pd.DataFrame({"mf": [1, 2, None]}, ["A", "B", "C"]),
        pd.DataFrame({"RNA": [3.0, None]}, ["C", "B"]),
    )
    assert (
        values.mf.to_dict() == pytest.approx({"B": 2, "C": np.nan}, nan_ok=True)
        and values.mf.dtype == float
    )
    assert codes.RNA.to_dict() == {"B": None, "C": "3"}


def test_features_of_a_cohort(capsys):
    masks = {"P2": np.ones((2, 3, 4), bool), "P1": np.zeros((2, 3, 4), bool)}
    cohort = SimpleNamespace(
        patients=list(masks), volume=lambda patient: SimpleNamespace(mask=masks[patient])
    )
    features = cohort_features(cohort, progress=False)
    assert features.index.tolist() == ["P2", "P1"] and features.index.name == "patient"
    assert features.columns.tolist() == ["asd", "mf", "bevr"]
    assert (
        features.loc["P2"].to_dict() == shape_features(masks["P2"])
        and features.loc["P1"].isna().all()
    )
    assert capsys.readouterr().err == ""
    cohort_features(cohort)
    assert "Measuring shapes" in capsys.readouterr().err


def test_the_tests_of_tables_load_neither_torch_nor_statsmodels():
    code = (
        "import sys, lggseg.genomics; heavy = ('torch', 'statsmodels', 'matplotlib');"
        "print([name for name in heavy if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
