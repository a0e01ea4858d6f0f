"""Shape features, against the textbook's ellipsoid; the exact test, against going through every
table.
"""

from itertools import product
from math import comb

import numpy as np
from scipy import stats
from scipy.spatial import ConvexHull

from lggseg import shape_features
from lggseg.genomics import count_tables, freeman_halton, median_split
from lggseg.measures.ellipsoid import corners
from lggseg.measures.shape import asd, mf

from .bench import Bench
from .timing import Row, clock, compare


def textbook_ellipsoid(points: np.ndarray, tolerance: float = 1e-3) -> float:
    """Volume of the smallest ellipsoid around points (n,3) by Khachiyan's algorithm as it is
    usually copied.
    """
    n, d = points.shape
    lifted = np.column_stack([points, np.ones(n)]).T
    u = np.full(n, 1 / n)
    change = 1.0
    while change > tolerance:
        distances = np.diag(lifted.T @ np.linalg.inv(lifted * u @ lifted.T) @ lifted)
        far = distances.argmax()
        step = (distances[far] - d - 1) / ((d + 1) * (distances[far] - 1))
        new = (1 - step) * u
        new[far] += step
        change, u = np.linalg.norm(new - u), new
    centre = points.T @ u
    spread = d * ((points.T * u) @ points - np.outer(centre, centre))
    return float(4 / 3 * np.pi * np.sqrt(np.linalg.det(spread)))


def features_by_the_textbook(mask: np.ndarray) -> dict[str, float]:
    """The three features one by one, on the whole volume."""
    points = corners(mask)
    return {
        "asd": asd(mask),
        "mf": mf(mask),
        "bevr": mask.sum() / textbook_ellipsoid(points[ConvexHull(points).vertices]),
    }


def every_table(table: np.ndarray) -> float:
    """Exact p of Freeman and Halton's test by going through all tables with the margins of a 2 x k
    table.
    """
    columns = table.sum(axis=0).tolist()
    high = int(table[1].sum())
    ways = [[comb(size, k) for k in range(size + 1)] for size in columns]
    seen = np.prod([float(way[k]) for way, k in zip(ways, table[1])])
    total = least = 0.0
    for filling in product(*(range(size + 1) for size in columns[:-1])):
        if 0 <= (rest := high - sum(filling)) <= columns[-1]:
            weight = float(ways[-1][rest])
            for way, k in zip(ways, filling):
                weight *= way[k]
            total += weight
            least += weight if weight <= seen * (1 + 1e-9) else 0
    return least / total


def largest_table(
    bench: Bench, features: list[dict[str, float]], patients: list[str]
) -> np.ndarray:
    """Of the tables that BEVR makes with the genomic clusters, the one with most others of its
    margins.
    """
    values = np.array([one["bevr"] for one in features])
    found = []
    for column in bench.cohort.clusters.columns:
        codes = bench.cohort.clusters.loc[patients, column]
        known = codes.notna().to_numpy() & np.isfinite(values)
        group = np.unique(codes[known].to_numpy(int), return_inverse=True)[1]
        if len(set(group)) > 1:
            found.append(median_split(values[known], group))
    return max(found, key=count_tables)


def rows(bench: Bench) -> list[Row]:
    """Ten tumours, and all patients' table."""
    volumes = {patient: bench.cohort.volume(patient).mask for patient in bench.cohort.patients}
    tumours = [mask for mask in volumes.values() if mask.any()][: 2 if bench.quick else 10]
    for mask in tumours[:2]:
        ours = shape_features(mask)
        theirs = features_by_the_textbook(mask)
        assert np.allclose([*ours.values()], [*theirs.values()], rtol=0.05), (ours, theirs)
    table = largest_table(bench, [shape_features(mask) for mask in volumes.values()], [*volumes])
    assert np.isclose(freeman_halton(table), every_table(table))
    exact = clock(lambda: freeman_halton(table))
    return [
        Row(
            "shape features",
            "Khachiyan's algorithm to 0.001, features one by one",
            compare(
                clock(lambda: [shape_features(mask) for mask in tumours]),
                clock(lambda: [features_by_the_textbook(mask) for mask in tumours]),
                bench.repeats,
            ),
        ),
        Row(
            "exact test, the paper's largest table",
            f"each of the {count_tables(table):,} tables",
            compare(exact, clock(lambda: every_table(table)), bench.repeats),
        ),
        Row(
            "exact test, the paper's largest table",
            "SciPy's `fisher_exact`, which samples 9,999 tables",
            compare(exact, clock(lambda: stats.fisher_exact(table)), bench.repeats),
        ),
    ]
