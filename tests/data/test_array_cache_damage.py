"""Damaged array caches: no byte that changes in the cache reaches a picture."""

import pickle
import shutil
import zlib
from itertools import chain

import numpy as np
import pytest
from small_cohort import FIRST, load_volumes, spy_on_builds, write_patient

from lggseg.data import array_cache
from lggseg.data.cohort import load_cohort
from lggseg.errors import LggError


def change(path, old, new):
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "images.npy").write_bytes(
            (folder / "images.npy").read_bytes()[:-1]
        ),
        lambda folder: (folder / "masks.npy").unlink(),
        lambda folder: (folder / "index.json").unlink(),
        lambda folder: (folder / "index.json").write_text("{"),
        lambda folder: (folder / "index.json").write_text("[]"),
        lambda folder: (folder / "index.json").write_text(
            (folder / "index.json").read_text().replace(folder.name[2:], "")
        ),
        lambda folder: change(folder / "index.json", b"9, 16, 0", b"9, 15, 0"),  # tumour pixels
        lambda folder: change(folder / "images.npy", b"|u1", b"|i1"),
        lambda folder: change(folder / "images.npy", b"16, 16, 20, 3", b"16, 20, 16, 3"),
        lambda folder: change(folder / "masks.npy", b"|b1", b"|u1"),
        lambda folder: change(folder / "masks.npy", b"(16, 16", b"(15, 16"),
    ],
)
def test_a_damaged_cache_is_made_anew(root, monkeypatch, spoil):
    builds = spy_on_builds(monkeypatch)
    folder = load_cohort(root, progress=False).arrays.folder
    spoil(folder)
    image, _ = write_patient(root.parent / "again", FIRST)
    cohort = load_cohort(root, progress=False)
    assert len(builds) == 2 and np.array_equal(cohort.volume("TCGA_CS_4941").image, image)
    assert cohort.slices.tumour_pixels[3] == 16
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def flip(path, place, mask=1):
    """Change some bits of one byte, in the file itself."""
    with path.open("r+b") as file:
        file.seek(place)
        old = file.read(1)[0]
        file.seek(place)
        file.write(bytes([old ^ mask]))


HEADER = 128  # bytes before the pixels of an .npy file


@pytest.mark.parametrize(
    ("name", "place", "patient"),
    [
        ("images.npy", HEADER, "TCGA_CS_4941"),
        ("images.npy", HEADER + 12 * 960 - 1, "TCGA_CS_4941"),
        ("images.npy", HEADER + 12 * 960, "TCGA_HT_A61B"),
        ("images.npy", HEADER + 16 * 960 - 1, "TCGA_HT_A61B"),
        ("masks.npy", HEADER, "TCGA_CS_4941"),
        ("masks.npy", HEADER + 16 * 320 - 1, "TCGA_HT_A61B"),
    ],
)
def test_damaged_pixels_are_found_on_first_use(root, name, place, patient):
    folder, whole = load_cohort(root, progress=False).arrays.folder, load_volumes(root)
    flip(folder / name, place)
    cohort = load_cohort(root, progress=False)
    for other in set(cohort.patients) - {patient}:
        cohort.volume(other)
    for _ in range(2):  # the second time as well
        with pytest.raises(LggError, match=f"damaged: {patient} in .*open the cohort again"):
            cohort.volume(patient)
    del cohort  # Windows replaces nothing that is open
    for (image, mask), (expected, truth) in zip(load_volumes(root), whole, strict=True):
        assert np.array_equal(image, expected) and np.array_equal(mask, truth)


@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "index.json"])
def test_no_flipped_byte_gives_other_pixels(root, name):
    folder, whole, rng = (
        load_cohort(root, progress=False).arrays.folder,
        load_volumes(root),
        np.random.default_rng(0),
    )
    for place in rng.permutation(HEADER + 50)[:8]:
        flip(folder / name, place, int(rng.integers(1, 256)))
        try:
            volumes = load_volumes(root)
        except LggError:
            volumes = load_volumes(root)
        assert all(
            np.array_equal(a, b) for a, b in zip(chain(*volumes), chain(*whole), strict=True)
        ), place


def test_checksums_are_compared_once_in_a_process(root, monkeypatch):
    cohort, calls = load_cohort(root, progress=False), []
    monkeypatch.setattr(
        array_cache.zlib, "crc32", lambda data, crc32=zlib.crc32: calls.append(0) or crc32(data)
    )
    for _ in range(3):
        cohort.volume("TCGA_CS_4941")
    assert len(calls) == 2  # image and mask


def test_a_worker_finds_what_was_damaged_or_removed_since(root):
    cohort = load_cohort(root, progress=False)
    cohort.volume("TCGA_CS_4941")
    sent, folder = pickle.dumps(cohort.arrays), cohort.arrays.folder
    del cohort  # Windows removes nothing that is open
    flip(folder / "images.npy", HEADER)
    with pytest.raises(LggError, match="damaged"):
        pickle.loads(sent).volume("TCGA_CS_4941")
    shutil.rmtree(folder)
    with pytest.raises(LggError, match="damaged"):
        pickle.loads(sent).volume("TCGA_CS_4941")


def test_a_damaged_cache_that_a_program_holds_open(root, monkeypatch):
    """On Windows a folder whose files are open can be neither renamed nor removed."""
    folder = load_cohort(root, progress=False).arrays.folder
    (folder / "index.json").write_text("{}")

    def refuse(folder):
        raise PermissionError(13, "The process cannot access the file", str(folder))

    monkeypatch.setattr(array_cache, "remove", refuse)
    with pytest.raises(LggError, match="is damaged and in use.*close the notebooks"):
        load_cohort(root, progress=False)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
