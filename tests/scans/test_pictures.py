from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lggseg.errors import LggError
from lggseg.scans.pictures import channels_of, is_mask, is_picture, numeric, read_pictures


def save(folder, name, value=0, size=(8, 9), channels=0, dtype=np.uint8) -> Path:
    pixels = np.full((*size, channels) if channels else size, value, dtype)
    if channels:
        pixels[0, 0] = range(channels)  # in colours, and not grey in three channels
    Image.fromarray(pixels).save(folder / name)
    return folder / name


def test_names():
    assert sorted(map(Path, ("s_10.png", "s_2.png", "s_1.png")), key=numeric)[2] == Path("s_10.png")
    assert is_mask(Path("a_MASK.PNG")) and not is_mask(Path("a_masked.png"))
    assert is_picture(Path("a.TIFF")) and not is_picture(Path("a.gif"))


def test_slices_in_numeric_order(tmp_path):
    stack = read_pictures([save(tmp_path, f"scan_{k}.png", k) for k in (10, 2, 1)], [])
    assert stack.names == ["scan_1", "scan_2", "scan_10"] and stack.values[:, 4, 4, 0].tolist() == [1, 2, 10]
    assert stack.values.shape == (3, 8, 9, 1) and stack.truth is None and stack.grid is None


def test_three_equal_channels_are_grey():
    grey = np.repeat(np.arange(12, dtype=np.uint8).reshape(1, 3, 4, 1), 3, axis=3)
    assert channels_of(grey).shape == (1, 3, 4, 1) and channels_of(grey[..., 0]).shape == (1, 3, 4, 1)
    grey[0, 0, 0, 2] = 99
    assert channels_of(grey).shape == (1, 3, 4, 3)


def test_pages_are_slices(tmp_path):
    pages = [Image.fromarray(np.full((4, 6), 10 * i, np.uint8)) for i in range(12)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    stack = read_pictures([tmp_path / "a.tif"], [])
    assert stack.names[:2] == ["a_1", "a_2"] and stack.values[:, 0, 0, 0].tolist() == list(range(0, 120, 10))
    masks = [Image.fromarray(np.full((4, 6), 255 * (i == 3), np.uint8)) for i in range(12)]
    masks[0].save(tmp_path / "a_mask.tif", save_all=True, append_images=masks[1:])
    truth = read_pictures([tmp_path / "a.tif"], [tmp_path / "a_mask.tif"]).truth
    assert truth.any(axis=(1, 2)).nonzero()[0].tolist() == [3]
    masks[0].save(tmp_path / "a_mask.tif")
    with pytest.raises(LggError, match="1 pages of masks for 12 slices"):
        read_pictures([tmp_path / "a.tif"], [tmp_path / "a_mask.tif"])
    with pytest.raises(LggError, match="a.tif: holds several slices, and there are other pictures"):
        read_pictures([tmp_path / "a.tif", save(tmp_path, "b.tif")], [])


@pytest.mark.parametrize(("one", "other"), [("a.png", "a.tif"), ("A.png", "a.png"), ("é.png", "e\u0301.png")])
def test_two_slices_of_one_name_are_refused(tmp_path, one, other):
    files = [save(tmp_path, one), save(tmp_path, other)]
    with pytest.raises(LggError, match="two slices of one name"):
        read_pictures(files, [])


@pytest.mark.parametrize(("how", "words"), [
    ({"size": (8, 10)}, r"b.png: \(8, 10\) pixels, but a.png has \(8, 9\)"),
    ({"channels": 3}, "b.png: colour uint8, but a.png is grey uint8"),
    ({"dtype": np.uint16}, "b.png: grey uint16, but a.png is grey uint8")])
def test_slices_of_two_kinds_are_refused(tmp_path, how, words):
    with pytest.raises(LggError, match=words):
        read_pictures([save(tmp_path, "a.png"), save(tmp_path, "b.png", **how)], [])


@pytest.mark.parametrize("name", ["a_mask.png", "a_MASK.png", "a_Mask.tif", "A_mask.bmp"])
def test_masks_are_found_whatever_their_case_and_suffix(tmp_path, name):
    assert read_pictures([save(tmp_path, "a.png")], [save(tmp_path, name, 255)]).truth.all()


@pytest.mark.parametrize(("masks", "words"), [
    (["a_mask.png"], "b.png: 1 of 2 slices have no mask"),
    (["a_mask.png", "b_mask.png", "c_mask.png"], "c_mask.png: a mask without its slice"),
    (["a_mask.png", "a_mask.tif", "b_mask.png"], "a_mask.tif: the slice has a second mask, a_mask.png")])
def test_masks_that_do_not_fit_the_slices(tmp_path, masks, words):
    with pytest.raises(LggError, match=words):
        read_pictures([save(tmp_path, "a.png"), save(tmp_path, "b.png")], [save(tmp_path, name) for name in masks])


def test_a_mask_of_another_size(tmp_path):
    with pytest.raises(LggError, match=r"a_mask.png: \(4, 4\) pixels, but its slice has \(8, 9\)"):
        read_pictures([save(tmp_path, "a.png")], [save(tmp_path, "a_mask.png", size=(4, 4))])


@pytest.mark.parametrize(("names", "told"), [(("s1_1", "s1_2"), 0), (("s_1", "s_2_overlay"), 1),
                                            (("anna_1", "bert_1"), 1)])
def test_slices_named_in_two_ways_are_told(tmp_path, names, told):
    warnings = read_pictures([save(tmp_path, f"{name}.png") for name in names], []).warnings
    assert len(warnings) == told and all("named in two ways" in warning for warning in warnings)


@pytest.mark.parametrize(("names", "told"), [
    (("s_1", "s_2", "s_4", "s_5"), "s_2.png and s_4.png are neighbours"), (("a1", "a001", "a2"), "a1.png"),
    (("s_2", "s_4", "s_6"), None), (("p7_1", "p7_2"), None), (("x9y8", "x10y7"), None), (("one",), None)])
def test_a_gap_or_a_double_in_the_numbers_is_told(tmp_path, names, told):
    for name in names:
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / f"{name}.png")
    warnings = read_pictures(sorted(tmp_path.iterdir()), []).warnings
    assert len(warnings) == bool(told) and (not told or told in warnings[0])
