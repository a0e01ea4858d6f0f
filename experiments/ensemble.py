"""The folds' networks of a cross-validation as one, and several cross-validations joined into one.

A joined run lies in a folder like any other, so every other command takes it: the networks of a
fold are those of the parts' same folds, and its maps are their mean.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from lggseg import Cohort, LggError, Segmenter, load_checkpoint, open_cohort

from .command import command, execute
from .maps import read_maps, to_bytes, write_maps
from .plan import Run, read_run
from .tables import run_summary, write_tables


def finish(cohort: Cohort, run: Run) -> None:
    """Write the tables of the folds that are done, and ensemble.pt if all are.

    ensemble.pt is for new patients; `without` a patient of the run it is the networks that never
    saw them.
    """
    threshold, share = write_tables(cohort, run)
    all_done = len(run.done()) == len(run.folds)
    if all_done and run.network(0).exists():
        networks = [load_checkpoint(run.network(k)) for k in range(len(run.folds))]
        ensemble = unite(networks).with_recipe(threshold=threshold, min_component_share=share)
        ensemble.save(run.out / "ensemble.pt", bits=16)
    print(run_summary(run))


def unite(parts: list[Segmenter]) -> Segmenter:
    """All networks of all parts as one Segmenter.

    Parameters
    ----------
    parts : Segmenters whose recipes agree in all but `context`. The joined one has the largest
        context, and shows each network the middle slices that it takes

    Raises
    ------
    LggError
        where the recipes differ in anything else, such as the size of the grid
    """
    recipe = max((part.recipe for part in parts), key=lambda recipe: recipe.context)
    for part in parts:
        if replace(part.recipe, context=recipe.context) != recipe:
            raise LggError(
                f"networks of different recipes cannot be one ensemble ({part.recipe} and "
                f"{recipe}); only their context may differ. Their maps can be averaged all the same"
            )
    networks = []
    patients = []
    for part in parts:
        networks.extend(part.networks)
        patients.extend(part.patients)
    return Segmenter(networks, recipe, patients)


def join(cohort: Cohort, parts: list[Run], out: Path) -> Run:
    """Join finished cross-validations of the same folds into one run.

    Parameters
    ----------
    cohort : the patients of the runs
    parts : the runs
    out : folder of the joined run

    Raises
    ------
    LggError
        where a part has other folds than the first one, or lacks one
    """
    check_same_folds(parts)
    sources = [str(part.out) for part in parts]
    joined = Run(out, {"parts": sources}, parts[0].folds)
    joined.claim()
    for k in range(len(joined.folds)):
        join_fold(parts, joined, k)
    finish(cohort, joined)
    return joined


def check_same_folds(parts: list[Run]) -> None:
    """Raise LggError where a run has other folds than the first one, or lacks one."""
    for part in parts:
        if part.folds != parts[0].folds:
            raise LggError(
                f"{part.out} has other folds than {parts[0].out}; only the same can be joined"
            )
        for k in range(len(part.folds)):
            if k not in part.done():
                raise LggError(
                    f"{part.out} lacks fold {k}; finish it with the command that began it"
                )


def join_fold(parts: list[Run], joined: Run, k: int) -> None:
    """Write the networks of one fold as one, where they can be, and the mean of their maps."""
    networks = [load_checkpoint(part.network(k)) for part in parts]
    try:
        unite(networks).save(joined.network(k))
    except LggError as error:
        print(f"fold {k}: no network is written; {error}")

    trained_on = set()
    for network in networks:
        trained_on.update(network.training_patients)
    maps = {}
    files = [read_maps(part.maps(k)) for part in parts]
    for entries in zip(*files, strict=True):  # of each run the same patient, in the same order
        patient = entries[0][0]
        probabilities = [probability for _, probability in entries]
        maps[patient] = to_bytes(np.mean(probabilities, axis=0))
    write_maps(maps, trained_on, joined.maps(k))


def options() -> argparse.ArgumentParser:
    parser = command("ensemble", __doc__)
    parser.add_argument(
        "parts",
        nargs="+",
        metavar="RUN",
        type=Path,
        help="folders of finished cross-validations; of one alone, tables and ensemble.pt are made "
        "again",
    )
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
