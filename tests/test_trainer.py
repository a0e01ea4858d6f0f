"""One run's state: what is drawn, how it is weighed, when it stops."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_train import TINY

from lggseg import trainer as module
from lggseg.errors import LggError
from lggseg.trainer import Trainer, sparkline


@pytest.fixture
def make(phantom_cohort):
    """A Trainer on five phantoms for TINY with some settings changed."""
    def make(**changes):
        config = replace(TINY, **changes)
        return Trainer(config.model(), phantom_cohort, phantom_cohort.patients[:5], [], config)
    return make


def test_half_of_the_draw_has_tumour(make):
    loader = make(epoch_slices=400, augment=0.0).loader(0)
    share = np.mean([loader.dataset.has_tumour[i] for i in loader.sampler])
    assert share == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("balance", [0, 0.5, 1])
def test_balance_evens_out_patients(make, balance):
    trainer = make(balance=balance, oversample_foreground=0.3)
    rows = trainer.data.rows.assign(weight=trainer.weights().numpy(), tumour=trainer.data.has_tumour)
    assert rows.groupby("tumour").weight.sum().to_dict() == pytest.approx({False: 0.7, True: 0.3})
    groups = rows[rows.tumour].groupby("patient").weight
    assert groups.nunique().max() == 1 and groups.size().nunique() > 1
    share = groups.sum() / groups.size() ** (1 - balance)  # the same for all patients
    np.testing.assert_allclose(share, share.iloc[0])


def test_the_draw_depends_on_seed_and_epoch_alone(make):
    draws = [list(make(**changes).loader(epoch).sampler) for changes, epoch in
             (({}, 0), ({"workers": 2, "augment": 0.3}, 0), ({}, 1), ({"seed": 1}, 0))]
    assert draws[0] == draws[1] and draws[0] != draws[2] and draws[0] != draws[3]


def test_processes_that_find_other_files_do_not_start(make, monkeypatch, tmp_path):
    trainer = make(out=str(tmp_path))
    trainer.resume(tmp_path / "resume.pt")  # there is none, for nobody
    monkeypatch.setattr(module, "first_decides", lambda task: 3)  # epochs that the first process goes on from
    with pytest.raises(LggError, match="another file for the first process; give an `out` that all machines share"):
        trainer.resume(tmp_path / "resume.pt")


def test_processes_share_out_each_batch(make, monkeypatch):
    whole = list(make().loader(0).sampler)
    monkeypatch.setattr(module, "world_size", lambda: 2)
    monkeypatch.setattr(module, "parallel", lambda network, device: network)
    parts = []
    monkeypatch.setattr(module, "share_of", lambda batch: batch // 2)
    for rank in (0, 1):
        monkeypatch.setattr(module, "rank", lambda rank=rank: rank)
        loader = make().loader(0)
        assert loader.batch_size == 4
        parts.append(np.reshape(loader.sampler, (-1, 4)))
    assert np.concatenate(parts, axis=1).flatten().tolist() == whole


def test_coarse_then_fine(make):
    trainer = make()
    assert [next(iter(trainer.loader(epoch)))[0].shape[-1] for epoch in (0, 1)] == [16, 32]


def test_the_late_epochs_are_weakly_augmented(make):
    trainer, seen = make(epochs=3, augment=1.0, late_augment=0.2, epoch_slices=8), []
    trainer.step = lambda *_: seen.append(trainer.augment.strength) or torch.zeros(())
    for epoch in range(3):
        trainer.epoch(epoch, progress=False)
    assert seen == [1.0, 1.0, 0.2]


def test_the_average_follows_the_weights(make):
    trainer = make()
    before = trainer.average().state_dict()["networks.0.head.weight"].clone()
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter += 1
    for _ in range(2):  # the first update copies
        trainer.ema.update_parameters(trainer.model)
    assert torch.equal(trainer.average().state_dict()["networks.0.head.weight"], before + 1)
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter += 1
    trainer.ema.update_parameters(trainer.model)
    torch.testing.assert_close(trainer.average().state_dict()["networks.0.head.weight"], before + 1.2)  # ema 0.8


def test_a_loss_that_is_no_number_names_its_step(make):
    trainer, losses = make(epoch_slices=400), iter([1.0] * 29 + [float("nan")] * 99)
    trainer.step = lambda *_: torch.tensor(next(losses))
    with pytest.raises(LggError, match="no finite number at step 30 of epoch 1; nothing was written yet"):
        trainer.epoch(0, progress=False)


def test_sparkline():
    assert sparkline([0, 0.5, 1]) == "▁▅█"
