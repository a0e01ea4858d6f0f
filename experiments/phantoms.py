"""The weights for phantoms: trained on one drawn cohort, threshold and clean-up chosen on another.

Phantoms of every seed have the same ids, so the weights name their training patients with the seed: the default cohort,
seed 0, counts as never seen, and rightly so. --out holds phantom.pt, and the Dice of the second cohort by which it was
chosen.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from lggseg import Cohort, LggError, Segmenter, TrainConfig, build_model, fit, open_cohort, write_phantom_cohort
from lggseg.training.config import add_options, config_of

from .command import command, execute, positive
from .tables import choices, choose, summary

TRAIN_SEED, CHOOSE_SEED = 1, 2  # the cohort that readers see is seed 0


def drawn(out: Path, patients: int, seed: int) -> Cohort:
    """The phantom cohort of this seed, drawn into `out` if it is not there yet."""
    return open_cohort(write_phantom_cohort(out / f"seed{seed}", patients, seed))


def train(cohort: Cohort, config: TrainConfig, progress: bool = True) -> Segmenter:
    """A network trained on all of the cohort, whose patients are named with the seed."""
    model = build_model(config)
    fit(model, cohort, cohort.patients, [], replace(config, out=f"{config.out}/training"), progress)
    return Segmenter(list(model.networks), model.recipe, [[f"{name} (seed {TRAIN_SEED})" for name in cohort.patients]])


def tuned(model: Segmenter, cohort: Cohort) -> tuple[Segmenter, np.ndarray]:
    """The network with the threshold and share that suit this cohort, and the Dice it then has (patients,)."""
    volumes = map(cohort.volume, tqdm(cohort.patients, "choosing", leave=False))
    dice = pd.DataFrame([choices(model.probability(volume.image), volume.mask) for volume in volumes])
    threshold, share = choose(dice)
    return model.with_recipe(threshold=threshold, min_component_share=share), dice[threshold, share].to_numpy()


def options() -> argparse.ArgumentParser:
    parser = command("phantoms", __doc__, data=False)
    parser.add_argument("--patients", type=positive, nargs=2, default=(60, 24), metavar=("N", "M"),
                        help="phantoms to train on, and to choose by (default: 60 24)")
    parser.add_argument("--bits", type=int, default=16, choices=(8, 16, 32),
                        help="bits that a weight is stored in (default: 16)")
    add_options(parser)
    return parser


def do(chosen: argparse.Namespace) -> None:
    config = config_of(chosen)
    if not config.out:
        raise LggError("--out is needed: the folder for phantoms and weights")
    out = Path(config.out)
    model = train(drawn(out, chosen.patients[0], TRAIN_SEED), config)
    best, dice = tuned(model, drawn(out, chosen.patients[1], CHOOSE_SEED))
    best.save(out / "phantom.pt", chosen.bits)
    print(f"threshold {best.recipe.threshold}, min_component_share {best.recipe.min_component_share}: {summary(dice)}")


def main(argv: list[str] | None = None) -> None:
    execute(options(), do, argv)


if __name__ == "__main__":
    main()
