"""Two cross-validations as one whose weights are the mean of theirs, network by network.

A network that went on from another (--start) is better at what it was trained on last, and has lost
a little elsewhere. Half-way between the weights before and after, most of both is often kept
(Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). It takes no training and makes no
network larger; the weights of two trainings that began apart cannot be averaged like this.
"""

import argparse
import copy
from pathlib import Path

import torch

from lggseg import Cohort, LggError, Segmenter, load_checkpoint, open_cohort

from .command import command, execute
from .ensemble import check_same_folds, finish
from .maps import predict_maps
from .plan import Run, read_run


def mean_of_weights(before: Segmenter, after: Segmenter) -> Segmenter:
    """A Segmenter whose weights are the mean of two.

    Parameters
    ----------
    before, after : of one architecture; the recipe is that of `after`

    Returns
    -------
    the mean, trained on whom either was trained on

    Raises
    ------
    LggError
        where a weight of one is missing in the other, or of another shape
    """
    ours, theirs = before.state_dict(), after.state_dict()
    for name in {*ours, *theirs}:
        shapes = [tuple(state[name].shape) for state in (ours, theirs) if name in state]
        if len(shapes) == 1 or shapes[0] != shapes[1]:
            raise LggError(
                f"{name} is not the same in both networks; only weights of one architecture can be "
                "averaged"
            )
    mean = copy.deepcopy(after).eval()
    mean.load_state_dict(
        {
            name: torch.lerp(ours[name].double(), theirs[name].double(), 0.5).to(ours[name].dtype)
            for name in ours
        }
    )
    mean.learned_from(before.training_patients, after.recipe)
    return mean


def average(cohort: Cohort, before: Run, after: Run, out: Path) -> Run:
    """Average the weights of each fold, and judge its held-out patients by them.

    Parameters
    ----------
    cohort : the patients of the runs
    before, after : finished runs of the same folds
    out : folder of the run that is made

    Raises
    ------
    LggError
        where the folds or the networks differ, or a fold is not finished
    """
    check_same_folds([before, after])
    made = Run(out, {"before": str(before.out), "after": str(after.out)}, after.folds)
    models = [
        mean_of_weights(load_checkpoint(before.network(k)), load_checkpoint(after.network(k)))
        for k in range(len(made.folds))
    ]
    made.claim()
    for k, (model, fold) in enumerate(zip(models, made.folds, strict=True)):
        made.folder(k).mkdir(parents=True, exist_ok=True)
        model.save(made.network(k))
        predict_maps(model, cohort, fold.held_out, made.maps(k))
    finish(cohort, made)
    return made


def options() -> argparse.ArgumentParser:
    parser = command("average", __doc__)
    parser.add_argument("before", type=Path, metavar="BEFORE", help="folder of a finished run")
    parser.add_argument(
        "after", type=Path, metavar="AFTER", help="folder of the run that went on from it"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder of its own")
    return parser


def do(chosen: argparse.Namespace) -> None:
    if chosen.out in (chosen.before, chosen.after):
        raise LggError("--out is needed: a folder of its own for the mean")
    average(open_cohort(chosen.data), read_run(chosen.before), read_run(chosen.after), chosen.out)


def main(argv: list[str] | None = None) -> None:
    execute(options(), do, argv)


if __name__ == "__main__":
    main()
