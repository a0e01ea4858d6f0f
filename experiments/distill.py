"""One network that answers as an ensemble does (distillation: Hinton, Vinyals and Dean 2015).

The student sees augmented slices, and learns the ensemble's mean probability in place of the manual mask; networks of
several files teach together. Without
--fold it learns from all patients. With --fold it learns from that fold's training patients and the networks that never
saw the held-out ones, and is compared with those networks on the held-out: the fair judgement of what is shipped.
"""

import argparse
from pathlib import Path

import pandas as pd

from lggseg import Cohort, LggError, Segmenter, TrainConfig, build_model, dice, fit, load_checkpoint, open_cohort
from lggseg.training.config import add_options, config_of

from .command import command, execute
from .compare import keep, show
from .ensemble import unite
from .plan import Fold, read_run


def distill(cohort: Cohort, config: TrainConfig, teacher: Segmenter, patients: list[str],
            progress: bool = True) -> Segmenter:
    """Train one network on the teacher's answers for these patients' slices, in `config.out`; student.pt is the result.

    It takes over threshold and min_component_share. Raises LggError where teacher and student do not see the same.
    """
    if teacher.recipe.channels != config.recipe.channels:
        raise LggError(f"the teacher sees context {teacher.recipe.context}, the student {config.context}; give "
                       f"--context {teacher.recipe.context}")
    student = build_model(config)
    fit(student, cohort, patients, [], config, progress, teacher=teacher)
    shipped = student.with_recipe(threshold=teacher.recipe.threshold,
                                  min_component_share=teacher.recipe.min_component_share)
    shipped.save(Path(config.out) / "student.pt")
    return shipped


def unseen(teacher: Segmenter, held_out: list[str]) -> Segmenter:
    """The part of the teacher that never saw any of these patients; LggError where there is none."""
    for patient in held_out:
        teacher = teacher.without(patient)
    return teacher


def compare(student: Segmenter, teacher: Segmenter, cohort: Cohort, held_out: list[str]) -> pd.DataFrame:
    """Rows patient, run, dice of both on patients that neither saw; both by the ensemble's threshold and clean-up."""
    rows = []
    for patient in held_out:
        volume = cohort.volume(patient)
        for name, model in (("teacher", teacher), ("student", student)):
            mask = model.without(patient).segment(volume.image)
            rows.append({"patient": patient, "run": name, "dice": dice(mask, volume.mask)})
    return pd.DataFrame(rows)


def fold_of(chosen: argparse.Namespace, cohort: Cohort) -> Fold:
    """The fold that the options name, or all patients."""
    if chosen.fold is None:
        return Fold(cohort.patients, [])
    run = read_run(chosen.folds_of or chosen.teachers[0].parent)
    run.place(chosen.fold)  # LggError where there is no such fold
    return run.folds[chosen.fold]


def options() -> argparse.ArgumentParser:
    parser = command("distill", __doc__)
    parser.add_argument("teachers", nargs="+", type=Path, metavar="NETWORKS",
                        help="ensemble.pt of a cross-validation, or the last.pt of some folds")
    parser.add_argument("--fold", type=int, metavar="K", help="hold out the patients of this fold, and compare on them")
    parser.add_argument("--folds-of", metavar="RUN", help="the run whose folds are meant (default: the ensemble's own)")
    add_options(parser)
    return parser


def do(chosen: argparse.Namespace) -> None:
    config = config_of(chosen)
    if not config.out:
        raise LggError("--out is needed: the folder for the student")
    if Path(config.out).resolve() in [path.resolve().parent for path in chosen.teachers]:
        raise LggError(f"--out {config.out} holds a teacher, which might be overwritten; choose another folder")
    cohort = open_cohort(chosen.data)
    fold = fold_of(chosen, cohort)
    teacher = unseen(unite([load_checkpoint(path) for path in chosen.teachers]), fold.held_out)
    print(f"{len(teacher.networks)} networks teach one, by {len(fold.train)} patients")
    student = distill(cohort, config, teacher, fold.train)
    if fold.held_out:
        scores = compare(student, teacher, cohort, fold.held_out)
        keep(scores, Path(config.out) / "scores.csv")
        show(scores, "teacher")


def main(argv: list[str] | None = None) -> None:
    execute(options(), do, argv)


if __name__ == "__main__":
    main()
