"""One run's state: what is drawn, how it is weighed, when it stops."""

from copy import copy, deepcopy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from test_fit import TINY

from lggseg.errors import LggError
from lggseg.model.device import mixed_precision
from lggseg.model.segmenter import load_checkpoint
from lggseg.training import trainer as module
from lggseg.training.build import build_model
from lggseg.training.config import TrainConfig
from lggseg.training.losses import DiceBCELoss
from lggseg.training.trainer import LOSSES, Trainer, sparkline


@pytest.fixture(scope="module")
def cohort(phantom_cohort):
    """The phantoms at a quarter of their size: a Trainer looks at every slice before it begins."""

    def quarter(volume):
        return replace(
            volume, image=volume.image[:, ::4, ::4].copy(), mask=volume.mask[:, ::4, ::4].copy()
        )

    small = copy(phantom_cohort)
    small.volume = {
        name: quarter(phantom_cohort.volume(name)) for name in phantom_cohort.patients
    }.__getitem__
    return small


@pytest.fixture
def make(cohort):
    """A Trainer on five phantoms for TINY with some settings changed."""

    def make(**changes):
        config = replace(TINY, **changes)
        return Trainer(build_model(config), cohort, cohort.patients[:5], [], config)

    return make


@pytest.fixture
def pair():
    """Four random slices for TINY, and masks."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 9, 32, 32, generator=generator), (
        torch.rand(4, 1, 32, 32, generator=generator) > 0.9
    ).float()


def test_half_of_the_draw_has_tumour(make):
    loader = make(epoch_slices=400, augment=0.0).batches(0)
    share = np.mean([loader.dataset.has_tumour[i] for i in loader.sampler])
    assert share == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("balance", [0, 0.5, 1])
def test_balance_evens_out_patients(make, balance):
    trainer = make(balance=balance, oversample_foreground=0.3)
    rows = trainer.data.rows.assign(
        weight=trainer.draw_weights().numpy(), tumour=trainer.data.has_tumour
    )
    assert rows.groupby("tumour").weight.sum().to_dict() == pytest.approx({False: 0.7, True: 0.3})
    groups = rows[rows.tumour].groupby("patient").weight
    assert groups.nunique().max() == 1 and groups.size().nunique() > 1
    share = groups.sum() / groups.size() ** (1 - balance)  # the same for all patients
    np.testing.assert_allclose(share, share.iloc[0])


@pytest.mark.parametrize("tumour", [True, False])
def test_where_all_slices_are_alike_they_are_drawn_alike(make, tumour):
    trainer = make(balance=0)
    trainer.data.has_tumour = np.full(len(trainer.data), tumour)
    np.testing.assert_allclose(trainer.draw_weights(), 1 / len(trainer.data))


def test_the_draw_depends_on_seed_and_epoch_alone(make):
    draws = [
        list(make(**changes).batches(epoch).sampler)
        for changes, epoch in (
            ({}, 0),
            ({"workers": 2, "augment": 0.3}, 0),
            ({}, 1),
            ({"seed": 1}, 0),
        )
    ]
    assert draws[0] == draws[1] and draws[0] != draws[2] and draws[0] != draws[3]


def test_processes_that_find_other_files_do_not_start(make, monkeypatch, tmp_path):
    trainer = make(out=str(tmp_path))
    trainer.resume(tmp_path / "resume.pt")  # there is none, for nobody
    # Epochs that the first process goes on from.
    monkeypatch.setattr(module, "first_decides", lambda task: 3)
    with pytest.raises(
        LggError, match="another file for the first process; give an `out` that all machines share"
    ):
        trainer.resume(tmp_path / "resume.pt")


def test_processes_share_out_each_batch(make, monkeypatch):
    whole = list(make().batches(0).sampler)
    monkeypatch.setattr(module, "world_size", lambda: 2)
    monkeypatch.setattr(module, "parallel", lambda network, device: network)
    parts = []
    monkeypatch.setattr(module, "share_of", lambda batch: batch // 2)
    for rank in (0, 1):
        monkeypatch.setattr(module, "rank", lambda rank=rank: rank)
        loader = make().batches(0)
        assert loader.batch_size == 4
        parts.append(np.reshape(loader.sampler, (-1, 4)))
    assert np.concatenate(parts, axis=1).flatten().tolist() == whole


def test_coarse_then_fine(make):
    trainer = make()
    assert [next(iter(trainer.batches(epoch)))[0].shape[-1] for epoch in (0, 1)] == [16, 32]


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
    # Ema 0.8.
    torch.testing.assert_close(
        trainer.average().state_dict()["networks.0.head.weight"], before + 1.2
    )


@pytest.mark.parametrize(("slices", "step"), [(400, 1), (400, 30), (400, 50), (32, 2)])
def test_a_loss_that_is_no_number_names_its_step(make, slices, step):
    trainer, losses = make(epoch_slices=slices), iter([1.0] * (step - 1) + [float("nan")] * 99)
    trainer.step = lambda *_: torch.tensor(next(losses))
    trainer.batches = lambda epoch: (
        [(torch.zeros(1, 9, 4, 4), torch.zeros(1, 1, 4, 4))] * trainer.steps
    )
    with pytest.raises(
        LggError, match=f"NaN or infinite at step {step} of epoch 1; nothing was written yet"
    ):
        trainer.epoch(0, progress=False)


def test_without_a_folder_nothing_was_written(make):
    trainer = make()
    trainer.history = [{"epoch": 1}]
    with pytest.raises(LggError, match="at step 1 of epoch 2; nothing was written yet"):
        trainer.check([torch.tensor(float("inf"))])


# --- a step, and what follows it ---


def test_a_step_is_one_of_adamw_down_the_loss(make, pair):
    """Against PyTorch's optimiser on a copy: a one-cycle schedule starts at a 25th of its peak, and
    beta at 0.95.
    """
    trainer = make()
    other = deepcopy(trainer.model)
    optimiser = torch.optim.AdamW(
        other.parameters(), 3e-3 / 25, betas=(0.95, 0.999), weight_decay=1e-2
    )
    # Bfloat16 turns the sign of a gradient near 0, and so Adam's first step.
    with mixed_precision(trainer.device):
        expected = DiceBCELoss()(other(pair[0]), pair[1])
    expected.backward()
    optimiser.step()
    loss = trainer.step(*pair)
    assert not loss.requires_grad and loss.item() == pytest.approx(expected.item(), rel=1e-3)
    torch.testing.assert_close(flat(trainer.model), flat(other), rtol=0, atol=1e-5)


def flat(model) -> torch.Tensor:
    return torch.cat([value.detach().flatten() for value in model.parameters()])


def test_gradients_of_earlier_steps_do_not_add_up(make, pair):
    trainer, seen = make(lr=0), []
    for _ in range(2):
        trainer.step(*pair)
        seen.append(torch.cat([value.grad.flatten() for value in trainer.model.parameters()]))
    torch.testing.assert_close(seen[0], seen[1])


def test_the_average_is_updated_by_each_step(make, pair):
    trainer, states = make(), []
    for _ in range(2):
        trainer.step(*pair)
        states.append(deepcopy(trainer.model.state_dict()))
    one, two = states
    for name, value in trainer.average().state_dict().items():
        if value.is_floating_point():  # running statistics, too; ema is 0.8
            torch.testing.assert_close(value, 0.8 * one[name] + 0.2 * two[name])


def test_the_schedule_rises_for_a_seventh_and_ends_at_nothing(make):
    trainer = make(epochs=10, epoch_slices=80)
    rates = []
    for _ in range(10 * 10):
        trainer.optimiser.step()
        trainer.schedule.step()
        rates.append(trainer.schedule.get_last_lr()[0])
    assert np.argmax(rates) == 14 and rates[14] == pytest.approx(3e-3, rel=1e-3)  # counted from 0
    assert rates[-1] == pytest.approx(3e-3 / 25 / 1e4)


def test_an_epoch_trains_and_tells_its_mean_loss(make):
    trainer, losses = make(epoch_slices=16), iter([1.0, 4.0])
    trainer.model.eval()  # as a checkpoint is loaded
    trainer.step = lambda *_: torch.tensor(next(losses))
    assert trainer.epoch(0, progress=False) == 2.5
    assert all(part.training for part in trainer.model.modules())


def test_every_loss_of_the_settings_is_there():
    choices = next(
        entry for entry in TrainConfig.__dataclass_fields__.values() if entry.name == "loss"
    )
    assert set(LOSSES) == set(choices.metadata["choices"])


# --- validation, and what is kept ---


def test_validation_judges_the_average_per_patient(make):
    """Two of three pixels found: Dice 0.8.

    Who has nothing to find, and where nothing is found, is left out.
    """
    masks = {"half": [1, 1, 1], "empty": [0, 0, 0], "missed": [0, 0, 1]}
    answers = {"half": [0.5, 0.49, 0.9], "empty": [0.1] * 3, "missed": [0.0] * 3}
    trainer = make()
    trainer.valid_patients = list(masks)
    trainer.cohort = SimpleNamespace(
        volume=lambda patient: SimpleNamespace(image=patient, mask=np.array(masks[patient], bool))
    )
    trainer.average = lambda: SimpleNamespace(
        probability=lambda image, device: np.array(answers[image])
    )
    assert trainer.validate() == pytest.approx((0.8 + 0) / 2)
    trainer.valid_patients = []
    assert np.isnan(trainer.validate())


NAN = float("nan")


def recorded(trainer, dice):
    """Epochs with these Dice, the average's weights being the epoch's number."""
    for epoch, score in enumerate(dice, 1):
        with torch.no_grad():
            for value in trainer.average().parameters():
                value.fill_(epoch)
        trainer.record({"epoch": epoch, "valid_dice": score})


@pytest.mark.parametrize(
    ("dice", "best"),
    [
        ([0.5, 0.7, 0.6], 2),
        ([0.5, 0.5], 1),
        ([NAN, 0.3, NAN], 2),
        ([NAN, 0.3, 0.2, 0.4], 4),
        ([NAN, NAN], 2),
        ([0.0, NAN], 1),
    ],
)
def test_the_best_epochs_weights_are_kept(make, dice, best):
    trainer = make()
    trainer.valid_patients = ["somebody"]
    recorded(trainer, dice)
    assert trainer.best["epoch"] == best and len(trainer.history) == len(dice)
    assert trainer.best["score"] == pytest.approx(dice[best - 1], nan_ok=True)
    assert (trainer.best["weights"]["networks.0.head.weight"] == best).all()


def test_without_validation_the_last_epoch_counts(make):
    trainer = make()
    recorded(trainer, [NAN, NAN, NAN])
    assert trainer.best["epoch"] == 3


@pytest.mark.parametrize(
    ("dice", "patience", "tired"),
    [
        ([], 1, False),
        ([0.5, 0.4], 2, False),
        ([0.5, 0.4, 0.3], 2, True),
        ([0.5, NAN, 0.4, NAN], 2, False),
        ([0.5, NAN, 0.4, NAN, 0.3], 2, True),
        ([0.5, 0.4, 0.6, 0.5], 2, False),
        ([0.5, 0.4, 0.3], 0, False),
    ],
)
def test_patience_counts_validations_without_a_better_dice(make, dice, patience, tired):
    trainer = make(patience=patience, epochs=9)
    trainer.valid_patients = ["somebody"]
    recorded(trainer, dice)
    assert trainer.out_of_patience() is tired


def test_what_is_written(make, tmp_path):
    trainer = make()
    trainer.valid_patients = ["somebody"]
    for epoch, best in enumerate(["1", "2", "2"], 1):
        recorded_before = len(trainer.history)
        with torch.no_grad():
            trainer.average().networks[0].head.bias.fill_(epoch)
        trainer.record({"epoch": epoch, "valid_dice": [0.5, 0.6, 0.4][recorded_before]})
        trainer.save(tmp_path)
        biases = [
            load_checkpoint(tmp_path / name).networks[0].head.bias
            for name in ("last.pt", "best.pt")
        ]
        assert [f"{bias.item():.0f}" for bias in biases] == [str(epoch), best]
    assert pd.read_csv(tmp_path / "log.csv").to_dict("list") == {
        "epoch": [1, 2, 3],
        "valid_dice": [0.5, 0.6, 0.4],
    }
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "best.pt",
        "last.pt",
        "log.csv",
        "resume.pt",
    ]


def test_only_the_first_process_writes(make, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "rank", lambda: 1)
    make().save(tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- what is shown ---


def test_the_bars_caption_tells_the_curve(make):
    trainer = make()
    assert trainer.caption(0) == "epoch 1/2"
    trainer.history = [{"valid_dice": score} for score in (0.5, NAN, 0.75)]
    assert trainer.caption(1) == "epoch 2/2 Dice ▅▇ 0.750"


def test_a_bar_is_drawn_where_progress_is_asked_for(make, capsys):
    trainer = make(epoch_slices=8)
    trainer.step = lambda *_: torch.zeros(())
    trainer.epoch(0, progress=False)
    assert capsys.readouterr().err == ""
    trainer.epoch(0, progress=True)
    assert "epoch 1/2" in capsys.readouterr().err


def test_sparkline():
    assert sparkline([0, 0.5, 1]) == "▁▅█" and sparkline([0.12, 0.13]) == "▁▂"
    assert sparkline([0.0] * 10 + [1.0] * 20) == "█" * 20
