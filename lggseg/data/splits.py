"""Parts of a cohort by patient, never by slice, every site in proportion."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from ..errors import LggError


def split_patients(patients: Iterable[str], fractions: Sequence[float] = (0.8, 0.2),
                   seed: int = 0) -> tuple[list[str], ...]:
    """Part the patients at random into lists of these fractions, every site in proportion.

    By patient, never by slice: neighbouring slices are near-copies, and a network that trained on
    one knows the other. Sites of one or two patients are pooled. The same patients and seed
    give the same split, in whatever order they come. Raises LggError if a part would be empty.

    >>> train, valid = split_patients([f"TCGA_{site}_{i}" for site in ("CS", "DU") for i in range(3)], (2 / 3, 1 / 3))
    >>> len(train), sorted(patient[5:7] for patient in valid)
    (4, ['CS', 'DU'])
    """
    patients = list(patients)
    if len(set(patients)) < len(patients):
        raise LggError("a patient is listed twice, and could land on both sides of the split; give each one once")
    if not all(share > 0 for share in fractions) or abs(sum(fractions) - 1) > 1e-6:
        raise LggError(f"fractions {tuple(fractions)} must be positive and sum to 1")
    if seed < 0:
        raise LggError(f"seed={seed}: it must be 0 or more")
    order = stratified_order(patients, np.random.default_rng(seed))
    cuts = np.rint(np.cumsum([0, *fractions]) * len(order)).astype(int)
    if (np.diff(cuts) == 0).any():
        raise LggError(f"{len(order)} patients are too few for the fractions {tuple(fractions)}: a part would be empty")
    return tuple(sorted(order[a:b]) for a, b in pairwise(cuts))


def fold_patients(patients: Iterable[str], folds: int = 5, seed: int = 0) -> list[list[str]]:
    """The held-out patients of each fold of a cross-validation: every patient once, stratified by site.

    >>> [len(part) for part in fold_patients([f"TCGA_DU_{i}" for i in range(10)], folds=4)]
    [2, 3, 3, 2]
    """
    if folds < 2:
        raise LggError(f"folds={folds}: cross-validation needs at least 2")
    return list(split_patients(patients, [1 / folds] * folds, seed))


def stratified_order(patients: list[str], rng: np.random.Generator) -> list[str]:
    """Shuffled so that every stretch of the order holds each site in about its share.

    Patient i of the n of a site, itself shuffled, is put at (i + u) / n, u drawn once per site
    (systematic sampling).
    """
    site = pd.Series({name: name.partition("_")[2].partition("_")[0] for name in sorted(patients)}, dtype=object)
    site = site.where(site.map(site.value_counts()) > 2, "pooled")
    place = {}
    for _, members in site.groupby(site):
        shuffled = rng.permutation(members.index.to_numpy())
        place |= dict(zip(shuffled, (np.arange(len(shuffled)) + rng.random()) / len(shuffled)))
    return sorted(place, key=place.get)
