"""The phantom cohort's files: the real layout, the same bytes from the same seed,
whole or not at all.
"""

import doctest
import hashlib
import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from skimage.io import imread

from lggseg.errors import LggError
from lggseg.phantom import cohort, table, tissue, write_phantom_cohort
from lggseg.phantom.scanning import draw_masks
from lggseg.phantom.table import COLUMNS, plan_cohort


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_phantom_cohort(
        tmp_path_factory.mktemp("small"), patients=4, seed=3, progress=False
    )


def volumes(root):
    """(folder's name, images (D,256,256,3), masks (D,256,256)) of every patient,
    slices in numeric order.
    """
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        names = [f"{folder.name}_{k}" for k in range(1, len(list(folder.iterdir())) // 2 + 1)]
        yield (
            folder.name,
            np.stack([imread(folder / f"{name}.tif") for name in names]),
            np.stack([imread(folder / f"{name}_mask.tif") for name in names]),
        )


def digest(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_layout(small):
    folders = [path for path in small.iterdir() if path.is_dir()]
    assert small.name == "kaggle_3m" and len(folders) == 4
    assert sorted(p.name for p in small.iterdir() if p.is_file()) == [
        "PHANTOM.txt",
        "README.md",
        "data.csv",
    ]
    for folder in folders:
        assert re.fullmatch(r"TCGA_(CS|DU|EZ|FG|HT)_P\d{3}_(199|200)\d[01]\d[0-3]\d", folder.name)
        count = len(list(folder.glob("*_mask.tif")))
        slices = {
            f"{folder.name}_{k}{end}.tif" for k in range(1, count + 1) for end in ("", "_mask")
        }
        assert {path.name for path in folder.iterdir()} == slices and 15 <= count <= 28
    # Nothing temporary is left.
    assert [path.name for path in small.parent.iterdir()] == ["kaggle_3m"]


def test_pixels(small):
    for _, image, mask in volumes(small):
        assert image.shape[1:] == (256, 256, 3) and image.dtype == np.uint8
        assert mask.shape == image.shape[:3] and set(np.unique(mask)) == {0, 255}
        assert image.max() > 120 and np.median(image[:, :8]) < 25  # a head in dark air
        rows = np.flatnonzero((mask > 0).any((1, 2)))
        assert (
            len(rows) >= 2
            and (np.diff(rows) >= 1).all()
            and rows[0] > 0
            and rows[-1] < len(mask) - 1
        )


def test_the_drawing_is_that_of_its_version(small):
    """Who changes what is drawn raises PHANTOM_VERSION, or old caches pass for new:
    these numbers notice.
    """
    found = {
        name: (len(mask), *image.mean((0, 1, 2)), np.count_nonzero(mask))
        for name, image, mask in volumes(small)
    }
    assert cohort.PHANTOM_VERSION == "6" and found == {
        name: pytest.approx(numbers, rel=1e-3)
        for name, numbers in {
            "TCGA_HT_P001_20000513": (16, 32.180, 31.324, 36.370, 16009),
            "TCGA_CS_P002_20061106": (20, 35.356, 34.674, 41.351, 28677),
            "TCGA_FG_P003_20061013": (22, 27.409, 27.409, 27.409, 34589),  # both T1 are missing
            "TCGA_DU_P004_19940125": (21, 27.885, 26.145, 32.022, 3927),
        }.items()
    }


def test_a_tumour_continues_from_slice_to_slice(small):
    for _, _, mask in volumes(small):
        rows = np.flatnonzero((mask > 0).any((1, 2)))
        overlap = [(mask[a] & mask[b]).any() for a, b in pairwise(rows)]
        assert np.mean(overlap) > 0.7


def test_masks_alone_are_the_masks_written(small):
    plan, _ = plan_cohort(4, 3)
    for name, _, mask in volumes(small):
        patient = next(patient for patient in plan if patient.folder == name)
        assert ((mask > 0) == draw_masks(patient)).all()


def test_the_table_on_disk(small):
    text = (small / "data.csv").read_text()
    table = pd.read_csv(small / "data.csv")
    assert tuple(table.columns) == COLUMNS and ".0" not in text
    assert set(table["Patient"]) == {
        path.name.rpartition("_")[0] for path in small.iterdir() if path.is_dir()
    }
    assert table["Patient"].is_monotonic_increasing


def test_same_seed_same_bytes(small, tmp_path):
    again = write_phantom_cohort(tmp_path / "again", patients=4, seed=3, progress=False)
    assert digest(again) == digest(small)
    other = write_phantom_cohort(tmp_path / "other", patients=2, seed=4, progress=False)
    images = [
        {
            code
            for path, code in digest(root).items()
            if re.search(r"_\d+\.tif$", path) and "mask" not in path
        }
        for root in (small, other)
    ]
    assert images[0] and images[1] and not images[0] & images[1]


def test_size(small):
    files = [path for path in small.rglob("*") if path.is_file()]
    per_slice = sum(path.stat().st_size for path in files) / (len(files) / 2)
    assert per_slice * 1300 < 250e6  # 60 patients have about 1,220 slices


def test_an_identical_cohort_is_kept_and_any_other_refused(small):
    before = (small / "data.csv").stat().st_mtime_ns
    assert write_phantom_cohort(small.parent, patients=4, seed=3, progress=False) == small
    assert (small / "data.csv").stat().st_mtime_ns == before
    with pytest.raises(LggError, match="is not the phantom cohort asked for"):
        write_phantom_cohort(small.parent, patients=4, seed=4, progress=False)


def test_all_or_nothing(tmp_path, monkeypatch):
    whole = cohort.write_patient

    def fails_in_the_middle(root, patient):
        whole(root, patient)
        if patient.key[1] == 2:
            raise OSError("disk full")

    monkeypatch.setattr(cohort, "write_patient", fails_in_the_middle)
    with pytest.raises(LggError, match="cannot be written .disk full.; make room"):
        write_phantom_cohort(tmp_path, patients=3, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LggError, match="file cannot be written"):
        write_phantom_cohort(tmp_path / "file", patients=2, progress=False)


def test_two_writers_at_once(tmp_path, monkeypatch):
    fill = cohort._fill

    def overtaken(folder, *rest):
        fill(folder, *rest)
        monkeypatch.setattr(cohort, "_fill", fill)
        write_phantom_cohort(tmp_path, patients=2, progress=False)

    monkeypatch.setattr(cohort, "_fill", overtaken)
    assert write_phantom_cohort(tmp_path, patients=2, progress=False) == tmp_path / "kaggle_3m"
    assert [path.name for path in tmp_path.iterdir()] == ["kaggle_3m"]


def test_bad_arguments_leave_nothing_behind(tmp_path):
    with pytest.raises(LggError, match="must be a whole number"):
        write_phantom_cohort(tmp_path / "none", patients=1)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("module", [cohort, table, tissue])
def test_examples_in_docstrings_print_what_they_say(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testmod(module)
    assert tried > 0 and failed == 0
