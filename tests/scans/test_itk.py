"""NRRD and MetaImage: right in every layout that they are saved in, or refused."""

import numpy as np
import pytest

from lggseg.errors import LggError
from lggseg.scans.itk import read_itk
from lggseg.scans.read import read_raw_scan

SimpleITK = pytest.importorskip("SimpleITK")
# Slices upwards, rows to the back, columns to the left.
WORLD = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
SUFFIXES = ["nrrd", "nhdr", "mha", "mhd"]


def save(
    path,
    values=WORLD,
    spacing=(1, 2, 5),
    direction=(1, 0, 0, 0, 1, 0, 0, 0, 1),
    vector=False,
    compress=True,
):
    """An image in ITK's words: axes x, y, z of `values` (z,y,x), directions as columns."""
    image = SimpleITK.GetImageFromArray(values, isVector=vector)
    image.SetSpacing(spacing)
    image.SetDirection(np.ravel(direction).astype(float).tolist())
    image.SetOrigin((-7, 8, 9))
    SimpleITK.WriteImage(image, str(path), compress)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("compress", [True, False])
def test_slices_and_where_they_lie(tmp_path, suffix, compress):
    scan = read_itk(save(tmp_path / f"a.{suffix}", compress=compress))
    np.testing.assert_array_equal(scan.image[..., 0], WORLD)
    assert scan.image.dtype == np.int16 and scan.warnings == [] and scan.names[0] == "slice_1"
    assert scan.grid.spacing.tolist() == [5, 2, 1]
    np.testing.assert_allclose(
        scan.grid.affine, [[-1, 0, 0, 7], [0, -2, 0, -8], [0, 0, 5, 9], [0, 0, 0, 1]]
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_other_directions_give_the_same_slices(tmp_path, suffix):
    turned = save(tmp_path / f"a.{suffix}", WORLD[::-1, :, ::-1], direction=np.diag([-1, 1, -1]))
    np.testing.assert_array_equal(read_itk(turned).image[..., 0], WORLD)
    # X to the back, y upwards, z to the left.
    sagittal = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    turned = save(tmp_path / f"b.{suffix}", WORLD.transpose(2, 0, 1), (2, 5, 1), sagittal)
    scan = read_itk(turned)
    np.testing.assert_array_equal(scan.image[..., 0], WORLD)
    assert scan.grid.spacing.tolist() == [5, 2, 1]
    np.testing.assert_array_equal(
        scan.grid.from_slices(scan.image[..., 0]), WORLD.transpose(1, 0, 2)
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_channels(tmp_path, suffix):
    colours = np.stack([WORLD, WORLD + 1, -WORLD], axis=-1)
    np.testing.assert_array_equal(
        read_itk(save(tmp_path / f"a.{suffix}", colours, vector=True)).image, colours
    )


@pytest.mark.parametrize("suffix", ["nrrd", "mha"])
def test_a_list_of_volumes(tmp_path, suffix):
    volumes = SimpleITK.JoinSeries([SimpleITK.GetImageFromArray(WORLD + k) for k in range(3)])
    SimpleITK.WriteImage(volumes, str(tmp_path / f"a.{suffix}"))
    found = read_itk(tmp_path / f"a.{suffix}").image
    np.testing.assert_array_equal(found, np.stack([WORLD, WORLD + 1, WORLD + 2], axis=-1))


def write_nrrd(path, more="", sizes="6 5 4", values=WORLD, order="<", kind="short"):
    names = {"<": "little", ">": "big"}
    header = (
        f"NRRD0004\ntype: {kind}\ndimension: {len(sizes.split())}\n{more}sizes: {sizes}\nencoding: "
        "raw\n"
    )
    content = values.astype(values.dtype.newbyteorder(order)).tobytes()
    path.write_bytes(f"{header}endian: {names[order]}\n\n".encode() + content)
    return path


LPS = (
    "space: left-posterior-superior\nspace directions: {}(1,0,0) (0,2,0) (0,0,5){}\nspace origin: "
    "(0,0,0)\n"
)


@pytest.mark.parametrize("order", "<>")
def test_an_nrrd_that_does_not_say_how_it_lies_is_refused(tmp_path, order):
    with pytest.raises(LggError, match="a.nrrd: does not say how it lies .* dcm2niix"):
        read_itk(write_nrrd(tmp_path / "a.nrrd", "spacings: 1 2 5\n", order=order))
    scan = read_itk(write_nrrd(tmp_path / "a.nrrd", LPS.format("", ""), order=order))
    np.testing.assert_array_equal(scan.image[..., 0], WORLD)
    assert scan.grid.spacing.tolist() == [5, 2, 1] and scan.warnings == []


def test_an_nrrd_of_several_channels_in_either_place(tmp_path):
    colours = np.stack([WORLD, WORLD + 1, WORLD + 2], axis=-1)
    kinds = "kinds: {}domain domain domain{}\n"
    header = LPS.format("none ", "") + kinds.format("vector ", "")
    first = write_nrrd(tmp_path / "a.nrrd", header, "3 6 5 4", colours)
    header = LPS.format("", " none") + kinds.format("", " list")
    last = write_nrrd(tmp_path / "b.nrrd", header, "6 5 4 3", np.moveaxis(colours, -1, 0))
    for path in (first, last):
        np.testing.assert_array_equal(read_itk(path).image, colours)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("compress", [True, False])
def test_files_cut_short_are_refused_and_nothing_is_printed(tmp_path, suffix, compress, capfd):
    save(
        tmp_path / f"a.{suffix}",
        np.random.default_rng(0).integers(0, 999, (9, 20, 30), np.int16),
        compress=compress,
    )
    [data] = [file for file in tmp_path.iterdir() if file.suffix != f".{suffix}"] or [
        tmp_path / f"a.{suffix}"
    ]
    whole = data.read_bytes()
    for end in (len(whole) // 2, len(whole) - 40):
        data.write_bytes(whole[:end])
        with pytest.raises(LggError, match=f"a.{suffix}: cannot be read as NRRD or MetaImage"):
            read_itk(tmp_path / f"a.{suffix}")
    data.unlink()
    with pytest.raises(LggError, match=rf"a.{suffix}: (cannot be read|no such)"):
        read_raw_scan(tmp_path / f"a.{suffix}")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_flipped_bit_in_compressed_data_is_found(tmp_path, suffix):
    """SimpleITK alone reads some of these as other numbers, or as whatever is in memory."""
    noise = np.random.default_rng(0).integers(0, 999, (9, 20, 30), np.int16)
    path = save(tmp_path / f"a.{suffix}", noise)
    data = next((file for file in tmp_path.iterdir() if file != path), path)
    whole = data.read_bytes()
    for place in range(len(whole) - 6000, len(whole), 300):
        data.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(LggError, match=f"a.{suffix}: cannot be read"):
            read_itk(path)
    data.write_bytes(whole)
    np.testing.assert_array_equal(read_itk(path).image[..., 0], noise)


@pytest.mark.parametrize(
    "content", [b"", b"NRRD0004\ntype: short\n", b"ObjectType = Image\nNDims = 3\n", bytes(900)]
)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_none_is_refused(tmp_path, content, suffix):
    (tmp_path / f"a.{suffix}").write_bytes(content)
    with pytest.raises(LggError, match=f"a.{suffix}: cannot be read as NRRD or MetaImage"):
        read_itk(tmp_path / f"a.{suffix}")


def test_a_flat_picture_is_no_volume(tmp_path):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(WORLD[0]), str(tmp_path / "a.mha"))
    with pytest.raises(LggError, match=r"a.mha: its shape is \(6, 5\); it must be \(X,Y,Z\)"):
        read_itk(tmp_path / "a.mha")
