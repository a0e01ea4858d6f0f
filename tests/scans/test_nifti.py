"""NIfTI: what is read, and that results come back on the file's own grid, for all 48 ways its axes
can run.
"""

import gzip
import subprocess
import sys
from itertools import permutations, product

import numpy as np
import pytest

from lggseg.errors import LggError
from lggseg.scans import own_scan
from lggseg.scans.nifti import read_nifti, write_nifti

nibabel = pytest.importorskip("nibabel")
CODES = ["".join(code) for order in permutations(("RL", "AP", "SI")) for code in product(*order)]


def save(path, values):
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
    return path


def turned(code: str):
    """A NIfTI image (its world (4,5,6), pixels 1 x 2 mm, slices 5 mm) stored with axes that run as
    `code` says.
    """
    world = nibabel.Nifti1Image(
        np.arange(120, dtype=np.int16).reshape(4, 5, 6), np.diag([1, 2, 5, 1.0])
    )
    way = nibabel.orientations.ornt_transform(
        nibabel.orientations.axcodes2ornt("RAS"), nibabel.orientations.axcodes2ornt(code)
    )
    return world.as_reoriented(way)


@pytest.mark.parametrize("code", CODES)
def test_all_orientations_read_alike_and_come_back_as_they_were(tmp_path, code):
    image = turned(code)
    image.set_qform(image.affine, 1)
    image.set_sform(image.affine, 4)
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, tmp_path / "a.nii.gz")
    assert "".join(nibabel.aff2axcodes(nibabel.load(tmp_path / "a.nii.gz").affine)) == code
    read = read_nifti(tmp_path / "a.nii.gz")
    world = np.arange(120).reshape(4, 5, 6)
    np.testing.assert_array_equal(read.image[..., 0], world.transpose(2, 1, 0)[:, ::-1, ::-1])
    assert (
        read.grid.spacing.tolist() == [5, 2, 1]
        and read.names[-1] == "slice_6"
        and read.warnings == []
    )
    for dtype in (np.uint8, np.float32):
        (tmp_path / "b.nii.gz").write_bytes(
            write_nifti(read.image[..., 0].astype(dtype), read.grid, read.header)
        )
        back = nibabel.load(tmp_path / "b.nii.gz")
        np.testing.assert_array_equal(
            np.asanyarray(back.dataobj), np.asanyarray(image.dataobj).astype(dtype)
        )
        assert back.get_data_dtype() == dtype and back.shape == image.shape
        assert_same_grid(back, image)


def assert_same_grid(one, other):
    np.testing.assert_array_equal(one.affine, other.affine)
    for form in ("get_qform", "get_sform"):
        (matrix, code), (wanted, wanted_code) = (
            getattr(image, form)(coded=True) for image in (one, other)
        )
        np.testing.assert_array_equal(matrix, wanted)
        assert code == wanted_code
    assert one.header.get_xyzt_units() == other.header.get_xyzt_units()
    assert one.header.get_zooms()[:3] == other.header.get_zooms()[:3]


@pytest.mark.parametrize(("qform", "sform"), [(0, 2), (2, 0), (1, 3)])
def test_codes_units_and_oblique_affines_stay(tmp_path, qform, sform):
    angle, turn = 0.3, np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    image = nibabel.Nifti1Image(np.ones((4, 5, 6, 3), np.float32), None)
    image.header.set_zooms((1, 1.5, 4, 2.5))
    image.header["cal_max"] = 1000
    image.header.set_xyzt_units("micron", "msec")
    for code, put in ((qform, image.header.set_qform), (sform, image.header.set_sform)):
        put(turn @ np.diag([1, 1.5, 4, 1]), code) if code else None
    nibabel.save(image, tmp_path / "a.nii")
    stored, read = nibabel.load(tmp_path / "a.nii"), read_nifti(tmp_path / "a.nii")
    (tmp_path / "b.nii.gz").write_bytes(
        write_nifti(np.ones((6, 5, 4), np.uint8), read.grid, read.header)
    )
    back = nibabel.load(tmp_path / "b.nii.gz")
    assert back.shape == (4, 5, 6) and back.header["cal_max"] == 0
    assert_same_grid(back, stored)
    assert read.warnings == []


def test_nifti_2(tmp_path):
    image = nibabel.Nifti2Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    nibabel.save(image, tmp_path / "a.nii.gz")
    read = read_nifti(tmp_path / "a.nii.gz")
    (tmp_path / "b.nii.gz").write_bytes(write_nifti(read.image[..., 0], read.grid, read.header))
    back = nibabel.load(tmp_path / "b.nii.gz")
    assert (
        isinstance(back, nibabel.Nifti2Image)
        and (np.asarray(back.dataobj) == np.asarray(image.dataobj)).all()
    )


def test_slope_and_intercept(tmp_path):
    image = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    image.header.set_slope_inter(2, -7)
    nibabel.save(image, tmp_path / "a.nii")
    read = read_nifti(tmp_path / "a.nii")
    found = read.grid.from_slices(read.image[..., 0])
    np.testing.assert_allclose(found, 2 * np.arange(24).reshape(2, 3, 4) - 7)
    written = write_nifti(np.ones((4, 3, 2), np.uint8), read.grid, read.header)
    assert (np.asarray(nibabel.Nifti1Image.from_bytes(gzip.decompress(written)).dataobj) == 1).all()


@pytest.mark.parametrize("name", ["A.NII.GZ", "A.NII", "a.Nii.gz"])
def test_suffixes_in_capitals(tmp_path, name):
    content = nibabel.Nifti1Image(np.ones((2, 3, 4), np.uint8), np.eye(4)).to_bytes()
    (tmp_path / name).write_bytes(
        gzip.compress(content) if name.lower().endswith("gz") else content
    )
    assert read_nifti(tmp_path / name).image.shape == (4, 3, 2, 1)


@pytest.mark.parametrize("dtype", [np.complex64, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])])
def test_colours_and_complex_numbers_are_refused(tmp_path, dtype):
    save(tmp_path / "a.nii.gz", np.zeros((2, 3, 4), dtype))
    with pytest.raises(LggError, match="a.nii.gz: its pixels are of the type"):
        read_nifti(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("shape", [(6, 7), (6,), (2, 2, 2, 2, 3), (2, 2, 2, 1, 1, 3)])
def test_other_axes_are_refused(tmp_path, shape):
    save(tmp_path / "a.nii", np.ones(shape, np.float32))
    with pytest.raises(LggError, match="a.nii: its shape is .* it must be"):
        read_nifti(tmp_path / "a.nii")


def test_a_huge_shape_is_refused_before_it_is_read(tmp_path, monkeypatch):
    save(tmp_path / "a.nii.gz", np.zeros((10, 10, 10), np.uint8))
    monkeypatch.setattr(own_scan, "MAX_VOXELS", 999)
    with pytest.raises(LggError, match="a.nii.gz: its shape is .*million"):
        read_nifti(tmp_path / "a.nii.gz")


def test_an_affine_of_nothing_is_refused(tmp_path):
    content = bytearray(save(tmp_path / "a.nii", np.ones((2, 3, 4), np.uint8)).read_bytes())
    content[280:296] = bytes(16)  # srow_x
    (tmp_path / "a.nii").write_bytes(content)
    with pytest.raises(LggError, match="a.nii: its affine"):
        read_nifti(tmp_path / "a.nii")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_damaged_files_are_named(tmp_path, name):
    path = save(tmp_path / name, np.random.default_rng(0).integers(0, 999, (20, 20, 20), np.int16))
    whole = path.read_bytes()
    for end in (0, 3, 100, 400, len(whole) // 2, len(whole) - 9):
        path.write_bytes(whole[:end])
        with pytest.raises(LggError, match=f"{name}: "):
            read_nifti(path)
    path.write_bytes(b"no NIfTI at all" * 100)
    with pytest.raises(LggError, match=f"{name}: cannot be read as NIfTI"):
        read_nifti(path)


def test_a_flipped_bit_in_a_gz_is_found(tmp_path):
    path = save(
        tmp_path / "a.nii.gz", np.random.default_rng(0).integers(0, 999, (20, 20, 20), np.int16)
    )
    whole = path.read_bytes()
    for place in range(20, len(whole), len(whole) // 40):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(LggError, match="a.nii.gz: "):
            read_nifti(path)


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_as_itk_writes_them(tmp_path, channels):
    """(X,Y,Z,1,C): nibabel #1324, MONAI PR #3184."""
    values = np.arange(24 * channels, dtype=np.int16).reshape(2, 3, 4, 1, channels)
    read = read_nifti(save(tmp_path / "a.nii", values))
    for c in range(channels):
        np.testing.assert_array_equal(read.grid.from_slices(read.image[..., c]), values[..., 0, c])


SHAPE, RIGHT = (128, 130, 24), np.diag([-0.94, -0.94, 5, 1.0])  # a head fits


def headed(path, sform=RIGHT, codes=(1, 1), qform=RIGHT, zooms=None):
    """A file whose header says this, as a script would leave it: codes of qform and sform."""
    image = nibabel.Nifti1Image(np.ones(SHAPE, np.uint8), RIGHT)
    image.set_qform(qform, codes[0])
    header = bytearray(image.to_bytes())
    header[254:256] = np.array([codes[1]], "<i2").tobytes()
    header[280:328] = np.asarray(sform, "<f4")[:3].tobytes()
    if zooms:
        header[80:92] = np.array(zooms, "<f4").tobytes()
    path.write_bytes(header)
    return path


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({}, ""),
        ({"sform": np.eye(4), "codes": (1, 0)}, ""),
        ({"qform": np.eye(4), "codes": (0, 1), "zooms": (0.94, 0.94, 5)}, ""),
        ({"sform": RIGHT @ np.diag([1.02, 1.02, 1.02, 1])}, ""),
        ({"sform": np.eye(4)}, "contradict"),
        ({"sform": np.zeros((4, 4))}, "contradict"),
        ({"sform": RIGHT @ np.diag([10, 10, 10, 1])}, "contradict"),
        ({"qform": np.eye(4)}, "contradict"),
        ({"codes": (0, 1), "zooms": (1, 1, 1)}, "contradict"),
    ],
)
def test_of_statements_that_contradict_each_other_the_plausible_one_is_taken_and_told(
    tmp_path, how, told
):
    """dcm2niix #186, simnibs #448: an identity sform was believed against qform and voxel sizes."""
    scan = read_nifti(headed(tmp_path / "a.nii", **how))
    np.testing.assert_allclose(scan.grid.spacing, [5, 0.94, 0.94], rtol=0.03)
    assert [told in warning and "a.nii: " in warning for warning in scan.warnings] == [True] * bool(
        told
    )


@pytest.mark.parametrize(
    "sform",
    [
        RIGHT @ np.diag([1.1, 1.1, 1.1, 1]),
        RIGHT @ np.diag([-1, 1, 1, 1]),
        RIGHT @ np.diag([1, 1, -1, 1]),
    ],
)
def test_where_both_are_plausible_neither_is_taken(tmp_path, sform):
    """Larger voxels; left and right, or top and bottom, exchanged."""
    with pytest.raises(
        LggError, match=r"a.nii: sform, qform and voxel sizes contradict each other .* dcm2niix"
    ):
        read_nifti(headed(tmp_path / "a.nii", sform))


@pytest.mark.parametrize("how", [{}, {"zooms": (1, 1, 1)}])
def test_a_file_that_does_not_say_how_it_lies_is_refused(tmp_path, how):
    """Nobody knows which end is the front, even where a head fits."""
    with pytest.raises(LggError, match=r"a.nii: does not say how it lies .* dcm2niix"):
        read_nifti(headed(tmp_path / "a.nii", codes=(0, 0), **how))


@pytest.mark.parametrize(
    ("unit", "factor"), [("meter", 1e-3), ("mm", 1), ("micron", 1e3), ("unknown", 1)]
)
def test_units_are_read_as_what_they_say(tmp_path, unit, factor):
    image = nibabel.Nifti1Image(
        np.ones((4, 5, 6), np.uint8), RIGHT @ np.diag([factor, factor, factor, 1])
    )
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "a.nii")
    scan = read_nifti(tmp_path / "a.nii")
    np.testing.assert_allclose(scan.grid.spacing, [5, 0.94, 0.94], rtol=1e-6)
    assert scan.grid.voxel == pytest.approx(0.94 * 0.94 * 5 / 1000)
    written = nibabel.Nifti1Image.from_bytes(
        gzip.decompress(write_nifti(np.ones((6, 5, 4), np.uint8), scan.grid, scan.header))
    )
    assert_same_grid(written, nibabel.load(tmp_path / "a.nii"))


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii"])
@pytest.mark.parametrize("zipped", [0, 1])
def test_zipped_or_not_is_seen_and_not_believed(tmp_path, name, zipped):
    content = nibabel.Nifti1Image(np.ones((2, 3, 4), np.uint8), np.eye(4)).to_bytes()
    for whole in (content, content[:100] + content[100:]):
        parts = [whole] if not zipped else [gzip.compress(whole[:99]), gzip.compress(whole[99:])]
        (tmp_path / name).write_bytes(b"".join(parts))
        assert read_nifti(tmp_path / name).image.shape == (4, 3, 2, 1)
    (tmp_path / name).write_bytes(gzip.compress(gzip.compress(content)))
    with pytest.raises(LggError, match=f"{name}: cannot be read as NIfTI"):
        read_nifti(tmp_path / name)


def test_what_nibabel_repairs_in_a_header_is_not_printed(tmp_path):
    """In a process of its own: pytest has handlers of its own for what is logged."""
    path = headed(tmp_path / "a.nii", zooms=(-0.94, -0.94, -5))
    code = (
        "from pathlib import Path; from lggseg.scans.nifti import read_nifti; "
        f"print(read_nifti(Path({str(path)!r})).grid.spacing.round(2))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["[5.", "0.94", "0.94]"] and run.stderr == ""
