"""What a reader can rely on: the names of `import lggseg`, type checkers too, and commands that run
clean.
"""

import ast
import dataclasses
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import lggseg
from lggseg.prepare.head_finder import Head

PACKAGE = Path(lggseg.__path__[0])
DESIGNED = [
    "open_cohort",
    "download_cohort",
    "Cohort",
    "Volume",
    "split_patients",
    "fold_patients",
    "SliceDataset",
    "UNet",
    "UNetBlock",
    "dice_loss",
    "DiceLoss",
    "DiceBCELoss",
    "TrainConfig",
    "fit",
    "load_checkpoint",
    "save_checkpoint",
    "load_pretrained",
    "predict_volume",
    "segment_volume",
    "evaluate",
    "dice",
    "iou",
    "hausdorff95",
    "asd",
    "mf",
    "bevr",
    "shape_features",
    "association_table",
    "SliceViewer",
    "CohortViewer",
    "ActivationViewer",
    "write_phantom_cohort",
    "Recipe",
    "GridSpec",
    "Segmenter",
    "LggError",
    "read_scan",
    "segment_scan",
    "published",
]
FUNCTIONS = sorted(name for name in lggseg.__all__ if callable(getattr(lggseg, name)))


@pytest.mark.parametrize("name", sorted({*DESIGNED, *lggseg.__all__}))
def test_public_names(name):
    value = getattr(lggseg, name)
    assert name in dir(lggseg)
    if callable(value):
        assert value.__doc__ and value.__module__.startswith("lggseg.")
    else:
        assert inspect.ismodule(value) or name.isupper()  # a constant


DEFAULTS = {
    "GridSpec": {
        "size": 224,
        "context": 0,
        "block": 2,
        "threshold": 0.5,
        "min_component_share": 0.0,
        "flip": False,
    },
    "TrainConfig": {
        "size": 224,
        "coarse_size": 160,
        "coarse_share": 0.5,
        "block": 2,
        "context": 0,
        "features": 16,
        "depth": 5,
        "growth": 2.0,
        "epochs": 32,
        "epoch_slices": 2000,
        "batch": 16,
        "lr": 3e-3,
        "weight_decay": 1e-2,
        "ema": 0.995,
        "loss": "dice_bce",
        "oversample_foreground": 0.5,
        "balance": 0.5,
        "augment": 1.25,
        "late_augment": 0.75,
        "grey_augment": 0.5,
        "carve_mix": 0.4,
        "cyst": 0.25,
        "patience": 0,
        "validate_every": 1,
        "seed": 0,
        "workers": 0,
        "compile": False,
    },
    "UNet": {"in_channels": 3, "out_channels": 1, "features": 16, "depth": 5, "growth": 2},
    "SliceDataset": {"tumour_only": False, "soft": False},
    "Volume": {"missing": ()},
    "Segmenter": {"patients": ()},
    "split_patients": {"fractions": (0.8, 0.2), "seed": 0},
    "fold_patients": {"folds": 5, "seed": 0},
    "dice_loss": {"smooth": 1.0},
    "DiceBCELoss": {"weight": 0.5},
    "fit": {"valid_patients": (), "progress": True},
    "evaluate": {"out_of_fold": False, "progress": True},
    "predict_volume": {"batch": 16},
    "save_checkpoint": {"bits": 32},
    "load_pretrained": {"kind": "kaggle"},
    "open_cohort": {"progress": True},
    "write_phantom_cohort": {"patients": 60, "seed": 0, "progress": True},
    "SliceViewer": {
        "patient": "",
        "missing": (),
        "phantom": False,
        "threshold": 0.5,
        "width": 448,
        "note": "",
    },
    "ScannerBench": {"phantom": False, "width": 448},
    "Augment": {
        "strength": 1.0,
        "drop": 0.2,
        "zoom": 0.2,
        "carve_mix": 0,
        "cyst": 0,
        "grey": 1.0,
    },
    "auc": {"resamples": 2000, "level": 0.95, "seed": 0},
    "kept_lead": {"resamples": 2000, "seed": 0},
    "cohort_features": {"progress": True},
    "enclosing_ellipsoid": {"tolerance": 1e-9},
    "false_positive_rates": {"alpha": 0.05},
    "focal_tversky_loss": {"alpha": 0.3, "beta": 0.7, "gamma": 0.75, "smooth": 1.0},
    "legend": {"truth": "manual mask", "prediction": "prediction"},
    "montage": {"columns": 6, "line": 0.9},
    "show_slice": {"line": 1.8},
    "baseline_mask": {"threshold": 1.5},
    "permuted_p_values": {"permutations": 1000, "seed": 0},
    "postprocess": {"threshold": 0.5, "min_component_share": 0.0},
    "Trust": {"warnings": ()},
    "CohortViewer": {"width": 448},
    "ActivationViewer": {"channels": 64, "width": 448},
}
DEFAULTS["Recipe"] = DEFAULTS["GridSpec"]  # two names of one class


# They tell no arguments.
@pytest.mark.parametrize("name", sorted({*FUNCTIONS} - {"LggError", "ActivationStack"}))
def test_defaults_are_promises(name):
    """Texts, tables of results and weights of the notebooks were made with them; None and functions
    are left out.
    """
    given = {
        key: parameter.default
        for key, parameter in inspect.signature(getattr(lggseg, name)).parameters.items()
    }
    assert DEFAULTS.get(name, {}) == {
        key: value
        for key, value in given.items()
        if not (value is inspect.Parameter.empty or value is None or callable(value))
    }


@pytest.mark.parametrize("kind", [lggseg.GridSpec, lggseg.TrainConfig, lggseg.Volume, Head])
def test_what_is_settled_cannot_be_changed(kind):
    with pytest.raises(dataclasses.FrozenInstanceError):
        kind.__setattr__(object.__new__(kind), dataclasses.fields(kind)[0].name, 1)


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="unet3d"):
        lggseg.unet3d  # noqa: B018


def listed(stub: Path) -> list[tuple[str, str, str | None]]:
    """(module, name, name it gets) of every import in a stub; there is nothing else in it."""
    body = ast.parse(stub.read_text(encoding="utf-8")).body
    assert all(isinstance(node, ast.ImportFrom) and node.level == 1 for node in body)
    return [(node.module, alias.name, alias.asname) for node in body for alias in node.names]


@pytest.mark.parametrize("stub", sorted(PACKAGE.rglob("*.pyi")), ids=lambda path: path.parent.name)
def test_a_type_checker_sees_what_the_run_gives(stub):
    package = ".".join(stub.relative_to(PACKAGE.parent).parent.parts)
    runtime, names = import_module(package), listed(stub)
    assert sorted(name for _, name, _ in names) == list(runtime.__all__)
    for module, name, public in names:
        assert public == name, f"`{name} as {name}` is what makes an import in a stub public"
        value = getattr(runtime, name)
        if inspect.ismodule(value):
            assert value is import_module(value.__name__) and value.__name__.split(".")[-1] == name
            continue
        home = import_module(f"{package}.{module}")
        assert value is getattr(home, name)
        assert not callable(value) or value.__module__ == home.__name__


@pytest.mark.parametrize("module", ["train", "predict", "genomics", "data.cache_folder"])
def test_commands_explain_themselves_without_a_warning(module):
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", f"lggseg.{module}", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0 and f"lggseg.{module}" in run.stdout, run.stderr
