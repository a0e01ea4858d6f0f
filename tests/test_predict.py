import numpy as np
import pandas as pd
import pytest
import torch
from lggseg.transforms import Recipe
from PIL import Image
from torch import nn

from lggseg import device
from lggseg.checkpoint import Ensemble, save_checkpoint
from lggseg.errors import LggError
from lggseg.predict import clean, evaluate, main, predict_volume, segment_volume, unseen_part
from lggseg.unet import UNet


class Bright(nn.Module):
    """Calls tumour what is bright in the FLAIR channel of the middle slice: an answer known beforehand."""

    def __init__(self, context: int = 0, left: bool = False):
        super().__init__()
        self.channel, self.left, self.recipe = 3 * context + 1, left, Recipe(16, context, flip=left)

    def forward(self, x):
        logits = 40 * (x[:, self.channel: self.channel + 1] - 1)
        if self.left:
            logits[..., 8:] = -40
        return logits


@pytest.fixture
def image():
    image = np.full((5, 16, 16, 3), 50, np.uint8)
    image[2, 4:8, 2:6, 1] = 250
    return image


def test_probabilities_lie_on_the_volumes_own_grid(image):
    wide = image.repeat(3, axis=1).repeat(2, axis=2)
    probability = predict_volume(Bright(), wide)
    assert probability.shape == (5, 48, 32) and probability.dtype == np.float32
    assert 0 <= probability.min() and probability.max() <= 1


@pytest.mark.parametrize("context", [0, 1])
@pytest.mark.parametrize("batch", [1, 2, 16])
def test_finds_what_is_bright_in_its_slice(image, context, batch):
    found = predict_volume(Bright(context), image, batch=batch) >= 0.5
    expected = np.zeros(found.shape, bool)
    expected[2, 4:8, 2:6] = True
    np.testing.assert_array_equal(found, expected)


def test_flip_averages_with_the_mirror_image(image):
    probability = predict_volume(Bright(left=True), image)
    assert probability[2, 5, 4] == pytest.approx(0.5, abs=1e-3)  # the mirrored pass sees it on the side it ignores


def test_mixed_precision_hardly_changes_a_probability(image, monkeypatch):
    torch.manual_seed(0)
    model = UNet(features=4, depth=3).eval()
    model.recipe, found = Recipe(16), []
    for dtype in (None, torch.bfloat16):
        monkeypatch.setattr(device, "amp_dtype", lambda where, dtype=dtype: dtype)
        found.append(predict_volume(model, image))
    assert found[1].dtype == np.float32
    np.testing.assert_allclose(found[1], found[0], atol=0.02)


def test_mode_is_restored(image):
    model = UNet(features=4, depth=3).train()
    model.recipe = Recipe(16)
    predict_volume(model, image)
    assert model.training


def test_channels_that_contradict_the_recipe_are_refused(image):
    with pytest.raises(LggError, match="takes 9 channels but its recipe"):
        predict_volume(UNet(9, features=4, depth=3), image)


def components():
    """A large doubtful blob (0.6, 50 voxels) and a small certain one (1.0, 16 voxels)."""
    probability = np.zeros((3, 12, 12), np.float32)
    probability[0, :5, :10] = 0.6  # weight 50 * 0.1
    probability[2, 8:12, 8:12] = 1.0  # weight 16 * 0.5
    return probability


def test_clean_weighs_certainty_not_only_size():
    kept = clean(components(), 0.5, keep=1.0)
    assert kept[2].sum() == 16 and not kept[0].any()


@pytest.mark.parametrize(("keep", "voxels"), [(0.0, 66), (0.6, 66), (0.65, 16), (1.0, 16)])
def test_clean_keeps_a_share_of_the_heaviest(keep, voxels):
    assert clean(components(), 0.5, keep).sum() == voxels


def test_clean_of_nothing_is_nothing():
    assert not clean(np.zeros((2, 4, 4), np.float32), 0.5, 1.0).any()


def test_segment_uses_the_recipe(image):
    model = Bright()
    model.recipe = Recipe(16, threshold=0.5, flip=False, keep=1.0)
    image[4, 12, 12, 1] = 250
    assert segment_volume(model, image).sum() == 16


def test_evaluate(phantom_cohort):
    torch.manual_seed(0)
    model = UNet(features=4, depth=3)
    model.recipe, model.training_patients = Recipe(32), [phantom_cohort.patients[0]]
    table = evaluate(model, phantom_cohort, phantom_cohort.patients[:2], progress=False)
    assert table.index.tolist() == phantom_cohort.patients[:2] and table.index.name == "patient"
    assert {"dice", "iou", "sensitivity", "precision", "hd95", "seen"} <= set(table.columns)
    assert table.seen.tolist() == [True, False]
    volume = phantom_cohort.volume(phantom_cohort.patients[1])
    mask = segment_volume(model, volume.image)
    assert table.dice.iloc[1] == pytest.approx(2 * (mask & volume.mask).sum() / (mask.sum() + volume.mask.sum()))


def test_out_of_fold_uses_only_members_that_never_saw_the_patient(phantom_cohort):
    a, b = phantom_cohort.patients[:2]
    members = [UNet(features=4, depth=3).eval() for _ in range(2)]
    for member, patient in zip(members, (a, b)):
        member.recipe, member.training_patients = Recipe(32), [patient]
    both = Ensemble(members)
    assert unseen_part(both, a) is members[1] and unseen_part(both, "another") is both
    table = evaluate(both, phantom_cohort, [a, b], out_of_fold=True, progress=False)
    alone = evaluate(members[1], phantom_cohort, [a], progress=False)
    assert not table.seen.any() and table.dice[a] == alone.dice[a]
    with pytest.raises(LggError, match=f"trained on {a}"):
        unseen_part(members[0], a)


def test_scans_need_not_be_square(image):
    tall = np.concatenate([image, np.zeros_like(image[:, :8])], axis=1)  # 24 x 16
    model = Bright()
    model.recipe = Recipe(24, flip=False)
    found = predict_volume(model, tall) >= 0.5
    assert found.shape == (5, 24, 16) and found.sum() == 16 and found[2, 4:8, 2:6].all()


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    model = UNet(features=4, depth=3).eval()
    model.recipe = Recipe(32, threshold=0.0)  # everything is tumour, so that every file is written
    return str(save_checkpoint(model, tmp_path / "net.pt"))


def test_command_line_on_a_patients_folder(phantom_cohort, weights, tmp_path, capsys):
    folder = phantom_cohort.root / phantom_cohort.slices.image[0].split("/")[0]
    main([str(folder), "--out", str(tmp_path / "out"), "--weights", weights])
    told, table = capsys.readouterr().out, pd.read_csv(tmp_path / "out" / "measures.csv")
    depth = int(phantom_cohort.summary.slices.iloc[0])
    assert f"slices={depth}" in told and table.tumour_voxels[0] == depth * 256 * 256 and 0 < table.dice[0] < 0.1
    for kind in ("mask", "probability", "overlay"):
        assert len(list((tmp_path / "out").glob(f"*_{kind}.png"))) == depth
    assert set(np.unique(Image.open(next((tmp_path / "out").glob("*_1_mask.png"))))) == {255}


def test_command_line_on_one_grey_picture_finding_nothing(tmp_path, capsys):
    model = UNet(features=4, depth=3).eval()
    model.recipe = Recipe(32, threshold=1.1)
    Image.fromarray(np.full((40, 30), 90, np.uint8)).save(tmp_path / "flair.png")
    main([str(tmp_path / "flair.png"), "--out", str(tmp_path / "out"), "--weights",
          str(save_checkpoint(model, tmp_path / "net.pt"))])
    assert "tumour_voxels=0" in capsys.readouterr().out
    assert np.asarray(Image.open(tmp_path / "out" / "flair_mask.png")).shape == (40, 30)


def test_command_line_says_what_is_wrong(tmp_path, weights):
    with pytest.raises(SystemExit, match="error: .*nowhere: no such file or folder"):
        main([str(tmp_path / "nowhere"), "--out", str(tmp_path), "--weights", weights])


def test_nifti_comes_back_in_its_own_space(tmp_path, weights):
    nibabel = pytest.importorskip("nibabel")
    affine = np.diag([1.0, 1.0, 5.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(np.random.default_rng(0).random((20, 24, 4), np.float32), affine),
                 tmp_path / "flair.nii.gz")
    main([str(tmp_path / "flair.nii.gz"), "--out", str(tmp_path / "out"), "--weights", weights])
    mask = nibabel.load(tmp_path / "out" / "mask.nii.gz")
    assert mask.shape == (20, 24, 4) and (mask.affine == affine).all()
