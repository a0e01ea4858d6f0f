from dataclasses import replace

import pytest
import torch

from lggseg.checkpoint import (
    WEIGHTS,
    Ensemble,
    lengthen,
    load_checkpoint,
    load_pretrained,
    save_atomically,
    save_checkpoint,
    shorten,
)
from lggseg.errors import LggError
from lggseg.transforms import Recipe
from lggseg.unet import UNet


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = UNet(9, features=4, depth=3).eval()
    model.recipe, model.training_patients = Recipe(32, context=1, threshold=0.4, keep=0.2), ["TCGA_CS_P001"]
    return model


@pytest.fixture
def image():
    return torch.randn(2, 9, 32, 32)


def test_round_trip(tmp_path, model, image):
    again = load_checkpoint(save_checkpoint(model, tmp_path / "deep" / "net.pt"))
    torch.testing.assert_close(again(image), model(image), rtol=0, atol=0)
    assert again.recipe == model.recipe and again.training_patients == ["TCGA_CS_P001"] and not again.training


@pytest.mark.parametrize(("bits", "size", "error"), [(16, 0.6, 0.02), (8, 0.4, 0.1)])
def test_fewer_bits_are_smaller_and_close(tmp_path, image, bits, size, error):
    torch.manual_seed(0)
    model = UNet(9, features=16, depth=3).eval()
    whole, short = save_checkpoint(model, tmp_path / "a.pt"), save_checkpoint(model, tmp_path / "b.pt", bits)
    assert short.stat().st_size < size * whole.stat().st_size
    torch.testing.assert_close(load_checkpoint(short)(image), model(image), rtol=0, atol=error)


def test_eight_bits_by_hand():
    kernels = torch.tensor([[127.0, -64.4, 0.6], [0.5, -0.25, 0.0], [0, 0, 0]])
    stored = shorten(kernels[None], 8)  # of one member
    assert stored["steps"][0].tolist() == [[127, -64, 1], [127, -64, 0], [0, 0, 0]]
    assert stored["steps"].dtype == torch.int8
    worst = (lengthen(stored)[0] - kernels).abs().amax(dim=1)
    assert (worst <= kernels.abs().amax(dim=1) / 254 + 1e-7).all()  # half a step at most
    assert shorten(kernels, 8).dtype == torch.float16 and shorten(kernels.int(), 8).dtype == torch.int32
    with pytest.raises(LggError, match="bits is 4; a weight is stored in 32, 16 or 8"):
        shorten(kernels, 4)


def test_files_of_format_1_still_load(tmp_path, model, image):
    old = torch.load(save_checkpoint(model, tmp_path / "new.pt"), weights_only=True)
    old |= {"format": 1, "states": [model.state_dict()]}
    old.pop("member_recipe")
    torch.save(old, tmp_path / "old.pt")
    again = load_checkpoint(tmp_path / "old.pt")
    torch.testing.assert_close(again(image), model(image), rtol=0, atol=0)
    assert again.recipe == model.recipe


def test_ensemble_averages_probabilities(tmp_path, model, image):
    torch.manual_seed(1)
    other = UNet(9, features=4, depth=3).eval()
    other.recipe, other.training_patients = model.recipe, ["TCGA_CS_P002"]
    both = Ensemble([model, other])
    mean = (model(image).sigmoid() + other(image).sigmoid()) / 2
    torch.testing.assert_close(both(image).sigmoid(), mean, rtol=0, atol=1e-5)
    again = load_checkpoint(save_checkpoint(both, tmp_path / "e.pt"))
    torch.testing.assert_close(again(image), both(image))
    assert again.recipe == model.recipe and again.training_patients == ["TCGA_CS_P001", "TCGA_CS_P002"]
    assert again.without("TCGA_CS_P001") is again.members[1]


def test_an_ensemble_may_have_a_recipe_of_its_own(tmp_path, model):
    both = Ensemble([model, model], replace(model.recipe, flip=False))
    again = load_checkpoint(save_checkpoint(both, tmp_path / "e.pt"))
    assert not again.recipe.flip and again.members[0].recipe == model.recipe


def test_an_ensemble_has_one_recipe_and_an_honest_rest(model):
    other = UNet(3, features=4, depth=3)
    with pytest.raises(LggError, match="need one recipe"):
        Ensemble([model, other])
    with pytest.raises(LggError, match="every member was trained on TCGA_CS_P001"):
        Ensemble([model, model]).without("TCGA_CS_P001")


def test_missing_and_broken_files_are_named(tmp_path, model):
    with pytest.raises(LggError, match="nowhere.pt: no such checkpoint"):
        load_checkpoint(tmp_path / "nowhere.pt")
    path = save_checkpoint(model, tmp_path / "net.pt")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(LggError, match="net.pt: not a whole lggseg checkpoint"):
        load_checkpoint(path)
    torch.save({"something": "else"}, path)
    with pytest.raises(LggError, match="not a whole lggseg checkpoint"):
        load_checkpoint(path)


def test_a_checkpoint_cannot_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"architecture": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(LggError):
        load_checkpoint(tmp_path / "evil.pt")


def test_a_failed_save_leaves_the_old_file(tmp_path):
    save_atomically({"a": 1}, tmp_path / "x.pt")
    with pytest.raises(Exception, match="pickle"):
        save_atomically({"a": lambda: 0}, tmp_path / "x.pt")
    assert torch.load(tmp_path / "x.pt") == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["x.pt"]


@pytest.mark.parametrize("kind", sorted(file.stem for file in WEIGHTS.glob("*.pt")))
def test_shipped_weights_load(kind):
    model = load_pretrained(kind)
    assert len(model.training_patients) > 0 and next(model.parameters()).dtype == torch.float32


def test_shipped_weights_are_small():
    assert sum(file.stat().st_size for file in WEIGHTS.glob("*.pt")) < 16e6


def test_unknown_weights_are_named():
    with pytest.raises(LggError, match="'ct'; there are"):
        load_pretrained("ct")
