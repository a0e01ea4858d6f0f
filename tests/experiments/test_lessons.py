"""The trainings behind notebooks 03 and 04: who trains on what, and what is written."""

import numpy as np
import pandas as pd
import pytest
import torch

from experiments import lessons
from lggseg import UNet


def test_nothing_cut_is_the_plain_network_and_all_cut_has_no_skip():
    torch.manual_seed(0)
    plain = UNet(features=2, depth=3).eval()
    cut = lessons.CutUNet(features=2, depth=3).eval()
    cut.load_state_dict(plain.state_dict())
    image = torch.randn(1, 3, 16, 16)
    assert torch.equal(cut(image), plain(image))
    cut.cut = (1, 2)
    silent = UNet(features=2, depth=3).eval()
    silent.load_state_dict(plain.state_dict())
    for up, decoder in zip(silent.up, silent.decoder):
        with torch.no_grad():
            decoder[0].weight[:, : up.out_channels] = 0  # those that read the skip
    torch.testing.assert_close(cut(image), silent(image))


def test_networks_of_equal_weights_are():
    weights = [
        sum(p.numel() for p in UNet(features=features, depth=depth, growth=1).parameters())
        for depth, features in lessons.EQUAL_WEIGHTS.items()
    ]
    assert max(weights) < 1.1 * min(weights)


def test_only_the_usual_start_begins_as_pytorch_does(phantom_cohort, monkeypatch):
    begun = {}

    def instead_of_training(model, slices, seed):
        begun.setdefault(model.depth, []).append(model.head.bias.item())
        return model.eval()

    monkeypatch.setattr(lessons, "train_unet", instead_of_training)
    rows = pd.DataFrame(lessons.unet_rows(phantom_cohort, 0))
    assert rows.comparison.value_counts()["usual start"] == 3
    usual = [bias for biases in begun.values() for bias in biases if bias != -3]
    assert len(usual) == 3


@pytest.mark.parametrize("seed", [0, 1])
def test_the_study_asks_for_slices_that_no_network_has_seen(phantom_cohort, seed):
    slices, parts, judged = lessons.study(phantom_cohort, seed)
    owner = slices.rows.patient.to_numpy()
    assert len({len(rows) for rows in parts.values()}) == 1
    assert all(len(rows) == len({*rows}) and not {*rows} & {*judged} for rows in parts.values())
    seen = {split: {*owner[rows]} for split, rows in parts.items()}
    strangers = {*owner[judged]}
    assert strangers & seen["at random"] and not strangers & seen["by patient"]
    assert not strangers & seen["by patient, twice the heads"]
    assert len(seen["by patient, twice the heads"]) == 2 * len(seen["by patient"])
    assert seen["by patient"] < seen["by patient, twice the heads"]


@pytest.mark.parametrize("table, count", [("unet", 19), ("training", 10)])
def test_command(cohort, phantom_cohort, tmp_path, monkeypatch, table, count):
    for name, value in {"STEPS": 1, "STEPS_04": 2, "JUDGE_EVERY": 1}.items():
        monkeypatch.setattr(lessons, name, value)
    monkeypatch.setattr(lessons, "open_cohort", lambda path: phantom_cohort)
    file = tmp_path / "table.csv"
    before = pd.DataFrame({"cohort": ["phantom", "phantom", "real"], "seed": [5, 7, 5]})
    before.to_csv(file, index=False)
    lessons.main([table, "--seeds", "5", "--out", str(file)])
    rows = pd.read_csv(file)
    # the row of this seed and this cohort has been replaced, the others stand
    assert list(zip(rows.cohort, rows.seed)) == [("phantom", 5)] * count + [
        ("phantom", 7),
        ("real", 5),
    ]
    scores = rows[:count].filter(["pooled", "patients", "averaged", "plain"])
    assert np.all((scores >= 0) & (scores <= 1))
    assert (
        not rows[:count]
        .duplicated(
            ["cohort", "comparison", "variant", "seed"]
            if table == "unet"
            else ["cohort", "split", "loss", "seed", "step"]
        )
        .any()
    )
