"""The folds' networks of a cross-validation as one, and several cross-validations joined into one.

A joined run lies in a folder like any other, so every other command takes it: the networks of a fold are those of the
parts' same folds, and its maps are their mean.
"""

import argparse
from pathlib import Path

import numpy as np

from lggseg import Cohort, LggError, Segmenter, load_checkpoint, open_cohort

from .command import command, execute
from .maps import read_maps, to_bytes, write_maps
from .plan import Run, read_run
from .tables import told, write_tables


def finish(cohort: Cohort, run: Run) -> None:
    """Write the tables of what is done, and ensemble.pt if all is: for new patients, or `without` one for that one."""
    threshold, share = write_tables(cohort, run)
    if len(run.done()) == len(run.folds) and run.network(0).exists():
        united = unite([load_checkpoint(run.network(k)) for k in range(len(run.folds))])
        united.with_recipe(threshold=threshold, min_component_share=share).save(run.out / "ensemble.pt", bits=16)
    print(told(run))


def unite(parts: list[Segmenter]) -> Segmenter:
    """All networks of all parts as one Segmenter; LggError where they differ in recipe or architecture."""
    first = parts[0]
    for part in parts:
        if part.recipe != first.recipe or part.networks[0].architecture != first.networks[0].architecture:
            raise LggError("networks of different recipes or architectures cannot be one ensemble; their maps can be "
                           "averaged all the same")
    return Segmenter([network for part in parts for network in part.networks], first.recipe,
                     [patients for part in parts for patients in part.patients])


def join(cohort: Cohort, parts: list[Run], out: Path) -> Run:
    """Join finished cross-validations of the same folds into one run in the folder `out`."""
    for part in parts:
        if part.folds != parts[0].folds:
            raise LggError(f"{part.out} has other folds than {parts[0].out}; only the same can be joined")
        if missing := sorted({*range(len(part.folds))} - {*part.done()}):
            raise LggError(f"{part.out} lacks fold {missing[0]}; finish it with the command that began it")
    joined = Run(out, {"parts": [str(part.out) for part in parts]}, parts[0].folds)
    joined.claim()
    for k in range(len(joined.folds)):
        join_fold([load_checkpoint(part.network(k)) for part in parts], [part.maps(k) for part in parts], joined, k)
    finish(cohort, joined)
    return joined


def join_fold(networks: list[Segmenter], paths: list[Path], joined: Run, k: int) -> None:
    """The networks of one fold, where they can be one, and the mean of their maps."""
    try:
        unite(networks).save(joined.network(k))
    except LggError as error:
        print(f"fold {k}: no network is written; {error}")
    seen = {patient for network in networks for patient in network.training_patients}
    columns = zip(*(read_maps(path) for path in paths), strict=True)
    write_maps({rows[0][0]: to_bytes(np.mean([row[1] for row in rows], axis=0)) for rows in columns}, seen,
               joined.maps(k))


def options() -> argparse.ArgumentParser:
    parser = command("ensemble", __doc__)
    parser.add_argument("parts", nargs="+", metavar="RUN", type=Path, help="folders of finished cross-validations; of "
                        "one alone, tables and ensemble.pt are made anew")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the joined run")
    return parser


def do(chosen: argparse.Namespace) -> None:
    parts = [read_run(part) for part in chosen.parts]
    if len(parts) == 1:
        finish(open_cohort(chosen.data), parts[0])
    elif chosen.out is None or chosen.out in chosen.parts:
        raise LggError("--out is needed: a folder of its own for the joined run")
    else:
        join(open_cohort(chosen.data), parts, chosen.out)


def main(argv: list[str] | None = None) -> None:
    execute(options(), do, argv)


if __name__ == "__main__":
    main()
