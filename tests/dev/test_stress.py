"""The stress sees what it looks for: a reader that is wrong, a job that leaves half a file."""

import sys

import numpy as np
import pytest

if sys.platform == "win32":
    pytest.skip("the stress needs SIGKILL, SIGALRM and pipes on the disk", allow_module_level=True)

from dev.stress import fuzz, memory_growth, read_pictures, report


def failures(reader, place, cases=8):
    return [
        complaint
        for number in range(cases)
        for complaint, _ in [fuzz.case(reader, number, place)]
        if complaint
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "reader", [read_pictures.read_slice, read_pictures.read_tiff, read_pictures.read_png]
)
def test_pictures_are_read_right_or_refused(tmp_path, reader):
    assert failures(reader, tmp_path, 20) == []


def test_a_wrong_reader_is_seen(tmp_path, monkeypatch):
    right = read_pictures.read_slices
    monkeypatch.setattr(read_pictures, "read_slices", lambda path: right(path)[:, :, ::-1])
    assert "was read as something else" in failures(read_pictures.read_png, tmp_path)[0]


def test_an_error_that_is_not_ours_and_a_slow_reader_are_seen(tmp_path, monkeypatch):
    assert failures(lambda rng, place: 1 / 0, tmp_path, 1) == [
        "case 0: ZeroDivisionError: division by zero"
    ]
    monkeypatch.setattr(fuzz, "MOST_SECONDS", -1)
    assert "slow" in failures(lambda rng, place: None, tmp_path, 1)[0]


def test_memory_that_grows_is_seen():
    row, kept = report.Row("leak", 20), []
    memory_growth.check_memory_growth(
        row, report.Clock(60), lambda i: kept.append(np.ones(5_000_000))
    )
    assert row.cases == 20 and "memory grew" in row.failures[0]
