"""Fisher's exact test for 2 x k tables of counts (Freeman and Halton 1951), without listing every table.

A table with given margins is a way to fill its columns, and the chance of each is a product over the columns. So the
columns are dealt into two halves, and only the ways to fill a half are listed, sorted by how many patients they put
into the row and then by their weight. For each filling of the one half, bisection then tells how much of the
other half's chance makes a table no more likely than the one seen: as many steps as the square root of the number of
tables. The sum is over the same tables as a full enumeration, and repeats to the last digit.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from math import comb, log, log10

import numpy as np

from ..errors import LggError

MOST_FILLINGS = 10_000_000  # of one half; beyond this they need more than a gigabyte, and the test minutes
MOST_PATIENTS = 100_000  # beyond this rounding may break ties, and a test takes minutes
TIE = 1e-9  # log weights closer than this count as equal; rounding stays below, up to 100,000 patients
BLOCK = 1_000_000  # limits looked up at once: some ten megabytes


def freeman_halton(table: np.ndarray | Sequence[Sequence[int]]) -> float:
    """Exact p of Fisher's test for a 2 x k table of counts, 0..1 (Freeman and Halton 1951).

    The chance, all margins kept, of a table no more likely than the one seen. LggError for anything but
    2 x k whole numbers from 0, not all 0, and for a table with too many others of its margins.

    >>> round(freeman_halton([[3, 1], [1, 3]]), 6)  # the lady tasting tea: 34 / 70
    0.485714
    >>> round(freeman_halton([[8, 15, 0, 2], [6, 0, 7, 12]]), 10)
    8.53e-08
    """
    return float(exact_p_values([table])[0])


def exact_p_values(tables: Iterable[np.ndarray]) -> np.ndarray:
    """`freeman_halton` of many 2 x k tables (k may differ): float (n,). Those with the same margins share the work.

    >>> exact_p_values([[[3, 1], [1, 3]], [[4, 0], [0, 4]], [[2, 2], [2, 2]]]).round(6)
    array([0.485714, 0.028571, 1.      ])
    """
    weights, alike = [], defaultdict(list)
    for i, table in enumerate(tables):
        columns, row = _margins(table)
        weights.append(sum(log(comb(size, high)) for size, high in zip(columns, row)))
        alike[tuple(sorted(columns, reverse=True)), sum(row)].append(i)
    seen, p = np.array(weights), np.empty(len(weights))
    for (columns, high), places in alike.items():
        p[places] = _chance_of_at_most(columns, high, seen[places])
    return p


def count_tables(table: np.ndarray | Sequence[Sequence[int]]) -> int:
    """How many 2 x k tables have the margins of `table`. Errors as in `freeman_halton`.

    >>> count_tables([[3, 1], [1, 3]])
    5
    >>> count_tables([[8, 15, 0, 2], [6, 0, 7, 12]])
    1368
    """
    columns, row = _margins(table)
    return _count(columns, sum(row))


def _count(columns: Sequence[int], high: int) -> int:
    """The coefficient of x**high in the product of (1 + x + .. + x**size) over the columns."""
    ways = [1] + [0] * high
    for size in columns:
        ways = list(accumulate(ways))
        ways = [w - (ways[s - size - 1] if s > size else 0) for s, w in enumerate(ways)]
    return ways[high]


def _margins(table: np.ndarray) -> tuple[list[int], list[int]]:
    """Column sums, and the row with fewer patients, of a table that is one; columns of no patients are dropped."""
    try:
        counts = np.asarray(table, float)
        fits = counts.ndim == 2 and len(counts) == 2 and 0 < counts.sum() <= MOST_PATIENTS
        fits = fits and bool((counts >= 0).all() and (counts == counts.round()).all() and np.isfinite(counts).all())
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise LggError(f"table is {' '.join(repr(table).split())}; it must be 2 x k counts, whole numbers from 0, not "
                       f"all 0, of at most {MOST_PATIENTS:,} patients")
    counts = counts[:, counts.any(axis=0)].astype(int)
    row = counts[counts.sum(axis=1).argmin()]
    return counts.sum(axis=0).tolist(), row.tolist()


def _chance_of_at_most(columns: tuple[int, ...], high: int, seen: np.ndarray) -> np.ndarray:
    """Chance of a table with these margins whose log weight is at most `seen` (m,): float (m,).

    `high` of the patients are in the row that is looked at. A table's log weight is the sum over its columns of
    log(size choose filling); its chance is proportional to the weight.
    """
    one, other = _halves(columns)
    try:
        mine = _fillings(one, max(0, high - sum(other)), min(high, sum(one)))
        others = _fillings(other, max(0, high - sum(one)), min(high, sum(other)))
    except _TooMany:
        sizes, tables = ", ".join(map(str, columns)), f"1e{log10(_count(columns, high)):.0f}"
        raise LggError(f"categories of {sizes} patients give about {tables} tables, more than the exact test can go "
                       "through; merge small categories") from None
    either, rest, p = _log_choose(sum(one), high), _log_choose(sum(other), high), np.zeros(len(seen) + 1)
    limits = np.append(seen, np.inf)[:, None] + TIE  # the last is met by every table: its chance is 1 but for rounding
    for taken, (weights, chances) in mine.items():
        other_weights, other_chances = others[high - taken]
        cumulated = np.concatenate([[0], np.cumsum(other_chances)])
        share = np.exp(either[taken] + rest[high - taken] - _log_choose(sum(columns), high)[high])
        step = BLOCK // len(weights) + 1
        for i in range(0, len(p), step):
            place = np.searchsorted(other_weights, limits[i:i + step] - weights, side="right")
            p[i:i + step] += share * (cumulated[place] * chances).sum(axis=1)
    return (p[:-1] / p[-1]).clip(max=1)


class _TooMany(Exception):
    """A half has more than MOST_FILLINGS fillings."""


def _halves(columns: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The columns, largest first, dealt into two parts with about equally many fillings."""
    parts, sizes = ([], []), [1, 1]
    for size in columns:
        smaller = sizes[1] < sizes[0]
        parts[smaller].append(size)
        sizes[smaller] *= size + 1
    return tuple(parts[0]), tuple(parts[1])


def _fillings(columns: tuple[int, ...], least: int, most: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Ways to put `least` to `most` patients into the row: their number -> (rising log weights, their chances).

    The chances of one number sum to 1. Fillings with the same number and weight are one entry. Column by column,
    those that must end below `least` or above `most` are left out before anything is stored.
    """
    sums, weights, chances = np.zeros(1, int), np.zeros(1), np.ones(1)
    done, rest = 0, sum(columns)
    for size in columns:
        rest -= size
        first = np.clip(least - rest - sums, 0, None)
        ways = np.clip(np.minimum(size, most - sums) - first + 1, 0, None)
        if ways.sum() > MOST_FILLINGS:
            raise _TooMany
        parent = np.repeat(np.arange(len(sums)), ways)
        take = np.arange(len(parent)) - np.repeat(ways.cumsum() - ways - first, ways)
        before, after = _log_choose(done, most), _log_choose(done + size, most)
        added, total = _log_choose(size, most)[take], sums[parent] + take
        chances = chances[parent] * np.exp(before[sums[parent]] + added - after[total])
        sums, weights, chances = _merged(total, weights[parent] + added, chances)
        done += size
    starts = np.flatnonzero(np.diff(sums, prepend=-1))
    parts = zip(np.split(weights, starts[1:]), np.split(chances, starts[1:]))
    return dict(zip(sums[starts].tolist(), parts))


def _merged(sums: np.ndarray, weights: np.ndarray, chances: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The entries (n,) sorted by sum, then by weight; those equal in both become one, with their chances added."""
    order = np.lexsort((weights, sums))
    sums, weights, chances = sums[order], weights[order], chances[order]
    new = np.flatnonzero((np.diff(sums, prepend=-1) > 0) | (np.diff(weights, prepend=-1) > TIE))
    return sums[new], weights[new], np.add.reduceat(chances, new)


@lru_cache(maxsize=256)
def _log_choose(n: int, most: int) -> np.ndarray:
    """Natural logarithms of "n choose k" for k from 0 to the smaller of n and `most`, from exact whole numbers."""
    binomials = accumulate(range(min(n, most)), lambda ways, k: ways * (n - k) // (k + 1), initial=1)
    return np.array([log(ways) for ways in binomials])
