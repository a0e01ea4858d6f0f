import numpy as np
import pytest
import torch

from lggseg.model.segmenter import Segmenter
from lggseg.prepare.network_grid import GridSpec
from lggseg.scans.own_scan import OwnScan
from lggseg.scans.segment import from_square, segment_scan, square_size, to_square, trained_on
from lggseg.unet import UNet


def network(threshold: float, patients=()) -> Segmenter:
    torch.manual_seed(0)
    recipe = GridSpec(32, block=1, threshold=threshold)
    return Segmenter(UNet(features=4, depth=3), recipe, [patients] if patients else ()).eval()


def test_the_network_sees_square_pixels_and_the_scan_gets_its_own_back(monkeypatch):
    seen, model = [], network(0.5)

    def members(image, device=None, head=None):
        seen.append(image.shape)
        return (image[None, ..., 1] > 50).astype(np.float32)

    monkeypatch.setattr(model, "member_probabilities", members)
    image = np.zeros((2, 20, 30, 3), np.uint8)
    image[:, 5:15, 10:20] = 200
    found, mask = segment_scan(model, OwnScan(image, ["a", "b"], pixel=(2.0, 0.5)))
    assert seen == [(2, 80, 30, 3)] and found.shape == (2, 20, 30)
    np.testing.assert_array_equal(mask, image[..., 1] > 50)


def test_the_recipes_threshold_and_components_count(monkeypatch):
    """A blob at 0.9, and a weak one at 0.5 that weighs a ninth of it."""
    answer = np.zeros((1, 16, 16), np.float32)
    answer[0, :4, :4], answer[0, 10:14, 10:14] = 0.9, 0.5
    for threshold, share, found in (
        (0.45, 0.0, 32),
        (0.45, 0.2, 16),
        (0.45, 0.1, 32),
        (0.55, 0.0, 16),
    ):
        model = network(threshold).with_recipe(min_component_share=share)
        monkeypatch.setattr(model, "member_probabilities", lambda *_, **__: answer[None])
        _, mask = segment_scan(model, OwnScan(np.zeros((1, 16, 16, 3), np.uint8), ["a"]))
        assert mask.sum() == found


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("TCGA_CS_4941_19960909", True),
        ("TCGA_CS_4941", True),
        ("TCGA_CS_4941.nii.gz", True),
        ("TCGA_CS_49411", False),
        ("TCGA_CS_4941_19960909/TCGA_CS_4941_19960909_7.tif", True),
        ("somebody", False),
    ],
)
def test_training_patients_by_name(tmp_path, path, known):
    found = trained_on(network(0.5, patients=["TCGA_CS_4941", "TCGA_CS_4942"]), [tmp_path / path])
    assert found == ("TCGA_CS_4941" if known else None)


def test_square_pixels_there_and_back():
    image = np.zeros((2, 6, 4, 3), np.uint8)
    image[1, 2:4, 1:3] = 200
    square = to_square(image, (1.0, 3.0))
    assert square.shape == (2, 6, 12, 3) and square.dtype == np.uint8
    assert (
        (square[1, 2:4, 4:8] >= 190).all() and square[0].max() == 0 and square[1, :, :2].max() == 0
    )
    back = from_square(square[..., 0].astype(np.float32), (6, 4))
    assert back.shape == (2, 6, 4) and ((back > 100) == (image[..., 0] > 100)).all()


def test_square_pixels_stay():
    image = np.zeros((1, 5, 7, 3), np.uint8)
    assert to_square(image, (0.9, 0.9)) is image and square_size(5, 7, (3.0, 1.0)) == (15, 7)
