"""The packed cache: made once, found again, whole or not at all."""

import os
import shutil
import signal
import subprocess
import sys
import time
import types
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from small_cohort import FIRST, load_volumes, same, save, spy_on_builds, write_patient

from lggseg.data import array_cache
from lggseg.data.cache_folder import clear
from lggseg.data.cohort import load_cohort, open_cohort
from lggseg.errors import LggError


def fingerprint(cohort):
    return cohort.arrays.folder.name


def test_packed_once(root, monkeypatch):
    builds = spy_on_builds(monkeypatch)
    first, second = load_cohort(root, progress=False), load_cohort(root, progress=False)
    assert (
        len(builds) == 1
        and same(first, second)
        and isinstance(second.volume("TCGA_CS_4941").image, np.memmap)
    )
    with pytest.raises(ValueError, match="read-only"):
        second.volume("TCGA_CS_4941").image[0, 0, 0, 0] = 1


def test_missing_sequences_by_equality_over_the_whole_volume(root):
    image, _ = write_patient(root, FIRST)
    image[..., 0] = image[..., 1]
    image[..., 2] = image[..., 1]
    image[7, 5, 5, 2] ^= 1  # one pixel differs: recorded after all
    for k in range(1, 13):
        save(root / FIRST / f"{FIRST}_{k}.tif", image[k - 1])
    cohort = load_cohort(root, progress=False)
    assert cohort.volume("TCGA_CS_4941").missing == ("pre",)
    assert cohort.summary.pre_missing.tolist() == [True, False]
    assert cohort.summary.post_missing.tolist() == [False, False]


def test_an_interrupted_build_leaves_nothing_and_can_be_repeated(root, monkeypatch):
    read, calls = array_cache.read_image, iter(range(100))

    def interrupt(path):
        if next(calls) == 8:
            raise KeyboardInterrupt
        return read(path)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(array_cache, "read_image", interrupt)
        load_cohort(root, progress=False)
    assert list((root.parents[1] / "cache" / "packed").iterdir()) == []
    image, _ = write_patient(root.parent / "again", FIRST)
    assert np.array_equal(load_cohort(root, progress=False).volume("TCGA_CS_4941").image, image)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_killed_build_is_never_used_and_can_be_cleared(root):
    code = (
        "import os, signal, sys\nfrom lggseg.data import array_cache, cohort\n"
        "read, calls = array_cache.read_image, iter(range(100))\n"
        "kill = lambda: os.kill(os.getpid(), signal.SIGKILL)\n"
        "array_cache.read_image = lambda path: kill() if next(calls) == 8 else read(path)\n"
        "cohort.load_cohort(cohort.Path(sys.argv[1]))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(root)]).returncode == -signal.SIGKILL
    packed = root.parents[1] / "cache" / "packed"
    assert [path.name.startswith(".building-") for path in packed.iterdir()] == [True]
    image, _ = write_patient(root.parent / "again", FIRST)
    cohort = load_cohort(root, progress=False)
    assert np.array_equal(cohort.volume("TCGA_CS_4941").image, image)
    assert len(list(packed.iterdir())) == 2
    clear(packed.parent)
    assert list(packed.iterdir()) == []


def test_a_changed_file_is_noticed(root):
    before = load_cohort(root, progress=False)
    path = root / FIRST / f"{FIRST}_4_mask.tif"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    save(path, np.full((16, 20), 255, np.uint8) * (np.arange(20) < 10).astype(np.uint8))
    os.utime(path, ns=times)  # same name, same size, same time: only the change time tells
    after = load_cohort(root, progress=False)
    assert (
        after.slices.tumour_pixels[3] == 160 and before.volume("TCGA_CS_4941").mask[3].sum() == 16
    )


def test_a_touched_removed_or_moved_file_gets_another_pack(root):
    seen = [fingerprint(load_cohort(root, progress=False))]
    os.utime(root / FIRST / f"{FIRST}_4.tif", (1, 1))
    seen.append(fingerprint(load_cohort(root, progress=False)))
    [(root / FIRST / f"{FIRST}_12{end}.tif").unlink() for end in ("", "_mask")]
    seen.append(fingerprint(load_cohort(root, progress=False)))
    seen.append(fingerprint(load_cohort(root.rename(root.parent / "other"), progress=False)))
    assert len(set(seen)) == 4


def test_two_builds_at_once(root, monkeypatch):
    write_array_cache, others = array_cache.write_array_cache, []

    def overtaken(found, work, progress):
        write_array_cache(found, work, progress)
        monkeypatch.setattr(array_cache, "write_array_cache", write_array_cache)
        # Another process finishes the same pack first.
        others.append(load_cohort(root, progress=False))

    monkeypatch.setattr(array_cache, "write_array_cache", overtaken)
    cohort = load_cohort(root, progress=False)
    assert same(cohort, others[0]) and len(list(cohort.arrays.folder.parent.iterdir())) == 1


def test_two_processes_at_once(root):
    code = (
        "import sys\nfrom lggseg.data.cohort import Path, load_cohort\n"
        "cohort = load_cohort(Path(sys.argv[1]), progress=False)\n"
        "print(sum(int(cohort.volume(patient).image.sum()) for patient in cohort.patients))"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    printed = {run.communicate()[0].decode() for run in runs}
    assert printed == {f"{sum(int(image.sum()) for image, _ in load_volumes(root))}\n"}
    assert len(list((root.parents[1] / "cache" / "packed").iterdir())) == 1


class SlowFile:
    """Gives other threads time between going to a place and writing there."""

    def __init__(self, file):
        self.file, self.write, self.close = file, file.write, file.close

    def seek(self, place):
        self.file.seek(place)
        time.sleep(0.01)


def test_pieces_written_at_once_land_at_their_places(tmp_path):
    rows = np.random.default_rng(0).integers(0, 256, (8, 50), dtype=np.uint8)
    with (
        array_cache.ArrayFile(tmp_path / "rows.npy", np.uint8, rows.shape) as file,
        ThreadPoolExecutor(8) as pool,
    ):
        file.file = SlowFile(file.file)
        list(pool.map(lambda i: file.write(i, rows[i : i + 1]), range(8)))
    assert np.array_equal(np.load(tmp_path / "rows.npy"), rows)


@pytest.mark.skipif(os.name == "nt", reason="no limit of file sizes on Windows")
def test_a_disk_that_fills_up_while_packing(root):
    code = (
        "import resource, sys\nfrom lggseg.data.cohort import LggError, Path, load_cohort\n"
        # More raises OSError, as a full disk does.
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
        "try:\n    load_cohort(Path(sys.argv[1]), progress=False)\n"
        "except LggError as error:\n    print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True)
    assert (
        "cannot be written" in run.stdout and "LGGSEG_CACHE" in run.stdout and run.returncode == 0
    ), run.stderr
    assert list((root.parents[1] / "cache" / "packed").iterdir()) == []


def test_no_room_or_no_right_to_write(root, tmp_path, monkeypatch):
    with (
        monkeypatch.context() as patch,
        pytest.raises(LggError, match="make room or set LGGSEG_CACHE"),
    ):
        patch.setattr(shutil, "disk_usage", lambda _: types.SimpleNamespace(free=100))
        load_cohort(root, progress=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("LGGSEG_CACHE", str(tmp_path / "file"))
    with pytest.raises(LggError, match="the cache .*file cannot be written.*LGGSEG_CACHE"):
        load_cohort(root, progress=False)


def test_the_progress_bar_leaves_no_trace(root, capsys):
    open_cohort(root)
    out, err = capsys.readouterr()
    assert err == "" and "packing patients" in out
    assert out.rsplit("\r", 1)[1] == "LGG MRI cohort, 2 patients, 16 slices\n"


@pytest.mark.parametrize("spoil", [lambda mask: 255 - mask, lambda mask: np.full_like(mask, 255)])
def test_a_mask_that_is_inverted_or_filled_is_refused(root, spoil):
    path = root / FIRST / f"{FIRST}_4_mask.tif"
    save(path, spoil(np.asarray(Image.open(path))))
    with pytest.raises(LggError, match=f"{FIRST}_4_mask.tif.*more than half.*inverted"):
        load_volumes(root)


def test_a_pack_of_an_earlier_format_is_not_looked_at(root, monkeypatch):
    """It may hold what would be refused today."""
    with monkeypatch.context() as earlier:
        earlier.setattr(array_cache, "FORMAT", array_cache.FORMAT - 1)
        old = load_cohort(root, progress=False)
    assert load_cohort(root, progress=False).arrays.folder != old.arrays.folder
