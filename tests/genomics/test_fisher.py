"""The exact test against scipy, and against enumeration in whole numbers."""

from fractions import Fraction
from itertools import product
from math import comb

import numpy as np
import pytest
from scipy import stats

from lggseg.errors import LggError
from lggseg.genomics import fisher
from lggseg.genomics.fisher import count_tables, exact_p_values, freeman_halton


def fillings(columns, high):
    """Every second row of a table with these column sums and `high` patients in it."""
    return [row for row in product(*[range(c + 1) for c in columns]) if sum(row) == high]


def brute_force(table):
    """Freeman-Halton in whole numbers: every table with these margins,
    no rounding anywhere but at the end.
    """
    columns, high = np.sum(table, axis=0).tolist(), int(np.sum(table[1]))

    def ways(row):
        return int(np.prod([comb(c, int(x)) for c, x in zip(columns, row)], dtype=object))

    seen, found = ways(table[1]), [ways(row) for row in fillings(columns, high)]
    return float(Fraction(sum(way for way in found if way <= seen), sum(found)))


def dynamic(table):
    """The same for larger tables, by a dictionary (patients in the row, weight) -> fillings,
    in whole numbers.
    """
    columns, high = np.sum(table, axis=0).tolist(), int(np.sum(table[1]))
    states = {(0, 1): 1}
    for size in columns:
        grown = {}
        for (taken, weight), number in states.items():
            for x in range(min(size, high - taken) + 1):
                key = taken + x, weight * comb(size, x)
                grown[key] = grown.get(key, 0) + number
        states = grown
    seen = int(np.prod([comb(c, int(x)) for c, x in zip(columns, table[1])], dtype=object))
    below = sum(
        weight * n for (taken, weight), n in states.items() if taken == high and weight <= seen
    )
    return float(Fraction(below, comb(sum(columns), high)))


@pytest.mark.parametrize("seed", range(20))
def test_two_by_two_is_scipys_fisher(seed):
    table = np.random.default_rng(seed).integers(0, 15, (2, 2)) + np.eye(2, dtype=int)
    assert freeman_halton(table) == pytest.approx(stats.fisher_exact(table)[1], rel=1e-12)


@pytest.mark.parametrize("columns, seed", list(product((1, 2, 3, 4, 5), range(6))))
def test_any_columns_against_brute_force(columns, seed):
    table = np.random.default_rng(seed).integers(0, 7, (2, columns))
    table[seed % 2] += 1
    assert freeman_halton(table) == pytest.approx(brute_force(table), rel=1e-12)


@pytest.mark.parametrize("high", range(13))
def test_every_table_of_some_margins_against_brute_force(high):
    """From an empty row to a full one: bounds that are off by one show at either end."""
    for row in fillings((5, 4, 3), high):
        table = np.array([np.subtract((5, 4, 3), row), row])
        assert freeman_halton(table) == pytest.approx(brute_force(table), rel=1e-12)


@pytest.mark.parametrize(
    "columns", [(22, 20, 17, 16, 15), (30, 30, 29, 3), (11,) * 8, (60, 40, 1, 1, 1)]
)
def test_a_cohorts_size_against_whole_numbers(columns):
    rng = np.random.default_rng(sum(columns))
    row = np.array([rng.integers(size + 1) for size in columns])
    table = np.stack([columns - row, row])
    assert freeman_halton(table) == pytest.approx(dynamic(table), rel=1e-12)


def test_tea_tasting():
    """Fisher's lady: 3 of 4 cups right, both sides (1 + 16 + 16 + 1) / 70."""
    assert freeman_halton([[3, 1], [1, 3]]) == pytest.approx(34 / 70, rel=1e-14)
    assert freeman_halton([[5, 5], [5, 5]]) == 1
    assert freeman_halton([[1, 0], [0, 0]]) == 1  # one patient


def test_small_p_keeps_its_digits():
    table = [[300, 0], [0, 300]]
    assert freeman_halton(table) == pytest.approx(float(Fraction(2, comb(600, 300))), rel=1e-10)
    assert freeman_halton([[1, 0], [0, 600]]) == pytest.approx(1 / 601, rel=1e-12)


def test_ways_that_no_float_can_count():
    """Of 1180 patients 590 can be chosen in 1e353 ways, and the largest float is 1e308."""
    table = [[600, 580], [580, 600]]
    assert freeman_halton(table) == pytest.approx(stats.fisher_exact(table)[1], rel=1e-8)


def test_it_repeats_to_the_last_digit_in_any_order():
    table = np.random.default_rng(3).integers(2, 15, (2, 5))
    p = freeman_halton(table)
    for order in ([4, 3, 2, 1, 0], [2, 0, 4, 1, 3]):
        assert freeman_halton(table[:, order]) == freeman_halton(table[::-1, order]) == p
    padded = np.insert(table, 2, 0, axis=1)  # a category without patients
    assert freeman_halton(padded) == p


def test_equally_likely_tables_count_however_they_are_rounded():
    """In a symmetric table every other arrangement of the columns is as likely as the one seen."""
    table = np.array([[9, 3, 6, 6], [3, 9, 6, 6]])
    assert (
        freeman_halton(table)
        == freeman_halton(table[:, [2, 1, 0, 3]])
        == pytest.approx(dynamic(table), rel=1e-12)
    )


def test_many_tables_at_once():
    rng = np.random.default_rng(0)
    tables = [rng.integers(0, 6, (2, k)) + 1 for k in (2, 3, 3, 4, 2)] + [
        np.array([[3, 1], [1, 3]])
    ] * 2
    assert exact_p_values(tables).tolist() == pytest.approx(
        [brute_force(t) for t in tables], rel=1e-12
    )
    assert exact_p_values(tables).tolist() == [freeman_halton(table) for table in tables]
    assert exact_p_values([]).shape == (0,)


@pytest.mark.parametrize(
    ("columns", "halves"),
    [
        ((5, 4, 3, 2), ((5, 2), (4, 3))),
        ((9, 1, 1, 1), ((9,), (1, 1, 1))),
        ((4, 4), ((4,), (4,))),
        ((3,), ((3,), ())),
    ],
)
def test_columns_are_dealt_to_the_half_with_fewer_fillings(columns, halves):
    """Such as 6 x 3 = 18 ways against 5 x 4 = 20."""
    assert fisher._halves(columns) == halves


def test_tables_in_blocks_give_the_same(monkeypatch):
    """More tables of the same margins than go through memory at once."""
    rows = fillings((9, 8, 7), 12)
    tables = [np.array([np.subtract((9, 8, 7), row), row]) for row in rows]
    whole = exact_p_values(tables)
    monkeypatch.setattr(fisher, "BLOCK", 5)
    assert (
        exact_p_values(tables).tolist()
        == whole.tolist()
        == [freeman_halton(table) for table in tables]
    )


def test_sizes_that_a_full_list_could_not_hold():
    """More than 1e10 tables; the most likely has p = 1,
    and with many patients chi-squared comes near.
    """
    balanced = np.full((2, 10), 11)
    assert count_tables(balanced) > 1e10
    assert freeman_halton(balanced) == 1
    table = np.array([[60, 50, 40, 30], [30, 40, 50, 61]])
    assert freeman_halton(table) == pytest.approx(stats.chi2_contingency(table)[1], rel=0.2)


def test_margins_prune_before_anything_is_counted():
    """Five columns of 5000 have 1e18 fillings,
    but with three patients in the row only a few dozen fit.
    """
    table = [[5000] * 4 + [4997], [0] * 4 + [3]]
    assert count_tables(table) == comb(7, 3)
    assert freeman_halton(table) == pytest.approx(5 * comb(5000, 3) / comb(25000, 3), rel=1e-9)


def test_a_table_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(fisher, "MOST_FILLINGS", 100_000)  # it is beyond the true bound, too
    columns = np.arange(60, 85)
    with pytest.raises(LggError, match="168, 166, .* about 1e51 tables.* merge small categories"):
        freeman_halton(np.stack([columns, columns]))
    monkeypatch.setattr(fisher, "MOST_FILLINGS", 11)
    freeman_halton([[5, 5], [5, 5]])  # either half has eleven
    monkeypatch.setattr(fisher, "MOST_FILLINGS", 10)
    with pytest.raises(LggError, match="10, 10 patients give about 1e1 tables"):
        freeman_halton([[5, 5], [5, 5]])


@pytest.mark.parametrize(
    "table",
    [
        [[3, 1], [1, 3]],
        [[2, 0, 3], [1, 4, 0]],
        [[7], [5]],
        [[4, 4], [0, 0]],
        [[1, 2, 3, 4], [4, 3, 2, 1]],
    ],
)
def test_count_is_the_number_of_fillings(table):
    columns = np.sum(table, axis=0).tolist()
    assert count_tables(table) == len(fillings(columns, sum(table[1])))
    assert count_tables(table[::-1]) == count_tables(table)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((2, 3), int),
        np.ones((3, 3), int),
        np.array([[1, -1], [2, 2]]),
        [[0.5, 1], [2, 2]],
        [[np.nan, 1], [2, 2]],
        [[np.inf, 1], [2, 2]],
        [[1, 2], [3]],
        [["a", "b"], ["c", "d"]],
        np.ones((2, 2, 2)),
        [1, 2],
        None,
        np.zeros((2, 0)),
    ],
)
@pytest.mark.parametrize("function", [freeman_halton, count_tables])
def test_tables_that_make_no_sense_are_refused(function, bad):
    with pytest.raises(LggError, match="2 x k"):
        function(bad)


@pytest.mark.parametrize("count", [1e300, 10**18, 10**6])
def test_counts_beyond_any_study_are_refused_at_once(count):
    with pytest.raises(LggError, match="at most 100,000 patients"):
        freeman_halton([[count, 1], [1, 1]])
