import os
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from lggseg.errors import LggError
from lggseg.scans.read import RESULTS, read_scan, read_sequences


def head(shape=(4, 34, 40), seed=0) -> np.ndarray:
    """Noise 100..255 in a box with black air around it."""
    volume = np.zeros(shape, np.uint8)
    inner = tuple(slice(n // 5, n - n // 5) for n in shape[1:])
    volume[:, *inner] = np.random.default_rng(seed).integers(100, 256, volume[:, *inner].shape)
    return volume


def save_slices(folder, volume, stem="s", suffix="png"):
    folder.mkdir(exist_ok=True, parents=True)
    for k, pixels in enumerate(volume, 1):
        Image.fromarray(pixels).save(folder / f"{stem}_{k}.{suffix}")
    return folder


def save_nifti(path, volume, affine=None):
    nibabel = pytest.importorskip("nibabel")
    nibabel.save(
        nibabel.Nifti1Image(volume, np.diag([3, 3, 15, 1.0]) if affine is None else affine), path
    )
    return path


def test_a_patients_folder_reads_like_the_cohort(phantom_cohort):
    folder = phantom_cohort.root / phantom_cohort.slices.image[0].split("/")[0]
    scan, volume = read_scan(folder), phantom_cohort.volume(phantom_cohort.patients[0])
    np.testing.assert_array_equal(scan.image, volume.image)
    np.testing.assert_array_equal(scan.truth, volume.mask)
    assert scan.warnings == [] and scan.pixel == (1, 1)


def test_grey_slices_are_flair(tmp_path):
    scan = read_scan(save_slices(tmp_path, head()))
    assert (scan.image == head()[..., None]).all() and scan.image.shape == (4, 34, 40, 3)
    assert "FLAIR stands in" in scan.warnings[0]


def test_order_of_channels(tmp_path):
    colours = np.stack([head(seed=s) for s in range(3)], axis=3)
    scan = read_scan(save_slices(tmp_path, colours), order="flair,post,pre")
    np.testing.assert_array_equal(scan.image, colours[..., [2, 0, 1]])


def test_sixteen_bits_are_scaled_over_all_slices(tmp_path):
    # 12 bits.
    deep = np.stack([np.round(head(seed=s) * 12.0) for s in range(3)], axis=3).astype(np.uint16)
    deep[2] //= 2  # a darker slice stays darker
    deep[0, 0, 0] = 65535  # one hot pixel
    for k, pixels in enumerate(deep):
        tifffile.imwrite(tmp_path / f"{k}.tif", pixels, photometric="rgb")
    image = read_scan(tmp_path).image
    assert image[1].max() == 255 and 120 <= image[2].max() <= 132 and len(np.unique(image)) > 120
    np.testing.assert_allclose(image[1].astype(int), deep[1] / 12, atol=3)


def test_one_picture_with_its_mask(tmp_path):
    save_slices(tmp_path, head())
    Image.fromarray(head()[0]).save(tmp_path / "one.png")
    Image.fromarray(np.full((34, 40), 255, np.uint8)).save(tmp_path / "one_MASK.tif")
    scan = read_scan(tmp_path / "one.png")
    assert scan.names == ["one"] and scan.truth.all() and scan.image.shape == (1, 34, 40, 3)
    with pytest.raises(LggError, match="is a mask by its name"):
        read_scan(tmp_path / "one_MASK.tif")


@pytest.mark.parametrize("suffix", ["nii.gz", "NII.GZ", "nii"])
def test_a_folder_with_one_nifti(tmp_path, suffix):
    save_nifti(
        tmp_path / "x.nii.gz" if "gz" in suffix.lower() else tmp_path / "x.nii", head((40, 34, 6))
    )
    os.rename(next(tmp_path.iterdir()), tmp_path / f"x.{suffix}")
    for place in (tmp_path, tmp_path / f"x.{suffix}"):
        scan = read_scan(place)
        assert (
            scan.image.shape == (6, 34, 40, 3)
            and scan.pixel == (3, 3)
            and scan.grid.spacing[0] == 15
        )


def test_four_dimensions_and_their_order(tmp_path):
    volume = np.stack([head((6, 34, 40), seed=s).T for s in range(4)], axis=3)
    save_nifti(tmp_path / "x.nii", volume)
    scan = read_scan(tmp_path / "x.nii", order="t1,t1ce,t2,flair")
    for channel, stored in enumerate((0, 3, 1)):
        np.testing.assert_array_equal(
            scan.grid.from_slices(scan.image[..., channel]), volume[..., stored]
        )
    with pytest.raises(LggError, match="x.nii: 4 sequences; say which is which"):
        read_scan(tmp_path / "x.nii")


def test_oblong_pixels_are_told(tmp_path):
    # The axial slices' pixels are as high as the coronal slices lie apart.
    coronal = head((120, 20, 110))
    scan = read_scan(save_nifti(tmp_path / "x.nii", coronal, np.diag([1, 4, 1, 1.0])))
    assert (
        scan.pixel == (4, 1)
        and scan.image.shape == (110, 20, 120, 3)
        and "4 x 1 mm" in scan.warnings[-1]
    )
    scan = read_scan(save_nifti(tmp_path / "x.nii", coronal, np.diag([1, 3, 1, 1.0])))
    # Three times as long is usual in sagittal slices.
    assert not any("mm" in warning for warning in scan.warnings)
    assert read_scan(save_nifti(tmp_path / "x.nii", coronal, np.diag([1, 15, 1, 1.0]))).pixel == (
        15,
        1,
    )
    with pytest.raises(LggError, match="voxels of 1 x 30 x 1 mm"):
        read_scan(save_nifti(tmp_path / "x.nii", coronal, np.diag([1, 30, 1, 1.0])))


def test_separate_sequences(tmp_path):
    volumes = {
        name: head((6, 34, 40), seed).T for seed, name in enumerate(("pre", "flair", "post"))
    }
    files = {
        name: save_nifti(tmp_path / f"{name}.nii.gz", volume) for name, volume in volumes.items()
    }
    scan = read_sequences(**files)
    for channel, name in enumerate(volumes):
        np.testing.assert_array_equal(
            scan.grid.from_slices(scan.image[..., channel]), volumes[name]
        )
    assert scan.warnings == []
    scan = read_sequences(files["flair"], post=files["post"])
    assert (
        scan.image[..., 0] == scan.image[..., 1]
    ).all() and "no pre-contrast T1" in scan.warnings[0]


def test_separate_sequences_stored_in_two_orientations(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    flair, pre = (
        nibabel.Nifti1Image(head((6, 34, 40), s).T, np.diag([3, 3, 15, 1.0])) for s in range(2)
    )
    nibabel.save(flair, tmp_path / "flair.nii")
    nibabel.save(pre.as_reoriented([[2, -1], [0, 1], [1, -1]]), tmp_path / "pre.nii")
    scan = read_sequences(tmp_path / "flair.nii", tmp_path / "pre.nii")
    np.testing.assert_array_equal(
        scan.grid.from_slices(scan.image[..., 0]), np.asarray(pre.dataobj)
    )


def test_separate_sequences_must_fit(tmp_path):
    flair = save_nifti(tmp_path / "flair.nii", head((40, 34, 6)))
    smaller = save_nifti(tmp_path / "smaller.nii", head((44, 34, 6)))
    moved = save_nifti(
        tmp_path / "moved.nii",
        head((40, 34, 6)),
        np.array([[3, 0, 0, 4], [0, 3, 0, 0], [0, 0, 15, 0], [0, 0, 0, 1.0]]),
    )
    pictures = save_slices(tmp_path / "pictures", head((6, 34, 40)))
    coloured = save_slices(
        tmp_path / "coloured", np.stack([head((6, 34, 40), s) for s in range(3)], 3)
    )
    for pre, words in (
        (
            smaller,
            r"smaller.nii: \(6, 34, 44\) slices, rows and columns, but .*flair.nii has \(6, 34",
        ),
        (moved, "moved.nii: does not show the same places as .*flair.nii"),
        (pictures, "pictures: does not show the same places"),
        (coloured, "coloured: 3 channels; pre-contrast T1 in a file of its own has one"),
    ):
        with pytest.raises(LggError, match=words):
            read_sequences(flair, pre)


def test_separate_folders_of_pictures(tmp_path):
    flair, post = (
        save_slices(tmp_path / name, head(seed=s), name) for s, name in enumerate(("flair", "post"))
    )
    scan = read_sequences(flair, post=post)
    np.testing.assert_array_equal(scan.image[..., 2], head(seed=1))
    assert scan.names[0] == "flair_1"


def test_dicom_series_as_channels(tmp_path):
    from test_dicom import write_series

    for uid, seed in (("1.2.1", 0), ("1.2.2", 1)):
        write_series(
            tmp_path / uid,
            head((6, 34, 40), seed).astype(np.uint16) * 4,
            uid,
            15,
            PixelSpacing=[3.0, 2.5],
        )
    with pytest.raises(LggError, match="holds 2 series"):
        read_scan(tmp_path)
    scan = read_scan(tmp_path, order="post,flair", series="1, 2")
    assert scan.pixel == (3, 2.5) and scan.image.shape == (6, 34, 40, 3)
    np.testing.assert_allclose(scan.image[..., 2].astype(int), head((6, 34, 40)), atol=3)
    np.testing.assert_allclose(scan.image[..., 1].astype(int), head((6, 34, 40), 1), atol=3)
    with pytest.raises(
        LggError, match=r"IM0001: has 1 x 34 x 40 voxels of 5 x 3 x 2.5 mm; a head .* all slices"
    ):
        read_scan(tmp_path / "1.2.1" / "IM0001")
    np.testing.assert_array_equal(
        read_sequences(tmp_path / "1.2.2", post=tmp_path / "1.2.1").image, scan.image
    )


def test_what_is_no_scan(tmp_path):
    for path, words in (
        (tmp_path / "nowhere", "nowhere: no such file or folder; name a file"),
        (tmp_path, "no picture there"),
    ):
        with pytest.raises(LggError, match=words):
            read_scan(path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(LggError, match="notes.txt: no picture .* no NIfTI.* no DICOM; convert it"):
        read_scan(tmp_path / "notes.txt")
    save_slices(tmp_path / "deeper", head())
    with pytest.raises(LggError, match=r"name one of its folders \(deeper\)"):
        read_scan(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="has no pipes among files")
def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(LggError, match="pipe.png: neither a file nor a folder"):
        read_scan(tmp_path / "pipe.png")
    with pytest.raises(LggError, match="pipe.png: a link to nowhere, or not a plain file"):
        read_scan(tmp_path)


def test_ambiguous_folders(tmp_path):
    save_slices(tmp_path / "a", head())
    save_nifti(tmp_path / "a" / "x.nii", head())
    with pytest.raises(LggError, match="a: holds scans of several kinds"):
        read_scan(tmp_path / "a")
    (tmp_path / "b").mkdir()
    for name in ("flair.nii.gz", "t1.nii.gz"):
        save_nifti(tmp_path / "b" / name, head())
    with pytest.raises(LggError, match=r"holds 2 scans \(flair.nii.gz, t1.nii.gz\); .*--flair"):
        read_scan(tmp_path / "b")
    with pytest.raises(LggError, match="no series to choose"):
        read_scan(save_slices(tmp_path / "c", head()), series="1")


def test_hidden_files_are_passed_over_and_broken_links_are_not(tmp_path):
    save_slices(tmp_path, head())
    (tmp_path / "._s_1.png").write_bytes(b"what macOS leaves on memory sticks")
    assert len(read_scan(tmp_path).names) == 4
    if sys.platform == "win32":
        return  # a link needs a privilege there
    (tmp_path / "s_5.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(LggError, match="s_5.png: a link to nowhere"):
        read_scan(tmp_path)


def test_results_are_no_scan(tmp_path):
    save_slices(tmp_path, head())
    (tmp_path / RESULTS).write_text("{}")
    with pytest.raises(LggError, match="holds what an earlier run found"):
        read_scan(tmp_path)


def test_what_shows_nothing_is_named(tmp_path):
    with pytest.raises(LggError, match=f"{tmp_path.name}: shows nothing"):
        read_scan(save_slices(tmp_path, np.zeros((2, 20, 20), np.uint8)))


@pytest.mark.parametrize(
    ("package", "name"), [("nibabel", "x.nii"), ("SimpleITK", "x.nrrd"), ("pydicom", "x.dcm")]
)
def test_a_missing_package_is_named(tmp_path, monkeypatch, package, name):
    (tmp_path / name).write_bytes(bytes(128) + b"DICM")
    for module in ("nifti", "itk", "dicom", "grid"):
        monkeypatch.delitem(sys.modules, f"lggseg.scans.{module}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        LggError, match=f"{name}: needs the package {package}; pip install {package}"
    ):
        read_scan(tmp_path / name)


def test_one_file_for_two_sequences_is_refused(tmp_path):
    Image.fromarray(np.eye(9, dtype=np.uint8) * 200).save(tmp_path / "a.png")
    with pytest.raises(LggError, match="one file named for two sequences"):
        read_sequences(tmp_path / "a.png", pre=tmp_path / "a.png")


LABELS = np.zeros((4, 34, 40), np.uint8)
LABELS[1:, 8:20, 8:30], LABELS[2, 10:15, 10:15], LABELS[3, 10:15, 10:15] = 2, 1, 4


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float64])
def test_a_label_map_is_no_scan(tmp_path, kind):
    path = save_nifti(tmp_path / "seg.nii", LABELS.T.astype(kind))
    with pytest.raises(
        LggError, match=r"seg.nii: FLAIR has only the values 0, 1, 2, 4, as a mask .* name the scan"
    ):
        read_scan(path)
    scan = save_nifti(tmp_path / "flair.nii", head().T)
    with pytest.raises(LggError, match="seg.nii: post-contrast T1 has only"):
        read_sequences(scan, post=path)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_pictures_of_masks_are_no_scan(tmp_path, suffix):
    masks = np.where(LABELS > 0, np.uint8(255), np.uint8(0))
    for number, mask in enumerate(masks):
        mask[0, number] = 255  # no slice is a copy of another
    with pytest.raises(LggError, match="masks: FLAIR has only the values 0, 255"):
        read_scan(save_slices(tmp_path / "masks", masks, suffix=suffix))
    colours = np.stack([head(), masks, head()], axis=3)
    with pytest.raises(LggError, match="FLAIR has only the values 0, 255"):
        read_scan(save_slices(tmp_path / "colours", colours, suffix=suffix))


def test_a_label_map_beside_the_sequences_is_skipped(tmp_path):
    path = save_nifti(
        tmp_path / "all.nii", np.stack([head(), LABELS], axis=3).transpose(2, 1, 0, 3)
    )
    assert read_scan(path, order="flair,skip").image.any()
    with pytest.raises(LggError, match="pre-contrast T1 has only the values 0, 1, 2, 4"):
        read_scan(path, order="flair,pre")


def test_a_map_of_many_regions_is_told_and_a_constant_is_missing(tmp_path):
    """Atlases name some dozens of regions.

    64 levels and fewer are told; what shows nothing has its own warning.
    """
    for levels, told in ((9, 1), (64, 1), (65, 0)):
        folder = save_slices(tmp_path / str(levels), head() % levels)
        assert (
            sum(
                f"FLAIR has only {levels} values" in warning
                for warning in read_scan(folder).warnings
            )
            == told
        )
    scan = read_scan(
        save_slices(tmp_path / "missing", np.stack([0 * head(), head(), head(seed=1)], axis=3))
    )
    assert scan.warnings == ["pre-contrast T1 shows nothing; FLAIR stands in"]


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    def refused(path, *_):
        raise PermissionError(13, "Permission denied", str(path))

    scan = save_nifti(tmp_path / "flair.nii", head().T)
    monkeypatch.setattr(type(scan), "open", refused)
    with pytest.raises(LggError, match="flair.nii: cannot be read .*Permission denied"):
        read_scan(scan)


def test_a_picture_among_dicom_files_is_not_the_scan(tmp_path):
    from test_dicom import write_series

    write_series(tmp_path)  # files without a suffix
    Image.fromarray(head()[0]).save(tmp_path / "thumbnail.png")
    with pytest.raises(LggError, match=r"holds scans of several kinds \(pictures, dicom\)"):
        read_scan(tmp_path)


@pytest.mark.parametrize(
    "name", ["a.mgz", "a.npy", "a.h5", "a.par", "a.zip", "a.gif", "a.hdr", "a.mat"]
)
def test_other_formats_are_refused_with_a_way_to_convert_them(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x89HDF" + bytes(500))
    for path in (tmp_path / name, tmp_path):
        with pytest.raises(LggError, match="no picture there .* convert it to NIfTI, as by"):
            read_scan(path)


def test_slices_that_imagej_was_told_are_channels(tmp_path):
    """tifffile #50: without axes, its ImageJ files call the first axis channels."""
    tifffile.imwrite(tmp_path / "a.tif", head((24, 34, 40)), imagej=True)
    with pytest.raises(LggError, match="a.tif: 24 sequences; say which is which"):
        read_scan(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "a.tif", head((24, 34, 40)), imagej=True, metadata={"axes": "ZYX"})
    np.testing.assert_array_equal(read_scan(tmp_path / "a.tif").image[..., 1], head((24, 34, 40)))


@pytest.mark.parametrize("factor", [1, 2**24])
def test_unsigned_numbers_of_32_bits_have_the_same_levels(tmp_path, factor):
    deep = head().astype(np.uint32)
    tifffile.imwrite(tmp_path / "a.tif", deep.astype(np.float32), photometric="minisblack")
    tifffile.imwrite(tmp_path / "b.tif", deep * np.uint32(factor), photometric="minisblack")
    same = [read_scan(tmp_path / name).image for name in ("a.tif", "b.tif")]
    np.testing.assert_allclose(same[0].astype(int), same[1], atol=1)


@pytest.mark.parametrize(
    "affine", [np.eye(4), np.diag([0.003, 0.003, 0.015, 1]), np.diag([3e3, 3e3, 15e3, 1])]
)
def test_a_volume_that_is_no_head_is_refused(tmp_path, affine):
    """Saved with the identity as its affine; in metres and microns that are called millimetres."""
    with pytest.raises(
        LggError, match=r"x.nii: has 6 x 34 x 40 voxels of .* mm.*; a head has .* dcm2niix"
    ):
        read_scan(save_nifti(tmp_path / "x.nii", head((40, 34, 6)), affine))


def test_what_the_head_finder_doubts_is_told(tmp_path):
    cropped = head((4, 100, 100))[:, 20:80, 20:80]
    [_, warning] = read_scan(save_slices(tmp_path, cropped)).warnings
    assert "tissue fills" in warning and "give the scan with air around the head" in warning
