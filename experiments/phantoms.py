"""The weights for phantoms: trained on one drawn cohort, threshold and clean-up chosen on another.

Phantoms of every seed have the same ids, so the weights name their training patients with the seed
of the cohort: the default cohort, seed 0, counts as never seen, and rightly so. With --seeds one
network is trained for each, and they answer together. --out then holds phantom.pt; printed is the
Dice of the second cohort.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from lggseg import (
    Cohort,
    LggError,
    Segmenter,
    TrainConfig,
    build_model,
    fit,
    open_cohort,
    write_phantom_cohort,
)
from lggseg.training.config import add_options, config_of

from .command import command, execute, positive
from .ensemble import unite
from .tables import choices, choose, summary

# Seeds of the cohorts; the one that readers see has seed 0.
TRAINING_COHORT = 1
CHOOSING_COHORT = 2


def draw(out: Path, patients: int, seed: int) -> Cohort:
    """The phantom cohort of this seed, drawn into `out` unless it is there."""
    return open_cohort(write_phantom_cohort(out / f"seed{seed}", patients, seed))


def train(
    cohort: Cohort, config: TrainConfig, seeds: list[int], progress: bool = True
) -> Segmenter:
    """Train one network per seed on all of the cohort, each in a folder of its own.

    Returns
    -------
    all of them as one, their training patients named with the seed of the cohort
    """
    trained = []
    for seed in seeds:
        config_of_seed = replace(config, seed=seed, out=f"{config.out}/training{seed}")
        model = build_model(config_of_seed)
        fit(model, cohort, cohort.patients, [], config_of_seed, progress)
        trained.append(model)
    ensemble = unite(trained)
    names = [f"{patient} (seed {TRAINING_COHORT})" for patient in cohort.patients]
    return Segmenter(ensemble.networks, ensemble.recipe, [names] * len(seeds))


def tune(model: Segmenter, cohort: Cohort) -> tuple[Segmenter, np.ndarray]:
    """Choose threshold and min_component_share on a cohort.

    Returns
    -------
    the same networks with these, and the Dice (patients,) that they then have
    """
    rows = []
    for patient in tqdm(cohort.patients, "choosing", leave=False):
        volume = cohort.volume(patient)
        rows.append(choices(model.probability(volume.image), volume.mask))
    dice = pd.DataFrame(rows)
    threshold, share = choose(dice)
    tuned = model.with_recipe(threshold=threshold, min_component_share=share)
    return tuned, dice[threshold, share].to_numpy()


def options() -> argparse.ArgumentParser:
    parser = command("phantoms", __doc__, data=False)
    parser.add_argument(
        "--patients",
        type=positive,
        nargs=2,
        default=(60, 24),
        metavar=("N", "M"),
        help="phantoms to train on, and to choose by (default: 60 24)",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        metavar="S",
        help="train one network for each of these seeds (default: one, for --seed)",
    )
    parser.add_argument(
        "--bits",
        type=int,
        default=16,
        choices=(8, 16, 32),
        help="bits that a weight is stored in (default: 16)",
    )
    add_options(parser)
    return parser


def do(chosen: argparse.Namespace) -> None:
    config = config_of(chosen)
    if not config.out:
        raise LggError("--out is needed: the folder for phantoms and weights")
    out = Path(config.out)
    seeds = chosen.seeds or [config.seed]
    patients_to_train_on, patients_to_choose_by = chosen.patients
    model = train(draw(out, patients_to_train_on, TRAINING_COHORT), config, seeds)
    tuned, dice = tune(model, draw(out, patients_to_choose_by, CHOOSING_COHORT))
    tuned.save(out / "phantom.pt", chosen.bits)
    recipe = tuned.recipe
    print(
        f"threshold {recipe.threshold}, min_component_share {recipe.min_component_share}: "
        f"{summary(dice)}"
    )


def main(argv: list[str] | None = None) -> None:
    execute(options(), do, argv)


if __name__ == "__main__":
    main()
