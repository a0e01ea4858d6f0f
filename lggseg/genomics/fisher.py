"""Fisher's exact test for 2 x k tables of counts, without listing every table.

A table with given margins is a way to fill its columns, and its probability is a product over the
columns. So the columns are divided into two halves, and only the ways to fill a half are listed,
sorted by how many patients they put into the row and then by their weight. For each filling of one
half, bisection then finds how much of the other half's probability makes a table that is no more
likely than the one seen. That takes as many steps as the square root of the number of tables. The
sum is over the same tables as a full enumeration, and repeats to the last digit.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from math import comb, log, log10

import numpy as np

from ..errors import LggError

MOST_FILLINGS = 10_000_000  # of one half; more need over a gigabyte, and the test takes minutes
MOST_PATIENTS = 100_000  # with more, rounding may break ties, and a test takes minutes
TIE = 1e-9  # log weights closer than this count as equal; rounding stays below it
BLOCK = 1_000_000  # how many limits are looked up at once; they take some ten megabytes

Table = np.ndarray | Sequence[Sequence[int]]


def freeman_halton(table: Table) -> float:
    """Exact p of Fisher's test for a 2 x k table of counts.

    This is the probability, with all margins fixed, of a table no more likely than the one seen.

    Parameters
    ----------
    table : int (2, k)
        Counts from 0, not all 0.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    LggError
        If this is no such table, or so many tables have its margins that the test would not end.

    References
    ----------
    Freeman and Halton 1951, Biometrika 38.

    Examples
    --------
    >>> round(freeman_halton([[3, 1], [1, 3]]), 6)  # the lady tasting tea: 34 / 70
    0.485714
    >>> round(freeman_halton([[8, 15, 0, 2], [6, 0, 7, 12]]), 10)
    8.53e-08
    """
    return float(exact_p_values([table])[0])


def exact_p_values(tables: Iterable[Table]) -> np.ndarray:
    """`freeman_halton` of many tables; those with the same margins share the work.

    Parameters
    ----------
    tables : iterable of int (2, k)
        k may differ from table to table.

    Returns
    -------
    float (n,), 0 to 1

    Raises
    ------
    LggError
        As `freeman_halton`.

    Examples
    --------
    >>> exact_p_values([[[3, 1], [1, 3]], [[4, 0], [0, 4]], [[2, 2], [2, 2]]]).round(6)
    array([0.485714, 0.028571, 1.      ])
    """
    weights = []
    places_of = defaultdict(list)  # margins -> numbers of the tables that have them
    for number, table in enumerate(tables):
        columns, row = _margins(table)
        weights.append(sum(log(comb(size, taken)) for size, taken in zip(columns, row)))
        largest_first = tuple(sorted(columns, reverse=True))
        places_of[largest_first, sum(row)].append(number)
    seen = np.array(weights)
    p = np.empty(len(weights))
    for (largest_first, row_sum), places in places_of.items():
        p[places] = _chance_of_at_most(largest_first, row_sum, seen[places])
    return p


def count_tables(table: Table) -> int:
    """How many 2 x k tables have the same margins.

    Parameters
    ----------
    table : int (2, k)
        Counts from 0, not all 0.

    Returns
    -------
    int
        The table itself is counted, too.

    Raises
    ------
    LggError
        If this is no such table.

    Examples
    --------
    >>> count_tables([[3, 1], [1, 3]])
    5
    >>> count_tables([[8, 15, 0, 2], [6, 0, 7, 12]])
    1368
    """
    columns, row = _margins(table)
    return _count(columns, sum(row))


def _count(columns: Sequence[int], row_sum: int) -> int:
    """Ways to put `row_sum` patients into a row whose columns have these sizes.

    This is the coefficient of x**row_sum in the product of (1 + x + .. + x**size) over the columns.
    """
    ways = [1] + [0] * row_sum  # ways[s]: to put s patients into the columns so far
    for size in columns:
        cumulated = list(accumulate(ways))
        for s in range(row_sum + 1):
            ways[s] = cumulated[s]
            if s > size:
                ways[s] -= cumulated[s - size - 1]
    return ways[row_sum]


def _margins(table: Table) -> tuple[list[int], list[int]]:
    """Column sums of a table, and the row with fewer patients; empty columns are left out."""
    counts = _as_counts(table)
    if counts is None:
        text = " ".join(repr(table).split())
        raise LggError(
            f"table is {text}; it must be 2 x k counts, whole numbers from 0, not all 0, "
            f"of at most {MOST_PATIENTS:,} patients"
        )
    counts = counts[:, counts.any(axis=0)].astype(int)
    row = counts[counts.sum(axis=1).argmin()]
    return counts.sum(axis=0).tolist(), row.tolist()


def _as_counts(table: Table) -> np.ndarray | None:
    """The table as float (2, k); None if it is not one of counts."""
    try:
        counts = np.asarray(table, float)
    except (TypeError, ValueError):
        return None
    if counts.ndim != 2 or len(counts) != 2:
        return None
    if not 0 < counts.sum() <= MOST_PATIENTS:
        return None
    if (counts < 0).any() or (counts != counts.round()).any() or not np.isfinite(counts).all():
        return None
    return counts


def _chance_of_at_most(columns: tuple[int, ...], row_sum: int, seen: np.ndarray) -> np.ndarray:
    """Probability of a table whose log weight is at most that of the table seen.

    A table's log weight is the sum over its columns of log(size choose filling). Its probability
    is proportional to the weight.

    Parameters
    ----------
    columns : tuple of int
        Column sums.
    row_sum : int
        Patients in the row that is looked at.
    seen : float (m,)
        Log weights of tables with these margins.

    Returns
    -------
    float (m,), 0 to 1
    """
    half, other_half = _halves(columns)
    half_size = sum(half)
    other_size = sum(other_half)
    try:
        fillings = _fillings(half, max(0, row_sum - other_size), min(row_sum, half_size))
        other_fillings = _fillings(
            other_half, max(0, row_sum - half_size), min(row_sum, other_size)
        )
    except _TooMany:
        sizes = ", ".join(str(size) for size in columns)
        tables = f"1e{log10(_count(columns, row_sum)):.0f}"
        raise LggError(
            f"categories of {sizes} patients give about {tables} tables, more than the exact "
            "test can go through; merge small categories"
        ) from None
    log_half = _log_choose(half_size, row_sum)
    log_other = _log_choose(other_size, row_sum)
    log_total = _log_choose(half_size + other_size, row_sum)[row_sum]
    # Every table stays below the last limit: its probability is 1 but for rounding.
    limits = np.append(seen, np.inf)[:, None] + TIE
    p = np.zeros(len(limits))
    for taken, (weights, chances) in fillings.items():
        other_weights, other_chances = other_fillings[row_sum - taken]
        cumulated = np.concatenate([[0], np.cumsum(other_chances)])
        chance_of_taken = np.exp(log_half[taken] + log_other[row_sum - taken] - log_total)
        step = BLOCK // len(weights) + 1
        for i in range(0, len(p), step):
            block = slice(i, i + step)
            place = np.searchsorted(other_weights, limits[block] - weights, side="right")
            p[block] += chance_of_taken * (cumulated[place] * chances).sum(axis=1)
    return (p[:-1] / p[-1]).clip(max=1)


class _TooMany(Exception):
    """A half has more than MOST_FILLINGS fillings."""


def _halves(columns: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Divide columns, largest first, into two parts with about equally many fillings."""
    one: list[int] = []
    other: list[int] = []
    ways_one = 1
    ways_other = 1
    for size in columns:
        if ways_other < ways_one:
            other.append(size)
            ways_other *= size + 1
        else:
            one.append(size)
            ways_one *= size + 1
    return tuple(one), tuple(other)


def _fillings(
    columns: tuple[int, ...], least: int, most: int
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """List the ways to put `least` to `most` patients into the row.

    It goes column by column. A filling that must end below `least` or above `most` is left out
    before anything is stored. Fillings with the same number of patients and weight are one entry.

    Returns
    -------
    dict
        Number of patients -> (rising log weights, their probabilities, which sum to 1).
    """
    sums = np.zeros(1, int)  # patients in the row, for each filling of the columns so far
    weights = np.zeros(1)
    chances = np.ones(1)
    done = 0  # patients in the columns so far, in both rows
    rest = sum(columns)
    for size in columns:
        rest -= size
        first = np.clip(least - rest - sums, 0, None)  # fewest that this column must take
        last = np.minimum(size, most - sums)
        ways = np.clip(last - first + 1, 0, None)
        if ways.sum() > MOST_FILLINGS:
            raise _TooMany
        parent = np.repeat(np.arange(len(sums)), ways)
        number_in_parent = np.arange(len(parent)) - np.repeat(ways.cumsum() - ways, ways)
        taken = number_in_parent + np.repeat(first, ways)
        total = sums[parent] + taken
        added = _log_choose(size, most)[taken]
        before = _log_choose(done, most)[sums[parent]]
        after = _log_choose(done + size, most)[total]
        chances = chances[parent] * np.exp(before + added - after)
        sums, weights, chances = _merged(total, weights[parent] + added, chances)
        done += size
    starts = np.flatnonzero(np.diff(sums, prepend=-1))
    weights_of = np.split(weights, starts[1:])
    chances_of = np.split(chances, starts[1:])
    return dict(zip(sums[starts].tolist(), zip(weights_of, chances_of)))


def _merged(
    sums: np.ndarray, weights: np.ndarray, chances: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort fillings (n,) by sum and weight; add up the probabilities of those equal in both."""
    order = np.lexsort((weights, sums))
    sums = sums[order]
    weights = weights[order]
    chances = chances[order]
    other_sum = np.diff(sums, prepend=-1) > 0
    other_weight = np.diff(weights, prepend=-1) > TIE
    first = np.flatnonzero(other_sum | other_weight)
    return sums[first], weights[first], np.add.reduceat(chances, first)


@lru_cache(maxsize=256)
def _log_choose(n: int, most: int) -> np.ndarray:
    """Natural logarithms of "n choose k", k from 0 to the smaller of n and `most`.

    They come from exact whole numbers.
    """
    logs = []
    binomial = 1
    for k in range(min(n, most) + 1):
        logs.append(log(binomial))
        binomial = binomial * (n - k) // (k + 1)
    return np.array(logs)
