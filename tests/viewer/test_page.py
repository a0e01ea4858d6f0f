"""The page as a string: whole, safe, small, and what is stored in it is what there was."""

import base64
import io
import json
import re
import zlib

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from lggseg.errors import LggError
from lggseg.measures.trust import assess
from lggseg.model.segmenter import Segmenter
from lggseg.prepare.network_grid import GridSpec
from lggseg.viewer import CohortViewer
from lggseg.viewer.page import Case, Settings, build_page, largest_slice, levels

SETTINGS = Settings("FLAIR", {"truth": "contour", "prediction": "fill"}, 0.9, 0.5, 64)
GRID = [step / 100 for step in range(101)]


def stored(page: str) -> dict:
    """What page.js reads."""
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def inflated(text: str) -> np.ndarray:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)


def unpacked(text: str, shape: tuple) -> np.ndarray:
    return np.unpackbits(inflated(text))[: np.prod(shape)].reshape(shape).astype(bool)


def picture(address: str) -> np.ndarray:
    kind, data = address.split(",")
    assert kind == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("L")).astype(int)


def test_masks_and_thresholds_are_stored_exactly(scan, make):
    image, mask, probability = scan
    page = stored(make(image, mask, probability).page())
    (case,) = page["cases"]
    assert np.array_equal(unpacked(case["truth"], mask.shape), mask)
    level = inflated(case["levels"]).reshape(mask.shape)
    for step, threshold in enumerate(page["thresholds"]):
        assert np.array_equal(level > step, probability >= float(threshold)), threshold
    assert case["mask"] is None  # at the page's threshold, too, the map is only cut


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("thresholds", [GRID, sorted([*GRID, 0.475])])
def test_levels_say_which_thresholds_are_reached(kind, thresholds):
    probability = np.append(np.random.default_rng(0).random(999), thresholds).astype(kind)
    level = levels(probability, thresholds)
    for step, threshold in enumerate(thresholds):
        assert np.array_equal(level > step, probability >= threshold)


def test_a_threshold_between_the_sliders_steps_keeps_its_place(scan, make):
    page = stored(make(*scan, threshold=0.475).page())
    assert page["thresholds"][page["own"]] == "0.4750" and len(page["thresholds"]) == 102
    assert page["thresholds"][page["own"] - 1 : page["own"] + 2 : 2] == ["0.47", "0.48"]


def test_slices_lie_in_rows(scan, make):
    (case,) = stored(make(scan[0]).page())["cases"]
    sheet = picture(case["sprites"][0])
    assert case["columns"] == 3 and sheet.shape == (2 * 64, 3 * 64)
    assert abs(sheet[32::64, 32::64] - [[0, 20, 40], [60, 80, 100]]).max() <= 3


def test_equal_sequences_are_stored_once(make):
    image = np.zeros((2, 64, 64, 3), np.uint8)
    image[..., 2] = 200
    (case,) = stored(make(image, missing=("pre",)).page())["cases"]
    assert [picture(sprite)[32, 32] > 100 for sprite in case["sprites"]] == [False, True]
    assert case["sequences"] == {
        "pre-contrast": [[0, "#ffffff"]],
        "FLAIR": [[0, "#ffffff"]],
        "post-contrast": [[1, "#ffffff"]],
        "all three as colours": [[0, "#ff0000"], [0, "#00ff00"], [1, "#0000ff"]],
    }
    assert case["missing"] == ["pre-contrast"]


def test_starts_as_the_viewer_stands(scan, make):
    viewer = make(*scan, patient="TCGA_XX_0000", phantom=True)
    viewer.slice_slider.value, viewer.opacity.value, viewer.sequence.value = 1, 0.4, "post-contrast"
    viewer.style["truth"].value, viewer.style["prediction"].value, viewer.threshold.value = (
        "off",
        "probability",
        0.3,
    )
    viewer.window.value = (60, 80)  # slice 3 is grey 60, slice 4 is grey 80
    page = stored(viewer.page())
    (case,) = page["cases"]
    assert (case["start"], case["largest"]) == (1, 3) and page["thresholds"][page["own"]] == "0.30"
    assert (page["opacity"], page["sequence"]) == (0.4, "post-contrast")
    assert page["styles"] == {"truth": "off", "prediction": "probability"}
    assert case["heading"] == "TCGA_XX_0000 · PHANTOM (synthetic)" and case["scale"] == 1
    assert abs(picture(case["sprites"][0])[[32, 96], [32, 96]] - [0, 255]).max() <= 3


def test_a_plain_mask_has_no_levels(scan, make):
    image, mask, _ = scan
    (case,) = stored(make(image, prediction=mask).page())["cases"]
    assert case["truth"] is None and case["levels"] is None
    assert np.array_equal(unpacked(case["mask"], mask.shape), mask)


@pytest.mark.parametrize(
    "name",
    [
        "</script><script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "@data@ @script@",
        '"&amp;\u2028',
        "<!--<script>",
    ],
)
def test_names_are_only_text(name, scan):
    page = build_page([Case(name, scan[0])], SETTINGS)
    assert stored(page)["cases"][0]["patient"] == name
    title = re.search("<title>(.*?)</title>", page)[1]
    assert not re.search('[<>"]', title) and page.count("<script") == 2 and "<img" not in page
    assert (
        page.count(
            stored_text := json.dumps(stored(page), separators=(",", ":")).replace("<", "\\u003c")
        )
        == 1
    )
    assert len(stored_text) > 1000


def test_nothing_is_fetched_and_bytes_are_the_same_again(scan, make):
    viewer = make(*scan, patient="TCGA_XX_0000")
    page = viewer.page()
    assert (
        "://" not in page and not re.search(r'(src|href)="', page) and "default-src 'none'" in page
    )
    assert viewer.page() == page


def test_under_2_mb():
    """40 slices of 256 x 256, three sequences with more noise than a scan has,
    and a probability map.
    """
    rng = np.random.default_rng(0)
    shape = (40, 256, 256)
    image = np.stack(
        [ndimage.gaussian_filter(rng.normal(size=shape), (0, 6, 6)) for _ in range(3)], axis=-1
    )
    # What a head fills of a slice.
    head = np.hypot(*np.ogrid[-128:128, -128:128])[None, ..., None] < 95
    image = (
        (head * (110 + 35 * image / image.std() + rng.normal(0, 8, image.shape)))
        .clip(0, 255)
        .astype(np.uint8)
    )
    mask = np.zeros(shape, bool)
    mask[10:30, 100:150, 90:140] = True
    probability = ndimage.gaussian_filter(mask.astype(np.float32), (1, 5, 5)).clip(0, 1)
    page = build_page([Case("TCGA_XX_0000", image, mask, probability, mask)], SETTINGS)
    assert len(page.encode()) < 2_000_000


def test_largest_slice(scan):
    _, mask, _ = scan
    assert (
        largest_slice(6, mask, ~mask)
        == largest_slice(6, None, mask)
        == largest_slice(6, mask & False, mask)
        == 3
    )
    assert largest_slice(6) == largest_slice(7, None, mask & False) == 3


def test_too_many_slices_for_a_picture():
    # In 2 and 3 rows.
    fits, too_many = (Case("TCGA", np.zeros((depth, 5500, 1, 3), np.uint8)) for depth in (6, 7))
    build_page([fits], SETTINGS)
    with pytest.raises(LggError, match=r"TCGA: 7 slices of 5500 x 1 .* 16383 pixels.*fewer slices"):
        build_page([fits, too_many], SETTINGS)


# ---- a cohort


def test_a_cohorts_page_predicts_whom_it_must(phantom_cohort, model):
    first, second, third = phantom_cohort.patients[:3]
    recipe = GridSpec(size=64, block=1, min_component_share=0.5, threshold=0.45)
    viewer = CohortViewer(
        phantom_cohort, Segmenter(list(model.networks), recipe, [[third]]), width=64
    )
    page = stored(viewer.page([third, first]))
    assert [case["patient"] for case in page["cases"]] == [
        third,
        first,
    ] and second not in viewer._predictions
    trusted = [
        str(assess(viewer.model, phantom_cohort.volume(one).image).trust) for one in (third, first)
    ]
    assert page["cases"][0]["notes"] == ["model trained on this patient", trusted[0]]
    assert page["cases"][1]["notes"] == [trusted[1]]
    assert page["thresholds"][page["own"]] == "0.45"
    for case in page["cases"]:
        viewer.patient_menu.value = case["patient"]
        assert np.array_equal(unpacked(case["mask"], viewer.mask.shape), viewer.predicted())
        assert np.array_equal(
            inflated(case["levels"]) > page["own"], viewer.prediction.ravel() >= 0.45
        )
        assert np.array_equal(unpacked(case["truth"], viewer.mask.shape), viewer.mask)
    assert stored(viewer.page())["cases"][0]["patient"] == viewer.patient  # the one on show
    viewer.close()


def test_a_cohorts_page_without_a_model(phantom_cohort):
    viewer = CohortViewer(phantom_cohort, width=64)
    (case,) = stored(viewer.page(phantom_cohort.patients[1:2]))["cases"]
    assert case["levels"] is case["mask"] is None and case["start"] == case["largest"]
    assert (
        "PHANTOM" in case["heading"]
        and "PHANTOM" in re.search("<title>(.*?)</title>", viewer.page())[1]
    )
    with pytest.raises(LggError, match="no patient 'TCGA'"):
        viewer.page(["TCGA"])
    with pytest.raises(LggError, match="patients is empty"):
        viewer.page([])
    viewer.close()
