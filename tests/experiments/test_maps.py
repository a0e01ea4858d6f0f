"""Stored maps: exact enough, whole, and never by a network that saw the patient."""

import numpy as np
import pytest

from experiments.maps import (
    TRAINED_ON,
    check,
    from_bytes,
    predict_maps,
    read_maps,
    run_maps,
    to_bytes,
    write_maps,
)
from lggseg import LggError, load_checkpoint


def test_a_byte_is_exact_within_half_a_step():
    probability = np.linspace(0, 1, 1001, dtype=np.float32)
    back = from_bytes(to_bytes(probability))
    assert back.dtype == np.float32 and np.abs(back - probability).max() <= 1 / 510 + 1e-6
    assert (back[0], back[-1]) == (0, 1)


def test_maps_come_back(tmp_path):
    maps = {"b": np.full((2, 3, 4), 51, np.uint8), "a": np.zeros((1, 3, 4), np.uint8)}
    write_maps(maps, ["c"], tmp_path / "maps.npz")
    found = list(read_maps(tmp_path / "maps.npz"))
    assert [patient for patient, _ in found] == ["b", "a"]
    np.testing.assert_allclose(found[0][1], np.full((2, 3, 4), 0.2))


def test_nobody_is_judged_by_a_network_that_saw_them(run_done, cohort, tmp_path):
    network = load_checkpoint(run_done.network(0))
    for patients in (network.training_patients[:1], cohort.patients):
        with pytest.raises(LggError, match="trained on"):
            predict_maps(network, cohort, patients, tmp_path / "maps.npz")
    with pytest.raises(LggError, match="was trained on b; others must judge them"):
        write_maps(
            {"a": np.zeros((1, 2, 2), np.uint8), "b": np.zeros((1, 2, 2), np.uint8)},
            ["b", "c"],
            tmp_path / "maps.npz",
        )
    assert list(tmp_path.iterdir()) == []


def test_a_file_with_such_a_map_is_not_read(tmp_path):
    path = tmp_path / "maps.npz"
    np.savez(path, a=np.zeros((1, 2, 2), np.uint8), **{TRAINED_ON: np.array(["a", "b"])})
    with pytest.raises(LggError, match="was trained on a; others"):
        list(read_maps(path))
    check(["c"], ["a", "b"], path)


def test_every_map_of_a_run_is_by_networks_that_never_saw_the_patient(
    run_done, second_run, joined_run
):
    for run in (run_done, second_run, joined_run):
        for fold, patient, _ in run_maps(run):
            network = load_checkpoint(run.network(fold))
            assert patient not in network.training_patients and len(network.training_patients) == 2


def test_half_a_file_is_told(run_done, tmp_path):
    whole = run_done.maps(0).read_bytes()
    middle = len(whole) // 4
    damaged = whole[:middle] + b"\0\1\2\3" + whole[middle + 4 :]
    for content in (b"", whole[: len(whole) // 2], damaged):
        path = tmp_path / "maps.npz"
        path.write_bytes(content)
        with pytest.raises(LggError, match="not a whole file of maps"):
            list(read_maps(path))
