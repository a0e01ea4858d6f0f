"""The examples in the docstrings print what they say, and every public function of these files has
one.
"""

import doctest
import inspect
from importlib import import_module

import pandas as pd
import pytest

MODULES = [
    "measures.metrics",
    "training.losses",
    "prepare.network_grid",
    "measures.shape",
    "measures.ellipsoid",
    "genomics.association",
    "genomics.corrections",
    "genomics.effect_size",
    "genomics.fisher",
    "genomics.permutation",
]


def module(name):
    return import_module(f"lggseg.{name}")


# Examples where they help:
OTHERS = [
    "sequences",
    "patient_ids",
    "masks",
    "published_tables",
    "data.splits",
    "prepare.head_finder",
    "prepare.scanner",
    "model.postprocess",
    "model.checkpoint",
    "viewer.colours",
    "exercises.base",
]


@pytest.mark.parametrize("name", MODULES + OTHERS)
def test_examples(name):
    # Pandas' own; a notebook that a test runs may change it.
    with pd.option_context("display.precision", 6):
        result = doctest.testmod(module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0 and result.failed == 0


def public(name):
    """The functions that a file defines for others."""
    return [
        value
        for key, value in vars(module(name)).items()
        if inspect.isfunction(value)
        and value.__module__ == f"lggseg.{name}"
        and not key.startswith("_")
    ]


@pytest.mark.parametrize(
    "function", [value for name in MODULES for value in public(name)], ids=lambda f: f.__name__
)
def test_every_public_function_has_an_example_and_types(function):
    assert ">>>" in function.__doc__
    arguments = inspect.signature(function).parameters.values()
    assert all(argument.annotation is not argument.empty for argument in arguments)
    assert inspect.signature(function).return_annotation is not inspect.Signature.empty
