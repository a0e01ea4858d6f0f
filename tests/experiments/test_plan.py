"""Who trains and who is judged."""

from dataclasses import replace
from itertools import pairwise

import pytest

from experiments.plan import Fold, Run, k_folds, read_run, sites_left_out
from lggseg import LggError

PATIENTS = [
    f"TCGA_{site}_{i:04d}" for site, n in (("CS", 10), ("DU", 40), ("HT", 30)) for i in range(n)
]


def sites(patients):
    """How many patients of each site."""
    return {
        site: sum(patient.split("_")[1] == site for patient in patients)
        for site in ("CS", "DU", "HT")
    }


def test_every_patient_is_held_out_once_and_every_site_in_proportion():
    folds = k_folds(PATIENTS, 5)
    assert sorted(patient for fold in folds for patient in fold.held_out) == PATIENTS
    for fold in folds:
        assert sorted([*fold.train, *fold.held_out]) == PATIENTS and len(fold.train) == 64
        assert sites(fold.held_out) == {"CS": 2, "DU": 8, "HT": 6}


def test_a_hospital_left_out_is_left_out_altogether():
    first, second = sites_left_out(PATIENTS, ["HT", "CS"])
    assert sites(first.train) == {"CS": 10, "DU": 40, "HT": 0} and sites(first.held_out) == {
        "CS": 0,
        "DU": 0,
        "HT": 30,
    }
    assert sites(second.train) == {"CS": 0, "DU": 40, "HT": 30} and len(second.held_out) == 10
    with pytest.raises(LggError, match="site 'XX'; there are CS, DU, HT"):
        sites_left_out(PATIENTS, ["HT", "XX"])


def test_fewer_patients_are_among_more_and_every_site_in_proportion():
    fold = k_folds(PATIENTS, 5)[0]
    parts = [fold.fewer(n) for n in (0, 8, 16, 32, 64)]
    for small, large in pairwise(parts):
        assert set(small.train) < set(large.train) and small.held_out == fold.held_out
    assert parts[0].train == [] and parts[-1].train == fold.train
    counted = sites(parts[2].train)
    assert all(
        abs(counted[site] - wanted) <= 1 for site, wanted in (("CS", 2), ("DU", 8), ("HT", 6))
    )
    for n in (-1, 65):
        with pytest.raises(LggError, match="a fold has 64: ask for 0 to 64"):
            fold.fewer(n)


@pytest.fixture
def run(tmp_path):
    return Run(
        tmp_path / "run", {"lr": 1e-3, "start": None}, [Fold(["a"], ["b"]), Fold(["b"], ["a"])]
    )


def test_what_is_written_is_read_again(run):
    run.claim()
    assert read_run(run.out) == run and run.done() == []
    run.claim()  # the same run goes on


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"settings": {"lr": 1e-2, "start": None}}, "with other lr;"),
        ({"settings": {"lr": 1e-3, "start": "x", "seed": 1}}, "with other start, seed;"),
        ({"folds": [Fold(["a"], ["b"])]}, "with other patients or folds;"),
        ({"folds": [Fold(["a", "c"], ["b"]), Fold(["b"], ["a"])]}, "with other patients or folds;"),
    ],
)
def test_a_folder_of_another_run_is_refused(run, change, told):
    run.claim()
    with pytest.raises(LggError, match=told):
        replace(run, **change).claim()
    assert read_run(run.out) == run


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"settings": {}, "folds": [{"train": []}]}'])
def test_a_damaged_run_is_told(run, text):
    run.claim()
    run.description.write_text(text)
    with pytest.raises(LggError, match="holds no cross-validation"):
        read_run(run.out)


def test_folds_are_numbered_from_0(run):
    assert run.folder(1) == run.out / "fold1"
    for k in (-1, 2):
        with pytest.raises(LggError, match="numbered from 0 to 1"):
            run.folder(k)
