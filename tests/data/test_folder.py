"""Files as they lie: names, pairs and pixels, and what breaks the rules."""

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from small_cohort import FIRST, save, write_patient

from lggseg.data import folder
from lggseg.data.cohort import load_cohort
from lggseg.errors import LggError


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
    assert np.array_equal(folder.read_image(tmp_path / "image.tif"), tifffile.imread(tmp_path / "image.tif"))
    assert np.array_equal(folder.read_mask(tmp_path / "mask.tif"), tifffile.imread(tmp_path / "mask.tif") == 255)


def test_masks_of_zeros_and_ones(root):
    before = load_cohort(root, progress=False).slices.tumour_pixels.tolist()
    for path in root.glob("*/*_mask.tif"):
        save(path, np.asarray(Image.open(path)) // 255)
    assert load_cohort(root, progress=False).slices.tumour_pixels.tolist() == before


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
