"""Where a cohort is looked for, and the download."""

import os
import shutil
import sys
import types
from functools import partial

import pytest
import requests

from lggseg.data import places
from lggseg.data.cohort import open_cohort
from lggseg.data.places import download_cohort
from lggseg.errors import LggError
from lggseg.phantom import write_phantom_cohort


@pytest.mark.parametrize("inside", [".", "kaggle_3m", "lgg-mri-segmentation/kaggle_3m"])
def test_any_folder_above_the_patients_does(root, inside):
    root.parent.joinpath("moved").mkdir()
    place = root.parent / "moved" / inside
    shutil.move(root, place) if inside != "." else shutil.copytree(root, place, dirs_exist_ok=True)
    assert len(open_cohort(root.parent / "moved", progress=False).patients) == 2


def test_the_nested_duplicate_is_not_counted(root):
    shutil.copytree(root, root / "lgg-mri-segmentation" / "kaggle_3m")
    shutil.copytree(root, root.parent / "lgg-mri-segmentation" / "kaggle_3m")
    assert (
        len(open_cohort(root, progress=False).slices)
        == len(open_cohort(root.parent, progress=False).slices)
        == 16
    )


def test_path_before_variable_before_project_before_downloads(root, tmp_path, monkeypatch):
    def copy(place):
        return shutil.copytree(root, place, dirs_exist_ok=True)

    monkeypatch.setattr(
        places, "__file__", str(tmp_path / "project" / "lggseg" / "data" / "places.py")
    )
    monkeypatch.setattr(
        places, "write_phantom_cohort", lambda place, **_: copy(place / "kaggle_3m")
    )
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("LGGSEG_DATA", raising=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert open_cohort(progress=False).root.is_relative_to(tmp_path / "cache" / "phantom")
    hub = tmp_path / "hub" / "datasets" / places.KAGGLE_SET
    old, new = (
        copy(hub / "versions" / "9" / "kaggle_3m"),
        copy(hub / "versions" / "10" / "kaggle_3m"),
    )
    (hub / "9.complete").touch()
    assert open_cohort(progress=False).root == old  # version 10 is still being unpacked
    (hub / "10.complete").touch()
    assert open_cohort(progress=False).root == new
    project = copy(tmp_path / "project" / "data" / "kaggle_3m")
    assert open_cohort(progress=False).root == project
    monkeypatch.setenv("LGGSEG_DATA", str(root))
    assert open_cohort(progress=False).root == root
    assert open_cohort(project, progress=False).root == project
    monkeypatch.setenv("LGGSEG_DATA", "phantom")
    assert open_cohort(progress=False).root.is_relative_to(tmp_path / "cache" / "phantom")
    assert open_cohort(root, progress=False).root == root


def test_a_place_that_was_given_must_work(tmp_path, monkeypatch):
    with pytest.raises(LggError, match="nowhere: no folder such as TCGA_CS_4941_19960909"):
        open_cohort(tmp_path / "nowhere")
    monkeypatch.setenv("LGGSEG_DATA", str(tmp_path))
    with pytest.raises(LggError, match="LGGSEG_DATA="):
        open_cohort()
    with pytest.raises(LggError, match="no folder such as"):
        open_cohort("~nobody-of-this-name/kaggle_3m")


def test_a_place_below_home(root, monkeypatch):
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(root.parent))
    assert open_cohort("~/kaggle_3m", progress=False).root == root


def test_a_place_that_may_not_be_read(root, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(places.Path, "iterdir", refuse)
    with pytest.raises(LggError, match="kaggle_3m cannot be listed.*Permission denied"):
        open_cohort(root)


# --- phantoms in the cache ---


def test_phantoms_need_a_cache_that_can_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LGGSEG_CACHE", str(tmp_path / "file"))
    with pytest.raises(LggError, match="file.* cannot be written.*LGGSEG_CACHE"):
        places.phantom_root(progress=False)


def test_a_disk_that_fills_up_while_drawing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("LGGSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tifffile.imwrite", full)
    with pytest.raises(LggError, match="No space left on device.*make room"):
        places.phantom_root(progress=False)
    assert [path.name for path in tmp_path.rglob("*") if not path.is_dir()] == []


def test_phantoms_are_drawn_once(tmp_path, monkeypatch):
    monkeypatch.setenv("LGGSEG_CACHE", str(tmp_path))
    monkeypatch.setattr(places, "write_phantom_cohort", partial(write_phantom_cohort, patients=2))
    root = places.phantom_root(progress=False)
    drawn = (root / "PHANTOM.txt").stat().st_mtime_ns
    assert places.phantom_root(progress=False) == root
    assert (root / "PHANTOM.txt").stat().st_mtime_ns == drawn


def test_download_through_kagglehub(root, tmp_path, monkeypatch):
    calls = []

    def dataset_download(handle):
        calls.append((handle, os.environ.get("KAGGLEHUB_CACHE")))
        return str(root.parent)

    monkeypatch.setitem(
        sys.modules, "kagglehub", types.SimpleNamespace(dataset_download=dataset_download)
    )
    monkeypatch.delenv("KAGGLEHUB_CACHE", raising=False)
    assert download_cohort() == root and download_cohort(tmp_path / "here") == root
    assert calls == [(places.KAGGLE_SET, None), (places.KAGGLE_SET, str(tmp_path / "here"))]
    assert "KAGGLEHUB_CACHE" not in os.environ
    [shutil.rmtree(folder) for folder in root.glob("TCGA*")]
    with pytest.raises(LggError, match="no patient folder"):
        download_cohort()
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(LggError, match="pip install kagglehub"):
        download_cohort()


@pytest.mark.parametrize("kind", ["ProxyError", "ConnectionError", "Timeout", "HTTPError"])
def test_a_network_that_refuses_is_told(tmp_path, monkeypatch, kind):
    """Kaggle/kaggle-cli #6, opendatasets #17."""

    def dataset_download(handle):
        raise getattr(requests.exceptions, kind)("Unable to connect\nto proxy")

    monkeypatch.setitem(
        sys.modules, "kagglehub", types.SimpleNamespace(dataset_download=dataset_download)
    )
    words = r"cannot be downloaded \(Unable to connect to proxy\); .*HTTPS_PROXY.*LGGSEG_DATA"
    with pytest.raises(LggError, match=words):
        download_cohort(tmp_path)
    assert os.environ.get("KAGGLEHUB_CACHE") != str(tmp_path)


def test_own_network_lies_in_the_build_folder_of_the_project(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert places.own_network("real") == tmp_path / "notebooks" / "build" / "own_network_real.pt"
    (tmp_path / "pyproject.toml").touch()
    assert places.own_network("real") == tmp_path / "build" / "own_network_real.pt"
    monkeypatch.chdir(tmp_path)
    assert places.own_network("phantom") == tmp_path / "build" / "own_network_phantom.pt"


def backslashes(root, place):
    for file in root.rglob("*.tif"):
        shutil.copy(file, place / f"kaggle_3m\\{file.parent.name}\\{file.name}")


def flat(root, place):
    for file in root.rglob("*.tif"):
        shutil.copy(file, place / file.name)


def copied_twice(root, place):
    shutil.copytree(root, place / "kaggle_3m")
    file = next(place.rglob("*_1.tif"))
    shutil.copy(file, file.with_name(f"{file.stem} (1).tif"))


def in_capitals(root, place):
    shutil.copytree(root, place / "kaggle_3m")
    for file in place.rglob("*.tif"):
        file.rename(file.with_suffix(".TIF"))


def too_deep(root, place):
    shutil.copytree(root, place / "archive" / "kaggle_3m")


def no_table(root, place):
    shutil.copytree(root, place / "kaggle_3m")
    (place / "kaggle_3m" / "data.csv").unlink()


def zipped(root, place):
    shutil.make_archive(str(place / "archive"), "zip", root)


@pytest.mark.parametrize(
    ("unpack", "words"),
    [
        (backslashes, "no folder such as TCGA_CS_4941_19960909 there"),
        (flat, "no folder such as TCGA_CS_4941_19960909 there"),
        (copied_twice, r"_1 \(1\).tif: a slice is called .* rename the file or take it out"),
        (in_capitals, r".TIF: a slice is called .* rename the file or take it out"),
        (too_deep, "no folder such as TCGA_CS_4941_19960909 there"),
        (no_table, "data.csv cannot be read .* copy the file itself to this place"),
        (zipped, "name the unpacked kaggle_3m"),
    ],
)
def test_what_was_unpacked_oddly_is_refused_by_name(root, tmp_path, unpack, words):
    """cpython #91036 and others: archives unpacked by other programs."""
    place = tmp_path / "odd"
    place.mkdir()
    unpack(root, place)
    with pytest.raises(LggError, match=words):
        open_cohort(place, progress=False)


def test_files_that_macos_leaves_are_passed_over(root, tmp_path):
    place = tmp_path / "odd" / "kaggle_3m"
    shutil.copytree(root, place)
    (place / ".DS_Store").write_bytes(b"x")
    for file in list(place.rglob("*.tif")):
        file.with_name(f"._{file.name}").write_bytes(b"x")
    for patient in root.iterdir():
        (place / f"._{patient.name}").write_bytes(b"x")
    copy = place.parent / "__MACOSX" / "kaggle_3m"
    copy.mkdir(parents=True)
    assert len(open_cohort(place.parent, progress=False).slices) == 16
