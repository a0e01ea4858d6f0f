"""The cache folder: where it is, how large it is, and emptying it."""

import os
import subprocess
import sys

import pytest
from small_cohort import load_volumes, write_cohort

from lggseg.data import cache_folder as module
from lggseg.data.cohort import load_cohort
from lggseg.errors import LggError

ARRAYS = "4-0123456789abcdef01234567"


def make_folder(*parts, size=1000):
    """A folder that holds one file of so many bytes."""
    folder = os.path.join(*parts)
    os.makedirs(folder)
    with open(os.path.join(folder, "images.npy"), "wb") as file:
        file.write(bytes(size))


def names(cache):
    return sorted(path.name for path in cache.glob("*/*"))


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("LGGSEG_CACHE", "~/here")
    assert module.cache_folder() == tmp_path / "here"
    monkeypatch.delenv("LGGSEG_CACHE")
    assert module.cache_folder() == tmp_path / ".cache" / "lggseg"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert module.cache_folder() == tmp_path / "xdg" / "lggseg"


def test_clear_removes_what_the_package_made(tmp_path):
    for parts in (("packed", ARRAYS), ("packed", ".building-abc"), ("phantom", "5-0")):
        make_folder(tmp_path, *parts)
    make_folder(tmp_path, "phantom", "4-0", ".phantom-killed")
    assert len(module.contents(tmp_path)) == 4
    module.clear(tmp_path)
    assert names(tmp_path) == []


def test_what_is_not_ours_stays(tmp_path):
    """The cache may be a folder that holds other things, too."""
    for name in ("thesis", "3-draft", "photos"):
        make_folder(tmp_path, "packed", name)
        make_folder(tmp_path, "phantom", name)
    module.clear(tmp_path)
    assert names(tmp_path) == 2 * ["3-draft"] + 2 * ["photos"] + 2 * ["thesis"]


def test_a_cache_that_does_not_exist_is_empty(tmp_path):
    module.clear(tmp_path / "nowhere")
    assert module.contents(tmp_path / "nowhere") == []


def test_a_folder_in_use_is_named(tmp_path, monkeypatch):
    """On Windows a folder whose files are open can be neither renamed nor removed."""

    def refuse(*_):
        raise PermissionError(13, "The process cannot access the file")

    make_folder(tmp_path, "packed", ARRAYS)
    monkeypatch.setattr(module.Path, "rename", refuse)
    with pytest.raises(LggError, match=f"{ARRAYS} cannot be removed.*close the notebooks"):
        module.clear(tmp_path)
    assert names(tmp_path) == [ARRAYS]


def test_the_command_tells_the_size_and_clears(root, tmp_path):
    def run(*options):
        command = [sys.executable, "-W", "error", "-m", "lggseg.data.cache_folder", *options]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    before = load_volumes(root)
    make_folder(tmp_path, "cache", "phantom", "5-0", size=2_000_000)
    assert run() == f"{tmp_path / 'cache'}: 2.0 MB\n"
    assert run("--clear") == f"{tmp_path / 'cache'}: 0.0 MB\n"
    assert list((tmp_path / "cache" / "packed").iterdir()) == []
    after = load_volumes(root)
    for (image, mask), (expected, truth) in zip(after, before, strict=True):
        assert (image == expected).all() and (mask == truth).all()


def test_an_open_cohort_survives_clearing(root, tmp_path):
    """Its arrays stay in memory; only Windows refuses to remove files that are open."""
    cohort = load_cohort(root, progress=False)
    volume = cohort.volume("TCGA_CS_4941")
    tumour = volume.mask.sum()
    if os.name == "nt":
        return
    module.clear(tmp_path / "cache")
    assert cohort.volume("TCGA_CS_4941").mask.sum() == tumour
    write_cohort(tmp_path / "another")
    assert load_cohort(tmp_path / "another", progress=False).patients == cohort.patients
