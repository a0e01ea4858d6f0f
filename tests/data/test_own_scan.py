import numpy as np
import pytest
from PIL import Image

from lggseg.data.own_scan import from_slices, read_scan, to_bytes, to_slices
from lggseg.errors import LggError


def save(folder, name, value=0, size=(8, 8), channels=3):
    pixels = np.full((*size, channels) if channels > 1 else size, value, np.uint8)
    Image.fromarray(pixels).save(folder / name)


def test_slices_in_numeric_order(tmp_path):
    for k in (1, 2, 10):
        save(tmp_path, f"scan_{k}.png", k)
    scan = read_scan(tmp_path)
    assert scan.names == ["scan_1", "scan_2", "scan_10"] and scan.image[:, 0, 0, 0].tolist() == [1, 2, 10]
    assert scan.truth is None and scan.image.dtype == np.uint8


def test_masks_beside_the_slices_are_the_truth(tmp_path):
    save(tmp_path, "a_1.tif")
    save(tmp_path, "a_1_mask.tif", 255, channels=1)
    assert read_scan(tmp_path).truth.all()


def test_a_patients_folder_reads_like_the_cohort(phantom_cohort):
    patient = phantom_cohort.patients[0]
    scan, volume = read_scan(phantom_cohort.root / phantom_cohort.slices.image[0].split("/")[0]), None
    volume = phantom_cohort.volume(patient)
    np.testing.assert_array_equal(scan.image, volume.image)
    np.testing.assert_array_equal(scan.truth, volume.mask)


def test_grey_pictures_stand_for_all_three_sequences(tmp_path):
    save(tmp_path, "flair.jpg", 77, channels=1)
    assert (read_scan(tmp_path / "flair.jpg").image == 77).all() and read_scan(tmp_path).image.shape == (1, 8, 8, 3)


def test_refusals_name_file_and_rule(tmp_path):
    with pytest.raises(LggError, match="no picture there"):
        read_scan(tmp_path)
    save(tmp_path, "s_1.png")
    save(tmp_path, "s_2.png", size=(8, 9))
    with pytest.raises(LggError, match=r"s_2.png: \(8, 9\) pixels, but s_1.png"):
        read_scan(tmp_path)
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(LggError, match="deep.png: .*8-bit"):
        read_scan(tmp_path / "deep.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(LggError, match="broken.png: cannot be read"):
        read_scan(tmp_path / "broken.png")


def test_axes_there_and_back():
    volume = np.random.default_rng(0).random((3, 4, 5))
    slices = to_slices(volume)
    assert slices.shape == (5, 4, 3)
    assert slices[0, 0, 0] == volume[2, 3, 0]  # the first row is the front, the first column the patient's right
    np.testing.assert_array_equal(from_slices(slices), volume)


def test_bytes_saturate_the_brightest():
    values = np.concatenate([np.zeros(1000), np.linspace(1, 100, 1000), [1e6]])
    grey = to_bytes(values)
    assert grey[0] == 0 and grey[-1] == 255 and 240 < grey[1990] <= 255
    assert (to_bytes(np.full(5, 3.0)) == 0).all()


@pytest.mark.parametrize(("shape", "ok"), [((6, 7, 3), True), ((6, 7, 3, 3), True), ((6, 7), False),
                                           ((6, 7, 3, 2), False)])
def test_nifti_shapes(tmp_path, shape, ok):
    nibabel = pytest.importorskip("nibabel")
    nibabel.save(nibabel.Nifti1Image(np.ones(shape, np.float32), np.eye(4)), tmp_path / "x.nii.gz")
    if ok:
        assert read_scan(tmp_path / "x.nii.gz").image.shape == (3, 7, 6, 3)
    else:
        with pytest.raises(LggError, match="it must be"):
            read_scan(tmp_path / "x.nii.gz")
