"""DICOM series, written here slice by slice in an order that their names do not tell."""

from functools import partial

import numpy as np
import pytest

from lggseg.errors import LggError
from lggseg.scans.dicom import PLACE, read_dicom
from lggseg.scans.read import list_dicom

pydicom = pytest.importorskip("pydicom")
from pydicom import encaps, uid  # noqa: E402
from pydicom.dataset import FileMetaDataset  # noqa: E402
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid  # noqa: E402

AXIAL = (1, 0, 0, 0, 1, 0)
# Slices from bottom, rows from front, columns.
WORLD = np.arange(4 * 6 * 5, dtype=np.uint16).reshape(4, 6, 5) + 100


def write(file, pixels, position=(0, 0, 0), orientation=AXIAL, uid="1.2.3", **tags):
    data = pydicom.Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = MRImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SeriesInstanceUID, data.PixelSpacing, data.SliceThickness = uid, [2.0, 1.0], 5
    data.ImagePositionPatient, data.ImageOrientationPatient = list(position), list(orientation)
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelData = np.ascontiguousarray(pixels, "<u2").tobytes()
    for name, value in tags.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    file.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(file, enforce_file_format=True)
    return file


def write_series(folder, world=WORLD, uid="1.2.3", step=5, **tags):
    """Axial slices, the last file name first in space; x runs to the patient's left."""
    for z, pixels in enumerate(world):
        write(folder / f"IM{len(world) - z:04}", pixels, (0, 0, step * z), uid=uid, **tags)
    return folder


def read(folder, wanted=()):
    return read_dicom(list_dicom(folder), folder, wanted)


def test_slices_are_ordered_by_position_and_not_by_name(tmp_path):
    stack = read(write_series(tmp_path))
    np.testing.assert_array_equal(stack.image[..., 0], WORLD)
    assert stack.grid.spacing.tolist() == [5, 2, 1] and stack.image.dtype == np.float32


def test_the_affine_is_nibabels(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    grid = read(write_series(tmp_path)).grid
    assert nibabel.aff2axcodes(grid.affine) == ("L", "P", "S")
    np.testing.assert_allclose(
        grid.affine, [[-1, 0, 0, 0], [0, -2, 0, 0], [0, 0, 5, 0], [0, 0, 0, 1]]
    )


def test_a_sagittal_series_becomes_axial_slices(tmp_path):
    for x in range(5):  # columns of the picture run to the back, rows downwards, slices to the left
        write(tmp_path / f"{x}.dcm", WORLD[::-1, :, x], (5 * x, 0, 15), (0, 1, 0, 0, 0, -1))
    stack = read(tmp_path)
    np.testing.assert_array_equal(stack.image[..., 0], WORLD)
    assert stack.grid.spacing.tolist() == [2, 1, 5]
    np.testing.assert_array_equal(
        stack.grid.to_slices(stack.grid.from_slices(stack.image[..., 0])), WORLD
    )


def test_slope_and_intercept_of_each_slice(tmp_path):
    for z in range(3):
        write(
            tmp_path / str(z),
            np.full((4, 4), 10),
            (0, 0, z),
            RescaleSlope=z + 1,
            RescaleIntercept=-5,
        )
    assert read(tmp_path).image[:, 0, 0, 0].tolist() == [5, 15, 25]


def test_monochrome_1_is_turned_over(tmp_path):
    stack = read(write_series(tmp_path, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(stack.image[..., 0], 4095.0 - WORLD)


def test_padding_is_nothing(tmp_path):
    stack = read(write_series(tmp_path, PixelPaddingValue=105))
    np.testing.assert_array_equal(np.isnan(stack.image[..., 0]), WORLD == 105)


def test_several_series_are_listed_and_chosen(tmp_path):
    write_series(tmp_path / "a", WORLD, "1.2.3", SeriesNumber=7, SeriesDescription="AX FLAIR")
    write_series(
        tmp_path / "b" / "deep", WORLD + 1, "1.2.4", SeriesNumber=3, SeriesDescription="AX T1"
    )
    with pytest.raises(
        LggError,
        match=r"holds 2 series; .* 1 = AX T1 \(4 pictures, 1.2.4\); 2 = AX FLAIR \(4 pictu",
    ):
        read(tmp_path)
    for wanted, offset in (("2", 0), ("1.2.3", 0), ("1", 1), ("1.2.4", 1)):
        np.testing.assert_array_equal(read(tmp_path, [wanted]).image[..., 0], WORLD + offset)
    np.testing.assert_array_equal(read(tmp_path, ["1", "2"]).image[0, 0, 0], [101, 100])
    with pytest.raises(LggError, match="no series 3; there are 1 = AX T1"):
        read(tmp_path, ["3"])


def test_series_of_two_places_do_not_make_one_scan(tmp_path):
    write_series(tmp_path / "a", uid="1.2.3")
    write_series(tmp_path / "b", WORLD[:3], uid="1.2.4")
    with pytest.raises(LggError, match="does not show the same places"):
        read(tmp_path, ["1", "2"])


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"ImagePositionPatient": None}, "does not tell ImagePositionPatient"),
        ({"PixelSpacing": None}, "PixelSpacing"),
        ({"NumberOfFrames": 2}, "several frames"),
        ({"SamplesPerPixel": 3}, "in colours"),
        ({"Modality": "CT"}, "is of the modality CT; give magnetic resonance"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "in colours"),
        ({"ModalityLUTSequence": [pydicom.Dataset()]}, "has a table of levels"),
        ({"PixelData": b"12"}, "cannot be read as DICOM .cut short, 2 of 60 bytes"),
    ],
)
def test_what_is_no_stack_of_slices_is_refused(tmp_path, tags, words):
    with pytest.raises(LggError, match=words):
        read(write_series(tmp_path, **tags))


def enhanced(file, **tags):
    """All slices as frames of one file, from top to bottom, each with its own place."""
    places = []
    for z in reversed(range(len(WORLD))):
        place = pydicom.Dataset()
        place.ImagePositionPatient = [0, 0, 5 * z]
        frame = pydicom.Dataset()
        frame.PlanePositionSequence = [place]
        places.append(frame)
    sizes = pydicom.Dataset()
    sizes.PixelSpacing = [2.0, 1.0]
    turn = pydicom.Dataset()
    turn.ImageOrientationPatient = list(AXIAL)
    shared = pydicom.Dataset()
    shared.PixelMeasuresSequence = [sizes]
    shared.PlaneOrientationSequence = [turn]
    lost = dict.fromkeys(PLACE)
    told = {
        "SOPClassUID": uid.EnhancedMRImageStorage,
        "NumberOfFrames": len(WORLD),
        "SharedFunctionalGroupsSequence": [shared],
        "PerFrameFunctionalGroupsSequence": places,
        "PixelData": np.ascontiguousarray(WORLD[::-1], "<u2").tobytes(),
    }
    return write(file, WORLD[0], **(lost | told | tags))


def test_several_frames_in_one_file(tmp_path):
    stack = read(enhanced(tmp_path / "a.dcm"))
    np.testing.assert_array_equal(stack.image[..., 0], WORLD)
    assert stack.grid.spacing.tolist() == [5, 2, 1]


def test_frames_that_are_no_stack_are_refused(tmp_path):
    file = enhanced(tmp_path / "a.dcm", NumberOfFrames=3)
    with pytest.raises(LggError, match="a.dcm"):
        read(file)
    data = pydicom.dcmread(enhanced(file))
    data.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient = [
        0,
        0,
        0,
    ]
    data.save_as(file)
    with pytest.raises(LggError, match="two pictures at one place"):
        read(file)
    for tag in ("RescaleSlope", "RescaleIntercept"):
        data = pydicom.dcmread(enhanced(file))
        other = pydicom.Dataset()
        setattr(other, tag, 2)
        data.PerFrameFunctionalGroupsSequence[2].PixelValueTransformationSequence = [other]
        data.save_as(file)
        with pytest.raises(LggError, match=f"a.dcm: has frames that differ in {tag}"):
            read(file)


def test_a_lost_slice_and_a_double_one_are_told(tmp_path):
    write_series(tmp_path)
    (tmp_path / "IM0002").unlink()
    with pytest.raises(LggError, match="5.00 to 10.00 mm apart; one is lost"):
        read(tmp_path)
    write(tmp_path / "again", WORLD[0], (0, 0, 0))
    with pytest.raises(LggError, match="two pictures at one place"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("last", "told"), [(15.9, False), (16.1, True), (14.1, False), (13.9, True)]
)
def test_slices_a_fifth_nearer_or_further_are_still_a_series(tmp_path, last, told):
    for z, place in enumerate((0, 5, 10, last)):
        write(tmp_path / str(z), WORLD[z], (0, 0, place))
    if told:
        with pytest.raises(LggError, match="one is lost"):
            read(tmp_path)
    else:
        assert read(tmp_path).grid.spacing[0] == pytest.approx(last / 3)


@pytest.mark.parametrize(("aside", "told"), [(0.4, False), (0.6, True)])
def test_a_slice_beside_the_others_is_told(tmp_path, aside, told):
    """The pixels are 1 mm wide."""
    for z, x in enumerate((0, aside, 0, 0)):
        write(tmp_path / str(z), WORLD[z], (x, 0, 5 * z))
    if told:
        with pytest.raises(LggError, match="0.60 mm beside the line"):
            read(tmp_path)
    else:
        assert read(tmp_path).image.shape == (4, 6, 5, 1)


def test_a_sheared_stack_is_one(tmp_path):
    for z, place in enumerate((0, 5, 10.5, 15)):
        write(tmp_path / str(z), WORLD[z], (0, 0.3 * place, place))
    np.testing.assert_allclose(read(tmp_path).grid.affine[:3, 2], (0, -1.5, 5))


def test_no_slice_is_lost_in_silence(tmp_path):
    for z in range(4):
        write(tmp_path / f"{z}.dcm", WORLD[z], (0, 0, 5 * z))
    whole = (tmp_path / "3.dcm").read_bytes()
    for content in (b"", whole[132:]):
        (tmp_path / "3.dcm").write_bytes(content)
        with pytest.raises(LggError, match="3.dcm: is called DICOM and is none"):
            read(tmp_path)
    write(tmp_path / "3.dcm", WORLD[3], (0, 0, 15), SeriesInstanceUID=None)
    with pytest.raises(LggError, match=r"holds 2 series.*\(1 pictures, no UID\)"):
        read(tmp_path)


def test_a_single_slice_is_as_thick_as_it_says(tmp_path):
    write(tmp_path / "a", WORLD[0])
    assert read(tmp_path).grid.spacing[0] == 5


def test_a_localizer_in_the_series_is_told(tmp_path):
    write(write_series(tmp_path) / "localizer", WORLD[0], orientation=(0, 1, 0, 0, 0, -1))
    with pytest.raises(LggError, match="differs in ImageOrientationPatient"):
        read(tmp_path)


def test_files_that_hold_no_picture(tmp_path):
    (tmp_path / "notes.txt").write_text("no DICOM")
    with pytest.raises(LggError, match="no DICOM"):
        list_dicom(tmp_path)
    file = write(tmp_path / "report", WORLD[0], Rows=None)
    with pytest.raises(LggError, match="no picture in its DICOM files"):
        read(tmp_path)
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(LggError, match="DICOM"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (b"2.0\\1.0", b"2.0\\1.$"),
        (b"\x28\0\x11\0US", b"\x28\0\x11\0U\0"),
        (b"4711", b"47$1"),
        (b"5.25", b"5.$5"),
    ],
)
def test_damaged_values_are_named(tmp_path, was, now):
    """A distance, a thickness and a series' number that are none; a type that is none."""
    file = write(tmp_path / "a.dcm", WORLD[0], SeriesNumber=4711, SliceThickness="5.25")
    assert file.read_bytes().count(was) == 1
    file.write_bytes(file.read_bytes().replace(was, now))
    with pytest.raises(LggError, match="a.dcm: cannot be read as DICOM"):
        read(tmp_path)


@pytest.mark.parametrize(
    "tags",
    [
        {"PixelSpacing": [-2, 1]},
        {"orientation": (2, 0, 0, 0, 3, 0)},
        {"orientation": (1, 0, 0, 0.8, 0.6, 0)},
    ],
)
def test_axes_that_are_none_are_refused(tmp_path, tags):
    folder = write_series(tmp_path / "a", **tags)
    with pytest.raises(LggError, match="right angles and of length 1"):
        read_dicom(list_dicom(folder), folder)


def test_a_series_named_twice_is_refused(tmp_path):
    folder = write_series(tmp_path / "a")
    with pytest.raises(LggError, match="names one series twice"):
        read_dicom(list_dicom(folder), folder, ["1", "1.2.3"])


NOISE = np.random.default_rng(0).integers(0, 4096, (4, 16, 24)).astype(np.uint16)


def compressed(folder, syntax, encode):
    """A series whose pixels are encoded by `encode`."""
    for file in write_series(folder, NOISE).iterdir():
        data = pydicom.dcmread(file)
        pixels = data.pixel_array
        data.file_meta.TransferSyntaxUID = syntax
        data.PixelData = encaps.encapsulate([encode(pixels)])
        data["PixelData"].is_undefined_length = True
        data.save_as(file, enforce_file_format=True)
    return folder


@pytest.mark.parametrize(
    ("syntax", "codec"),
    [
        (uid.JPEG2000Lossless, "jpeg2k"),
        (uid.JPEGLSLossless, "jpegls"),
        (uid.JPEGLosslessSV1, "ljpeg"),
    ],
)
def test_compressed_pixels(tmp_path, syntax, codec):
    imagecodecs = pytest.importorskip("imagecodecs")
    encode = getattr(imagecodecs, f"{codec}_encode")
    if codec == "jpeg2k":
        encode = partial(encode, level=0, codecformat="j2k", reversible=True)
    folder = compressed(tmp_path, syntax, encode)
    np.testing.assert_array_equal(read(folder).image[..., 0], NOISE)
    file = folder / "IM0002"
    data = pydicom.dcmread(file)
    data.PixelData = encaps.encapsulate([encaps.get_frame(data.PixelData, 0)[:-200]])
    data["PixelData"].is_undefined_length = True
    data.save_as(file, enforce_file_format=True)
    with pytest.raises(LggError, match="IM0002: cannot be read as DICOM"):
        read(folder)


def test_run_lengths_and_deflated_files(tmp_path):
    for file in write_series(tmp_path / "rle", NOISE).iterdir():
        data = pydicom.dcmread(file)
        data.compress(uid.RLELossless)
        data.save_as(file)
    for file in write_series(tmp_path / "deflated", NOISE).iterdir():
        data = pydicom.dcmread(file)
        data.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
        data.save_as(file)
    for name in ("rle", "deflated"):
        np.testing.assert_array_equal(read(tmp_path / name).image[..., 0], NOISE)


def test_bits_above_the_stored_ones_are_cut_off(tmp_path):
    """Old scanners keep an overlay there."""
    np.testing.assert_array_equal(read(write_series(tmp_path, WORLD + 0xF000)).image[..., 0], WORLD)


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("suffix", ["", ".dcm"])
def test_files_without_a_preamble(tmp_path, implicit, suffix):
    """pydicom #150, hazen #433."""
    for file in list(write_series(tmp_path).iterdir()):
        data = pydicom.dcmread(file)
        del data.file_meta
        data.preamble = None
        file.unlink()
        data.save_as(file.with_name(file.name + suffix), implicit_vr=implicit, little_endian=True)
    np.testing.assert_array_equal(read(tmp_path).image[..., 0], WORLD)


def test_copies_in_another_folder_are_told(tmp_path):
    """Slicer #595."""
    for name in "ab":
        write_series(tmp_path / name)
    with pytest.raises(LggError, match="two pictures at one place .* copies"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["A", "Z"])
def test_the_localizer_is_named_wherever_it_sorts(tmp_path, name):
    """dcm2niix #393."""
    write(write_series(tmp_path) / name, WORLD[0], orientation=(0, 1, 0, 0, 0, -1))
    with pytest.raises(LggError, match=f": {name} differs in ImageOrientationPatient"):
        read(tmp_path)


def test_a_stack_split_into_series_is_told(tmp_path):
    for z, pixels in enumerate(WORLD):
        write(tmp_path / str(z), pixels, (0, 0, 5 * z), uid=f"1.2.3.{z}")
    with pytest.raises(
        LggError, match="series have one picture each: a stack that was split; .* 4 = "
    ):
        read(tmp_path)


def test_directories_of_files_are_passed_over(tmp_path):
    file = write(write_series(tmp_path) / "DICOMDIR", WORLD[0], Rows=None)
    np.testing.assert_array_equal(read(tmp_path).image[..., 0], WORLD)
    with pytest.raises(LggError, match="DICOMDIR: no picture in its DICOM files"):
        read_dicom(list_dicom(file), file)


def test_padding_of_an_inverted_picture(tmp_path):
    tags = {
        "PhotometricInterpretation": "MONOCHROME1",
        "PixelPaddingValue": 105,
        "RescaleSlope": 2,
        "RescaleIntercept": -9,
    }
    found = read(write_series(tmp_path, **tags)).image[..., 0]
    np.testing.assert_array_equal(np.isnan(found), WORLD == 105)
    np.testing.assert_array_equal(found[WORLD != 105], 2 * (4095.0 - WORLD[WORLD != 105]) - 9)


def test_slices_of_one_series_may_bear_several_numbers(tmp_path):
    for z, pixels in enumerate(WORLD):
        write(tmp_path / str(z), pixels, (0, 0, 5 * z), SeriesNumber=z // 2)
    np.testing.assert_array_equal(read(tmp_path).image[..., 0], WORLD)
