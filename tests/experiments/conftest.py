"""Two tiny cross-validations of four small phantoms, and the two joined; tests leave them as they
are.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import tifffile
import torch
from tiny_run import TINY

from experiments.crossval import cross_validate
from experiments.ensemble import join
from experiments.plan import k_folds
from lggseg import TrainConfig, build_model
from lggseg.data import load_cohort


@pytest.fixture(scope="session")
def cohort(phantom_cohort, tmp_path_factory):
    """The first four phantoms, of 64 x 64 pixels: every fourth one of each row and column."""
    place, large = tmp_path_factory.mktemp("small"), phantom_cohort.root
    for name in ("data.csv", "PHANTOM.txt"):
        shutil.copy(large / name, place)
    slices = phantom_cohort.slices[phantom_cohort.slices.patient.isin(phantom_cohort.patients[:4])]
    for path in [*slices.image, *slices["mask"]]:
        (place / path).parent.mkdir(exist_ok=True)
        # Each tumour stays in one piece.
        tifffile.imwrite(place / path, tifffile.imread(large / path)[3::4, 3::4])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LGGSEG_CACHE", str(place.parent / "cache"))
        return load_cohort(place, progress=False)


def varied(config: TrainConfig, start: Path) -> TrainConfig:
    """The same training, begun from a network whose answer differs from pixel to pixel.

    A fresh network finds hardly any tumour anywhere, and two steps do not change that.
    """
    model = build_model(config)
    head = model.networks[0].head
    with torch.no_grad():
        head.weight.mul_(10)
        head.bias.zero_()
    return replace(config, start=str(model.save(start)))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Settings of the smallest training."""
    return varied(TINY, tmp_path_factory.mktemp("start") / "start.pt")


@pytest.fixture(scope="session")
def run_done(cohort, tiny, tmp_path_factory):
    """A finished run of two folds."""
    config = replace(tiny, out=str(tmp_path_factory.mktemp("runs") / "first"))
    return cross_validate(cohort, config, k_folds(cohort.patients, 2), progress=False)


@pytest.fixture(scope="session")
def second_run(cohort, run_done):
    """Another run of the same folds: shallower networks, which see the neighbouring slices."""
    config = replace(TINY, out=str(run_done.out.parent / "second"), seed=5, context=1, depth=2)
    config = varied(config, run_done.out.parent / "second.pt")
    return cross_validate(cohort, config, run_done.folds, progress=False)


@pytest.fixture(scope="session")
def joined_run(cohort, run_done, second_run):
    """Both as one: two networks for each fold."""
    return join(cohort, [run_done, second_run], run_done.out.parent / "joined")
