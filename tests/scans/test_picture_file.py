"""One picture file: 16 bits a channel, alpha, palettes, pages, orientation. The files are written
byte by byte here, or by tifffile, since Pillow can write few of them.
"""

import struct
import zlib

import numpy as np
import PIL
import pytest
import tifffile
from PIL import Image

from lggseg.errors import LggError
from lggseg.scans import own_scan
from lggseg.scans.picture_file import read_slices

# No two bytes of a value alike.
DEEP = (np.arange(7 * 5 * 3).reshape(7, 5, 3) * 601 % 65536).astype(np.uint16)


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def write_png(path, pixels: np.ndarray, filters=(0, 1, 2, 3, 4), extra: bytes = b"") -> None:
    """A PNG of uint16 (H,W,C), its rows filtered in turn by none, sub, up, average, Paeth (PNG
    specification, 9.2).
    """
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").view(np.uint8).reshape(height, -1).astype(int)
    step, data, above = 2 * channels, b"", np.zeros(rows.shape[1], int)
    for i, row in enumerate(rows):
        left, corner = (
            np.append(np.zeros(step, int), row[:-step]),
            np.append(np.zeros(step, int), above[:-step]),
        )
        estimate = left + above - corner
        far = np.abs(np.stack([estimate - left, estimate - above, estimate - corner]))
        paeth = np.choose(far.argmin(axis=0), [left, above, corner])
        kind = filters[i % len(filters)]
        predicted = [0 * row, left, above, (left + above) // 2, paeth][kind]
        data += bytes([kind]) + ((row - predicted) % 256).astype(np.uint8).tobytes()
        above = row
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def test_sixteen_bits_of_a_png_are_all_kept(tmp_path):
    write_png(tmp_path / "a.png", DEEP)
    [page] = read_slices(tmp_path / "a.png")
    assert page.dtype == np.uint16
    np.testing.assert_array_equal(page, DEEP)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_sixteen_bits_of_a_tiff_are_all_kept(tmp_path, order, compression):
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.stack([DEEP, DEEP[::-1]]),
        photometric="rgb",
        byteorder=order,
        compression=compression,
    )
    pages = read_slices(tmp_path / "a.tif")
    np.testing.assert_array_equal(pages[0], DEEP)
    np.testing.assert_array_equal(pages[1], DEEP[::-1])


@pytest.mark.parametrize(("write", "dtype"), [(np.uint16, np.uint16), (np.float32, np.float32)])
@pytest.mark.parametrize("order", "<>")
def test_grey_tiff_of_many_levels(tmp_path, write, dtype, order):
    grey = DEEP[..., 0].astype(write)
    tifffile.imwrite(tmp_path / "a.tif", grey, byteorder=order)
    [page] = read_slices(tmp_path / "a.tif")
    assert page.dtype == dtype
    np.testing.assert_array_equal(page, grey)


def test_grey_png_of_many_levels(tmp_path):
    write_png(tmp_path / "a.png", DEEP[..., :1])
    np.testing.assert_array_equal(read_slices(tmp_path / "a.png")[0], DEEP[..., 0])


def test_white_is_zero(tmp_path):
    for bits in (np.uint8, np.uint16):
        tifffile.imwrite(
            tmp_path / "a.tif", np.array([[0, 1000 % 256, 5]], bits), photometric="miniswhite"
        )
        [page] = read_slices(tmp_path / "a.tif")
        top = np.iinfo(bits).max
        assert page.tolist() == [[top, top - 1000 % 256, top - 5]]


@pytest.mark.parametrize("order", "<>")
def test_sixteen_bits_in_planes_are_all_kept(tmp_path, order):
    planes = DEEP.transpose(2, 0, 1)
    tifffile.imwrite(
        tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate", byteorder=order
    )
    np.testing.assert_array_equal(read_slices(tmp_path / "a.tif"), DEEP[None])


@pytest.mark.parametrize("channels", [2, 4])
def test_sixteen_bits_with_alpha_are_refused(tmp_path, channels):
    write_png(tmp_path / "a.png", np.concatenate([DEEP, DEEP], axis=2)[..., :channels])
    with pytest.raises(LggError, match=r"a.png: .*16 bits"):
        read_slices(tmp_path / "a.png")


def test_palette_is_what_a_viewer_shows(tmp_path):
    picture = Image.new("P", (2, 2))
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putdata([0, 1, 1, 0])
    for suffix in ("png", "tif", "bmp"):
        picture.save(tmp_path / f"a.{suffix}")
        [page] = read_slices(tmp_path / f"a.{suffix}")
        assert page.tolist() == [[[10, 20, 30], [200, 100, 50]], [[200, 100, 50], [10, 20, 30]]]


OLD_PILLOW = pytest.mark.skipif(
    int(PIL.__version__.split(".")[0]) < 13, reason="cannot read it, so we refuse it"
)


@pytest.mark.parametrize("mode", ["CMYK", pytest.param("YCbCr", marks=OLD_PILLOW)])
def test_colour_spaces_of_print_and_video_become_rgb(tmp_path, mode):
    grey = Image.fromarray(np.repeat(np.arange(0, 256, 8, np.uint8)[None], 32, axis=0))
    grey.convert("RGB").convert(mode).save(tmp_path / "a.tif")
    [page] = read_slices(tmp_path / "a.tif")
    assert page.shape == (32, 32, 3)
    np.testing.assert_allclose(
        page.astype(int), np.asarray(grey.convert("RGB")).astype(int), atol=2
    )


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_that_hides_nothing_is_dropped(tmp_path, mode):
    picture = Image.new("RGB", (3, 2), (9, 9, 9)).convert(mode)
    picture.save(tmp_path / "a.png")
    assert (read_slices(tmp_path / "a.png")[0] == 9).all()
    picture.putalpha(100)
    picture.save(tmp_path / "a.png")
    with pytest.raises(LggError, match="a.png: .*transparent"):
        read_slices(tmp_path / "a.png")


def test_a_transparent_colour_is_refused_too(tmp_path):
    Image.fromarray(np.eye(4, dtype=np.uint8)).save(tmp_path / "a.png", transparency=1)
    with pytest.raises(LggError, match="transparent"):
        read_slices(tmp_path / "a.png")


def test_one_bit_is_no_scan(tmp_path):
    for suffix in ("png", "tif", "bmp"):
        Image.new("1", (4, 4), 1).save(tmp_path / f"a.{suffix}")
        with pytest.raises(LggError, match="1 bit"):
            read_slices(tmp_path / f"a.{suffix}")
        assert read_slices(tmp_path / f"a.{suffix}", mask=True)[0].all()


def test_pages_of_a_tiff_are_a_stack(tmp_path):
    pages = [Image.fromarray(np.full((4, 6), 10 * i, np.uint8)) for i in range(5)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert [int(page[0, 0]) for page in read_slices(tmp_path / "a.tif")] == [0, 10, 20, 30, 40]


def test_pages_of_two_sizes_are_refused(tmp_path):
    Image.new("L", (4, 4)).save(
        tmp_path / "a.tif", save_all=True, append_images=[Image.new("L", (2, 2))]
    )
    with pytest.raises(LggError, match="a.tif: its pages have several shapes"):
        read_slices(tmp_path / "a.tif")


def test_animations_are_refused(tmp_path):
    frames = [Image.fromarray(np.full((4, 4), v, np.uint8)) for v in (1, 2)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(LggError, match="2 pictures"):
        read_slices(tmp_path / "a.png")


@pytest.mark.parametrize("told", ["frames=6", "channels=3\nframes=2", "slices=3\nframes=2"])
def test_hyperstacks_of_several_times_are_refused(tmp_path, told):
    description = f"ImageJ=1.54f\nimages=6\n{told}\nhyperstack=true"
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((6, 4, 4), np.uint8),
        description=description,
        metadata=None,
        photometric="minisblack",
    )
    with pytest.raises(LggError, match="a.tif: its axes are .* slices .* channels"):
        read_slices(tmp_path / "a.tif")


def test_channels_of_a_hyperstack_are_channels(tmp_path):
    """As ImageJ writes them: the channels of the first slice, then those of the second."""
    stored = np.arange(6 * 4 * 5, dtype=np.uint8).reshape(6, 4, 5)
    description = "ImageJ=1.54f\nimages=6\nchannels=3\nslices=2\nhyperstack=true"
    tifffile.imwrite(
        tmp_path / "a.tif", stored, description=description, metadata=None, photometric="minisblack"
    )
    found = read_slices(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, stored.reshape(2, 3, 4, 5).transpose(0, 2, 3, 1))


def test_stacks_that_imagej_wrote_as_one_page_are_refused(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((4, 4), np.uint8),
        metadata=None,
        description="ImageJ=1.54f\nimages=900\nslices=900",
    )
    with pytest.raises(LggError, match="a.tif: .*ImageJ"):
        read_slices(tmp_path / "a.tif")


def test_plain_imagej_stacks_are_read(tmp_path):
    stored = np.arange(3 * 4 * 5, dtype=np.uint16).reshape(3, 4, 5)
    tifffile.imwrite(tmp_path / "a.tif", stored, imagej=True, metadata={"axes": "ZYX"})
    np.testing.assert_array_equal(read_slices(tmp_path / "a.tif"), stored)


@pytest.mark.parametrize("sizes", ['SizeC="3" SizeT="1"', 'SizeC="1" SizeT="2"'])
def test_ome_stacks_that_are_half_described_are_refused(tmp_path, sizes):
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((6, 4, 4), np.uint8),
        metadata=None,
        photometric="minisblack",
        description=f'<OME><Image><Pixels {sizes} SizeZ="2"/></Image></OME>',
    )
    with pytest.raises(LggError, match="a.tif: cannot be read"):
        read_slices(tmp_path / "a.tif")


STORED = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)


@pytest.mark.parametrize("how", [{"ome": True}, {"imagej": True}, {}])
@pytest.mark.parametrize("axes", ["ZCYX", "CZYX"])
def test_axes_are_believed(tmp_path, how, axes):
    """CellProfiler #4032, imageio #226 and #849, tifffile #235: channels in pages of their own are
    no slices.
    """
    stored = STORED
    if axes == "CZYX":
        if "imagej" in how:
            pytest.skip("ImageJ knows one order")
        stored = STORED.transpose(1, 0, 2, 3)
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="minisblack", metadata={"axes": axes}, **how
    )
    np.testing.assert_array_equal(read_slices(tmp_path / "a.tif"), STORED.transpose(0, 2, 3, 1))


@pytest.mark.parametrize(
    "how",
    [
        {"ome": True, "metadata": {"axes": "TYX"}},
        {"imagej": True, "metadata": {"axes": "TYX"}},
        {"metadata": {"axes": "TYX"}},
    ],
)
def test_times_are_no_slices(tmp_path, how):
    tifffile.imwrite(tmp_path / "a.tif", STORED[0], photometric="minisblack", **how)
    with pytest.raises(LggError, match="a.tif: its axes are TYX"):
        read_slices(tmp_path / "a.tif")


def test_axes_without_a_name_are_not_guessed(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STORED, photometric="minisblack")
    with pytest.raises(LggError, match=r"a.tif: its axes are QQYX, .* ZCYX"):
        read_slices(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_as_a_viewer_shows_it(tmp_path, suffix, orientation):
    stored = np.zeros((16, 32), np.uint8)
    stored[:8, :8] = 200  # the stored picture's top left corner
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / f"a.{suffix}", exif=exif)
    [page] = read_slices(tmp_path / f"a.{suffix}")
    assert page.shape == ((16, 32) if orientation <= 4 else (32, 16))
    corner = {
        1: (0, 0),
        2: (0, -1),
        3: (-1, -1),
        4: (-1, 0),
        5: (0, 0),
        6: (0, -1),
        7: (-1, -1),
        8: (-1, 0),
    }
    lit = [(row, column) for row in (0, -1) for column in (0, -1) if page[row, column] > 150]
    assert lit == [corner[orientation]]


def test_orientation_of_deep_pictures(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    write_png(tmp_path / "a.png", DEEP, extra=chunk(b"eXIf", exif.tobytes()[6:]))
    np.testing.assert_array_equal(read_slices(tmp_path / "a.png")[0], np.rot90(DEEP, -1))
    tifffile.imwrite(
        tmp_path / "a.tif", DEEP, photometric="rgb", extratags=[(274, "H", 1, 6, True)]
    )
    np.testing.assert_array_equal(read_slices(tmp_path / "a.tif")[0], np.rot90(DEEP, -1))


def test_a_picture_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )
    with pytest.raises(LggError, match="a.png: "):
        read_slices(tmp_path / "a.png")
    Image.new("L", (100, 100)).save(tmp_path / "b.png")
    monkeypatch.setattr(own_scan, "MAX_VOXELS", 9_999)
    with pytest.raises(LggError, match="b.png: its shape is .*million"):
        read_slices(tmp_path / "b.png")


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
def test_damaged_files_are_named(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)).save(path)
    whole = path.read_bytes()
    for end in (0, 5, 30, len(whole) // 2):
        path.write_bytes(whole[:end])
        with pytest.raises(LggError, match=f"a.{suffix}: cannot be read"):
            read_slices(path)


def test_other_formats_are_not_tried(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "a.gif")
    (tmp_path / "a.gif").rename(tmp_path / "a.png")
    with pytest.raises(LggError, match="cannot be read"):
        read_slices(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("values", "fine"), [((0, 255), True), ((0, 1), True), ((255,), True), ((0, 7), False)]
)
def test_masks(tmp_path, values, fine):
    pixels = np.resize(np.array(values, np.uint8), (4, 4))
    Image.fromarray(pixels).save(tmp_path / "a_mask.png")
    if fine:
        [mask] = read_slices(tmp_path / "a_mask.png", mask=True)
        assert mask.dtype == bool and (mask == (pixels > 0)).all()
    else:
        with pytest.raises(LggError, match=r"a_mask.png.* \[0, 7\]"):
            read_slices(tmp_path / "a_mask.png", mask=True)


def test_a_mask_in_colours_is_refused(tmp_path):
    Image.fromarray(np.full((4, 4, 3), (255, 0, 0), np.uint8)).save(tmp_path / "a_mask.png")
    with pytest.raises(LggError, match="a_mask.png.*one channel"):
        read_slices(tmp_path / "a_mask.png", mask=True)


@pytest.mark.parametrize("channels", [2, 4])
def test_channels_that_no_viewer_shows_are_refused(tmp_path, channels):
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((8, 9, channels), np.uint8),
        planarconfig="contig",
        photometric="rgb" if channels == 4 else "minisblack",
        extrasamples=["unspecified"],
    )
    with pytest.raises(LggError, match=f"a.tif: (has {channels} channels|cannot be read)"):
        read_slices(tmp_path / "a.tif")


@pytest.mark.parametrize(
    "kind", ["int8", "uint32", "int32", "uint64", "int64", "float16", "float64"]
)
@pytest.mark.parametrize("order", "<>")
def test_types_are_believed(tmp_path, kind, order):
    """silx-kit/fabio #9, ITK PR #2112: a sign is no high bit, and a high bit no sign."""
    ends = (0, 1000) if kind == "float16" else (-1e300, 1e300)
    if "int" in kind:
        ends = (np.iinfo(kind).min, np.iinfo(kind).max)
    stored = np.array([[ends[0], 1, ends[1]]], kind)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack", byteorder=order)
    found = read_slices(tmp_path / "a.tif")
    assert found.dtype == kind
    np.testing.assert_array_equal(found[0], stored)


def test_a_slice_larger_than_any_scanners_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(own_scan, "MAX_PIXELS", 80)
    Image.new("L", (9, 9)).save(tmp_path / "a.png")
    with pytest.raises(LggError, match="a.png: its shape is .9, 9.; .* in a slice"):
        read_slices(tmp_path / "a.png")


def test_a_png_too_large_for_pillow_is_refused_in_words(tmp_path):
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    with pytest.raises(LggError, match=r"a.png: Image size \(400000000 .* crop or shrink it"):
        read_slices(tmp_path / "a.png")


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("last", [0, 6, 8])
def test_a_list_of_pages_that_ends_early_is_told(tmp_path, compression, last):
    pages = np.random.default_rng(0).integers(0, 255, (10, 64, 64), np.uint8)
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for page in pages:
            file.write(page, contiguous=False, metadata=None, compression=compression)
    np.testing.assert_array_equal(read_slices(path), pages)
    with tifffile.TiffFile(path) as file:
        end = file.pages[last].offset + 2 + 12 * len(file.pages[last].tags)
    whole = path.read_bytes()
    path.write_bytes(whole[:end] + bytes(4) + whole[end + 4 :])
    with pytest.raises(LggError, match="a.tif: .* belong to no page: its list of pages ends"):
        read_slices(path)
