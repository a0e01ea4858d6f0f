"""Two processes under torchrun, over gloo, against one: the same slices, nearly the same curve, one
writer.
"""

import os
import subprocess
import sys

import pandas as pd
import pytest
import torch

from lggseg import train
from lggseg.errors import LggError
from lggseg.model.segmenter import load_checkpoint
from lggseg.training import distributed

TINY = [
    "--size",
    "32",
    "--block",
    "1",
    "--coarse-share",
    "0",
    "--features",
    "4",
    "--depth",
    "3",
    "--epochs",
    "4",
    "--epoch-slices",
    "128",
    "--batch",
    "16",
    "--augment",
    "0",
    "--late-augment",
    "0",
    "--carve-mix",
    "0",
    "--cyst",
    "0",
    "--device",
    "cpu",
]
TOLERANCE = 0.05  # of the loss: each process has batch statistics and an overlap of its own


def train_in_two(*arguments: str) -> subprocess.CompletedProcess:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return subprocess.run(
        [sys.executable, *launcher, "-m", "lggseg.train", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def runs(phantom_cohort, tmp_path_factory):
    """The folders of one run with one process and one with two, and the data's."""
    place, data = tmp_path_factory.mktemp("runs"), str(phantom_cohort.root)
    train.main(["--data", data, "--out", str(place / "1"), *TINY])
    done = train_in_two("--data", data, "--out", str(place / "2"), *TINY)
    assert done.returncode == 0, done.stderr
    return place, data


def test_two_processes_learn_as_one(runs):
    one, two = (pd.read_csv(runs[0] / name / "log.csv") for name in "12")
    assert len(two) == 4 and two.loss.iloc[-1] < two.loss.iloc[0]
    assert (two.loss / one.loss - 1).abs().max() < TOLERANCE
    assert two.valid_dice.notna().all()


def test_one_of_them_writes(runs):
    names = [sorted(file.name for file in (runs[0] / name).iterdir()) for name in "12"]
    assert names[0] == names[1] == ["best.pt", "last.pt", "log.csv", "resume.pt"]
    patients = [load_checkpoint(runs[0] / name / "last.pt").training_patients for name in "12"]
    assert patients[0] == patients[1]


def test_a_finished_run_of_two_goes_no_further(runs):
    place, data = runs
    again = train_in_two("--data", data, "--out", str(place / "2"), *TINY)
    assert (
        again.returncode == 0
        and again.stdout.count("\n      4 ") + again.stdout.count("\n     4 ") <= 1
    )


def test_a_run_of_two_is_not_gone_on_with_by_one(runs, capsys):
    place, data = runs
    with pytest.raises(SystemExit, match="2"):
        train.main(["--data", data, "--out", str(place / "2"), *TINY])
    assert "a run with other number of processes;" in capsys.readouterr().err


def test_what_fails_everywhere_is_told_once(tmp_path):
    failed = train_in_two("--data", str(tmp_path), *TINY)
    assert failed.returncode != 0
    assert sum(line.startswith("error: ") for line in failed.stderr.splitlines()) == 1


def test_the_mean_of_two_processes(monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    other = torch.tensor([3.0, torch.nan])
    monkeypatch.setattr(distributed.distributed, "all_reduce", lambda values: values.add_(other))
    mean = distributed.mean_of_all(torch.tensor([1.0, 1.0]))
    assert mean[0] == 2 and mean[1].isnan()


@pytest.mark.parametrize(("rank", "ran"), [(0, ["mine"]), (1, [])])
def test_the_first_process_decides(monkeypatch, rank, ran):
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "rank", lambda: rank)
    monkeypatch.setattr(
        distributed.distributed,
        "broadcast_object_list",
        lambda answer: answer.__setitem__(0, "its"),
    )
    done = []
    assert distributed.first_decides(lambda: done.append("mine")) == "its" and done == ran


@pytest.mark.parametrize(("rank", "order"), [(0, ["task", "barrier"]), (1, ["barrier", "task"])])
def test_the_first_process_does_it_before_the_others(monkeypatch, rank, order):
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "rank", lambda: rank)
    done = []
    monkeypatch.setattr(distributed.distributed, "barrier", lambda: done.append("barrier"))
    distributed.first_then_all(lambda: done.append("task"))
    assert done == order


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 3)
    assert distributed.share_of(9) == 3
    with pytest.raises(
        LggError, match="batch=16: 3 processes cannot share it evenly; make it a multiple of 3"
    ):
        distributed.share_of(16)
