"""Splitting a cohort by patient, never by slice, every site in proportion."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from ..errors import LggError


def split_patients(
    patients: Iterable[str], fractions: Sequence[float] = (0.8, 0.2), seed: int = 0
) -> tuple[list[str], ...]:
    """Split patients at random into parts of given sizes, every site in proportion.

    By patient, never by slice: neighbouring slices are near-copies, and a network that was trained
    on one knows the other. Sites of one or two patients are treated as one site.

    Parameters
    ----------
    patients : iterable of str
        Ids such as TCGA_CS_4941, each once. Their order does not matter.
    fractions : sequence of float
        Size of each part, positive; they sum to 1.
    seed : int
        From 0. The same patients and seed give the same split.

    Returns
    -------
    tuple of lists of str
        The patients of each part, sorted.

    Raises
    ------
    LggError
        If a part would be empty, or an argument is not as described.

    Examples
    --------
    >>> patients = [f"TCGA_{site}_{i}" for site in ("CS", "DU") for i in range(3)]
    >>> train, valid = split_patients(patients, (2 / 3, 1 / 3))
    >>> len(train), sorted(patient[5:7] for patient in valid)
    (4, ['CS', 'DU'])
    """
    patients = list(patients)
    if len(set(patients)) < len(patients):
        raise LggError(
            "a patient is listed twice, and could land on both sides of the split; give each once"
        )
    if not all(fraction > 0 for fraction in fractions) or abs(sum(fractions) - 1) > 1e-6:
        raise LggError(f"fractions {tuple(fractions)} must be positive and sum to 1")
    if seed < 0:
        raise LggError(f"seed={seed}: it must be 0 or more")
    order = stratified_order(patients, np.random.default_rng(seed))
    cuts = np.rint(np.cumsum([0, *fractions]) * len(order)).astype(int)
    if (np.diff(cuts) == 0).any():
        raise LggError(
            f"{len(order)} patients are too few for the fractions {tuple(fractions)}: "
            "a part would be empty"
        )
    return tuple(sorted(order[a:b]) for a, b in pairwise(cuts))


def fold_patients(patients: Iterable[str], folds: int = 5, seed: int = 0) -> list[list[str]]:
    """Split patients into the folds of a cross-validation, every site in proportion.

    Parameters
    ----------
    patients : iterable of str
        Ids such as TCGA_CS_4941, each once.
    folds : int
        At least 2.
    seed : int
        From 0.

    Returns
    -------
    list of lists of str
        The patients that each fold holds out; every patient is in exactly one of them.

    Raises
    ------
    LggError
        If a fold would be empty, or an argument is not as described.

    Examples
    --------
    >>> [len(part) for part in fold_patients([f"TCGA_DU_{i}" for i in range(10)], folds=4)]
    [2, 3, 3, 2]
    """
    if folds < 2:
        raise LggError(f"folds={folds}: cross-validation needs at least 2")
    return list(split_patients(patients, [1 / folds] * folds, seed))


def stratified_order(patients: list[str], rng: np.random.Generator) -> list[str]:
    """Shuffle patients so that every stretch of the order holds each site in about its proportion.

    The n patients of a site are shuffled, and patient i is put at (i + u) / n, with one random
    number u per site (systematic sampling).
    """
    names = sorted(patients)
    site = pd.Series([site_code(name) for name in names], names, dtype=object)
    site = site.where(site.map(site.value_counts()) > 2, "pooled")
    place: dict[str, float] = {}
    for _, members in site.groupby(site):
        shuffled = rng.permutation(members.index.to_numpy())
        place |= dict(zip(shuffled, (np.arange(len(shuffled)) + rng.random()) / len(shuffled)))
    return sorted(place, key=lambda name: place[name])


def site_code(patient: str) -> str:
    """The second part of an id, CS in TCGA_CS_4941; empty if there is none."""
    parts = patient.split("_")
    if len(parts) < 2:
        return ""
    return parts[1]
