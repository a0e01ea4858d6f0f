import shutil
from dataclasses import replace

import pandas as pd
import pytest
import torch

from lggseg.errors import LggError
from lggseg.model import device
from lggseg.model.segmenter import load_checkpoint
from lggseg.training import fit as module
from lggseg.training.build import build_model
from lggseg.training.config import TrainConfig
from lggseg.training.fit import fit
from lggseg.training.trainer import Trainer

TINY = TrainConfig(
    size=32,
    coarse_size=16,
    coarse_share=0.5,
    block=1,
    context=1,
    features=4,
    depth=3,
    epochs=2,
    epoch_slices=32,
    batch=8,
    ema=0.8,
)


@pytest.fixture
def split(phantom_cohort):
    return phantom_cohort.patients[:5], phantom_cohort.patients[5:7]


def weights(model):
    return torch.cat([value.flatten().float() for value in model.state_dict().values()])


def test_history_and_what_the_model_carries(phantom_cohort, split):
    model = build_model(TINY)
    history = fit(model, phantom_cohort, *split, TINY, progress=False)
    assert (
        history.columns.tolist() == ["epoch", "loss", "valid_dice", "lr", "seconds"]
        and len(history) == 2
    )
    assert history.valid_dice.between(0, 1).all() and not model.training
    assert history.epoch.tolist() == [1, 2] and history.seconds.between(0, 600).all()
    # It ends where the schedule does.
    assert 1e-4 < history.lr[0] < TINY.lr and history.lr[1] < 1e-6
    assert model.recipe == TINY.recipe and model.training_patients == split[0]


def test_epochs_before_the_first_validation_are_never_the_best(phantom_cohort, split, tmp_path):
    config = replace(TINY, validate_every=2, out=str(tmp_path))
    model = build_model(config)
    fit(model, phantom_cohort, *split, config, progress=False)
    kept, best = load_checkpoint(tmp_path / "last.pt"), load_checkpoint(tmp_path / "best.pt")
    torch.testing.assert_close(weights(best), weights(kept), rtol=0, atol=0)
    torch.testing.assert_close(weights(model), weights(kept))


def test_it_learns(phantom_cohort, split):
    config = replace(TINY, epochs=16, epoch_slices=64, coarse_share=0.0, lr=1e-2)
    history = fit(build_model(config), phantom_cohort, split[0], [], config, progress=False)
    assert history.loss.iloc[-1] < 0.8 * history.loss.iloc[0] and history.valid_dice.isna().all()


def test_same_seed_same_weights(phantom_cohort, split):
    one, two = build_model(TINY), build_model(TINY)
    for model in (one, two):
        fit(model, phantom_cohort, split[0], [], TINY, progress=False)
    torch.testing.assert_close(weights(one), weights(two), rtol=0, atol=0)


def test_a_stopped_run_goes_on_exactly(phantom_cohort, split, tmp_path):
    config = replace(TINY, epochs=3)
    whole, halves = build_model(config), build_model(config)
    straight = fit(
        whole, phantom_cohort, *split, replace(config, out=str(tmp_path / "a")), progress=False
    )

    def stop(history):
        if len(history) == 2:
            raise KeyboardInterrupt

    mine = replace(config, out=str(tmp_path / "b"))
    with pytest.raises(KeyboardInterrupt):
        fit(halves, phantom_cohort, *split, mine, progress=False, on_epoch=stop)
    again = build_model(config)
    resumed = fit(again, phantom_cohort, *split, mine, progress=False)
    pd.testing.assert_frame_equal(resumed.drop(columns="seconds"), straight.drop(columns="seconds"))
    torch.testing.assert_close(weights(again), weights(whole), rtol=0, atol=0)
    assert len(pd.read_csv(tmp_path / "b" / "log.csv")) == 3
    assert load_checkpoint(tmp_path / "b" / "last.pt").training_patients == split[0]
    assert load_checkpoint(tmp_path / "b" / "best.pt").recipe == config.recipe


def test_a_finished_run_is_not_repeated(phantom_cohort, split, tmp_path, monkeypatch):
    mine = replace(TINY, out=str(tmp_path))
    fit(build_model(TINY), phantom_cohort, split[0], [], mine, progress=False)
    monkeypatch.setattr(Trainer, "epoch", lambda *_: pytest.fail("trained again"))
    assert len(fit(build_model(TINY), phantom_cohort, split[0], [], mine, progress=False)) == 2


def test_another_runs_folder_is_refused(phantom_cohort, split, tmp_path):
    fit(
        build_model(TINY),
        phantom_cohort,
        split[0],
        [],
        replace(TINY, out=str(tmp_path), epochs=1),
        progress=False,
    )
    with pytest.raises(LggError, match="other epochs, lr"):
        fit(
            build_model(TINY),
            phantom_cohort,
            split[0],
            [],
            replace(TINY, out=str(tmp_path), lr=1e-4),
            progress=False,
        )


def test_a_patient_on_both_sides_is_refused(phantom_cohort):
    both = phantom_cohort.patients[:2]
    with pytest.raises(LggError, match=f"{both[1]}: in training and in validation"):
        fit(build_model(TINY), phantom_cohort, both, both[1:], TINY)
    with pytest.raises(LggError, match="no training patients"):
        fit(build_model(TINY), phantom_cohort, [], both, TINY)


def test_early_stop_keeps_the_best_epoch(phantom_cohort, split, monkeypatch):
    dice = iter([0.5, 0.4, 0.3, 0.9])
    monkeypatch.setattr(Trainer, "validate", lambda *_: next(dice))
    config = replace(TINY, epochs=4, patience=2, epoch_slices=8)
    states = []
    monkeypatch.setattr(Trainer, "record", watch(Trainer.record, states))
    model = build_model(config)
    history = fit(model, phantom_cohort, *split, config, progress=False)
    assert history.valid_dice.tolist() == [0.5, 0.4, 0.3]
    torch.testing.assert_close(weights(model), states[0], rtol=0, atol=0)


def watch(record, states):
    def wrapped(trainer, row):
        record(trainer, row)
        states.append(weights(trainer.ema.module))

    return wrapped


def test_learns_in_bfloat16_too(phantom_cohort, split, monkeypatch):
    monkeypatch.setattr(device, "amp_dtype", lambda device: torch.bfloat16)
    config = replace(TINY, epochs=16, epoch_slices=64, coarse_share=0.0, lr=1e-2)
    model = build_model(config)
    history = fit(model, phantom_cohort, split[0], [], config, progress=False)
    assert history.loss.iloc[-1] < 0.8 * history.loss.iloc[0]
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in model.parameters())


def test_start_begins_with_the_weights_of_a_checkpoint(phantom_cohort, split, tmp_path):
    first = replace(TINY, epochs=1, out=str(tmp_path / "first"))
    model = build_model(first)
    fit(model, phantom_cohort, split[0][:3], [], first, progress=False)
    second = replace(
        TINY, epochs=1, start=str(tmp_path / "first" / "last.pt"), out=str(tmp_path / "second")
    )
    more = build_model(second)
    torch.testing.assert_close(weights(more), weights(model), rtol=0, atol=0)
    fit(more, phantom_cohort, split[0][2:], [], second, progress=False)
    # Nobody is forgotten.
    assert load_checkpoint(tmp_path / "second" / "last.pt").training_patients == split[0]


def test_a_validation_patient_that_was_trained_on_before_is_refused(phantom_cohort, split):
    model = build_model(TINY)
    model.learned_from(split[1], TINY.recipe)
    with pytest.raises(LggError, match=f"{split[1][0]}.*in training and in validation"):
        fit(model, phantom_cohort, *split, TINY, progress=False)


def test_denormal_numbers_are_back_after_training(phantom_cohort, split):
    tiny, seen = torch.tensor(2.0**-1060, dtype=torch.float64), []
    fit(
        build_model(TINY),
        phantom_cohort,
        split[0],
        [],
        replace(TINY, epochs=1, epoch_slices=8),
        progress=False,
        on_epoch=lambda history: seen.append((tiny * 1).item()),
    )
    assert seen == [0] and (tiny * 1).item() > 0


def test_a_loss_that_is_no_number_leaves_the_last_good_weights(
    phantom_cohort, split, tmp_path, monkeypatch
):
    step = Trainer.step

    def broken(trainer, image, mask):
        if trainer.history:
            with torch.no_grad():
                next(trainer.model.parameters()).fill_(float("nan"))
        return step(trainer, image, mask)

    monkeypatch.setattr(Trainer, "step", broken)
    config = replace(TINY, out=str(tmp_path))
    model = build_model(config)
    with pytest.raises(
        LggError, match="the loss is NaN or infinite at step 1 of epoch 2; .*last.pt holds epoch 1"
    ):
        fit(model, phantom_cohort, split[0], [], config, progress=False)
    assert (
        weights(model).isfinite().all()
        and weights(load_checkpoint(tmp_path / "last.pt")).isfinite().all()
    )


def test_a_damaged_resume_file_is_named(phantom_cohort, split, tmp_path):
    config = replace(TINY, out=str(tmp_path), epochs=1, epoch_slices=8)
    fit(build_model(config), phantom_cohort, split[0], [], config, progress=False)
    path = tmp_path / "resume.pt"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(LggError, match="resume.pt: not a whole lggseg checkpoint"):
        fit(build_model(config), phantom_cohort, split[0], [], config, progress=False)


def test_resuming_with_other_patients_is_refused(phantom_cohort, split, tmp_path):
    config = replace(TINY, out=str(tmp_path), epochs=1, epoch_slices=8)
    fit(build_model(config), phantom_cohort, *split, config, progress=False)
    with pytest.raises(LggError, match="a run with other validation patients;"):
        fit(build_model(config), phantom_cohort, split[0], split[1][:1], config, progress=False)


def test_the_last_epoch_is_validated_whatever_the_rhythm(phantom_cohort, split):
    config = replace(TINY, epochs=3, epoch_slices=8, validate_every=2)
    history = fit(build_model(config), phantom_cohort, *split, config, progress=False)
    assert history.valid_dice.notna().tolist() == [False, True, True]


def test_a_plain_network_is_trained_in_place(phantom_cohort, split):
    config = replace(TINY, epochs=1)
    network = build_model(config).networks[0]
    before = weights(network)
    fit(network, phantom_cohort, split[0], [], config, progress=False)
    assert not torch.equal(weights(network), before)


@pytest.mark.parametrize("patient", [False, True])
def test_nothing_is_written_among_patients(phantom_cohort, split, tmp_path, patient):
    one = phantom_cohort.root / phantom_cohort.slices.image[0]
    (tmp_path / one.parent.name).mkdir()
    shutil.copy(one, tmp_path / one.parent.name)
    config = replace(TINY, out=str(tmp_path / (one.parent.name if patient else "")))
    with pytest.raises(LggError, match=f"holds the scan .*{one.name}; name a folder of its own"):
        fit(build_model(config), phantom_cohort, *split, config, progress=False)
    assert len([*tmp_path.rglob("*")]) == 2


def test_a_folder_that_cannot_be_written_is_told_before_training(
    phantom_cohort, split, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "one_epoch", lambda *_: pytest.fail("trained first"))
    (tmp_path / "file").touch()
    config = replace(TINY, out=str(tmp_path / "file"))
    with pytest.raises(LggError, match="file cannot be written to"):
        fit(build_model(config), phantom_cohort, *split, config, progress=False)
    with pytest.raises(LggError, match="no patient 'TCGA_XX'"):
        fit(build_model(TINY), phantom_cohort, split[0], ["TCGA_XX"], TINY, progress=False)
