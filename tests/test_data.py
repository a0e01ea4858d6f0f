"""The cohort: reading a folder as it really is, packing it safely, splits, slices for training."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import types
from itertools import chain

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from PIL import Image

from lggseg import data, pack
from lggseg.data import (
    CLUSTERS,
    SliceDataset,
    download_cohort,
    fold_patients,
    load_cohort,
    open_cohort,
    read_clinical,
    split_patients,
)
from lggseg.errors import LggError
from lggseg.transforms import Recipe, head_stats

HEADER = ",".join(["Patient", *CLUSTERS, *data.CODEBOOK])
FIRST, SECOND = "TCGA_CS_4941_19960909", "TCGA_HT_A61B_19991127"


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def write_patient(root, folder, depth=12, size=(16, 20), seed=0):
    """A folder of noise with a square tumour of k pixels' side on slice k = 3 and 4; returns image and mask."""
    image = np.random.default_rng(seed).integers(0, 256, (depth, *size, 3), dtype=np.uint8)
    mask = np.zeros((depth, *size), bool)
    for k in (3, 4):
        mask[k - 1, :k, :k] = True
    for k in range(1, depth + 1):
        save(root / folder / f"{folder}_{k}.tif", image[k - 1])
        save(root / folder / f"{folder}_{k}_mask.tif", mask[k - 1].astype(np.uint8) * 255)
    return image, mask


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A cohort of two patients, 12 and 4 slices of 16 x 20 pixels, in the real layout; its own cache."""
    monkeypatch.setenv("LGGSEG_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "archive" / "kaggle_3m"
    write_patient(root, FIRST)
    write_patient(root, SECOND, depth=4, seed=1)
    (root / "README.md").write_text("LGG Segmentation Dataset\n")
    (root / "data.csv").write_text(
        f"{HEADER}\nTCGA_CS_4941,2,4,2,2,,3,2,1,2,1,3,2,2,67,3,2,1\nTCGA_HT_A61B,1.0,5,2,1,1,2,1,,,,,,,,,,\n")
    return root


def test_cohort_as_written(root, capsys):
    cohort = open_cohort(root, progress=False)
    assert capsys.readouterr().out == "LGG MRI cohort, 2 patients, 16 slices\n"
    assert cohort.kind == "kaggle" and cohort.patients == ["TCGA_CS_4941", "TCGA_HT_A61B"]
    for patient, folder, depth, seed in (("TCGA_CS_4941", FIRST, 12, 0), ("TCGA_HT_A61B", SECOND, 4, 1)):
        image, mask = write_patient(root / "again", folder, depth, seed=seed)
        volume = cohort.volume(patient)
        assert volume.image.dtype == np.uint8 and np.array_equal(volume.image, image)
        assert volume.mask.dtype == bool and np.array_equal(volume.mask, mask)
        assert volume.patient == patient and volume.missing == ()
    assert cohort.summary.loc["TCGA_CS_4941"].tolist() == ["CS", 12, 2, 25, False, False]


def test_an_id_that_begins_another_id(root):
    image, mask = write_patient(root, "TCGA_CS_494_20000101", depth=5, seed=2)  # before 4941 by id, after it by folder
    volume = load_cohort(root, progress=False).volume("TCGA_CS_494")
    assert np.array_equal(volume.image, image) and np.array_equal(volume.mask, mask)


def test_slices_are_in_numeric_order(root):
    slices = load_cohort(root, progress=False).slices
    first = slices[slices.patient == "TCGA_CS_4941"]
    assert list(slices.columns) == ["patient", "site", "k", "image", "mask", "tumour_pixels"]
    assert first.k.tolist() == list(range(1, 13)) and slices.index.equals(pd.RangeIndex(16))
    assert sorted(first.image) != first.image.tolist()  # text order would be 1, 10, 11, 12, 2
    assert first.tumour_pixels.tolist() == [0, 0, 9, 16] + 8 * [0]
    assert first.image[9] == f"{FIRST}/{FIRST}_10.tif" and first["mask"][9] == f"{FIRST}/{FIRST}_10_mask.tif"


@pytest.mark.parametrize("compression", ["raw", "tiff_deflate"])
def test_pixels_equal_those_of_tifffile(tmp_path, compression):
    image, mask = write_patient(tmp_path / "made", FIRST)
    save(tmp_path / "image.tif", image[0], compression=compression)
    save(tmp_path / "mask.tif", mask[2].astype(np.uint8) * 255, compression=compression)
    assert np.array_equal(pack.read_image(tmp_path / "image.tif"), tifffile.imread(tmp_path / "image.tif"))
    assert np.array_equal(pack.read_mask(tmp_path / "mask.tif"), tifffile.imread(tmp_path / "mask.tif") == 255)


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


def test_masks_of_zeros_and_ones(root):
    before = load_cohort(root, progress=False).slices.tumour_pixels.tolist()
    for path in root.glob("*/*_mask.tif"):
        save(path, np.asarray(Image.open(path)) // 255)
    assert load_cohort(root, progress=False).slices.tumour_pixels.tolist() == before


# --- where the data is looked for ---

@pytest.mark.parametrize("inside", [".", "kaggle_3m", "lgg-mri-segmentation/kaggle_3m"])
def test_any_folder_above_the_patients_does(root, inside):
    root.parent.joinpath("moved").mkdir()
    place = root.parent / "moved" / inside
    shutil.move(root, place) if inside != "." else shutil.copytree(root, place, dirs_exist_ok=True)
    assert len(open_cohort(root.parent / "moved", progress=False).patients) == 2


def test_the_nested_duplicate_is_not_counted(root):
    shutil.copytree(root, root / "lgg-mri-segmentation" / "kaggle_3m")
    shutil.copytree(root, root.parent / "lgg-mri-segmentation" / "kaggle_3m")
    assert len(open_cohort(root, progress=False).slices) == len(open_cohort(root.parent, progress=False).slices) == 16


def test_path_before_variable_before_project_before_downloads(root, tmp_path, monkeypatch):
    def copy(place):
        return shutil.copytree(root, place, dirs_exist_ok=True)

    monkeypatch.setattr(data, "__file__", str(tmp_path / "project" / "lggseg" / "data.py"))
    monkeypatch.setattr(data, "write_phantom_cohort", lambda place, **_: copy(place / "kaggle_3m"))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("LGGSEG_DATA", raising=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert open_cohort(progress=False).root.is_relative_to(tmp_path / "cache" / "phantom")
    hub = tmp_path / "hub" / "datasets" / data.KAGGLE_SET
    old, new = copy(hub / "versions" / "9" / "kaggle_3m"), copy(hub / "versions" / "10" / "kaggle_3m")
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


def test_phantoms_say_so(phantom_cohort):
    assert phantom_cohort.kind == "phantom" and len(phantom_cohort.patients) == 8
    assert phantom_cohort.label == "PHANTOM cohort (synthetic), 8 patients"
    assert phantom_cohort.volume(phantom_cohort.patients[0]).image.shape[1:] == (256, 256, 3)


def test_download_through_kagglehub(root, tmp_path, monkeypatch):
    calls = []

    def dataset_download(handle):
        calls.append((handle, os.environ.get("KAGGLEHUB_CACHE")))
        return str(root.parent)

    monkeypatch.setitem(sys.modules, "kagglehub", types.SimpleNamespace(dataset_download=dataset_download))
    monkeypatch.delenv("KAGGLEHUB_CACHE", raising=False)
    assert download_cohort() == root and download_cohort(tmp_path / "here") == root
    assert calls == [(data.KAGGLE_SET, None), (data.KAGGLE_SET, str(tmp_path / "here"))]
    assert "KAGGLEHUB_CACHE" not in os.environ
    [shutil.rmtree(folder) for folder in root.glob("TCGA*")]
    with pytest.raises(LggError, match="no patient folder"):
        download_cohort()
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(LggError, match="pip install kagglehub"):
        download_cohort()


# --- files that break the rules ---

def remove(path):
    path.unlink()


def smooth(path):
    save(path, np.arange(320, dtype=np.uint16).reshape(16, 20).astype(np.uint8))


def mixed(path):
    save(path, np.array([[0, 1, 255]], np.uint8))


def deeper(path):
    save(path, np.zeros((16, 20), np.uint16))


def coloured(path):
    save(path, np.zeros((16, 20, 3), np.uint8))


def flat(path):
    save(path, np.zeros((16, 20), np.uint8))


def wider(path):
    save(path, np.zeros((16, 21, 3) if "mask" not in path.name else (16, 21), np.uint8))


def truncated(path):
    path.write_bytes(path.read_bytes()[:300])


def emptied(path):
    path.write_bytes(b"")


@pytest.mark.parametrize(("name", "spoil", "rule"), [
    ("5_mask", remove, "5_mask.tif is missing.*needs an image and a mask"), ("5", remove, "5.tif is missing"),
    ("12", remove, "12.tif is missing"), ("1_mask", smooth, "holds 0 and 255"), ("2_mask", mixed, "0, 1, 255"),
    ("2_mask", deeper, "uint16"), ("2_mask", coloured, "one channel"), ("3", flat, "pre-contrast, FLAIR"),
    ("3", wider, r"3.tif is \(16, 21, 3\)"), ("3_mask", wider, r"3_mask.tif is \(16, 21\)"),
    ("4", truncated, "4.tif cannot be read"), ("4_mask", emptied, "4_mask.tif cannot be read"),
    ("6", lambda path: path.rename(path.with_name(f"{FIRST}_06.tif")), "06.tif: a slice is called"),
    ("6", lambda path: path.rename(path.with_name("other_6.tif")), "other_6.tif: a slice is called"),
    ("6", lambda path: path.parent.rename(path.parent.with_name(f"{FIRST} copy")), "19960909 copy.*rename it"),
    ("6", lambda path: write_patient(path.parents[1], "TCGA_CS_4941"), "are the same patient"),
    ("6", lambda path: path.parent.with_name("TCGA_DU_1111_20000101").mkdir(), "TCGA_DU_1111_20000101: no slice"),
])
def test_refusals_name_file_and_rule(root, name, spoil, rule):
    spoil(root / FIRST / f"{FIRST}_{name}.tif")
    with pytest.raises(LggError, match=rule):
        load_cohort(root, progress=False)
    assert list((root.parents[1] / "cache").glob("packed/*")) == []  # and nothing is left behind


def test_files_of_the_operating_system_are_overlooked(root):
    for name in (".DS_Store", f"._{FIRST}_1.tif", "Thumbs.db"):
        (root / FIRST / name).write_bytes(b"x")
    (root / ".ipynb_checkpoints").mkdir()
    assert len(load_cohort(root, progress=False).slices) == 16


def test_unknown_patients_get_a_hint(root):
    cohort = load_cohort(root, progress=False)
    with pytest.raises(LggError, match="'TCGA_CS_4941_19960909'.*has no date, such as TCGA_CS_4941"):
        cohort.volume(FIRST)
    with pytest.raises(LggError, match="such as TCGA_CS_4941"):
        cohort.volume("nobody")


# --- the packed cache ---

def fingerprint(cohort):
    return cohort.pack.folder.name


def spy_on_builds(monkeypatch):
    builds, write_pack = [], pack.write_pack
    monkeypatch.setattr(pack, "write_pack", lambda *args: [builds.append(args), write_pack(*args)])
    return builds


def same(a, b):
    pairs = [(a.volume(patient), b.volume(patient)) for patient in chain(a.patients, b.patients)]
    return all(np.array_equal(u.image, v.image) and np.array_equal(u.mask, v.mask) for u, v in pairs)


def test_packed_once(root, monkeypatch):
    builds = spy_on_builds(monkeypatch)
    first, second = load_cohort(root, progress=False), load_cohort(root, progress=False)
    assert len(builds) == 1 and same(first, second) and isinstance(second.volume("TCGA_CS_4941").image, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        second.volume("TCGA_CS_4941").image[0, 0, 0, 0] = 1


def test_an_interrupted_build_leaves_nothing_and_can_be_repeated(root, monkeypatch):
    read, calls = pack.read_image, iter(range(100))

    def interrupt(path):
        if next(calls) == 8:
            raise KeyboardInterrupt
        return read(path)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pack, "read_image", interrupt)
        load_cohort(root, progress=False)
    assert list((root.parents[1] / "cache" / "packed").iterdir()) == []
    image, _ = write_patient(root.parent / "again", FIRST)
    assert np.array_equal(load_cohort(root, progress=False).volume("TCGA_CS_4941").image, image)


def test_a_killed_build_is_never_used_and_cleared_later(root, monkeypatch):
    code = ("import os, signal, sys\nfrom lggseg import data, pack\nread, calls = pack.read_image, iter(range(100))\n"
            "pack.read_image = lambda path: os.kill(os.getpid(), signal.SIGKILL) if next(calls) == 8 else read(path)\n"
            "data.load_cohort(data.Path(sys.argv[1]))")
    assert subprocess.run([sys.executable, "-c", code, str(root)]).returncode == -signal.SIGKILL
    packed = root.parents[1] / "cache" / "packed"
    assert [path.name.startswith(".building-") for path in packed.iterdir()] == [True]
    image, _ = write_patient(root.parent / "again", FIRST)
    cohort = load_cohort(root, progress=False)
    assert np.array_equal(cohort.volume("TCGA_CS_4941").image, image)
    assert len(list(packed.iterdir())) == 2  # the dead build might be a live one: it stays for an hour
    old = next(packed.glob(".building-*"))
    os.utime(old, (time.time() - 4000,) * 2)
    shutil.rmtree(cohort.pack.folder)
    load_cohort(root, progress=False)
    assert not old.exists()


@pytest.mark.parametrize("spoil", [
    lambda folder: (folder / "images.npy").write_bytes((folder / "images.npy").read_bytes()[:-1]),
    lambda folder: (folder / "masks.npy").unlink(),
    lambda folder: (folder / "index.json").unlink(),
    lambda folder: (folder / "index.json").write_text("{"),
    lambda folder: (folder / "index.json").write_text("[]"),
    lambda folder: (folder / "index.json").write_text((folder / "index.json").read_text().replace(folder.name, "0")),
])
def test_a_damaged_pack_is_rebuilt(root, monkeypatch, spoil):
    builds = spy_on_builds(monkeypatch)
    folder = load_cohort(root, progress=False).pack.folder
    spoil(folder)
    image, _ = write_patient(root.parent / "again", FIRST)
    cohort = load_cohort(root, progress=False)
    assert len(builds) == 2 and np.array_equal(cohort.volume("TCGA_CS_4941").image, image)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_changed_file_is_noticed(root):
    before = load_cohort(root, progress=False)
    path = root / FIRST / f"{FIRST}_4_mask.tif"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    save(path, np.full((16, 20), 255, np.uint8))
    os.utime(path, ns=times)  # same name, same size, same time: only the change time tells
    after = load_cohort(root, progress=False)
    assert after.slices.tumour_pixels[3] == 320 and before.volume("TCGA_CS_4941").mask[3].sum() == 16


def test_a_touched_removed_or_moved_file_gets_another_pack(root):
    seen = [fingerprint(load_cohort(root, progress=False))]
    os.utime(root / FIRST / f"{FIRST}_4.tif", (1, 1))
    seen.append(fingerprint(load_cohort(root, progress=False)))
    [(root / FIRST / f"{FIRST}_12{end}.tif").unlink() for end in ("", "_mask")]
    seen.append(fingerprint(load_cohort(root, progress=False)))
    seen.append(fingerprint(load_cohort(root.rename(root.parent / "other"), progress=False)))
    assert len(set(seen)) == 4


def test_a_changed_table_is_read_anew(root):
    assert load_cohort(root, progress=False).clinical.age["TCGA_CS_4941"] == 67
    (root / "data.csv").write_text((root / "data.csv").read_text().replace(",67,", ",68,"))
    assert load_cohort(root, progress=False).clinical.age["TCGA_CS_4941"] == 68


def test_two_builds_at_once(root, monkeypatch):
    write_pack, others = pack.write_pack, []

    def overtaken(found, work, progress):
        write_pack(found, work, progress)
        monkeypatch.setattr(pack, "write_pack", write_pack)
        others.append(load_cohort(root, progress=False))  # another process finishes the same pack first

    monkeypatch.setattr(pack, "write_pack", overtaken)
    cohort = load_cohort(root, progress=False)
    assert same(cohort, others[0]) and len(list(cohort.pack.folder.parent.iterdir())) == 1


def test_no_room_or_no_right_to_write(root, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(LggError, match="make room or set LGGSEG_CACHE"):
        patch.setattr(shutil, "disk_usage", lambda _: types.SimpleNamespace(free=100))
        load_cohort(root, progress=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("LGGSEG_CACHE", str(tmp_path / "file"))
    with pytest.raises(LggError, match="the cache cannot be written"):
        load_cohort(root, progress=False)


def test_the_progress_bar_leaves_no_trace(root, capsys):
    open_cohort(root)
    out, err = capsys.readouterr()
    assert err == "" and "packing patients" in out
    assert out.rsplit("\r", 1)[1] == "LGG MRI cohort, 2 patients, 16 slices\n"


# --- clinical table ---

def test_codes_become_words(root):
    clinical, clusters = read_clinical(root / "data.csv")
    assert clinical.loc["TCGA_CS_4941"].tolist() == [
        "astrocytoma", "G3", "central nervous system", "right", "frontal", "male", 67, "white", "not hispanic", "yes"]
    assert clinical.loc["TCGA_HT_A61B"].isna().all()
    assert clusters.columns.tolist() == list(CLUSTERS) and (clusters.dtypes == "Int64").all()
    assert clusters.loc["TCGA_HT_A61B"].tolist() == [1, 5, 2, 1, 1, 2, 1]
    assert clusters.RPPACluster["TCGA_CS_4941"] is pd.NA


def test_tables_follow_the_patients(root):
    (root / "data.csv").write_text(f"{HEADER}\nTCGA_ZZ_9999{17 * ','}\nTCGA_HT_A61B,1{16 * ','}\n")
    cohort = load_cohort(root, progress=False)
    assert cohort.clinical.index.tolist() == cohort.clusters.index.tolist() == cohort.patients
    assert cohort.clusters.RNASeqCluster.isna().tolist() == [True, False]


@pytest.mark.parametrize(("old", "new", "rule"), [
    (",67,", ",old,", "age_at_initial_pathologic of TCGA_CS_4941 is 'old'"), ("1.0", "1.5", "RNASeqCluster.*'1.5'"),
    ("2,2,67", "3,2,67", "tumor_location of TCGA_CS_4941 is 3; known codes"), ("laterality", "side", "laterality"),
    ("Patient", "Name", "a column Patient"), ("TCGA_HT_A61B", "TCGA_CS_4941", "TCGA_CS_4941 twice"),
])
def test_refusals_of_the_table(root, old, new, rule):
    (root / "data.csv").write_text((root / "data.csv").read_text().replace(old, new, 1))
    with pytest.raises(LggError, match=rule):
        read_clinical(root / "data.csv")


def test_a_cohort_needs_its_table(root):
    (root / "data.csv").unlink()
    with pytest.raises(LggError, match="data.csv"):
        load_cohort(root, progress=False)


# --- splits ---

def made_up(**sites):
    return [f"TCGA_{site}_{i:04d}" for site, n in sites.items() for i in range(n)]


COHORT = made_up(DU=45, HT=34, CS=16, FG=14, EZ=1)


def shares(patients):
    return {site: sum(patient.startswith(f"TCGA_{site}") for patient in patients) for site in ("DU", "HT", "CS", "FG")}


def test_split_is_a_partition_in_proportion():
    train, valid = split_patients(COHORT)
    assert sorted(train + valid) == sorted(COHORT) and (len(train), len(valid)) == (88, 22)
    assert train == sorted(train) and valid == sorted(valid)
    for site, n in shares(valid).items():
        assert abs(n - 0.2 * shares(COHORT)[site]) <= 1.5, site


def test_split_depends_on_seed_and_not_on_order():
    assert split_patients(COHORT, seed=3) == split_patients(COHORT[::-1], seed=3) == split_patients(set(COHORT), seed=3)
    assert len({tuple(split_patients(COHORT, seed=seed)[1]) for seed in range(20)}) == 20


def test_three_parts_and_one_site():
    parts = split_patients(made_up(DU=20), (0.5, 0.25, 0.25))
    assert [len(part) for part in parts] == [10, 5, 5] and len(set(chain(*parts))) == 20


def test_every_patient_is_held_out_equally_often():
    held_out = pd.Series(chain(*(split_patients(COHORT, seed=seed)[1] for seed in range(300)))).value_counts() / 300
    assert len(held_out) == 110 and held_out.min() > 0.1 and held_out.max() < 0.3  # binomial sd 0.023 around 0.2


@pytest.mark.parametrize("folds", [2, 5, 10])
def test_folds_hold_out_every_patient_once(folds):
    parts = fold_patients(COHORT, folds)
    assert sorted(chain(*parts)) == sorted(COHORT) and len(parts) == folds
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    for part in parts:
        assert abs(shares(part)["DU"] - 45 / folds) <= 1.5


@pytest.mark.parametrize(("patients", "fractions", "rule"), [
    (made_up(CS=2), (0.8, 0.2), "too few"), ([], (0.5, 0.5), "too few"), (made_up(CS=9), (0.8, 0.3), "sum to 1"),
    (made_up(CS=9), (1.0, 0.0), "positive"), (2 * made_up(CS=5), (0.8, 0.2), "twice"),
])
def test_refusals_of_splits(patients, fractions, rule):
    with pytest.raises(LggError, match=rule):
        split_patients(patients, fractions)


def test_refusals_of_folds():
    with pytest.raises(LggError, match="at least 2"):
        fold_patients(COHORT, 1)
    with pytest.raises(LggError, match="too few"):
        fold_patients(made_up(CS=3), 5)


# --- slices for training ---

def test_slices_shapes_types_and_scale(phantom_cohort):
    dataset = SliceDataset(phantom_cohort, phantom_cohort.patients[:2], Recipe(size=64))
    image, mask = dataset[5]
    assert (image.shape, image.dtype) == ((3, 64, 64), torch.float32)
    assert (mask.shape, mask.dtype) == ((1, 64, 64), torch.float32)
    assert len(dataset) == phantom_cohort.summary.slices.iloc[:2].sum() == len(dataset.rows) == len(dataset.has_tumour)
    tumour = torch.stack([mask for _, mask in dataset]).flatten(1)
    assert set(tumour.unique().tolist()) == {0.0, 1.0} and not tumour[~dataset.has_tumour].any()
    pixels = torch.stack([image for image, _ in dataset])
    assert -5 < pixels.min() < 0 and 1 < pixels.max() < 20


def test_full_size_slices_are_z_scores_of_the_volume(phantom_cohort):
    patient = phantom_cohort.patients[1]
    volume, dataset = phantom_cohort.volume(patient), SliceDataset(phantom_cohort, [patient], Recipe(size=256))
    d = int(volume.mask.sum(axis=(1, 2)).argmax())
    stats = head_stats(volume.image)
    image, mask = dataset[d]
    expected = (volume.image[d].astype(np.float64) - stats.centre) / stats.spread
    np.testing.assert_allclose(image.permute(1, 2, 0).numpy(), expected, atol=1e-4)
    assert np.array_equal(mask[0].numpy() == 1, volume.mask[d])


def test_shrunken_mask_keeps_the_tumour_share(phantom_cohort):
    dataset = SliceDataset(phantom_cohort, phantom_cohort.patients[:3], Recipe(size=128), tumour_only=True)
    assert dataset.has_tumour.all() and (dataset.rows.tumour_pixels > 0).all()
    shrunken = sum(float(mask.mean()) for _, mask in dataset)
    assert shrunken == pytest.approx((dataset.rows.tumour_pixels / 256**2).sum(), rel=0.05)


def test_soft_masks_hold_the_share_of_each_pixel(phantom_cohort):
    patients = phantom_cohort.patients[:1]
    hard, soft = (SliceDataset(phantom_cohort, patients, Recipe(size=128), soft=s) for s in (False, True))
    d = int(hard.rows.tumour_pixels.argmax())
    mask, share = hard[d][1], soft[d][1]
    assert torch.equal(mask, (share >= 0.5).float()) and 0 < ((share > 0) & (share < 1)).float().mean() < 0.1
    assert share.mean() == pytest.approx(hard.rows.tumour_pixels[d] / 256**2, rel=0.01)


def test_context_slices_are_the_neighbours(phantom_cohort):
    patient = phantom_cohort.patients[0]
    single = SliceDataset(phantom_cohort, [patient], Recipe(size=32))
    context = SliceDataset(phantom_cohort, [patient], Recipe(size=32, context=1))
    last = len(single) - 1
    for d, neighbours in ((4, (3, 4, 5)), (0, (0, 0, 1)), (last, (last - 1, last, last))):
        assert torch.allclose(context[d][0], torch.cat([single[n][0] for n in neighbours]))
        assert torch.equal(context[d][1], single[d][1])


def test_augment_gets_the_pair(phantom_cohort):
    dataset = SliceDataset(phantom_cohort, phantom_cohort.patients[:1], Recipe(size=32), lambda a, b: (a + 100, 1 - b))
    plain = SliceDataset(phantom_cohort, phantom_cohort.patients[:1], Recipe(size=32))
    assert torch.equal(dataset[2][0], plain[2][0] + 100) and torch.equal(dataset[2][1], 1 - plain[2][1])


def test_pickle_is_small_and_works(phantom_cohort):
    dataset = SliceDataset(phantom_cohort, phantom_cohort.patients, Recipe(size=32))
    dataset[0]  # the memory map is open
    content = pickle.dumps(dataset)
    assert len(content) < 200_000
    assert all(torch.equal(a, b) for a, b in zip(pickle.loads(content)[3], dataset[3], strict=True))


def test_refusals_of_slices(phantom_cohort):
    with pytest.raises(LggError, match="no patient 'TCGA_XX_1'"):
        SliceDataset(phantom_cohort, ["TCGA_XX_1"])
    with pytest.raises(LggError, match="no slice"):
        SliceDataset(phantom_cohort, [])


# --- the real patients ---

PRE_MISSING = {"DU_7013", "FG_A60K", "HT_7877", "HT_8105", "HT_A616", "HT_A61B"}
POST_MISSING = PRE_MISSING | {"DU_6407", "DU_7301", "DU_8165", "FG_7634"}


def short(patients):
    return {patient.removeprefix("TCGA_") for patient in patients}


@pytest.mark.real
def test_real_missing_sequences(real_cohort):
    summary = real_cohort.summary
    assert short(summary.index[summary.pre_missing]) == PRE_MISSING & short(summary.index)
    assert short(summary.index[summary.post_missing]) == POST_MISSING & short(summary.index)
    for patient in real_cohort.patients:
        assert ("post" in real_cohort.volume(patient).missing) == (patient.removeprefix("TCGA_") in POST_MISSING)


@pytest.mark.real
def test_real_counts(real_cohort):
    summary = real_cohort.summary
    found = (len(real_cohort.slices), summary.tumour_slices.sum())
    known = {60: (2202, 772), 110: (3929, 1373)}
    assert found == known.get(len(summary), found)
    assert len(summary) != 60 or summary.tumour_voxels.sum() == 1_493_070
    assert summary.slices.between(20, 88).all() and real_cohort.kind == "kaggle"


@pytest.mark.real
def test_real_tables(real_cohort):
    clinical, clusters = read_clinical(real_cohort.root / "data.csv")
    assert len(clinical) == 110 and clusters.isna().sum().tolist() == [18, 1, 0, 2, 12, 5, 0]
    assert clinical.loc["TCGA_HT_A61B"].isna().all() and clinical.ethnicity.isna().sum() == 8
    assert clinical.loc["TCGA_CS_4941"].tolist()[:5] == [
        "astrocytoma", "G3", "central nervous system", "right", "frontal"]
