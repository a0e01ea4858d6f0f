from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lggseg.errors import LggError
from lggseg.measures.evaluation import evaluate
from lggseg.measures.trust import assess
from lggseg.model.segmenter import Segmenter
from lggseg.prepare.network_grid import GridSpec
from lggseg.unet import UNet


def network(seed: int) -> UNet:
    torch.manual_seed(seed)
    return UNet(features=4, depth=3).eval()


def test_scores_per_patient(phantom_cohort):
    a, b = phantom_cohort.patients[:2]
    segmenter = Segmenter(network(0), GridSpec(32, block=1), [[a]])
    table = evaluate(segmenter, phantom_cohort, [a, b], progress=False)
    assert (
        table.index.tolist() == [a, b]
        and table.index.name == "patient"
        and table.seen.tolist() == [True, False]
    )
    assert {"dice", "iou", "sensitivity", "precision", "hd95"} <= set(table.columns)
    trust = assess(segmenter, np.ascontiguousarray(phantom_cohort.volume(b).image)).trust
    assert table.loc[b, ["expected_dice", "low", "high", "warnings"]].tolist() == [
        *trust.columns().values()
    ]
    volume = phantom_cohort.volume(b)
    mask = segmenter.segment(volume.image)
    assert table.predicted_voxels[b] == mask.sum() and table.tumour_voxels[b] == volume.mask.sum()
    assert table.dice[b] == pytest.approx(
        2 * (mask & volume.mask).sum() / (mask.sum() + volume.mask.sum())
    )


def test_out_of_fold_nobody_is_judged_by_a_network_that_saw_them(phantom_cohort):
    a, b = phantom_cohort.patients[:2]
    both = Segmenter([network(0), network(1)], GridSpec(32, block=1), [[a], [b]])
    table = evaluate(both, phantom_cohort, [a, b], out_of_fold=True, progress=False)
    alone = evaluate(both.without(a), phantom_cohort, [a], progress=False)
    assert not table.seen.any() and table.dice[a] == alone.dice[a]
    with pytest.raises(LggError, match=f"trained on {a}"):
        evaluate(both.without(b), phantom_cohort, [a], out_of_fold=True, progress=False)


class Half:
    """A cohort of two, of which a model that finds nothing but the first voxel finds half,
    and nothing.
    """

    patients = ("P2", "P1")

    def volume(self, patient):
        mask = np.zeros((1, 2, 2), bool)
        mask[0, 0 if patient == "P2" else 1] = True
        return SimpleNamespace(image=np.zeros((1, 2, 2, 3), np.uint8), mask=mask)


def test_without_a_list_all_are_judged(monkeypatch, capsys):
    """And who was in training is judged too, unless asked for out of fold;
    a bar tells how far it is.
    """
    segmenter = Segmenter(network(0), GridSpec(32, block=1), [["P1"]])
    first = np.float32([[[[1, 0], [0, 0]]]])
    monkeypatch.setattr(Segmenter, "member_probabilities", lambda *_, **__: first)
    table = evaluate(segmenter, Half())
    assert table.index.tolist() == ["P2", "P1"] and table.seen.tolist() == [False, True]
    assert table.dice.tolist() == pytest.approx([2 / 3, 0]) and table.tumour_voxels.tolist() == [
        2,
        2,
    ]
    assert table.predicted_voxels.tolist() == [1, 1] and "evaluate" in capsys.readouterr().err
    # A plain network has seen nobody.
    assert not evaluate(network(0), Half(), progress=False).seen.any()
    assert capsys.readouterr().err == ""
