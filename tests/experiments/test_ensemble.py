"""The folds' networks as one, and runs joined."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny_run import TINY

from experiments.crossval import cross_validate
from experiments.ensemble import finish, join, unite
from experiments.maps import from_bytes, run_maps, to_bytes
from experiments.plan import k_folds, read_run
from experiments.tables import choices, choose
from lggseg import LggError, dice, evaluate, load_checkpoint
from lggseg.model.postprocess import postprocess
from lggseg.training.build import build_model


def maps_of(run):
    return {patient: probability for _, patient, probability in run_maps(run)}


@pytest.mark.parametrize("name, networks", [("run_done", 1), ("joined_run", 2)])
def test_without_a_patient_it_gives_the_map_that_was_stored(name, networks, cohort, request):
    """What the ensemble says `without` a patient is what the networks said that never saw them,
    joined or not.
    """
    run = request.getfixturevalue(name)
    ensemble, stored = load_checkpoint(run.out / "ensemble.pt"), maps_of(run)
    assert len(ensemble.networks) == 2 * networks and ensemble.training_patients == cohort.patients
    for patient in cohort.patients:
        judge = ensemble.without(patient)
        assert len(judge.networks) == networks and patient not in judge.training_patients
        found = judge.probability(cohort.volume(patient).image)
        # Weights in 16 bits.
        np.testing.assert_allclose(from_bytes(to_bytes(found)), stored[patient], atol=0.02)


def test_the_ensemble_is_cleaned_as_all_ask(run_done, cohort):
    tried = pd.DataFrame(
        {p: choices(m, cohort.volume(p).mask) for p, m in maps_of(run_done).items()}
    ).T
    recipe = load_checkpoint(run_done.out / "ensemble.pt").recipe
    assert (recipe.threshold, recipe.min_component_share) == choose(tried)


def test_all_its_patients_are_seen_and_out_of_fold_none(run_done, cohort):
    ensemble, some = load_checkpoint(run_done.out / "ensemble.pt"), cohort.patients[:2]
    assert evaluate(ensemble, cohort, some, progress=False).seen.all()
    assert not evaluate(ensemble, cohort, some, out_of_fold=True, progress=False).seen.any()


def test_joined_maps_are_means_and_their_tables_follow(run_done, second_run, joined_run, cohort):
    first, second, both = maps_of(run_done), maps_of(second_run), maps_of(joined_run)
    table = pd.read_csv(joined_run.out / "patients.csv", index_col="patient")
    for patient in cohort.patients:
        np.testing.assert_allclose(
            both[patient], (first[patient] + second[patient]) / 2, atol=0.003
        )
        row = table.loc[patient]
        mask = postprocess(both[patient], row.threshold, row.min_component_share)
        assert row.dice == pytest.approx(dice(mask, cohort.volume(patient).mask), abs=1e-6)
    assert read_run(joined_run.out).settings == {"parts": [str(run_done.out), str(second_run.out)]}


def test_joining_again_gives_the_same(run_done, second_run, joined_run, cohort):
    before = (joined_run.out / "patients.csv").read_bytes()
    join(cohort, [run_done, second_run], joined_run.out)
    assert (joined_run.out / "patients.csv").read_bytes() == before


def test_members_may_differ_in_depth_and_neighbours(run_done, second_run, joined_run, cohort):
    ensemble = load_checkpoint(joined_run.out / "ensemble.pt")
    assert ensemble.recipe.context == 1
    assert [network.in_channels for network in ensemble.networks] == [12, 36, 12, 36]
    assert [network.depth for network in ensemble.networks] == [3, 2, 3, 2]
    for patient in cohort.patients:
        mean = (maps_of(run_done)[patient] + maps_of(second_run)[patient]) / 2
        found = ensemble.without(patient).probability(cohort.volume(patient).image)
        np.testing.assert_allclose(found, mean, atol=0.03)  # weights in 16 bits, maps in 8


def test_networks_for_other_grids_are_joined_by_their_maps_alone(
    run_done, cohort, tmp_path, capsys
):
    config = replace(TINY, out=str(tmp_path / "plain"), block=1)
    other = cross_validate(cohort, config, run_done.folds, progress=False)
    joined = join(cohort, [run_done, other], tmp_path / "joined")
    assert "no network is written" in capsys.readouterr().out
    assert not (joined.out / "ensemble.pt").exists()
    patient = cohort.patients[0]
    mean = (maps_of(run_done)[patient] + maps_of(other)[patient]) / 2
    np.testing.assert_allclose(maps_of(joined)[patient], mean, atol=0.003)
    assert len(pd.read_csv(joined.out / "patients.csv")) == 4


def test_the_joined_recipe_has_the_largest_context():
    one = build_model(TINY)
    neighbours = build_model(replace(TINY, context=1))
    narrow = build_model(replace(TINY, features=2))
    assert unite([one, narrow]).recipe == one.recipe
    for order in ([one, neighbours, narrow], [neighbours, narrow, one]):
        united = unite(order)
        assert united.recipe == neighbours.recipe
        assert [network.in_channels for network in united.networks] == [
            part.networks[0].in_channels for part in order
        ]


def test_networks_of_other_recipes_are_no_ensemble():
    one = build_model(TINY)
    plain = build_model(replace(TINY, block=1))
    for other in (plain, one.with_recipe(threshold=0.1), one.with_recipe(size=48)):
        with pytest.raises(LggError, match="cannot be one ensemble"):
            unite([one, other])


def test_other_folds_and_unfinished_runs_are_not_joined(run_done, cohort, tmp_path):
    three = cross_validate(
        cohort,
        replace(TINY, out=str(tmp_path / "three")),
        k_folds(cohort.patients, 3),
        only=[0],
        progress=False,
    )
    with pytest.raises(LggError, match="has other folds than"):
        join(cohort, [run_done, three], tmp_path / "joined")
    with pytest.raises(LggError, match="three lacks fold 1; finish it"):
        join(cohort, [three, three], tmp_path / "joined")
    assert not (tmp_path / "joined").exists() and not (three.out / "ensemble.pt").exists()


def test_tables_can_be_made_anew(run_done, cohort, capsys):
    before = (run_done.out / "patients.csv").read_bytes()
    finish(cohort, run_done)
    assert (run_done.out / "patients.csv").read_bytes() == before
    assert "2 of 2 folds, out of fold: Dice of 4 patients" in capsys.readouterr().out
