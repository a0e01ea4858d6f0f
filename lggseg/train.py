"""Train a U-Net by patient.

In a notebook it is `fit`, in a shell `python -m lggseg.train`, on several GPUs `torchrun`.
"""

import argparse
import os
import sys
import time

from .data.cohort import open_cohort
from .data.splits import split_patients
from .errors import LggError
from .training.build import build_model
from .training.config import add_options, config_of
from .training.distributed import first_then_all, processes, rank
from .training.fit import fit


def run(options: argparse.Namespace) -> None:
    """What the command does, in each process that torchrun started."""
    config = config_of(options)
    with processes(config.device):
        is_first = rank() == 0
        if is_first and not config.out:
            print("no --out: nothing of this run will be kept", file=sys.stderr)
        cohort = first_then_all(lambda: open_cohort(options.data, progress=is_first))
        train = cohort.patients
        valid = []
        if options.valid:
            fractions = (1 - options.valid, options.valid)
            train, valid = split_patients(cohort.patients, fractions, config.seed)
        history = fit(build_model(config), cohort, train, valid, config, progress=is_first)
        if is_first:
            print(history.tail(1).to_string(index=False))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m lggseg.train", description=__doc__)
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="folder of patients, or 'phantom'; see `lggseg.open_cohort`",
    )
    parser.add_argument(
        "--valid",
        type=float,
        default=0.2,
        metavar="SHARE",
        help="share of the patients held out for validation, 0 for none (default: 0.2)",
    )
    add_options(parser)
    try:
        run(parser.parse_args(argv))
    except LggError as error:
        rank_under_torchrun = int(os.environ.get("RANK", 0))
        if rank_under_torchrun > 0:
            # Where all fail alike, the first one prints why, and torchrun ends the others.
            time.sleep(2)
        parser.exit(2, f"error: {error}\n")


if __name__ == "__main__":
    main()
