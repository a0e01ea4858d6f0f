import pytest
import torch

from lggseg.errors import LggError
from lggseg.evaluation import evaluate
from lggseg.preprocess import Recipe
from lggseg.segmenter import Segmenter
from lggseg.unet import UNet


def network(seed: int) -> UNet:
    torch.manual_seed(seed)
    return UNet(features=4, depth=3).eval()


def test_scores_per_patient(phantom_cohort):
    a, b = phantom_cohort.patients[:2]
    segmenter = Segmenter(network(0), Recipe(32, block=1), [[a]])
    table = evaluate(segmenter, phantom_cohort, [a, b], progress=False)
    assert table.index.tolist() == [a, b] and table.index.name == "patient" and table.seen.tolist() == [True, False]
    assert {"dice", "iou", "sensitivity", "precision", "hd95"} <= set(table.columns)
    volume = phantom_cohort.volume(b)
    mask = segmenter.segment(volume.image)
    assert table.predicted_voxels[b] == mask.sum() and table.tumour_voxels[b] == volume.mask.sum()
    assert table.dice[b] == pytest.approx(2 * (mask & volume.mask).sum() / (mask.sum() + volume.mask.sum()))


def test_out_of_fold_nobody_is_judged_by_a_network_that_saw_them(phantom_cohort):
    a, b = phantom_cohort.patients[:2]
    both = Segmenter([network(0), network(1)], Recipe(32, block=1), [[a], [b]])
    table = evaluate(both, phantom_cohort, [a, b], out_of_fold=True, progress=False)
    alone = evaluate(both.without(a), phantom_cohort, [a], progress=False)
    assert not table.seen.any() and table.dice[a] == alone.dice[a]
    with pytest.raises(LggError, match=f"trained on {a}"):
        evaluate(both.without(b), phantom_cohort, [a], out_of_fold=True, progress=False)


def test_a_plain_network_has_seen_nobody(phantom_cohort):
    assert not evaluate(network(0), phantom_cohort, phantom_cohort.patients[:1], progress=False).seen.any()
