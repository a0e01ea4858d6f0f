"""Two tiny cross-validations of four phantoms, and the two joined; tests leave them as they are."""

from dataclasses import replace

import pytest
from tiny_run import TINY

from experiments.crossval import cross_validate
from experiments.ensemble import join
from experiments.plan import k_folds


@pytest.fixture(scope="session")
def cohort(phantom_cohort):
    """The first four phantoms."""
    summary = phantom_cohort.summary.iloc[:4]
    slices = phantom_cohort.slices[phantom_cohort.slices.patient.isin(summary.index)]
    return replace(phantom_cohort, summary=summary, slices=slices)


@pytest.fixture(scope="session")
def run_done(cohort, tmp_path_factory):
    """A finished run of two folds."""
    config = replace(TINY, out=str(tmp_path_factory.mktemp("runs") / "first"))
    return cross_validate(cohort, config, k_folds(cohort.patients, 2), progress=False)


@pytest.fixture(scope="session")
def second_run(cohort, run_done):
    """Another run of the same folds."""
    config = replace(TINY, out=str(run_done.out.parent / "second"), seed=5)
    return cross_validate(cohort, config, run_done.folds, progress=False)


@pytest.fixture(scope="session")
def joined_run(cohort, run_done, second_run):
    """Both as one: two networks for each fold."""
    return join(cohort, [run_done, second_run], run_done.out.parent / "joined")
