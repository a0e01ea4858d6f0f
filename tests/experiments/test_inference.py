"""The study of choices made after training, on a tiny cross-validation."""

from dataclasses import fields

import inference
import pandas as pd
import torch
from lggseg.transforms import Recipe

from lggseg.predict import evaluate


def test_each_patient_is_judged_by_the_member_that_never_saw_them(phantom_cohort, crossval_done):
    ensemble, out = crossval_done
    scores = inference.judge("shipped", phantom_cohort, out)
    expected = evaluate(ensemble, phantom_cohort, out_of_fold=True, progress=False).dice
    pd.testing.assert_series_equal(scores.dice[expected.index], expected, check_names=False, atol=0.02)  # half floats


def test_the_last_step_is_not_the_average(crossval_done):
    averaged, last = (inference.members(crossval_done[1], name)[0] for name in ("shipped", "last_step"))
    assert not torch.equal(averaged.state_dict()["head.weight"], last.state_dict()["head.weight"])


def test_every_run_changes_the_recipe(crossval_done):
    known = {field.name for field in fields(Recipe)}
    assert all(set(change) <= known for change in inference.RUNS.values())
    assert not inference.members(crossval_done[1], "no_mirror")[0].recipe.flip
