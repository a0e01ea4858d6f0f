"""Cross-validation by patient: every patient is judged by a network that never saw them.

One network per fold is trained under --out; a run that was stopped goes on where it was. The folder
then holds patients.csv (scores and shape features per patient), slices.csv (counts per slice),
choices.csv (what threshold and clean-up would do), and ensemble.pt, the folds' networks as one.
With --fold several processes share the work: the one that finishes last writes the tables of all.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from lggseg import Cohort, LggError, TrainConfig, build_model, fit, open_cohort
from lggseg.data.places import check_no_patients
from lggseg.training.config import add_options, config_of
from lggseg.training.fit import check_patients

from .command import command, execute, positive
from .ensemble import finish
from .maps import predict_maps
from .plan import Fold, Run, k_folds, read_run, sites_left_out


def cross_validate(
    cohort: Cohort,
    config: TrainConfig,
    folds: list[Fold],
    only: list[int] | None = None,
    progress: bool = True,
) -> Run:
    """Train and judge folds under `config.out`; the tables are written after each of them.

    Parameters
    ----------
    cohort : the patients
    config : settings of the trainings; fold k has the seed `config.seed + k`
    folds : who trains and who is judged
    only : numbers of the folds to do now; all of them without it
    progress : show bars

    Returns
    -------
    the run, in the folder `config.out`

    Raises
    ------
    LggError
        before anything is written, where a fold does not exist, or the folder holds patients or
        another run
    """
    run = Run(Path(config.out), config.identity_settings, folds)
    numbers = range(len(folds)) if only is None else only
    for k in numbers:
        run.folder(k)  # raises where there is no such fold
    check_no_patients(run.out)
    run.claim()
    left = [k for k in numbers if k not in run.done()]
    for k in left:
        train_fold(cohort, config, run, k, progress)
        finish(cohort, run)
    if not left:
        finish(cohort, run)
    return run


def train_fold(
    cohort: Cohort, config: TrainConfig, run: Run, k: int, progress: bool = True
) -> None:
    """Train one fold's network and store the maps of its held-out patients.

    No fold validates while it trains, so nothing is chosen on the patients it is judged on: the
    averaged weights of the last epoch count. Without training patients the network of
    `config.start` is judged as it is.
    """
    fold = run.folds[k]
    config_of_fold = replace(
        config,
        out=str(run.folder(k)),
        seed=config.seed + k,
        start=start_of_fold(config.start, k),
    )
    model = build_model(config_of_fold)
    check_patients([*fold.train, *model.training_patients], fold.held_out)
    if fold.train:
        fit(model, cohort, fold.train, [], config_of_fold, progress)
    else:
        model.save(run.network(k))
    predict_maps(model, cohort, fold.held_out, run.maps(k))


def start_of_fold(start: str | None, k: int) -> str | None:
    """The checkpoint that fold `k` begins from.

    Where `start` is the folder of a run, it is the network of the same fold; else `start` itself.
    """
    if start and Path(start).is_dir():
        return str(read_run(start).network(k))
    return start


def folds_of(patients: list[str], chosen: argparse.Namespace) -> list[Fold]:
    """The folds that the options ask for."""
    if chosen.within:
        patients = training_patients_of(*chosen.within)
    if chosen.hold_out_site:
        folds = sites_left_out(patients, chosen.hold_out_site)
    else:
        folds = k_folds(patients, chosen.folds)
    if chosen.train_patients is not None:
        folds = [fold.fewer(chosen.train_patients) for fold in folds]
    return folds


def training_patients_of(out: str, fold: str) -> list[str]:
    """The training patients of a fold of another run, both as they come from the command line."""
    if not fold.isdecimal():
        raise LggError(f"--within RUN FOLD: {fold!r} is not the number of a fold")
    run = read_run(out)
    k = int(fold)
    run.folder(k)  # raises where there is no such fold
    return run.folds[k].train


def options() -> argparse.ArgumentParser:
    parser = command("crossval", __doc__)
    parser.add_argument(
        "--folds",
        type=positive,
        default=5,
        metavar="N",
        help="number of folds, every site in proportion in each (default: 5)",
    )
    parser.add_argument(
        "--fold",
        type=int,
        nargs="+",
        metavar="K",
        help="train only these folds, counted from 0",
    )
    parser.add_argument(
        "--hold-out-site",
        nargs="+",
        metavar="SITE",
        help="in place of --folds: one fold per hospital, such as HT, judged by a network that "
        "never saw a patient of it",
    )
    parser.add_argument(
        "--train-patients",
        type=int,
        metavar="N",
        help="train each fold on only so many patients, every site in proportion; fewer are among "
        "more. 0 judges the network of --start as it is",
    )
    parser.add_argument(
        "--within",
        nargs=2,
        metavar=("RUN", "FOLD"),
        help="cross-validate among the training patients of that fold of another run",
    )
    add_options(parser)
    return parser


def do(chosen: argparse.Namespace) -> None:
    config = config_of(chosen)
    if not config.out:
        raise LggError("--out is needed: the folder that a stopped run goes on from")
    cohort = open_cohort(chosen.data)
    cross_validate(cohort, config, folds_of(cohort.patients, chosen), chosen.fold)


def main(argv: list[str] | None = None) -> None:
    execute(options(), do, argv)


if __name__ == "__main__":
    main()
