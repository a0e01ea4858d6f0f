"""Files as they lie: names, pairs and pixels, and what breaks the rules."""

import os
import time
import tracemalloc

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
    assert (
        first.image[9] == f"{FIRST}/{FIRST}_10.tif"
        and first["mask"][9] == f"{FIRST}/{FIRST}_10_mask.tif"
    )


@pytest.mark.parametrize(
    "compression", ["raw", "tiff_deflate", "tiff_adobe_deflate", "tiff_lzw", "packbits"]
)
def test_pixels_are_those_that_pillow_wrote(tmp_path, compression):
    image, mask = write_patient(tmp_path / "made", FIRST)
    save(tmp_path / "image.tif", image[0], compression=compression)
    save(tmp_path / "mask.tif", mask[2].astype(np.uint8) * 255, compression=compression)
    save(tmp_path / "bits.tif", mask[2], compression=compression)
    assert np.array_equal(folder.read_image(tmp_path / "image.tif"), image[0])
    assert np.array_equal(folder.read_mask(tmp_path / "mask.tif"), mask[2])
    assert np.array_equal(folder.read_mask(tmp_path / "bits.tif"), mask[2])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib"},
        {"compression": "zlib", "rowsperstrip": 3},
        {"compression": "zlib", "predictor": True},
        {"byteorder": ">"},
        {"bigtiff": True},
        {"tile": (16, 16)},
        {"tile": (16, 16), "compression": "zlib"},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "compression": "zlib"},
    ],
    ids=str,
)
def test_pixels_are_those_that_tifffile_wrote(tmp_path, options):
    image, _ = write_patient(tmp_path / "made", FIRST, depth=4)
    stored = np.moveaxis(image[0], 2, 0) if "planarconfig" in options else image[0]
    tifffile.imwrite(tmp_path / "image.tif", stored, photometric="rgb", **options)
    assert np.array_equal(folder.read_image(tmp_path / "image.tif"), image[0])


def test_masks_of_zeros_and_ones(root):
    before = load_cohort(root, progress=False).slices.tumour_pixels.tolist()
    for path in root.glob("*/*_mask.tif"):
        save(path, np.asarray(Image.open(path)) // 255)
    assert load_cohort(root, progress=False).slices.tumour_pixels.tolist() == before


# --- pictures that are no slices: Pillow would return other pixels than the file holds ---

COLOURS = np.random.default_rng(0).integers(0, 256, (16, 20, 3), dtype=np.uint8)


def in_mode(mode):
    return lambda path: Image.fromarray(COLOURS).convert(mode).save(path)


def tiff(pixels, **options):
    return lambda path: tifffile.imwrite(path, pixels, **options)


def turned(path):
    Image.fromarray(COLOURS).save(path, tiffinfo={274: 6})


def as_png(path):
    Image.fromarray(COLOURS).save(path, "PNG")


def as_jpeg(path):
    Image.fromarray(COLOURS).save(path, "JPEG")


ODD_IMAGES = {
    "16-bit": (tiff(COLOURS.astype(np.uint16) * 16, photometric="rgb"), "BitsPerSample is 16"),
    "16-bit, deflated": (
        tiff(COLOURS.astype(np.uint16), photometric="rgb", compression="zlib"),
        "BitsPerSample is 16",
    ),
    "signed": (
        tiff(COLOURS.astype(np.int8), photometric="rgb"),
        "SampleFormat is 2|cannot be read",
    ),
    "float": (tiff(COLOURS.astype(np.float32), photometric="rgb"), "cannot be read"),
    "pages": (tiff(np.stack([COLOURS, COLOURS]), photometric="rgb"), "several pages"),
    "grey pages": (tiff(np.moveaxis(COLOURS, 2, 0), photometric="minisblack"), "several pages"),
    "palette": (in_mode("P"), "a palette"),
    "CMYK": (in_mode("CMYK"), "CMYK"),
    # As Pillow tells, from 13 on and before.
    "YCbCr": (in_mode("YCbCr"), "YCbCr|PhotometricInterpretation is 6"),
    "Lab": (in_mode("LAB"), "LAB"),
    "alpha": (in_mode("RGBA"), "alpha"),
    "grey": (in_mode("L"), "one channel"),
    "turned": (turned, "Orientation is 6"),
    "PNG": (as_png, "cannot be read"),
    "JPEG": (as_jpeg, "cannot be read"),
    "three greys": (
        tiff(COLOURS, photometric="minisblack", planarconfig="contig"),
        "cannot be read",
    ),
}


@pytest.mark.parametrize("name", ODD_IMAGES)
def test_no_image_is_read_as_something_else(tmp_path, name):
    write, rule = ODD_IMAGES[name]
    write(tmp_path / "image.tif")
    with pytest.raises(LggError, match=f"^image.tif .*({rule}).*pre-contrast, FLAIR"):
        folder.read_image(tmp_path / "image.tif")


GREY = np.where(COLOURS[..., 0] > 99, np.uint8(255), np.uint8(0))
ODD_MASKS = {
    "16-bit": (tiff(GREY.astype(np.uint16)), "16 bits"),
    "signed": (tiff(GREY.view(np.int8)), "SampleFormat is 2"),
    "float": (tiff(GREY.astype(np.float32)), "floating point"),
    "pages": (tiff(np.stack([GREY, GREY])), "several pages"),
    "white is zero": (tiff(GREY, photometric="miniswhite"), "PhotometricInterpretation is 0"),
    "palette": (lambda path: Image.fromarray(GREY).convert("P").save(path), "a palette"),
    "alpha": (lambda path: Image.fromarray(GREY).convert("LA").save(path), "alpha"),
    "colours": (tiff(COLOURS, photometric="rgb"), "three channels"),
    "a PNG's palette": (
        lambda path: Image.fromarray(GREY).convert("P").save(path, "PNG"),
        "a palette",
    ),
    "16-bit PNG": (
        lambda path: Image.fromarray(GREY.astype(np.uint16)).save(path, "PNG"),
        "16 bits",
    ),
    "moving PNG": (
        lambda path: Image.fromarray(GREY).save(
            path, "PNG", save_all=True, append_images=[Image.fromarray(255 - GREY)]
        ),
        "several pages",
    ),
}


@pytest.mark.parametrize("name", ODD_MASKS)
def test_no_mask_is_read_as_something_else(tmp_path, name):
    write, rule = ODD_MASKS[name]
    write(tmp_path / "mask.tif")
    with pytest.raises(LggError, match=f"^mask.tif .*{rule}.*a mask must be"):
        folder.read_mask(tmp_path / "mask.tif")


@pytest.mark.parametrize("side", [4097, 20000])  # below and above what Pillow itself refuses
def test_a_huge_picture_is_refused_by_its_header(tmp_path, side):
    tifffile.imwrite(tmp_path / "image.tif", COLOURS, photometric="rgb")
    with tifffile.TiffFile(tmp_path / "image.tif", mode="r+b") as file:
        for tag in ("ImageWidth", "ImageLength"):
            file.pages[0].tags[tag].overwrite(side)
    tracemalloc.start()
    with pytest.raises(LggError, match="image.tif .*pixels"):
        folder.read_image(tmp_path / "image.tif")
    assert tracemalloc.get_traced_memory()[1] < 2e6
    tracemalloc.stop()


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


def replaced_by(make):
    def spoil(path):
        path.unlink()
        make(path)

    return spoil


def emptied(path):
    path.write_bytes(b"")


def unix(*values):
    return pytest.param(
        *values, marks=pytest.mark.skipif(os.name == "nt", reason="not a thing of Windows")
    )


@pytest.mark.parametrize(
    ("name", "spoil", "rule"),
    [
        ("5_mask", remove, "5_mask.tif is missing.*needs an image and a mask"),
        ("5", remove, "5.tif is missing"),
        ("12", remove, "12.tif is missing"),
        ("1_mask", smooth, "holds 0 and 255"),
        ("2_mask", mixed, "0, 1, 255"),
        ("2_mask", deeper, "16 bits"),
        ("2_mask", coloured, "three channels"),
        ("3", flat, "pre-contrast, FLAIR"),
        ("3", wider, r"3.tif is \(16, 21, 3\)"),
        ("3_mask", wider, r"3_mask.tif is \(16, 21\)"),
        ("4", truncated, "4.tif cannot be read"),
        ("4_mask", emptied, "4_mask.tif cannot be read"),
        (
            "6",
            lambda path: path.rename(path.with_name(f"{FIRST}_06.tif")),
            "06.tif: a slice is called",
        ),
        (
            "12",
            lambda path: path.rename(path.with_name(f"{FIRST}_1\N{ARABIC-INDIC DIGIT TWO}.tif")),
            "a slice is called",
        ),
        ("12", lambda path: path.rename(path.with_suffix(".TIF")), "12.TIF: a slice is called"),
        ("12", lambda path: path.rename(path.with_suffix(".tiff")), "12.tiff: a slice is called"),
        (
            "12",
            lambda path: path.rename(path.with_name(f"{FIRST}_99999999999.tif")),
            "12.tif is missing.*1 to 99999999999",
        ),
        (
            "6",
            lambda path: path.parent.rename(path.parent.with_name(FIRST.lower())),
            "tcga_cs_4941_19960909.*rename it",
        ),
        ("6", replaced_by(lambda path: path.mkdir()), "6.tif is no plain file"),
        unix(
            "6",
            replaced_by(lambda path: path.symlink_to("nowhere.tif")),
            "6.tif is a link to nothing",
        ),
        unix("6", replaced_by(lambda path: path.symlink_to(path)), "6.tif is a link to nothing"),
        unix("6", replaced_by(lambda path: os.mkfifo(path)), "6.tif is no plain file"),
        unix(
            "6_mask",
            replaced_by(lambda path: path.symlink_to("/dev/zero")),
            "6_mask.tif is no plain file",
        ),
        unix(
            "6",
            lambda path: path.parent.with_name("TCGA_DU_1111_20000101").symlink_to("nowhere"),
            "a link to nothing",
        ),
        (
            "6",
            lambda path: path.rename(path.with_name("other_6.tif")),
            "other_6.tif: a slice is called",
        ),
        (
            "6",
            lambda path: path.parent.rename(path.parent.with_name(f"{FIRST} copy")),
            "19960909 copy.*rename it",
        ),
        ("6", lambda path: write_patient(path.parents[1], "TCGA_CS_4941"), "are the same patient"),
        (
            "6",
            lambda path: path.parent.with_name("TCGA_DU_1111_20000101").mkdir(),
            "TCGA_DU_1111_20000101: no slice",
        ),
    ],
)
def test_refusals_name_file_and_rule(root, name, spoil, rule):
    spoil(root / FIRST / f"{FIRST}_{name}.tif")
    start = time.process_time()
    with pytest.raises(LggError, match=rule):
        load_cohort(root, progress=False)
    assert time.process_time() - start < 2
    assert list((root.parents[1] / "cache").glob("packed/*")) == []  # and nothing is left behind


def test_files_of_the_operating_system_are_overlooked(root):
    for name in (".DS_Store", f"._{FIRST}_1.tif", "Thumbs.db"):
        (root / FIRST / name).write_bytes(b"x")
    (root / ".ipynb_checkpoints").mkdir()
    assert len(load_cohort(root, progress=False).slices) == 16


def test_a_folder_without_patients_is_refused(tmp_path):
    (tmp_path / "notes").mkdir()
    with pytest.raises(LggError, match="no patient's folder"):
        folder.list_folder(tmp_path)


def test_a_folder_that_cannot_be_listed(root, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(folder.os, "scandir", refuse)
    with pytest.raises(LggError, match="Permission denied"):
        folder.list_folder(root)


def test_a_fourth_channel_is_not_left_out(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((8, 9, 4), np.uint8),
        photometric="rgb",
        extrasamples=["unspecified"],
    )
    with pytest.raises(LggError, match="SamplesPerPixel is 4"):
        folder.read_image(tmp_path / "a.tif")
