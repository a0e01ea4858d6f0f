"""Whole or not at all."""

import os
import time

import pytest

from lggseg.errors import LggError
from lggseg.files import ABANDONED, atomic_write, check_folder


def test_new_content_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / "new" / "table.csv"
    for content in ("old", "new"):
        with atomic_write(path) as part:
            part.write_text(content)
            assert not path.exists() or path.read_text() == "old"
    assert path.read_text() == "new" and os.listdir(path.parent) == ["table.csv"]


def test_an_error_leaves_the_old(tmp_path):
    (tmp_path / "table.csv").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(tmp_path / "table.csv") as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "table.csv").read_text() == "old" and os.listdir(tmp_path) == ["table.csv"]


def test_what_a_killed_process_left_goes_after_an_hour(tmp_path):
    old, fresh, other = (
        tmp_path / name for name in ("[a].csv.1.part", "[a].csv.2.part", "a.csv.3.part")
    )
    for path, age in ((old, ABANDONED + 60), (fresh, ABANDONED - 60), (other, ABANDONED + 60)):
        path.write_text("half")
        os.utime(path, (time.time() - age,) * 2)
    with atomic_write(tmp_path / "[a].csv") as part:
        part.write_text("whole")
    assert sorted(os.listdir(tmp_path)) == ["[a].csv", "[a].csv.2.part", "a.csv.3.part"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(LggError, match="table.csv cannot be written: "),
        atomic_write(tmp_path / "file" / "table.csv"),
    ):
        pass
    with pytest.raises(
        LggError, match="file cannot be written to: File exists; name another folder"
    ):
        check_folder(tmp_path / "file")
    check_folder(tmp_path / "new")
    assert os.listdir(tmp_path / "new") == []


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    """In the block something else may be read:
    that the table cannot be written would be the wrong word.
    """
    with (
        pytest.raises(FileNotFoundError, match="nowhere"),
        atomic_write(tmp_path / "table.csv") as part,
    ):
        part.write_text((tmp_path / "nowhere").read_text())
    with pytest.raises(ConnectionError, match="^no net$"), atomic_write(tmp_path / "table.csv"):
        raise ConnectionError("no net")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        OSError(27, "File too large"),
        OSError(5, "Input/output error"),
        OSError(122, "Disk quota exceeded"),
    ],
)
def test_what_a_disk_says_while_writing_names_the_file(tmp_path, error):
    """Without a file's name in the error, as `write` raises it."""
    with (
        pytest.raises(LggError, match="table.csv cannot be written: "),
        atomic_write(tmp_path / "table.csv"),
    ):
        raise error


def test_a_block_that_writes_nothing_is_told(tmp_path):
    with (
        pytest.raises(LggError, match="table.csv cannot be written: No such file"),
        atomic_write(tmp_path / "table.csv"),
    ):
        pass
