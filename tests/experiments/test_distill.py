"""One network taught by several."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_run import TINY

from experiments import distill
from lggseg import LggError, fit, load_checkpoint
from lggseg.training.build import build_model
from lggseg.training.trainer import Trainer


@pytest.fixture
def config(tmp_path):
    return replace(TINY, out=str(tmp_path / "student"), augment=0.5)


@pytest.fixture
def teacher(joined_run):
    return load_checkpoint(joined_run.out / "ensemble.pt")


def test_the_teachers_of_a_fold_never_saw_whom_it_holds_out(teacher, joined_run):
    for fold in joined_run.folds:
        part = distill.unseen(teacher, fold.held_out)
        assert len(part.networks) == 2 and part.training_patients == fold.train
    with pytest.raises(LggError, match="trained on"):
        distill.unseen(teacher, joined_run.folds[0].held_out + joined_run.folds[1].held_out)


def test_the_answers_of_the_teacher_take_the_masks_place(teacher, cohort, config):
    trainer = Trainer(build_model(config), cohort, cohort.patients[:2], [], config, teacher)
    seen = []
    trainer.step = lambda image, target: seen.append((image, target)) or torch.zeros(())
    trainer.epoch(0, progress=False)
    image, target = seen[0]
    probability = [network(torch.nn.functional.pixel_unshuffle(image, 2)) for network in teacher.networks]
    mean = torch.stack([torch.nn.functional.pixel_shuffle(one.float(), 2).sigmoid() for one in probability]).mean(0)
    torch.testing.assert_close(target, mean, atol=0.02, rtol=0)  # mixed precision
    assert target.shape == (8, 1, 16, 16) and 0 < target.min() and target.max() < 1


def test_a_student_comes_nearer_to_its_teacher(teacher, cohort, config, run_done):
    volume = cohort.volume(cohort.patients[0])
    wanted = teacher.probability(volume.image)
    config = replace(config, epochs=4, epoch_slices=64)
    before = np.abs(build_model(config).probability(volume.image) - wanted).mean()
    student = distill.distill(cohort, config, teacher, cohort.patients[:2], progress=False)
    assert np.abs(student.probability(volume.image) - wanted).mean() < 0.7 * before
    assert len(student.networks) == 1
    stored = load_checkpoint(f"{config.out}/student.pt")
    assert stored.recipe.threshold == teacher.recipe.threshold
    assert stored.recipe.min_component_share == teacher.recipe.min_component_share


def test_a_student_has_seen_whom_its_teacher_saw(teacher, cohort, config):
    student = distill.distill(cohort, config, teacher, cohort.patients[:1], progress=False)
    assert student.training_patients == teacher.training_patients == cohort.patients
    with pytest.raises(LggError, match="in training and in validation"):
        fit(build_model(config), cohort, cohort.patients[:1], cohort.patients[1:2], config,
            progress=False, teacher=teacher)


def test_a_stopped_student_goes_on_with_the_same_teacher_only(teacher, cohort, config):
    some = cohort.patients[:1]
    distill.distill(cohort, config, teacher, some, progress=False)
    distill.distill(cohort, config, teacher, some, progress=False)
    with pytest.raises(LggError, match="other teacher"):
        distill.distill(cohort, config, teacher.without(some[0]).with_recipe(threshold=0.1), some + teacher.
                        training_patients, progress=False)


def test_another_context_is_refused(teacher, cohort, config):
    with pytest.raises(LggError, match="give --context 0"):
        distill.distill(cohort, replace(config, context=1), teacher, cohort.patients, progress=False)


def test_judged_on_patients_that_neither_saw(joined_run, cohort, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(distill, "open_cohort", lambda path: cohort)
    words = ["--size", "32", "--coarse-size", "16", "--features", "4", "--depth", "3", "--epochs", "1",
             "--epoch-slices", "16", "--batch", "8", "--out", str(tmp_path)]
    distill.main([str(joined_run.out / "ensemble.pt"), "--fold", "1", *words])
    student, fold = load_checkpoint(tmp_path / "student.pt"), joined_run.folds[1]
    assert student.training_patients == fold.train
    table = pd.read_csv(tmp_path / "scores.csv")
    assert table.groupby("run").patient.apply(list).to_dict() == {"student": fold.held_out, "teacher": fold.held_out}
    out = capsys.readouterr().out
    assert "2 networks teach one, by 2 patients" in out and "student" in out
    with pytest.raises(LggError, match="trained on"):
        distill.compare(student, student, cohort, fold.train)
    with pytest.raises(SystemExit):
        distill.main([str(joined_run.out / "ensemble.pt"), "--fold", "2", *words])


def test_networks_of_several_files_teach_together(run_done, second_run, cohort, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(distill, "open_cohort", lambda path: cohort)
    taught = []
    monkeypatch.setattr(distill, "distill", lambda cohort, config, teacher, patients: taught.append(teacher))
    files = [str(run.network(k)) for run, k in ((run_done, 0), (run_done, 1), (second_run, 0))]
    distill.main([*files, "--out", str(tmp_path)])
    assert taught[0].patients == [load_checkpoint(file).patients[0] for file in files]
    assert "3 networks teach one, by 4 patients" in capsys.readouterr().out


def test_a_teacher_is_never_overwritten(joined_run, capsys):
    teacher = joined_run.out / "fold0" / "last.pt"
    with pytest.raises(SystemExit):
        distill.main([str(teacher), "--out", str(teacher.parent)])
    assert "holds a teacher" in capsys.readouterr().err
