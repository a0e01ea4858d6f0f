"""What is written for an own scan, and above all what is never overwritten or removed."""

import json
import os
import sys
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lggseg.errors import LggError
from lggseg.measures.shape import shape_features
from lggseg.scans import write
from lggseg.scans.grid import Grid
from lggseg.scans.own_scan import OwnScan
from lggseg.scans.read import RESULTS
from lggseg.scans.segment import measure
from lggseg.scans.write import check_place, result_files, result_names, write_results


def scan(**more) -> OwnScan:
    return OwnScan(np.full((2, 20, 30, 3), 99, np.uint8), ["a_1", "a_2"], **more)


def mask() -> np.ndarray:
    found = np.zeros((2, 20, 30), bool)
    found[1, 5:10, 5:15] = True
    return found


def tree(folder) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_pictures_lie_on_the_slices_own_pixels():
    files = result_files(scan(), mask() * np.float32(0.8), mask(), measure(scan(), mask(), mask()))
    assert sorted(files) == [
        "a_1_mask.png",
        "a_1_probability.png",
        "a_2_mask.png",
        "a_2_overlay.png",
        "a_2_probability.png",
        "measures.csv",
    ]
    assert set(files) <= set(result_names(scan()))
    of_kind = {
        kind: np.asarray(Image.open(BytesIO(files[f"a_2_{kind}.png"]))) for kind in write.KINDS
    }
    np.testing.assert_array_equal(of_kind["mask"], 255 * mask()[1])
    np.testing.assert_array_equal(of_kind["probability"], 204 * mask()[1])
    half = Image.open(
        BytesIO(
            result_files(
                scan(), mask() * np.float32(0.999), mask(), measure(scan(), mask(), mask())
            )["a_2_probability.png"]
        )
    )
    assert np.asarray(half)[5, 5] == 255  # 254.7 is rounded, not cut
    overlay = of_kind["overlay"]
    assert (
        overlay.shape == (20, 30, 3)
        and (overlay[0] == 99).all()
        and overlay[5, 5].tolist() == [213, 94, 0]
    )


def test_nifti_besides_where_the_scan_lies_in_space():
    pytest.importorskip("nibabel")
    placed = scan(grid=Grid((30, 20, 2), np.diag([1, 1, 5, 1.0])))
    assert {"mask.nii.gz", "probability.nii.gz"} <= set(
        result_files(placed, mask() * np.float32(1), mask(), measure(placed, mask(), mask()))
    )
    assert "mask.nii.gz" in result_names(placed) and "mask.nii.gz" not in result_names(scan())


def test_measures():
    found = measure(
        scan(truth=mask(), grid=Grid((30, 20, 2), np.diag([1, 2, 5, 1.0]))), mask(), mask()
    )
    assert found[["slices", "tumour_slices", "tumour_voxels", "dice"]].tolist() == [2, 1, 50, 1.0]
    assert found.tumour_ml == pytest.approx(0.5) and "dice" not in measure(scan(), mask(), mask())
    assert np.isnan(measure(scan(), mask(), mask() < 0).asd)


def test_shape_is_measured_on_square_pixels():
    disc = np.hypot(*np.ogrid[-60:60, -60:60])[None] < 40
    squeezed = disc[:, ::3]
    straight = measure(
        OwnScan(np.zeros((1, 40, 120, 3), np.uint8), ["a"], pixel=(3.0, 1.0)), squeezed, squeezed
    )
    assert straight.asd < 0.02 and straight.tumour_voxels == squeezed.sum()
    assert (
        measure(OwnScan(np.zeros((1, 40, 120, 3), np.uint8), ["a"]), squeezed, squeezed).asd > 0.05
    )


def test_square_pixels_of_a_small_tumour():
    """Two by two pixels twice as high as wide are four by two square ones, whatever is interpolated
    at the border.
    """
    small, square = np.zeros((1, 20, 40), bool), np.zeros((1, 40, 40), bool)
    small[0, 10:12, 20:22] = square[0, 20:24, 20:22] = True
    found = measure(
        OwnScan(np.zeros((1, 20, 40, 3), np.uint8), ["a"], pixel=(2.0, 1.0)), small, small
    )
    assert found[["asd", "mf", "bevr"]].to_dict() == pytest.approx(shape_features(square))


def test_a_second_run_leaves_no_stale_file_and_touches_nothing_else(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    write_results({"a_mask.png": b"1", "a_overlay.png": b"2"}, tmp_path)
    write_results({"a_mask.png": b"3", "b_mask.png": b"4"}, tmp_path)
    found = tree(tmp_path)
    assert json.loads(found.pop(RESULTS))["complete"]
    assert found == {"notes.txt": b"mine", "a_mask.png": b"3", "b_mask.png": b"4"}


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(LggError, match="is not empty, it holds notes.txt; .* --overwrite"):
        check_place(tmp_path, [tmp_path.parent / "scan"], ["a_mask.png"])


def test_overwrite_wants_results_of_an_earlier_run(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(LggError, match=f"{RESULTS}: is missing or damaged"):
        check_place(tmp_path, [], ["a_mask.png"], overwrite=True)
    write_results({"a_mask.png": b"1"}, tmp_path)
    check_place(tmp_path, [], ["a_mask.png", "b_mask.png"], overwrite=True)


@pytest.mark.parametrize("name", ["b_mask.png", "B_MASK.PNG"])
def test_files_of_others_are_never_overwritten(tmp_path, name):
    write_results({"a_mask.png": b"1"}, tmp_path)
    (tmp_path / name).write_bytes(b"drawn by hand")
    with pytest.raises(LggError, match=f"holds a {name} that this command did not write"):
        check_place(tmp_path, [], ["a_mask.png", "b_mask.png"], overwrite=True)
    assert tree(tmp_path)[name] == b"drawn by hand"


def test_results_that_somebody_removed_are_no_trouble(tmp_path):
    write_results({"a_mask.png": b"1", "b_mask.png": b"1"}, tmp_path)
    (tmp_path / "b_mask.png").unlink()
    write_results({"a_mask.png": b"2"}, tmp_path)
    assert set(tree(tmp_path)) == {"a_mask.png", RESULTS}


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"files": [1]}', b'{"files": ["../a.png"]}', b"\xff"]
)
def test_a_damaged_list_stops_everything(tmp_path, content):
    (tmp_path / RESULTS).write_bytes(content)
    for attempt in (
        lambda: check_place(tmp_path, [], ["a_mask.png"], overwrite=True),
        lambda: write_results({"a_mask.png": b"2"}, tmp_path),
    ):
        with pytest.raises(LggError, match="damaged"):
            attempt()
    assert tree(tmp_path) == {RESULTS: content}


def test_what_a_kill_at_the_first_file_left_is_no_trouble(tmp_path):
    (tmp_path / write.PART).write_bytes(b"half of the list")
    check_place(tmp_path, [], ["a_mask.png"])


@pytest.mark.parametrize("writes", range(6))
def test_stopped_at_any_write_the_next_run_clears_up(tmp_path, monkeypatch, writes):
    """Half-way there are old files and new ones, each whole and on the list; the next run goes as
    if there was none.
    """
    write_results(dict.fromkeys(("a", "b", "c"), b"old"), tmp_path)
    real, done = write.put, []

    def put(file, content):
        if len(done) == writes:
            raise KeyboardInterrupt
        done.append(file)
        real(file, content)

    monkeypatch.setattr(write, "put", put)
    new = dict.fromkeys(("b", "c", "d"), b"new")
    if writes < 5:  # the list, three files, the list
        with pytest.raises(KeyboardInterrupt):
            write_results(new, tmp_path)
    else:
        write_results(new, tmp_path)
    listed = json.loads((tmp_path / RESULTS).read_bytes())
    assert set(tree(tmp_path)) - {RESULTS} <= set(listed["files"]) and listed["complete"] == (
        writes in (0, 5)
    )
    monkeypatch.setattr(write, "put", real)
    write_results(new, tmp_path)
    assert {name: content for name, content in tree(tmp_path).items() if name != RESULTS} == new


def test_a_disk_that_is_full(tmp_path, monkeypatch):
    def full(file, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write, "put", full)
    with pytest.raises(LggError, match=r"No space left on device\); make room"):
        write_results({"a": b"1"}, tmp_path)


LINKS = pytest.mark.skipif(sys.platform == "win32", reason="a link needs a privilege there")


@LINKS
@pytest.mark.parametrize(
    "out", ["scan", "scan/../scan", ".", "link", "scan/s_1.png", "notes.txt", "notes.txt/deep"]
)
def test_places_that_are_refused(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scan").mkdir()
    for file in ("scan/s_1.png", "notes.txt"):
        (tmp_path / file).write_bytes(b"x")
    (tmp_path / "link").symlink_to("scan")
    for source in ("scan", "scan/s_1.png"):
        with pytest.raises(
            LggError,
            match="holds the scan"
            if "notes" not in out and not (out.endswith("png") and source == "scan")
            else "cannot be written to",
        ):
            check_place(write.Path(out), [write.Path(source)], ["s_1_mask.png"])
    assert sorted(os.listdir("scan")) == ["s_1.png"]


def test_places_that_are_fine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scan").mkdir()
    for out in ("found", "deep/er/found", "scan/found"):
        check_place(write.Path(out), [write.Path("scan")], ["s_1_mask.png"])
        assert os.listdir(out) == []


@LINKS
def test_a_scan_reached_by_a_link_is_protected(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "real")
    for out in ("real", "here"):
        with pytest.raises(LggError, match="holds the scan"):
            check_place(tmp_path / out, [tmp_path / "here" / "link"], [])


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(LggError, match="cannot be written to"):
        check_place(tmp_path / "out", [tmp_path.parent / "scan"], [])
    tmp_path.chmod(0o700)


def test_names_too_long_for_a_disk(tmp_path):
    with pytest.raises(LggError, match="too long"):
        check_place(tmp_path, [tmp_path.parent / "scan"], ["é" * 130 + "_mask.png"])


def test_measures_are_a_table(tmp_path):
    files = result_files(scan(), mask() * np.float32(1), mask(), measure(scan(), mask(), mask()))
    write_results(files, tmp_path)
    table = pd.read_csv(tmp_path / "measures.csv")
    assert len(table) == 1 and table.tumour_voxels[0] == 50


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.write_text("[" * 200_000)])
def test_a_list_that_is_none_is_neither_waited_for_nor_a_traceback(tmp_path, make):
    make(tmp_path / RESULTS)
    with pytest.raises(LggError, match="damaged, so what an earlier run wrote there is not known"):
        check_place(tmp_path, [], ["a_mask.png"], overwrite=True)
