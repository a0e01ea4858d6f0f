"""What a part of the recipe is worth: figures worked by hand, changes that change what they say."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_run import TINY

from experiments import ablation
from experiments.ablation import (
    ARMS,
    NOTHING,
    RECIPE,
    Arm,
    DeepLoss,
    DeepUNet,
    MirrorUNet,
    PlaceAugment,
    PlaceSegmenter,
    PlaceSlices,
)
from experiments.plan import hold_out
from lggseg import LggError, UNet, find_head
from lggseg.prepare.augment import Augment
from lggseg.prepare.head_finder import Box
from lggseg.training.losses import DiceBCELoss


def table(arm: str, seed: int, dices: dict[str, tuple[float, float]]) -> pd.DataFrame:
    """Dice of patients as scanned and with noise."""
    rows = []
    for patient, values in dices.items():
        for change, value in zip(("clean", "noise"), values, strict=True):
            rows.append({"patient": patient, "change": change, "dice": value})
    return pd.DataFrame(rows).assign(arm=arm, seed=seed, judge="together")


MADE_UP = pd.concat(
    [
        table(RECIPE, 0, {"A": (0.8, 0.6), "B": (0.6, 0.6)}),
        table(RECIPE, 1, {"A": (0.9, 0.7), "B": (0.7, 0.7)}),
        table("no_noise", 0, {"A": (0.8, 0.4), "B": (0.6, 0.4)}),
        table("no_noise", 1, {"A": (0.9, 0.7), "B": (0.7, 0.3)}),
    ]
)


def test_summary_by_hand():
    found = ablation.summary(ablation.scores_of(MADE_UP))
    assert found.index.tolist() == [RECIPE, "no_noise"]
    recipe, without = found.loc[RECIPE], found.loc["no_noise"]
    assert recipe[["clean", "changed", "both", "gain"]].tolist() == pytest.approx(
        [0.75, 0.65, 0.7, 0]
    )
    # `both` falls by 0.1 for either patient with seed 0, by 0 and 0.2 with seed 1
    assert without[["gain", "least", "most"]].tolist() == pytest.approx([-0.1, -0.1, -0.1])
    assert without[["low", "high"]].tolist() == pytest.approx([-0.15, -0.05])
    assert without.catastrophes == 0.5  # A with seed 0 was good as scanned, and fell below a half
    assert found.seeds.tolist() == found.patients.tolist() == [2, 2]


def test_a_change_with_fewer_seeds_is_compared_with_the_same_of_the_recipe():
    few = MADE_UP[(MADE_UP.arm == RECIPE) | (MADE_UP.seed == 1)]
    without = ablation.summary(ablation.scores_of(few)).loc["no_noise"]
    assert without.seeds == 1
    assert without.gain == pytest.approx(-0.1)


def test_a_patient_whom_one_seed_has_not_judged_counts_in_no_figure():
    partly = MADE_UP[
        ~((MADE_UP.arm == "no_noise") & (MADE_UP.seed == 1) & (MADE_UP.patient == "B"))
    ]
    without = ablation.summary(ablation.scores_of(partly)).loc["no_noise"]
    assert without.patients == 1
    assert without.clean == pytest.approx(0.85)  # of A: 0.8 and 0.9


def test_without_the_recipe_there_is_nothing_to_compare_with():
    with pytest.raises(LggError, match="--arms recipe"):
        ablation.summary(ablation.scores_of(MADE_UP[MADE_UP.arm != RECIPE]))


def test_what_a_change_leaves_out_is_a_part_of_augment():
    for arm in ARMS.values():
        for part in arm.without:
            assert callable(getattr(Augment, part))


@pytest.mark.parametrize("parts", [(part,) for part in NOTHING] + [tuple(NOTHING)])
def test_augmentation_works_without_its_parts(parts):
    augment = Augment(1.0, drop=0)
    augment.space = lambda image, mask: (image, mask)
    for part in parts:
        setattr(augment, part, NOTHING[part])
    image = torch.randn(8, 3, 32, 32)
    changed, _ = augment(image.clone(), torch.ones(8, 1, 32, 32))
    assert changed.shape == image.shape and changed.isfinite().all()
    assert torch.allclose(changed, image, atol=1e-5) == (len(parts) == len(NOTHING))


def test_the_whole_picture_is_a_square_around_it():
    image = np.zeros((1, 80, 120, 3), np.uint8)
    y, x = np.mgrid[:80, :120]
    image[0, np.hypot(y - 39.5, x - 59.5) <= 30] = 90
    head = find_head(image)
    assert head.box == Box(8, 28, 64)
    assert ablation.whole_picture(image, head).box == Box(-20, 0, 120)


def test_quartiles_of_all_tissue(phantom_cohort):
    image = phantom_cohort.volume(phantom_cohort.patients[0]).image
    head = find_head(image)
    brighter = np.where(image > 0, image + np.uint8(10), image)
    found = ablation.by_quartiles(image, head)
    assert (found.spread > 0).all()
    assert found.box == head.box
    lifted = ablation.by_quartiles(brighter, head)
    assert lifted.centre - found.centre == pytest.approx(10, abs=1.5)


def test_mirror_network_is_given_the_difference_of_the_halves():
    network = MirrorUNet(UNet(in_channels=12, out_channels=4, features=2, depth=2), block=2)
    shown = []
    network.network.register_forward_pre_hook(lambda module, inputs: shown.append(inputs[0]))
    picture = torch.randn(1, 3, 8, 8)
    network(torch.nn.functional.pixel_unshuffle(picture, 2))
    difference = torch.nn.functional.pixel_shuffle(shown[0][:, 12:], 2)
    assert torch.equal(difference, picture - picture.flip(-1))


def test_deep_network_answers_on_each_level_while_it_is_trained():
    network = DeepUNet(in_channels=3, out_channels=1, features=2, depth=4, growth=2)
    image, mask = torch.randn(2, 3, 32, 32), torch.zeros(2, 1, 32, 32)
    logits = network(image)
    assert [coarse.shape[-1] for coarse in network.coarse] == [8, 16]
    plain = DiceBCELoss()
    parts = [plain(logits, mask)]
    for coarse, weight in zip(network.coarse[::-1], (0.5, 0.25), strict=True):
        parts.append(weight * plain(coarse, torch.zeros_like(coarse)))
    assert DeepLoss(network, plain)(logits, mask).item() == pytest.approx(sum(parts).item())
    network.eval()(image)
    assert network.coarse == []


def test_a_network_is_told_where_a_slice_lies(cohort):
    """In training by the data set, unchanged by augmentation, and in the order of a volume."""
    patient = cohort.patients[0]
    recipe = replace(TINY.recipe, block=1, flip=False)
    data = PlaceSlices(cohort, [patient], recipe)
    told = torch.stack([data[i][0][-1] for i in range(len(data))])
    places = np.linspace(-1, 1, len(data))
    assert told[:, 0, 0].numpy() == pytest.approx(places, abs=1e-6)
    image = torch.stack([data[i][0] for i in range(len(data))])
    changed, _ = PlaceAugment(1.0)(image.clone(), torch.zeros(len(data), 1, *image.shape[2:]))
    assert torch.equal(changed[:, -1], told)
    assert not torch.equal(changed[:, :-1], image[:, :-1])

    shown = []
    network = torch.nn.Conv2d(4, 1, 1)
    network.register_forward_pre_hook(lambda module, inputs: shown.append(inputs[0][:, 3, 0, 0]))
    segmenter = PlaceSegmenter(torch.nn.Sequential(network), recipe)
    segmenter.member_probabilities(cohort.volume(patient).image, batch=5)
    assert torch.cat(shown).float().numpy() == pytest.approx(places, abs=0.01)


@pytest.mark.parametrize("arm", [*ARMS])
def test_every_change_can_be_trained(cohort, arm):
    change = ARMS[arm]
    if arm == "pixels":  # whose grid is not a tiny one
        change = Arm(change.settings | {"size": 32, "coarse_size": 16})
    model = ablation.train(change, cohort, cohort.patients[:2], TINY)
    assert not model.training
    assert len(model.training_patients) == 2
    probability = model.probability(cohort.volume(cohort.patients[2]).image)
    assert np.isfinite(probability).all()


def test_a_command_goes_on_where_it_was(cohort, tmp_path, monkeypatch):
    fold = hold_out(cohort.patients, cohort.patients[:1])
    config = replace(TINY, out=str(tmp_path))
    ablation.run_fold(cohort, fold, 0, [RECIPE], config, [0, 1])
    tables = ablation.read_tables(tmp_path)
    assert set(tables.seed) == {0, 1}
    assert set(tables.patient) == {cohort.patients[0]}
    assert len(tables) == 2 * 13  # as scanned, and twelve changes
    monkeypatch.setattr(ablation, "train", lambda *_: pytest.fail("trained again"))
    ablation.run_fold(cohort, fold, 0, [RECIPE], config, [0, 1])


def test_a_table_of_scores_can_be_printed(tmp_path, capsys):
    path = tmp_path / "scores.csv"
    ablation.scores_of(MADE_UP).to_csv(path, index=False)
    ablation.main(["--table", str(path)])
    assert "no_noise" in capsys.readouterr().out


def test_a_folder_of_other_settings_is_refused(cohort, tmp_path, capsys):
    words = ["--data", str(cohort.root), "--out", str(tmp_path), "--arms", RECIPE, "--seeds", "0"]
    (tmp_path / "robustness.json").write_text('{"epochs": 3}', encoding="utf-8")
    with pytest.raises(SystemExit):
        ablation.main(words)
    assert "made with other" in capsys.readouterr().err
