"""The cache and its broom: what is of no use goes, what is in use stays."""

import hashlib
import json
import os
import subprocess
import sys
import time

import pytest
from small_cohort import FIRST, write_cohort

from lggseg.data import cache_folder as module
from lggseg.data.cohort import load_cohort
from lggseg.errors import LggError

DAY = 24 * module.HOUR


def age(folder, seconds):
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (time.time() - seconds,) * 2)


CALLED = {}  # a pack's name on the disk, and the one that a test gives it


def called(name):
    real = f"3-{hashlib.sha256(name.encode()).hexdigest()[:24]}"
    CALLED[real] = name
    return real


def pack(place, name, source, idle=0, size=1000):
    """Something like a pack of `source`, last used `idle` seconds ago."""
    folder = place / "packed" / called(name)
    folder.mkdir(parents=True)
    index = json.dumps({"root": str(source)})
    (folder / "index.json").write_text(index)
    (folder / "images.npy").write_bytes(bytes(size - len(index)))
    age(folder, idle)
    return folder


def phantoms(place, name, idle=0):
    folder = place / "phantom" / name
    (folder / "kaggle_3m").mkdir(parents=True)
    (folder / "kaggle_3m" / "PHANTOM.txt").write_bytes(bytes(1000))
    age(folder, idle)
    return folder


def names(place):
    found = [path.name for pattern in ("packed/*", "phantom/*", "phantom/*/.*") for path in place.glob(pattern)]
    return sorted(CALLED.get(name, name) for name in found)


@pytest.fixture
def source(tmp_path):
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


def test_packs_of_folders_that_are_gone(tmp_path, source):
    pack(tmp_path, "kept", source, idle=2 * DAY)
    pack(tmp_path, "gone", tmp_path / "nowhere", idle=2 * module.HOUR)
    pack(tmp_path, "in use", tmp_path / "nowhere either", idle=module.HOUR / 2)
    module.sweep(tmp_path)
    assert names(tmp_path) == ["in use", "kept"]
    module.sweep(tmp_path, spare=0)
    assert names(tmp_path) == ["kept"]


def test_what_is_not_ours_stays(tmp_path):
    for name in ("thesis", "3-draft"):
        (tmp_path / "packed" / name).mkdir(parents=True)
        (tmp_path / "packed" / name / "index.json").write_text("{}")
    (tmp_path / "packed" / "photos").mkdir()
    age(tmp_path / "packed", 99 * DAY)
    module.sweep(tmp_path, spare=0)
    assert names(tmp_path) == ["3-draft", "photos", "thesis"]


def test_packs_that_were_replaced(tmp_path, source):
    pack(tmp_path, "old", source, idle=2 * DAY)
    pack(tmp_path, "new", source, idle=DAY)
    pack(tmp_path, "other", tmp_path, idle=3 * DAY)
    module.sweep(tmp_path)
    assert names(tmp_path) == ["new", "other"]


def test_what_nobody_used_for_a_month(tmp_path, source):
    pack(tmp_path, "old", source, idle=31 * DAY)
    pack(tmp_path, "young", tmp_path, idle=29 * DAY)
    phantoms(tmp_path, "3-0", idle=31 * DAY)
    phantoms(tmp_path, "4-0", idle=29 * DAY)
    module.sweep(tmp_path)
    assert names(tmp_path) == ["4-0", "young"]


def test_above_the_limit_the_least_recently_used_go(tmp_path, source, monkeypatch):
    for idle in range(2, 7):
        (tmp_path / f"source {idle}").mkdir()
        pack(tmp_path, str(idle), tmp_path / f"source {idle}", idle=idle * module.HOUR)
    phantoms(tmp_path, "4-0", idle=4.5 * module.HOUR)
    monkeypatch.setenv("LGGSEG_CACHE_GB", "3.5e-6")  # 3,500 bytes: three of the six
    module.sweep(tmp_path)
    assert names(tmp_path) == ["2", "3", "4"]
    monkeypatch.setenv("LGGSEG_CACHE_GB", "0")
    module.sweep(tmp_path)
    assert names(tmp_path) == []


def test_what_interrupted_builds_left(tmp_path):
    for place in ("packed", "phantom", "phantom/4-0"):
        for name, idle in (("old", 2), ("young", 0.5), ("writing", 2)):
            folder = tmp_path / place / f"{'.phantom-' if '4' in place else '.building-'}{name}"
            folder.mkdir(parents=True)
            (folder / "images.npy").touch()
            age(folder, idle * module.HOUR)
    for path in tmp_path.rglob("images.npy"):
        if "writing" in str(path):  # it began long ago, and still writes
            path.touch()
    (tmp_path / "packed" / called("damaged")).mkdir()
    age(tmp_path / "packed" / called("damaged"), 2 * module.HOUR)
    module.sweep(tmp_path)
    assert names(tmp_path) == sorted(["4-0", *2 * [".building-young", ".building-writing"], ".phantom-young",
                                      ".phantom-writing"])


def test_a_folder_that_cannot_be_removed_stays(tmp_path, source, monkeypatch):
    folder = pack(tmp_path, "held", tmp_path / "nowhere", idle=DAY)

    def held(*_):
        raise PermissionError(13, "The process cannot access the file")

    monkeypatch.setattr(module.Path, "rename", held)
    module.sweep(tmp_path)
    assert names(tmp_path) == ["held"] and len(list(folder.iterdir())) == 2


def test_20_gb_unless_told_otherwise(monkeypatch):
    monkeypatch.delenv("LGGSEG_CACHE_GB", raising=False)
    assert module.cache_limit() == 20e9
    monkeypatch.setenv("LGGSEG_CACHE_GB", "0.5")
    assert module.cache_limit() == 5e8


@pytest.mark.parametrize("limit", ["much", "-1", "nan"])
def test_a_limit_is_a_number(tmp_path, monkeypatch, limit):
    monkeypatch.setenv("LGGSEG_CACHE_GB", limit)
    with pytest.raises(LggError, match=f"LGGSEG_CACHE_GB={limit}"):
        module.sweep(tmp_path)


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


def test_a_build_sweeps_and_opening_counts_as_use(root, tmp_path):
    first = load_cohort(root, progress=False).arrays.folder
    age(first, 2 * DAY)
    assert load_cohort(root, progress=False).arrays.folder == first  # warm: used just now
    assert time.time() - (first / "index.json").stat().st_mtime < module.HOUR
    age(first, 2 * DAY)
    os.utime(root / FIRST / f"{FIRST}_1.tif", (1, 1))
    second = load_cohort(root, progress=False).arrays.folder
    assert not first.exists() and second.exists()
    write_cohort(tmp_path / "another")
    age(second, 2 * DAY)
    load_cohort(tmp_path / "another", progress=False)
    assert second.exists()


def test_the_command(root, tmp_path):
    def run(*options):
        return subprocess.run([sys.executable, "-W", "error", "-m", "lggseg.data.cache_folder", *options], check=True,
                              capture_output=True, text=True).stdout.splitlines()

    load_cohort(root, progress=False)
    write_cohort(tmp_path / "another")
    load_cohort(tmp_path / "another", progress=False)
    (tmp_path / "another").rename(tmp_path / "moved")
    place, *packs = run()
    assert place.startswith(f"{tmp_path / 'cache'}: 0.0 MB of at most 20,000 MB") and len(packs) == 2
    assert f", of {root}" in packs[0] and packs[1].endswith("another") and time.strftime("%Y-%m-%d") in packs[1]
    assert run("--clean")[1:] == packs[:1] == run()[1:]


def test_the_command_names_a_wrong_setting(monkeypatch, capsys):
    monkeypatch.setenv("LGGSEG_CACHE_GB", "much")
    with pytest.raises(SystemExit, match="2"):
        module.main([])
    assert "LGGSEG_CACHE_GB=much" in capsys.readouterr().err
