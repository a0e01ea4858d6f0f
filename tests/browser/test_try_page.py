"""The page in which the network runs, in a headless Chromium; and does it as the package does?"""

import functools
import gzip
import http.server
import io
import json
import os
import re
import subprocess
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile
import torch
from matplotlib import colormaps
from PIL import Image
from servers import PICTURES, ROOT

from dev.tools import try_page
from lggseg import Assessment, DiceBCELoss, LggError, Segmenter, UNet, dice, load_pretrained
from lggseg.export import export_segmenter
from lggseg.phantom.scanning import draw_slices
from lggseg.phantom.table import plan_cohort
from lggseg.prepare.head_finder import find_head
from lggseg.prepare.network_grid import GridSpec, mask_to_grid, slices_to_grid, standardise
from lggseg.prepare.scanner import contrast, gamma, ghosts, shading
from lggseg.scans.read import read_scan, read_sequences
from lggseg.scans.segment import segment_scan

nibabel = pytest.importorskip("nibabel")
pydicom = pytest.importorskip("pydicom")
SimpleITK = pytest.importorskip("SimpleITK")

UNNAMED = """() => {
  const controls = [...document.querySelectorAll("#try :is(input, select, button, canvas)")];
  const named = each => each.labels?.length || each.textContent.trim() || each.ariaLabel;
  const shown = each => each.checkVisibility() && !each.closest("[aria-hidden]");
  return controls.filter(each => shown(each) && !named(each)).map(each => each.outerHTML);
}"""  # what a screen reader would have no name for
CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")
AGREEMENT = 0.995  # Dice of the page's mask and the package's
PATIENTS = 20
FEWER = 4  # phantoms for tests that need just some
MB = 1e6
SLOWDOWN = float(os.environ.get("SLOWDOWN", "1"))  # of the page's CPU, to test as on a slow machine


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def site():
    """Address of a server of the page, built anew."""
    if lacking := try_page.missing_tool():
        pytest.skip(f"{lacking}, so the page was neither built nor tested")
    folder = ROOT / "build" / "try"
    try_page.build(folder)
    handler = functools.partial(QuietHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class TryPage:
    """The page as a reader uses it."""

    def __init__(self, page, address: str):
        self.page = page
        self.strange = []  # requests to other places than the page's own server
        self.errors = []
        page.set_default_timeout(120_000)
        if SLOWDOWN > 1:
            session = page.context.new_cdp_session(page)
            session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.route("**/*", lambda route: self.allow(route, address))
        page.goto(address)
        self.wait()

    def allow(self, route, address: str) -> None:
        if route.request.url.startswith((address, "blob:", "data:")):
            route.fallback()
            return
        self.strange.append(route.request.url)
        route.abort()

    def wait(self) -> None:
        """Until every slice is predicted."""
        self.page.wait_for_selector("#try[aria-busy=false] #try-work[aria-busy=false]")

    def give(self, *files: Path) -> None:
        """Open files, and wait for the mask."""
        self.page.evaluate("document.querySelector('#try-work').setAttribute('aria-busy', 'true')")
        self.page.set_input_files("#try-files", [str(file) for file in files])
        self.wait()
        assert self.error() == ""

    def refused(self, *files: Path) -> str:
        """Open files that cannot be used; what the page says of them."""
        self.page.evaluate("document.querySelector('#try-error').textContent = ''")
        self.page.set_input_files("#try-files", [str(file) for file in files])
        self.page.wait_for_function("document.querySelector('#try-error').textContent !== ''")
        return self.error()

    def error(self) -> str:
        return self.page.locator("#try-error").text_content()

    def warnings(self) -> list[str]:
        return self.page.locator("#try-warnings li").all_text_contents()

    def expected_dice(self) -> list[float]:
        """Expected Dice, and the ends of its interval."""
        shown = self.page.locator("#try-found").inner_text()
        found = re.search(r"expected Dice\s+([\d.]+) \(([\d.]+) to ([\d.]+)\)", shown)
        return [float(number) for number in found.groups()]

    def set(self, name: str, value: float) -> None:
        """Move a slider."""
        self.page.evaluate(
            """([name, value]) => {
              const slider = document.getElementById(name);
              slider.value = value;
              slider.dispatchEvent(new Event('input'));
              slider.dispatchEvent(new Event('change'));
            }""",
            [f"try-{name}", value],
        )

    def place(self) -> dict:
        """Where the slice lies in the window, once it lies still."""
        slice_on_show = self.page.locator("#try-slice")
        before = None
        now = slice_on_show.bounding_box()
        while now != before:
            self.page.wait_for_timeout(50)
            before = now
            now = slice_on_show.bounding_box()
        return now

    def stroke(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Draw from one place to another, both as shares of the slice's width and height."""
        box = self.page.locator("#try-slice").bounding_box()
        self.page.mouse.move(
            box["x"] + start[0] * box["width"], box["y"] + start[1] * box["height"]
        )
        self.page.mouse.down()
        self.page.mouse.move(
            box["x"] + end[0] * box["width"], box["y"] + end[1] * box["height"], steps=3
        )
        self.page.mouse.up()

    def unfold(self, name: str) -> None:
        if not self.page.locator(f"#try-{name}").evaluate("panel => panel.open"):
            self.page.locator(f"#try-{name} > summary").click()

    def download(self, button: str, folder: Path) -> Path:
        with self.page.expect_download() as expected:
            self.page.locator(f"#try-{button}").click()
        file = folder / expected.value.suggested_filename
        expected.value.save_as(file)
        return file

    def mask(self, folder: Path) -> np.ndarray:
        """The whole mask as saved, bool (D,H,W)."""
        image = nibabel.load(self.download("save-nifti", folder))
        return to_slices(image)

    def screenshot(self, name: str) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"try-{name}.png", full_page=True)


def to_slices(image) -> np.ndarray:
    """A mask in NIfTI as axial slices, bottom to top, the patient's left on the right."""
    closest = nibabel.as_closest_canonical(image)
    voxels = np.asarray(closest.dataobj) > 0  # towards right, front, top
    return voxels.transpose(2, 1, 0)[:, ::-1, ::-1]


@pytest.fixture
def opened(browser, site):
    """The page on a desktop."""
    with browser.new_context(
        viewport={"width": 1280, "height": 900}, accept_downloads=True
    ) as context:
        page = TryPage(context.new_page(), site)
        yield page
        assert page.strange == [] and page.errors == []


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory):
    """Phantoms that no network has seen: a TIFF of several pages, image and truth of each."""
    folder = tmp_path_factory.mktemp("phantoms")
    plan, _ = plan_cohort(PATIENTS, seed=31)
    found = []
    for patient in plan:
        slices = list(draw_slices(patient))
        image = np.stack([picture for picture, _ in slices])
        truth = np.stack([mask for _, mask in slices]) > 0
        file = folder / f"{patient.folder}.tif"
        tifffile.imwrite(file, image, photometric="rgb", compression="zlib", metadata=None)
        found.append((file, image, truth))
    return found


@pytest.fixture(scope="session")
def model():
    """The first member, which the page uses unless a reader asks for more."""
    whole = load_pretrained("phantom")
    return Segmenter([whole.networks[0]], whole.recipe, [whole.patients[0]])


def package_answer(model, scan) -> Assessment:
    """What the package finds in a scan, computed in float32 as in the page.

    bfloat16, which the package uses where a CPU has it, moves doubtful borders.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lggseg.model.device.cpu_has_bfloat16", lambda: False)
        return segment_scan(model, scan, device="cpu")


def package_mask(model, scan) -> np.ndarray:
    return package_answer(model, scan).mask


def compare(opened, folder: Path, model, scan, name: str) -> None:
    """The page shows the scan's mask, expected Dice and warnings as the package gives them."""
    wanted = package_answer(model, scan)
    overlap = dice(opened.mask(folder), wanted.mask)
    expected = opened.expected_dice()
    warnings = [*scan.warnings, *wanted.trust.warnings]
    print(f"agreement, {name}: {overlap:.4f}, expected {expected} and {wanted.trust}")
    assert overlap >= AGREEMENT, name
    ours = (wanted.trust.expected_dice, wanted.trust.low, wanted.trust.high)
    assert np.abs(np.subtract(expected, np.round(ours, 2))).max() < 0.011, name
    assert opened.warnings() == list(dict.fromkeys(warnings)), name


def test_scripts_are_formatted(site):
    """`npm run format` in web/ does it."""
    result = subprocess.run(["npm", "run", "check"], cwd=try_page.WEB, capture_output=True)
    assert result.returncode == 0, result.stderr.decode()


# ------------------------------------------------------------------ the package's answer


def test_masks_and_their_worth_are_the_packages(opened, phantoms, model, tmp_path):
    for file, _, _ in phantoms:
        opened.give(file)
        compare(opened, tmp_path, model, read_scan(file), file.name)


ROUGH = [
    {"noise": 4},
    {"noise": 8},
    {"noise": 15},
    {"gamma": 0.7},
    {"gamma": 1.4},
    {"contrast": 0.7},
    {"shading": 0.4},
    {"motion": 0.1},
    {"noise": 5, "gamma": 0.8, "shading": 0.2},
    {"contrast": 1.4, "shading": -0.3, "motion": 0.05},
]


@pytest.mark.parametrize("number", range(len(ROUGH)))
def test_masks_of_rough_versions_are_the_packages(opened, phantoms, model, tmp_path, number):
    file, image, _ = phantoms[number]
    opened.give(file)
    opened.unfold("bench")
    for name, value in ROUGH[number].items():
        opened.set(name, value)
    opened.page.wait_for_timeout(500)
    opened.wait()
    scan = read_scan(opened.download("save-picture", tmp_path))
    assert np.abs(scan.image.astype(int) - image).mean() > 0.1
    compare(opened, tmp_path, model, scan, str(ROUGH[number]))


def test_the_bench_does_what_the_package_does(opened, phantoms, tmp_path):
    file, image, _ = phantoms[6]
    opened.give(file)
    opened.unfold("bench")
    wanted = {
        "contrast": contrast(image, 1.5),
        "gamma": gamma(image, 0.6),
        "shading": shading(image, 0.5, axis=2),
        "motion": ghosts(image, 0.12),
    }
    for name, value in {"contrast": 1.5, "gamma": 0.6, "shading": 0.5, "motion": 0.12}.items():
        opened.page.locator("#try-untouched").click()
        opened.set(name, value)
        opened.page.wait_for_timeout(500)
        opened.wait()
        found = read_scan(opened.download("save-picture", tmp_path)).image
        assert np.abs(found.astype(int) - wanted[name]).max() <= 1, name


def test_mask_of_a_picture_is_the_packages(opened, phantoms, model, tmp_path):
    _, image, truth = phantoms[1]
    largest = int(truth.sum(axis=(1, 2)).argmax())
    file = tmp_path / "slice.png"
    Image.fromarray(image[largest]).save(file)
    opened.give(file)
    assert dice(opened.mask(tmp_path), package_mask(model, read_scan(file))) >= AGREEMENT


def test_mask_of_a_nifti_file_that_lies_otherwise_is_the_packages(
    opened, phantoms, model, tmp_path
):
    _, image, truth = phantoms[2]
    canonical = image[:, ::-1, ::-1].transpose(2, 1, 0, 3)  # towards right, front, top
    straight = nibabel.Nifti1Image(canonical.astype(np.int16) * 7, np.diag([0.9, 0.9, 5.0, 1.0]))
    turned = straight.as_reoriented(nibabel.orientations.axcodes2ornt("SLP"))
    file = tmp_path / "turned.nii.gz"
    nibabel.save(turned, file)
    opened.give(file)
    saved = nibabel.load(opened.download("save-nifti", tmp_path))
    assert saved.shape == turned.shape[:3] and np.allclose(saved.affine, turned.affine)
    mask = to_slices(saved)
    assert dice(mask, package_mask(model, read_scan(file))) >= AGREEMENT
    assert dice(mask, truth) > 0.5


def test_mask_of_a_dicom_series_is_the_packages(opened, phantoms, model, tmp_path):
    _, image, _ = phantoms[4]
    series = tmp_path / "series"
    series.mkdir()
    write_dicom(image[..., 1], series)
    files = sorted(series.iterdir())
    opened.give(*files)
    assert dice(opened.mask(tmp_path), package_mask(model, read_scan(series))) >= AGREEMENT


def itk_image(image: np.ndarray) -> "SimpleITK.Image":
    """Slices uint8 (D,H,W) or (D,H,W,3) as ITK has them, towards left, back and top."""
    levels = image.astype(np.int16) * 7
    made = SimpleITK.GetImageFromArray(levels, isVector=image.ndim == 4)
    made.SetSpacing((0.9, 0.9, 5.0))
    made.SetOrigin((-90.0, -100.0, 30.0))
    return made


def write_nrrd(file: Path, image: np.ndarray, place: str, flips: tuple[int, int], end: str) -> None:
    """FLAIR as an NRRD file; SimpleITK writes but one of the spaces that such files may have.

    `place` are the header's lines on where it lies, `flips` -1 for each of the axes x and y that
    runs the other way than in the slices, `end` < or > for the order of bytes.
    """
    voxels = image[:, :: flips[1], :: flips[0], 1].astype(f"{end}u2")
    header = (
        f"NRRD0004\n# a comment\ntype: unsigned short\ndimension: 3\n{place}"
        f"sizes: {' '.join(map(str, voxels.shape[::-1]))}\nkinds: domain domain domain\n"
        f"endian: {'big' if end == '>' else 'little'}\nencoding: raw\nkey:=value\n\n"
    )
    file.write_bytes(header.encode() + voxels.tobytes())


def write_itk_files(image: np.ndarray, folder: Path) -> dict[str, Path]:
    """One phantom in the layouts that NRRD and MetaImage have, each the file to open, by name."""
    found = {}
    flair = itk_image(image[..., 1])
    colours = itk_image(image)
    sagittal = SimpleITK.DICOMOrient(flair, "PIR")  # the axes run to the back, down, to the right
    for suffix in ("nrrd", "nhdr", "mha", "mhd"):
        found[f"turned, {suffix}"] = folder / f"turned.{suffix}"
        SimpleITK.WriteImage(sagittal, str(found[f"turned, {suffix}"]), True)
        found[f"three sequences, {suffix}"] = folder / f"colours.{suffix}"
        SimpleITK.WriteImage(colours, str(found[f"three sequences, {suffix}"]), suffix == "nrrd")
    for suffix in ("nrrd", "mha"):
        found[f"volumes, {suffix}"] = folder / f"volumes.{suffix}"
        volumes = SimpleITK.JoinSeries([itk_image(image[..., s]) for s in range(3)])
        SimpleITK.WriteImage(volumes, str(found[f"volumes, {suffix}"]))
    directions = "space directions: (0.9,0,0) (0,0.9,0) (0,0,5)\nspace origin: (-90,-90,10)\n"
    found["RAS"] = folder / "ras.nrrd"
    write_nrrd(found["RAS"], image, f"space: RAS\n{directions}", (-1, -1), ">")
    found["LAS"] = folder / "las.nrrd"
    write_nrrd(found["LAS"], image, f"space: left-anterior-superior\n{directions}", (1, -1), "<")
    return found


def test_nrrd_and_metaimage_are_read_as_by_the_package(opened, phantoms, model, tmp_path):
    _, image, truth = phantoms[2]
    opened.unfold("bench")
    for name, file in write_itk_files(image, tmp_path).items():
        files = [file, *(tmp_path.glob(f"{file.stem}*raw*") if "hd" in file.suffix else [])]
        opened.give(*files)
        scan = read_scan(file)
        scan.warnings = [each.replace(f"{tmp_path}/", "") for each in scan.warnings]
        compare(opened, tmp_path, model, scan, name)
        seen = read_scan(opened.download("save-picture", tmp_path)).image
        assert np.abs(seen.astype(int) - scan.image).max() <= 1, name
        assert dice(opened.mask(tmp_path), truth) > 0.5, name


def test_a_metaimage_without_its_voxels_is_refused(opened, phantoms, tmp_path):
    _, image, _ = phantoms[0]
    SimpleITK.WriteImage(itk_image(image[..., 1]), str(tmp_path / "alone.mhd"))
    said = opened.refused(tmp_path / "alone.mhd")
    assert said == "alone.mhd: its voxels lie in alone.raw; give both files at once"


def test_a_ct_is_refused(opened, phantoms, tmp_path):
    _, image, _ = phantoms[4]
    write_dicom(image[:2, ..., 1], tmp_path, modality="CT")
    with pytest.raises(LggError) as error:
        read_scan(tmp_path)
    said = opened.refused(*sorted(tmp_path.iterdir()))
    assert said == str(error.value).replace(f"{tmp_path}/", "")


def write_dicom(slices: np.ndarray, folder: Path, modality: str = "MR") -> None:
    """Axial slices uint8 (D,H,W), front up and left on the right, as a FLAIR series."""
    from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

    study, uid, frame = generate_uid(), generate_uid(), generate_uid()
    for z, pixels in enumerate(slices):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = MRImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        data = FileDataset(None, Dataset(), file_meta=meta, preamble=bytes(128))
        data.SOPClassUID, data.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
        data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = study, uid, frame
        data.Modality, data.SeriesNumber, data.InstanceNumber = modality, 3, z + 1
        data.SeriesDescription, data.PatientID, data.Manufacturer = "AX FLAIR", "phantom", "phantom"
        data.Rows, data.Columns = pixels.shape
        data.PixelSpacing, data.SliceThickness, data.SpacingBetweenSlices = [0.9, 0.9], 5, 5
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        data.ImagePositionPatient = [-100, -100, 5 * z]
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
        data.PixelData = (pixels.astype(np.uint16) * 9).tobytes()
        data.save_as(folder / f"image_{z + 1:02d}.dcm", enforce_file_format=True)


def test_sequences_in_files_of_their_own(opened, phantoms, model, tmp_path):
    _, image, _ = phantoms[3]
    affine = np.diag([-0.9, -0.9, 5.0, 1.0])
    files = {}
    for s, name in enumerate(("t1", "flair", "t1ce")):
        files[name] = tmp_path / f"patient_{name}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(image[..., s].transpose(2, 1, 0), affine), files[name])
    opened.give(*files.values())
    chosen = [select.input_value() for select in opened.page.locator("#try-channels select").all()]
    assert sorted(chosen) == ["flair", "post", "pre"]
    scan = read_sequences(files["flair"], files["t1"], files["t1ce"])
    assert dice(opened.mask(tmp_path), package_mask(model, scan)) >= AGREEMENT


def test_sequences_that_nobody_can_know_are_asked_for(opened, phantoms, tmp_path):
    _, image, _ = phantoms[3]
    files = [tmp_path / "first.nii", tmp_path / "second.nii"]
    for file, sequence in zip(files, (0, 1), strict=True):
        pixels = image[..., sequence].transpose(2, 1, 0)
        nibabel.save(nibabel.Nifti1Image(pixels, np.diag([-0.9, -0.9, 5.0, 1.0])), file)
    opened.page.set_input_files("#try-files", [str(file) for file in files])
    opened.page.wait_for_function("document.querySelectorAll('#try-channels select').length === 2")
    assert not opened.page.locator("#try-work").is_visible()
    opened.page.locator("#try-channels select").nth(1).select_option("flair")
    opened.wait()
    opened.page.locator("#try-channels select").nth(0).select_option("pre")
    opened.page.wait_for_function(
        "document.querySelector('#try-warnings').textContent.startsWith('no post-contrast T1;')"
    )
    assert opened.error() == ""


def test_a_dropped_file_is_opened(opened, phantoms):
    _, image, truth = phantoms[1]
    largest = int(truth.sum(axis=(1, 2)).argmax())
    buffer = io.BytesIO()
    Image.fromarray(image[largest]).save(buffer, "PNG")
    opened.page.evaluate(
        """bytes => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "dropped.png"));
          const options = {dataTransfer: transfer, bubbles: true, cancelable: true};
          document.querySelector("#try").dispatchEvent(new DragEvent("drop", options));
        }""",
        list(buffer.getvalue()),
    )
    opened.page.wait_for_function(
        "document.querySelector('#try-title').textContent.startsWith('dropped.png')"
    )
    opened.wait()


def test_other_kinds_of_pictures(opened, phantoms, model, tmp_path):
    _, image, truth = phantoms[5]
    largest = int(truth.sum(axis=(1, 2)).argmax())
    kinds = {
        "grey.jpg": image[largest, ..., 1],
        "grey.bmp": image[largest, ..., 1],
        "deep.png": image[largest, ..., 1].astype(np.uint16) * 200,
        "deep.tif": image[largest, ..., 1].astype(np.uint16) * 200,
    }
    for name, pixels in kinds.items():
        file = tmp_path / name
        Image.fromarray(pixels).save(file)
        opened.give(file)
        assert dice(opened.mask(tmp_path), package_mask(model, read_scan(file))) >= AGREEMENT, name
        assert "no pre-contrast T1 and no post-contrast T1; FLAIR stands in" in opened.warnings()[0]


def test_slices_in_files_of_their_own_with_masks(opened, phantoms, tmp_path):
    _, image, truth = phantoms[0]
    files = []
    for d in range(8, 12):
        for end, pixels in (("", image[d]), ("_mask", truth[d].astype(np.uint8) * 255)):
            files.append(tmp_path / f"slice_{d}{end}.png")
            Image.fromarray(pixels).save(files[-1])
    opened.give(*files)
    assert opened.page.locator("#try-title").text_content().endswith("of 4")
    assert "Dice" in opened.page.locator("#try-found").text_content()


# ------------------------------------------------------------------ bad input


def test_bad_input_gets_the_packages_own_words(opened, phantoms, tmp_path):
    _, image, truth = phantoms[0]
    rng = np.random.default_rng(0)
    bad = {}
    bad["text.png"] = lambda file: file.write_text("no picture")
    bad["labels.nii"] = lambda file: nibabel.save(
        nibabel.Nifti1Image(truth.transpose(2, 1, 0).astype(np.uint8) * 4, np.diag([-1, -1, 5, 1])),
        file,
    )
    bad["bits.png"] = lambda file: Image.fromarray(truth[10]).save(file)
    bad["empty.tif"] = lambda file: tifffile.imwrite(
        file, np.zeros((5, 64, 64), np.uint8), metadata=None
    )
    bad["huge.png"] = lambda file: file.write_bytes(huge_png(12_000))
    bad["glass.png"] = lambda file: Image.fromarray(
        np.dstack([image[10], np.full(image.shape[1:3], 90, np.uint8)])
    ).save(file)
    bad["flair_black.png"] = lambda file: Image.fromarray(
        image[10] * np.array([1, 0, 1], np.uint8)
    ).save(file)
    bad["short.nii"] = lambda file: file.write_bytes(
        nibabel.Nifti1Image(rng.random((9, 9, 9), np.float32), np.eye(4)).to_bytes()[:1000]
    )
    bad["four.nii"] = lambda file: nibabel.save(
        nibabel.Nifti1Image(rng.integers(0, 255, (16, 16, 4, 2, 2), np.int16), np.eye(4)), file
    )
    bad["identity.nii"] = lambda file: nibabel.save(
        nibabel.Nifti1Image(image[..., 1].transpose(2, 1, 0), np.eye(4)), file
    )
    largest = int(truth.sum(axis=(1, 2)).argmax())
    flair = image[largest, ..., 1]
    outlined = np.dstack([flair] * 3)
    outlined[100, 50:150] = (255, 0, 0)
    bad["outlined.png"] = lambda file: Image.fromarray(outlined).save(file)
    jet = (255 * colormaps["jet"](flair)[..., :3]).astype(np.uint8)
    bad["jet.png"] = lambda file: Image.fromarray(jet).save(file)
    bad["map.png"] = lambda file: Image.fromarray(np.where(truth[largest], 250, flair // 64)).save(
        file
    )
    bad["drawn.jpg"] = lambda file: Image.fromarray(255 * truth[largest].astype(np.uint8)).save(
        file
    )
    mosaic = np.block([[image[6, ..., 1], image[7, ..., 1]], [image[8, ..., 1], image[9, ..., 1]]])
    bad["mosaic.png"] = lambda file: Image.fromarray(mosaic).save(file)
    bad["pages.tif"] = lambda file: write_tiff_without_end(file, image[..., 1])
    bad["bomb.png"] = lambda file: file.write_bytes(huge_png(20_000))  # 400 megapixels
    gzipped = gzip.compress(
        nibabel.Nifti1Image(image[..., 1].transpose(2, 1, 0), np.diag([-1, -1, 5, 1])).to_bytes()
    )
    bad["flipped.nii.gz"] = lambda file: file.write_bytes(flip_a_bit(gzipped))
    bad["notes.txt"] = lambda file: file.write_text("no scan")
    for name, write in bad.items():
        write(tmp_path / name)
    check_refusals(opened, tmp_path, bad)


def check_refusals(opened, folder: Path, names) -> None:
    """The page refuses these files with the package's own words."""
    for name in names:
        with pytest.raises(LggError) as error:
            read_scan(folder / name)
        wanted = str(error.value).replace(f"{folder}/", "")
        said = opened.refused(folder / name)
        if "cannot be read as" in wanted:  # what the library says stands in brackets
            wanted, said = (re.sub(r"\(.*\)", "()", text) for text in (wanted, said))
        assert said == wanted, name


def test_bad_nrrd_and_metaimage_get_the_packages_own_words(opened, phantoms, tmp_path):
    _, image, truth = phantoms[0]
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "text.nrrd").write_text("no scan")
    (folder / "text.mha").write_text("no scan")
    write_nrrd(folder / "no_space.nrrd", image, "spacings: 0.9 0.9 5\n", (1, 1), "<")
    nifti = nibabel.Nifti1Image(image[..., 1].transpose(2, 1, 0), None)
    nifti.header.set_zooms((0.9, 0.9, 5.0))
    nibabel.save(nifti, folder / "no_place.nii")
    tiny = SimpleITK.GetImageFromArray(image[:3, :4, :5, 1])
    tiny.SetSpacing((90.0, 90.0, 90.0))
    for suffix in ("nrrd", "mha"):
        whole = tmp_path / f"whole.{suffix}"
        SimpleITK.WriteImage(itk_image(image[..., 1]), str(whole), True)
        content = whole.read_bytes()
        (folder / f"cut.{suffix}").write_bytes(content[: len(content) // 2])
        (folder / f"flipped.{suffix}").write_bytes(flip_a_bit(content))
        SimpleITK.WriteImage(itk_image(image[..., 1]), str(whole), False)
        (folder / f"short.{suffix}").write_bytes(whole.read_bytes()[:-1])
        flat = SimpleITK.GetImageFromArray(image[10, ..., 1])
        SimpleITK.WriteImage(flat, str(folder / f"flat.{suffix}"))
        labels = itk_image(truth.astype(np.uint8))
        SimpleITK.WriteImage(labels, str(folder / f"labels.{suffix}"))
        SimpleITK.WriteImage(tiny, str(folder / f"tiny.{suffix}"))
    check_refusals(opened, folder, sorted(file.name for file in folder.iterdir()))


def flip_a_bit(content: bytes) -> bytes:
    """Bytes with one bit changed, far behind any header."""
    place = len(content) * 2 // 3
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


def write_tiff_without_end(file: Path, slices: np.ndarray) -> None:
    """A TIFF file whose list of pages ends after the third, though the others are there."""
    tifffile.imwrite(file, slices, photometric="minisblack", metadata=None)
    with tifffile.TiffFile(file) as tiff:
        third = tiff.pages[2].offset
    content = bytearray(file.read_bytes())
    tags = int.from_bytes(content[third : third + 2], "little")
    next_page = third + 2 + 12 * tags
    content[next_page : next_page + 4] = bytes(4)
    file.write_bytes(content)


@pytest.mark.parametrize(
    "names",
    [
        ("first", "second"),
        ("a_1", "a_01"),
        ("time1_1", "time1_2", "time2_1"),
        ("z10.5", "z10.25"),
    ],
)
def test_slices_of_no_certain_order_are_refused(opened, phantoms, tmp_path, names):
    _, image, _ = phantoms[0]
    for number, name in enumerate(names):
        Image.fromarray(image[8 + number]).save(tmp_path / f"{name}.png")
    with pytest.raises(LggError) as error:
        read_scan(tmp_path)
    said = opened.refused(*sorted(tmp_path.iterdir()))
    assert said == str(error.value).replace(f"{tmp_path}/", "")


def test_a_gap_in_the_numbers_of_slices_is_told(opened, phantoms, tmp_path):
    _, image, _ = phantoms[0]
    for number in (9, 10, 12, 13):
        Image.fromarray(image[number]).save(tmp_path / f"s_{number}.png")
    opened.give(*tmp_path.iterdir())
    told = read_scan(tmp_path).warnings
    assert "a slice may be lost" in told[0] and opened.warnings()[: len(told)] == told


def huge_png(side: int) -> bytes:
    """The beginning of a PNG of side x side pixels."""
    import struct
    import zlib

    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    start = (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + header
        + struct.pack(">I", zlib.crc32(header))
    )
    data = b"IDAT" + zlib.compress(b"\0" * (side + 1))
    start += struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    return start + struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))


def test_a_wrong_order_of_sequences_is_told_and_put_right(opened, phantoms, model, tmp_path):
    file, image, _ = phantoms[0]
    wrong = tmp_path / "wrong.tif"
    tifffile.imwrite(
        wrong, np.ascontiguousarray(image[..., [1, 0, 2]]), photometric="rgb", metadata=None
    )
    opened.give(wrong)
    scan = read_scan(wrong)
    assert "check the order" in scan.warnings[0]
    compare(opened, tmp_path, model, scan, "a wrong order")
    for channel, name in enumerate(("flair", "pre")):
        opened.page.locator("#try-channels select").nth(channel).select_option(name)
    opened.wait()
    assert opened.error() == ""
    compare(opened, tmp_path, model, read_scan(file), "put right")


def test_a_palette_picture_is_read(opened, phantoms, model, tmp_path):
    _, image, truth = phantoms[0]
    largest = int(truth.sum(axis=(1, 2)).argmax())
    file = tmp_path / "palette.png"
    Image.fromarray(image[largest, ..., 1]).convert("P").save(file)
    opened.give(file)
    assert dice(opened.mask(tmp_path), package_mask(model, read_scan(file))) >= AGREEMENT


# ------------------------------------------------------------------ what a reader does


def test_every_phantom_of_the_page(opened):
    buttons = opened.page.locator("#try-phantoms button")
    assert buttons.count() == len(try_page.PHANTOMS)
    for button in buttons.all():
        opened.page.evaluate(
            "document.querySelector('#try-work').setAttribute('aria-busy', 'true')"
        )
        button.click()
        opened.wait()
        overlap = re.search(
            r"the volume.*Dice ([\d.]+)", opened.page.locator("#try-found").inner_text(), re.DOTALL
        )
        assert float(overlap[1]) > 0.6, button.inner_text()
    opened.screenshot("phantom")


def test_threshold_changes_the_mask(opened):
    sizes = []
    for threshold in (0.05, 0.5, 0.95):
        opened.set("threshold", threshold)
        opened.page.wait_for_timeout(300)
        opened.wait()
        sizes.append(
            int(re.search(r"the volume\s+(\d+)", opened.page.locator("#try-found").inner_text())[1])
        )
    assert sizes[0] > sizes[1] > sizes[2] > 0


def test_drawing_with_the_pointer_and_by_keyboard(opened, tmp_path):
    page = opened.page
    opened.unfold("draw")
    page.locator("#try-drawing").click()
    opened.set("brush", 21)
    opened.stroke((0.5, 0.5), (0.6, 0.5))
    scores = page.locator("#try-scores")
    assert (
        "you and the truth" in scores.inner_text()
        and "hidden while you draw" in scores.inner_text()
    )
    first = scores.inner_text()
    page.locator("#try-slice").focus()
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Space")
    assert scores.inner_text() != first
    page.locator("#try-undo").click()
    assert scores.inner_text() == first
    page.locator("input[value=eraser]").check()
    opened.stroke((0.5, 0.5), (0.52, 0.5))
    assert scores.inner_text() != first
    page.locator("#try-drawing").click()
    assert "hidden" not in scores.inner_text()
    assert re.search(
        r"one pixel wider all round have Dice 0\.\d+; one pixel narrower, 0\.\d+",
        page.locator("#try-border").inner_text(),
    )
    opened.screenshot("drawing")
    page.locator("#try-clear").click()
    assert scores.inner_text().count("nothing is drawn yet") == 2


WINDOWS = {"large": (1280, 900), "flat": (1280, 500), "phone": (390, 800)}


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("scrolled", ["to the slice", "to the end"])
def test_the_slice_stays_under_the_pointer_while_drawing(browser, site, window, scrolled):
    width, height = WINDOWS[window]
    with browser.new_context(viewport={"width": width, "height": height}) as context:
        opened = TryPage(context.new_page(), site)
        page = opened.page
        opened.unfold("bench")
        opened.unfold("draw")
        page.locator("#try-drawing").click()
        if scrolled == "to the end":
            page.evaluate("document.querySelector('#try-draw').scrollIntoView({block: 'end'})")
        if scrolled == "to the slice" or window == "phone":
            page.locator("#try-slice").scroll_into_view_if_needed()
        place = opened.place()
        visible = (10 - place["y"]) / place["height"]
        share = min(0.9, max(0.5, visible))
        opened.stroke((0.3, share), (0.6, share))
        assert opened.place() == place
        assert "nothing is drawn yet" not in page.locator("#try-scores").inner_text()
        opened.set("noise", 20)
        assert opened.place() == place
        opened.wait()
        assert opened.place() == place
        opened.set("threshold", 0.95)
        opened.wait()
        opened.stroke((0.3, share), (0.5, share))
        assert opened.place() == place


def test_a_perfect_drawing_has_dice_1(opened):
    """The truth painted pixel by pixel, by real movements of the pointer."""
    page = opened.page
    entry = page.evaluate("fetch('phantoms.json').then(answer => answer.json())")[0]
    tall = np.asarray(Image.open(ROOT / "build" / "try" / entry["truth"]))
    slices = tall.reshape(entry["depth"], -1, tall.shape[1]) > 0
    truth = slices[int(page.locator("#try-number").input_value()) - 1]
    opened.unfold("draw")
    page.locator("#try-drawing").click()
    opened.set("brush", 1)
    page.locator("#try-slice").scroll_into_view_if_needed()
    place = opened.place()
    height, width = truth.shape
    for row in np.flatnonzero(truth.any(axis=1)):
        edges = np.flatnonzero(np.diff(truth[row].astype(int), prepend=0, append=0))
        for first, end in edges.reshape(-1, 2):
            y = (row + 0.5) / height
            opened.stroke(((first + 0.5) / width, y), ((end - 0.5) / width, y))
    assert opened.place() == place
    page.locator("#try-drawing").click()
    scores = page.locator("#try-scores td").all_inner_texts()
    assert scores[0] == "1.000" and scores[1] == scores[2]


def test_activations_and_skip_connections(opened, model, tmp_path):
    page = opened.page
    opened.unfold("inside")
    page.wait_for_function("document.querySelector('#try-maps-title').textContent !== ''")
    entry = page.evaluate(
        "fetch('networks.json').then(answer => answer.json()).then(all => all[0])"
    )
    boxes = page.locator("#try-net button")
    first = entry["members"][0]
    assert boxes.count() == len(first["levels"])
    for box in boxes.all():
        box.click()
        level = next(
            each for each in first["levels"] if each["name"] == box.get_attribute("data-level")
        )
        assert f"{level['channels']} channels of" in page.locator("#try-maps-title").inner_text()
        assert box.get_attribute("aria-pressed") == "true"
    opened.screenshot("inside")
    steps = int(page.locator("#try-step").get_attribute("max"))
    opened.set("step", 3)
    assert "encoder 4, encoder 3, encoder 2, encoder 1" in page.locator("#try-stack").inner_text()
    opened.set("step", steps)
    assert page.locator("#try-stack").inner_text() == "The stack is empty."
    before = opened.mask(tmp_path)
    for skip in range(1, first["depth"]):
        page.locator(f"input[data-skip='{skip}']").uncheck()
        page.wait_for_timeout(200)
        opened.wait()
    assert dice(opened.mask(tmp_path), before) < 0.9
    for skip in range(1, first["depth"]):
        page.locator(f"input[data-skip='{skip}']").check()
        page.wait_for_timeout(200)
        opened.wait()
    assert (opened.mask(tmp_path) == before).all()


def test_saving_the_mask_of_a_slice(opened, tmp_path):
    file = opened.download("save-png", tmp_path)
    pixels = np.asarray(Image.open(file))
    assert file.name.endswith("_mask.png") and set(np.unique(pixels)) == {0, 255}
    number = int(opened.page.locator("#try-number").input_value())
    assert (opened.mask(tmp_path)[number - 1] == (pixels > 0)).all()


def test_the_network_for_people_comes_on_request_with_its_licence(opened):
    asked = []
    opened.page.on("request", lambda request: asked.append(request.url))
    opened.page.locator("input[value=kaggle]").check()
    opened.wait()
    assert any(url.endswith("kaggle-1.onnx") for url in asked)
    assert "CC BY-NC-SA 4.0" in opened.page.locator("#try-licence").inner_text()
    assert "Not a medical device" in opened.page.locator("#try").inner_text()


def test_members_of_an_ensemble_one_and_all_answer_as_the_package(opened, phantoms, tmp_path):
    people = load_pretrained("kaggle")
    file, _, _ = phantoms[0]
    opened.page.locator("input[value=kaggle]").check()
    opened.wait()
    opened.give(file)
    first = Segmenter([people.networks[0]], people.recipe)
    compare(opened, tmp_path, first, read_scan(file), "one member")
    opened.set("members", len(people.networks))
    opened.wait()
    compare(opened, tmp_path, people, read_scan(file), "all members")


@pytest.fixture
def mixed(phantoms) -> Segmenter:
    """Tiny networks that differ in neighbouring slices, depth and width, trained on one phantom."""
    torch.manual_seed(3)
    architectures = [
        {"in_channels": 9, "features": 4, "depth": 2},
        {"in_channels": 3, "features": 3, "depth": 4},
        {"in_channels": 15, "features": 5, "depth": 3},
    ]
    networks = [UNet(out_channels=1, **architecture) for architecture in architectures]
    recipe = GridSpec(size=64, context=2, block=1)
    _, image, truth = phantoms[0]
    head = find_head(image)
    target = mask_to_grid(truth, head, recipe.size) > 127
    rows = np.flatnonzero(target.flatten(1).any(1))[::2]
    inputs = standardise(slices_to_grid(image, head, recipe.size), head, rows, recipe.context)
    target = target[rows]
    loss_of = DiceBCELoss()
    for network in networks:
        learner = Segmenter(network, recipe).train()
        optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
        for _ in range(60):
            optimizer.zero_grad()
            loss_of(learner(inputs), target).backward()
            optimizer.step()
    return Segmenter(networks, recipe).eval()


def answer_with(file: Path):
    """What a request gets in place of what the server has."""
    return lambda route: route.fulfill(path=file)


def test_members_may_differ_in_neighbours_and_depth(browser, site, phantoms, mixed, tmp_path):
    folder = tmp_path / "networks"
    folder.mkdir()
    entry = export_segmenter(mixed, "mixed", folder, bits=32) | {"title": "mixed", "note": "-"}
    (folder / "networks.json").write_text(json.dumps([entry]))
    with browser.new_context(
        viewport={"width": 1280, "height": 900}, accept_downloads=True
    ) as context:
        for file in folder.iterdir():
            context.route(f"**/{file.name}", answer_with(file))
        opened = TryPage(context.new_page(), site)
        file, _, _ = phantoms[0]
        opened.give(file)
        first = Segmenter([mixed.networks[0]], mixed.recipe)
        compare(opened, tmp_path, first, read_scan(file), "the first of mixed members")
        opened.set("members", 3)
        opened.wait()
        compare(opened, tmp_path, mixed, read_scan(file), "mixed members")
        opened.unfold("inside")
        opened.page.wait_for_function(
            "document.querySelector('#try-maps-title').textContent !== ''"
        )
        assert opened.page.locator("#try-net button").count() == 4
        before = opened.mask(tmp_path)
        opened.page.locator("input[data-skip='1']").uncheck()
        opened.wait()
        assert dice(opened.mask(tmp_path), before) < 1
        assert opened.errors == []


def test_the_volume_is_shown_by_niivue(opened):
    if not opened.page.evaluate("Boolean(document.createElement('canvas').getContext('webgl2'))"):
        pytest.skip("this browser has no WebGL 2, so NiiVue was not tested")
    opened.unfold("volume")
    opened.page.wait_for_function(
        "document.querySelector('#try-volume-text').textContent.includes('in red')"
    )
    opened.page.wait_for_timeout(1000)
    opened.screenshot("volume")
    assert opened.error() == ""


def test_it_works_offline_once_it_is_there(opened, phantoms, tmp_path):
    opened.page.context.set_offline(True)
    opened.give(phantoms[0][0])
    opened.unfold("bench")
    opened.set("noise", 4)
    opened.page.wait_for_timeout(300)
    opened.wait()
    assert opened.mask(tmp_path).any()
    opened.page.context.set_offline(False)


LOOKS = {
    "light": (1280, "light"),
    "dark": (1280, "dark"),
    "phone": (390, "light"),
    "phone-dark": (390, "dark"),
}


@pytest.mark.parametrize("look", LOOKS)
def test_it_can_be_read(browser, site, look):
    width, scheme = LOOKS[look]
    with browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme
    ) as context:
        opened = TryPage(context.new_page(), site)
        for panel in ("bench", "draw", "inside"):
            opened.unfold(panel)
        opened.page.wait_for_function(
            "document.querySelector('#try-maps-title').textContent !== ''"
        )
        opened.screenshot(look)
        assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert opened.page.evaluate(CONTRAST) == []
        assert opened.page.evaluate(UNNAMED) == []


def test_200_slider_steps_leave_memory_flat(opened, browser):
    opened.unfold("bench")

    def used() -> float:
        """MB of all of the browser's processes."""
        opened.page.context.new_cdp_session(opened.page).send("HeapProfiler.collectGarbage")
        processes = [
            process
            for process in psutil.Process().children(recursive=True)
            if "chrom" in process.name()
        ]
        return sum(process.memory_info().rss for process in processes) / MB

    def steps(count: int) -> None:
        for step in range(count):
            opened.set("noise", step % 20)
            opened.set("number", 1 + step % 8)
            opened.page.wait_for_timeout(30)
        opened.wait()

    steps(60)
    before = used()
    steps(200)
    opened.page.wait_for_timeout(1000)
    grown = used() - before
    print(f"memory: {before:.0f} MB, {grown:+.0f} MB after 200 steps")
    assert grown < 60


def test_small_and_quick(opened, site, tmp_path, phantoms):
    folder = ROOT / "build" / "try"
    real = sum(file.stat().st_size for file in folder.glob("kaggle*.onnx"))
    everything = sum(file.stat().st_size for file in folder.iterdir())
    first = (folder / "kaggle-1.onnx").stat().st_size
    print(f"page {(everything - real) / MB:.1f} MB")
    print(f"network for people {first / MB:.1f} MB for one member, {real / MB:.1f} MB for all")
    assert everything - real < 20 * MB
    assert first < 3 * MB

    _, image, _ = phantoms[0]
    file = tmp_path / "volume_of_35.tif"
    tifffile.imwrite(file, np.concatenate([image, image])[:35], photometric="rgb", metadata=None)
    opened.page.locator("input[value=kaggle]").check()
    opened.wait()
    opened.give(file)
    opened.unfold("bench")
    seconds = opened.page.evaluate("""async () => {
      const busy = wanted => new Promise(resolve => {
        const work = document.querySelector('#try-work');
        const look = () => work.getAttribute('aria-busy') === wanted ? resolve(performance.now())
                                                                     : setTimeout(look, 5);
        look();
      });
      const noise = document.querySelector('#try-noise');
      noise.value = 3;
      const start = performance.now();
      noise.dispatchEvent(new Event('input'));
      await busy('true');
      return (await busy('false') - start) / 1000;
    }""")
    print(f"35 slices, one member: {seconds:.1f} s, {seconds / 35:.2f} s a slice")
    assert seconds < 15 and seconds / 35 < 0.5
