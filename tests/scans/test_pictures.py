from pathlib import Path

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from lggseg.errors import LggError
from lggseg.scans.pictures import in_order, is_mask, read_pictures
from lggseg.scans.read import read_raw_scan


def save(folder, name, value=0, size=(8, 9), channels=0, dtype=np.uint8) -> Path:
    pixels = np.full((*size, channels) if channels else size, value, dtype)
    if channels:
        pixels[0, 0] = range(channels)  # in colours, and not grey in three channels
    Image.fromarray(pixels).save(folder / name)
    return folder / name


def test_names():
    assert in_order([*map(Path, ("s_10.png", "s_2.png", "s_1.png"))])[0][2] == Path("s_10.png")
    assert is_mask(Path("a_MASK.PNG")) and not is_mask(Path("a_masked.png"))


def test_slices_in_numeric_order(tmp_path):
    stack = read_pictures([save(tmp_path, f"scan_{k}.png", k) for k in (10, 2, 1)], [])
    assert stack.names == ["scan_1", "scan_2", "scan_10"] and stack.image[:, 4, 4, 0].tolist() == [
        1,
        2,
        10,
    ]
    assert stack.image.shape == (3, 8, 9, 1) and stack.truth is None and stack.grid is None


@pytest.mark.parametrize(("last", "channels"), [(0, 1), (99, 3)])
def test_three_equal_channels_are_grey(tmp_path, last, channels):
    grey = np.repeat(np.arange(12, dtype=np.uint8).reshape(3, 4, 1), 3, axis=2)
    grey[0, 0, 2] = last
    Image.fromarray(grey).save(tmp_path / "a.png")
    assert read_pictures([tmp_path / "a.png"], []).image.shape == (1, 3, 4, channels)


def test_pages_are_slices(tmp_path):
    pages = [Image.fromarray(np.full((4, 6), 10 * i, np.uint8)) for i in range(12)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    stack = read_pictures([tmp_path / "a.tif"], [])
    assert stack.names[:2] == ["a_1", "a_2"] and stack.image[:, 0, 0, 0].tolist() == list(
        range(0, 120, 10)
    )
    masks = [Image.fromarray(np.full((4, 6), 255 * (i == 3), np.uint8)) for i in range(12)]
    masks[0].save(tmp_path / "a_mask.tif", save_all=True, append_images=masks[1:])
    truth = read_pictures([tmp_path / "a.tif"], [tmp_path / "a_mask.tif"]).truth
    assert truth.any(axis=(1, 2)).nonzero()[0].tolist() == [3]
    masks[0].save(tmp_path / "a_mask.tif")
    with pytest.raises(
        LggError, match=r"a_mask.tif: \(1, 4, 6\) slices, rows and columns; its slice \(12, 4, 6\)"
    ):
        read_pictures([tmp_path / "a.tif"], [tmp_path / "a_mask.tif"])
    with pytest.raises(LggError, match="a.tif: holds several slices; give it alone"):
        read_pictures([tmp_path / "a.tif", save(tmp_path, "b.tif")], [])


@pytest.mark.parametrize(
    ("one", "other"), [("a.png", "a.tif"), ("A.png", "a.png"), ("é.png", "e\u0301.png")]
)
def test_two_slices_of_one_name_are_refused(tmp_path, one, other):
    files = [save(tmp_path, one), save(tmp_path, other)]
    with pytest.raises(LggError, match="two slices of one name"):
        read_pictures(files, [])


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"size": (8, 10)}, r"b.png: uint8 \(1, 8, 10\), but a.png is uint8 \(1, 8, 9\)"),
        ({"channels": 3}, r"b.png: uint8 \(1, 8, 9, 3\), but a.png is uint8 \(1, 8, 9\)"),
        ({"dtype": np.uint16}, r"b.png: uint16 \(1, 8, 9\), but a.png is uint8"),
    ],
)
def test_slices_of_two_kinds_are_refused(tmp_path, how, words):
    with pytest.raises(LggError, match=words):
        read_pictures([save(tmp_path, "a.png"), save(tmp_path, "b.png", **how)], [])


@pytest.mark.parametrize("name", ["a_mask.png", "a_MASK.png", "a_Mask.tif", "A_mask.bmp"])
def test_masks_are_found_whatever_their_case_and_suffix(tmp_path, name):
    assert read_pictures([save(tmp_path, "a.png")], [save(tmp_path, name, 255)]).truth.all()


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        (["a_mask.png"], "b.png: 1 of 2 slices have no mask"),
        (["a_mask.png", "b_mask.png", "c_mask.png"], "c_mask.png: a mask without its slice"),
        (["a_mask.png", "a_mask.tif", "b_mask.png"], "a_mask.tif: the slice has a second mask"),
    ],
)
def test_masks_that_do_not_fit_the_slices(tmp_path, masks, words):
    with pytest.raises(LggError, match=words):
        read_pictures(
            [save(tmp_path, "a.png"), save(tmp_path, "b.png")],
            [save(tmp_path, name) for name in masks],
        )


def test_a_mask_of_another_size(tmp_path):
    with pytest.raises(
        LggError, match=r"a_mask.png: \(1, 4, 4\) slices, rows and columns; its slice \(1, 8, 9\)"
    ):
        read_pictures([save(tmp_path, "a.png")], [save(tmp_path, "a_mask.png", size=(4, 4))])


@pytest.mark.parametrize(
    "names",
    [
        ["s_1", "s_2_overlay"],
        ["anna_1", "bert_1"],
        ["a1", "a001", "a2"],
        ["1a", "1b", "2a"],
        ["img", "img2"],
        [f"{k:02x}" for k in range(20)],
        [f"slice_{k:x}" for k in range(20)],
        [f"0x{k:x}" for k in range(12)],
        ["one", "two", "three"],
        ["i", "ii", "iii", "iv"],
        ["I5", "S0", "S5"],  # inferior, superior
        ["zm5", "zp0", "zp5"],
        ["z\N{MINUS SIGN}5", "z0", "z5"],
        [f"t{k % 2}_{k // 2}" for k in range(6)],  # two times
    ],
)
def test_names_that_give_no_number_to_each_slice_are_refused(tmp_path, names):
    with pytest.raises(LggError, match="do not give one number to each, so their order is open"):
        read_pictures([save(tmp_path, f"{name}.png") for name in names], [])


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("s_1", "s_2", "s_4", "s_5"), "s_2.png and s_4.png are neighbours"),
        (("s_2", "s_4", "s_6"), None),
        (("p7_1", "p7_2"), None),
        (("x9y8", "x10y7"), None),
        (("one",), None),
    ],
)
def test_a_gap_or_a_double_in_the_numbers_is_told(tmp_path, names, told):
    for name in names:
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / f"{name}.png")
    warnings = read_pictures(sorted(tmp_path.iterdir()), []).warnings
    assert len(warnings) == bool(told) and (not told or told in warnings[0])


@pytest.mark.parametrize(
    "names",
    [
        ["z-60.0", "z-57.5", "z-2.5", "z0.0", "z2.5", "z35.0"],
        [f"z{10 + 0.25 * k}" for k in range(9)],  # positions in mm
        ["p-2", "p-1", "p0", "p1"],
        [f"s-{k}" for k in range(12)],
        [f"slice-{k}" for k in range(8, 13)],  # a dash, no sign
        [f"2.{k}" for k in range(1, 13)],
        ["v1.5_9", "v1.5_10"],
        ["2020-01-05_9", "2020-01-05_10"],
        ["x9y1", "x10y0"],
        [f"z{k:.1e}" for k in range(8, 13)],
        ["z-10", "z+0", "z+10"],
        ["IMG_1", "img_2", "Img_10"],
        ["a-10", "a-5", "a5"],
        ["series.1", "series.2", "series.10"],
        ["z10,25", "z10,5", "z10,75", "z11,0"],
        [f"1.2.840.{k}" for k in range(1, 13)],
        ["1-24", "2-23", "10-15"],
    ],
)
def test_numbers_in_names_are_read_as_they_are_meant(names):
    """natsort's documentation tells of signs and decimals."""
    files = [Path(f"{name}.png") for name in names]
    assert in_order(files[::-1])[0] == files


@pytest.mark.parametrize(
    "names",
    [
        ["z10.5", "z10.25"],
        ["z1.25", "z1.3", "z1.5"],
        ["z1_-5", "z1_-10"],
        ["z1-5.0", "z1-7.5", "z1-9.0"],
    ],
)
def test_numbers_that_can_be_read_in_two_ways_are_refused(names):
    with pytest.raises(LggError, match=r"z1.*png: the numbers .* in several ways.* rename"):
        in_order([Path(f"{name}.png") for name in names])


@pytest.mark.parametrize(
    "name",
    [
        "{}_mask",
        "{}_label",
        "{}_seg",
        "{}-seg",
        "mask_{}",
        "mask{}",
        "Label_{}",
        "{}_gt",
        "{} mask",
        "{}.mask",
        "{}_segmentation",
        "{}_labels",
        "masks/{}",
        "labels/{}_label",
        "seg_{}",
        "{}Mask",
        "groundtruth{}",
    ],
)
def test_masks_are_never_slices(tmp_path, name):
    """glasses-detector #23, Pytorch-UNet #363."""
    rng = np.random.default_rng(0)
    for k in range(3):
        Image.fromarray(rng.integers(0, 255, (32, 32), np.uint8)).save(tmp_path / f"{k}.png")
        mask = tmp_path / f"{name.format(k)}.png"
        mask.parent.mkdir(exist_ok=True)
        Image.fromarray((np.arange(32 * 32).reshape(32, 32) < 200 * k).astype(np.uint8) * 255).save(
            mask
        )
    scan = read_raw_scan(tmp_path)
    assert scan.names == ["0", "1", "2"] and scan.truth.sum(axis=(1, 2)).tolist() == [0, 200, 400]


def test_a_mask_under_another_name_is_told(tmp_path):
    rng = np.random.default_rng(0)
    for k in range(6):
        pixels = rng.integers(0, 255, (32, 32), np.uint8)
        Image.fromarray(pixels if k % 2 else pixels // 128 * 255).save(tmp_path / f"{k}.png")
    with pytest.raises(LggError, match="0.png: has two values, as a mask has"):
        read_raw_scan(tmp_path)
    for k in range(0, 6, 2):  # a nearly empty slice at the end of the head is none
        speck = np.zeros((32, 32), np.uint8)
        speck[4:9, 4:9] = 80 + k
        Image.fromarray(speck).save(tmp_path / f"{k}.png")
    assert len(read_raw_scan(tmp_path).image) == 6


def test_a_folder_of_masks_alone(tmp_path):
    Image.new("L", (9, 9)).save(tmp_path / "1_mask.png")
    with pytest.raises(LggError, match="1_mask.png is a mask by its name"):
        read_raw_scan(tmp_path)


def test_a_copy_of_a_slice_is_told(tmp_path):
    for k in range(3):
        pixels = np.random.default_rng(k).integers(0, 255, (32, 32), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{k}.png")
    Image.fromarray(pixels).save(tmp_path / "2 (1).png", compress_level=1)
    with pytest.raises(
        LggError, match="(2 .1..png: shows .* as 2.png|2.png: shows .* as 2 .1..png); take the copy"
    ):
        read_raw_scan(tmp_path)
    (tmp_path / "2 (1).png").unlink()
    for k in (3, 4):  # slices beyond the head are alike
        Image.new("L", (32, 32)).save(tmp_path / f"{k}.png")
    assert len(read_raw_scan(tmp_path).image) == 5


def test_an_outline_drawn_on_a_grey_picture_is_told(tmp_path):
    rng = np.random.default_rng(0)
    for k in range(3):
        pixels = np.repeat(rng.integers(50, 250, (32, 32, 1), np.uint8), 3, axis=2)
        if k == 1:
            pixels[5:8, 5:8] = (255, 0, 0)
        Image.fromarray(pixels).save(tmp_path / f"{k}.png")
    with pytest.raises(LggError, match="1.png: is grey but for some coloured pixels"):
        read_raw_scan(tmp_path)


@pytest.mark.parametrize("name", ["jet", "hot", "viridis", "nipy_spectral"])
def test_a_picture_in_the_colours_of_a_map_is_no_three_sequences(name, tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, (128, 128))
    coloured = (255 * colormaps[name](levels / 255)[..., :3]).astype(np.uint8)
    for k in range(2):
        Image.fromarray(np.roll(coloured, k, axis=0)).save(tmp_path / f"{k}.png")
    with pytest.raises(LggError, match="0.png: its colours are those of a colour map"):
        read_raw_scan(tmp_path)


def test_sequences_of_few_levels_are_no_colour_map(tmp_path):
    rng = np.random.default_rng(0)
    flair = rng.integers(0, 256, (128, 128), np.uint8)
    nothing = np.zeros_like(flair)
    coarse = rng.integers(0, 8, (128, 128, 3), np.uint8) * 32
    for k, slices in enumerate([np.dstack([nothing, flair, nothing]), coarse]):
        Image.fromarray(slices).save(tmp_path / f"{k}.png")
        assert read_raw_scan(tmp_path / f"{k}.png").image.shape == (1, 128, 128, 3)
    end = np.zeros((128, 128, 3), np.uint8)  # of a stack, with little to see
    end[60:70, 60:70] = rng.integers(0, 256, (10, 10, 3))
    Image.fromarray(end).save(tmp_path / "end.png")
    assert read_raw_scan(tmp_path / "end.png").image.shape == (1, 128, 128, 3)
