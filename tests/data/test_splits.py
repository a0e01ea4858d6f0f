"""Splits by patient: a partition, in proportion, the same from the same seed."""

import doctest
from itertools import chain

import pandas as pd
import pytest

from lggseg.data import splits
from lggseg.data.splits import fold_patients, split_patients
from lggseg.errors import LggError


def made_up(**sites):
    return [f"TCGA_{site}_{i:04d}" for site, n in sites.items() for i in range(n)]


COHORT = made_up(DU=45, HT=34, CS=16, FG=14, EZ=1)


def shares(patients):
    return {
        site: sum(patient.startswith(f"TCGA_{site}") for patient in patients)
        for site in ("DU", "HT", "CS", "FG")
    }


def test_split_is_a_partition_in_proportion():
    train, valid = split_patients(COHORT)
    assert sorted(train + valid) == sorted(COHORT) and (len(train), len(valid)) == (88, 22)
    assert train == sorted(train) and valid == sorted(valid)
    for site, n in shares(valid).items():
        assert abs(n - 0.2 * shares(COHORT)[site]) <= 1.5, site


def test_split_depends_on_seed_and_not_on_order():
    assert (
        split_patients(COHORT, seed=3)
        == split_patients(COHORT[::-1], seed=3)
        == split_patients(set(COHORT), seed=3)
    )
    assert len({tuple(split_patients(COHORT, seed=seed)[1]) for seed in range(20)}) == 20


def test_without_a_seed_it_is_seed_0_and_five_folds():
    assert split_patients(COHORT) == split_patients(COHORT, (0.8, 0.2), seed=0)
    assert (
        fold_patients(COHORT)
        == fold_patients(COHORT, 5, seed=0)
        != fold_patients(COHORT, 5, seed=1)
    )


@pytest.mark.parametrize(("size", "apart"), [(2, False), (3, True)])
def test_sites_of_two_are_pooled_and_sites_of_three_are_not(size, apart):
    """A site in proportion lies on both sides of a split in halves;
    the pooled ones' patients fall as they may.
    """
    one, _ = split_patients(made_up(**dict.fromkeys("ABCDEFGHIJ", size)), (0.5, 0.5))
    assert (
        all(0 < sum(f"_{site}_" in patient for patient in one) < size for site in "ABCDEFGHIJ")
        is apart
    )


def test_three_parts_and_one_site():
    parts = split_patients(made_up(DU=20), (0.5, 0.25, 0.25))
    assert [len(part) for part in parts] == [10, 5, 5] and len(set(chain(*parts))) == 20


def test_every_patient_is_held_out_equally_often():
    held_out = (
        pd.Series(
            chain(*(split_patients(COHORT, seed=seed)[1] for seed in range(300)))
        ).value_counts()
        / 300
    )
    # Binomial sd 0.023 around 0.2.
    assert len(held_out) == 110 and held_out.min() > 0.1 and held_out.max() < 0.3


@pytest.mark.parametrize("folds", [2, 5, 10])
def test_folds_hold_out_every_patient_once(folds):
    parts = fold_patients(COHORT, folds)
    assert sorted(chain(*parts)) == sorted(COHORT) and len(parts) == folds
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    for part in parts:
        assert abs(shares(part)["DU"] - 45 / folds) <= 1.5


@pytest.mark.parametrize(
    ("patients", "fractions", "rule"),
    [
        (made_up(CS=2), (0.8, 0.2), "too few"),
        ([], (0.5, 0.5), "too few"),
        (made_up(CS=9), (0.8, 0.3), "sum to 1"),
        (made_up(CS=9), (0.8, 0.205), "sum to 1"),
        (made_up(CS=9), (1.0, 0.0), "positive"),
        (made_up(CS=9), (float("nan"), 1.0), "positive"),
        (made_up(CS=9), (), "sum to 1"),
        (2 * made_up(CS=5), (0.8, 0.2), "twice"),
    ],
)
def test_refusals_of_splits(patients, fractions, rule):
    with pytest.raises(LggError, match=rule):
        split_patients(patients, fractions)


def test_refusals_of_folds():
    with pytest.raises(LggError, match="at least 2"):
        fold_patients(COHORT, 1)
    with pytest.raises(LggError, match="too few"):
        fold_patients(made_up(CS=3), 5)


def test_examples():
    assert doctest.testmod(splits) == (0, 4)


def test_a_seed_below_0_is_refused():
    with pytest.raises(LggError, match="seed=-1"):
        split_patients(list("abcdef"), seed=-1)
