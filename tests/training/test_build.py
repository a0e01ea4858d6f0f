from dataclasses import replace

import pytest
import torch

from lggseg.errors import LggError
from lggseg.model.segmenter import Segmenter
from lggseg.training.build import build_model
from lggseg.training.config import TrainConfig

SMALL = TrainConfig(size=32, coarse_size=16, block=1, features=4, depth=3)


def test_the_same_seed_gives_the_same_weights():
    one, two, other = (build_model(replace(SMALL, seed=seed)) for seed in (1, 1, 2))
    weights = [torch.cat([p.flatten() for p in model.parameters()]) for model in (one, two, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert one.recipe == SMALL.recipe and one.training_patients == []


def test_a_network_for_blocks_answers_for_every_pixel():
    model = build_model(replace(SMALL, block=2, context=1)).eval()
    assert model.networks[0].in_channels == 36 and model(torch.zeros(1, 9, 32, 32)).shape == (
        1,
        1,
        32,
        32,
    )
    blocks = replace(SMALL, block=3, size=48, coarse_size=48)
    assert build_model(blocks).eval()(torch.zeros(1, 3, 48, 48)).shape == (1, 1, 48, 48)


def test_start_begins_with_the_weights_of_a_checkpoint(tmp_path):
    model = build_model(SMALL)
    model.learned_from(["TCGA_CS_P001"], SMALL.recipe)
    path = model.save(tmp_path / "old.pt")
    again = build_model(replace(SMALL, seed=9, start=str(path)))
    assert all(
        torch.equal(a, b) for a, b in zip(again.state_dict().values(), model.state_dict().values())
    )
    assert again.training_patients == ["TCGA_CS_P001"]


def test_start_with_another_architecture_is_refused(tmp_path):
    path = build_model(SMALL).save(tmp_path / "old.pt")
    with pytest.raises(LggError, match="context, block, features, depth and growth"):
        build_model(replace(SMALL, features=8, start=str(path)))
    two = build_model(SMALL)
    path = Segmenter([*two.networks, *build_model(SMALL).networks], two.recipe).save(
        tmp_path / "two.pt"
    )
    with pytest.raises(LggError, match="two.pt is not a single U-Net"):
        build_model(replace(SMALL, start=str(path)))


@pytest.mark.parametrize("change", [{"size": 36}, {"coarse_size": 18}, {"size": 32, "block": 3}])
def test_sizes_that_the_network_cannot_halve_are_told_before_training(change):
    with pytest.raises(LggError, match="multiple of"):
        build_model(replace(SMALL, **{"depth": 4} | change))
