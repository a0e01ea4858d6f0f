"""Outlines with a guarantee, on counts worked by hand."""

import numpy as np
import pandas as pd
import pytest

from experiments.conformal import highest_outer, judged, lowest_inner, of_rank, outlines


def patient(name="a", **by_byte):
    """Counts of a patient: b200=(voxels, tumour), zero at other bytes."""
    rows = pd.DataFrame({"patient": name, "byte": range(256), "voxels": 0, "tumour": 0})
    for byte, (voxels, tumour) in by_byte.items():
        rows.loc[int(byte[1:]), ["voxels", "tumour"]] = voxels, tumour
    return rows


def test_a_patients_own_thresholds():
    rows = patient(b0=(1000, 8), b10=(50, 2), b100=(20, 15), b200=(88, 75))
    assert rows.tumour.sum() == 100  # so 10 voxels may be missed, and 10 taken
    assert highest_outer(rows) == 100  # below it are 10
    assert lowest_inner(rows) == 200  # above 100 are 13 healthy ones
    assert lowest_inner(patient(b0=(1000, 0), b100=(20, 20), b200=(84, 80))) == 0


def test_what_the_outlines_hold():
    rows = patient(b0=(1000, 4), b10=(50, 1), b100=(20, 15), b200=(88, 80))
    found = judged(rows, low=100, high=100)
    assert found["missed"] == pytest.approx(0.05)
    assert found["taken"] == pytest.approx(0.08)
    assert found["outer_size"] == pytest.approx(1.08)
    assert found["inner_size"] == pytest.approx(0.80)


@pytest.mark.parametrize("n, rank", [(8, 0), (9, 1), (18, 1), (19, 2), (72, 7)])
def test_the_rank_of_the_threshold(n, rank):
    values = list(np.random.default_rng(0).permutation(np.arange(1, n + 1)))
    assert of_rank(values) == rank


def test_few_patients_get_outlines_that_cannot_fail():
    counts = pd.concat([patient(name, b0=(90, 1), b250=(10, 9)) for name in "abcd"])
    found = outlines(counts, [["a", "b"], ["c", "d"]])
    assert found.patient.tolist() == list("abcd")
    assert (found.low == 0).all() and (found.high == 1).all()
    assert (found.missed == 0).all() and (found.taken == 0).all()
    assert (found.outer_size == 10).all() and (found.inner_size == 0).all()


def test_the_promise_holds_for_patients_of_one_kind():
    """Nine in ten, on average over cohorts, for either outline."""
    rng = np.random.default_rng(0)
    held = []
    for _ in range(20):
        counts = []
        for i in range(40):
            rows = patient(f"p{i:02}")
            middle = rng.uniform(60, 200)
            chance = 1 / (1 + np.exp((middle - rows.byte) / 20))
            rows["voxels"] = 100
            rows["tumour"] = np.rint(100 * chance).astype(int)
            counts.append(rows)
        counts = pd.concat(counts)
        names = counts.patient.unique()
        found = outlines(counts, [list(names[k::4]) for k in range(4)])
        held.append([(found.missed <= 0.1).mean(), (found.taken <= 0.1).mean()])
    assert np.mean(held, axis=0) == pytest.approx(0.92, abs=0.03)
