"""Imports run one way: a module may use only the layers below its own, and its own layer without cycles."""

import ast
import graphlib
from pathlib import Path

import pytest

import lggseg

LAYERS = [  # a package stands for all its modules that are not named themselves
    {"errors", "device", "colours"},
    {"metrics", "losses", "unet", "transforms", "shape", "phantom", "checkpoint", "viewer.overlay"},
    {"pack", "data", "scan"},
    {"train", "predict", "crossval", "genomics", "plots"},
    {"viewer"},
]
PACKAGE = Path(lggseg.__path__[0])
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def module_name(path: Path, package: Path = PACKAGE) -> str:
    """"data" for data.py and for data/__init__.py, "viewer.base" for viewer/base.py, "" for the package itself."""
    return ".".join(path.relative_to(package).with_suffix("").parts).replace("__init__", "").strip(".")


def imported(path: Path, package: Path = PACKAGE) -> set[str]:
    """Names of the package's modules that the file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("lggseg.") for alias in node.names if alias.name.startswith("lggseg.")}
        elif isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] == "lggseg"):
            above = path.relative_to(package).parts[:-node.level] if node.level else ()
            words = [*above, *(node.module or "").removeprefix("lggseg").strip(".").split(".")]
            base = ".".join(word for word in words if word)
            for alias in node.names:  # a module of its own, or a name in `base`
                whole = f"{base}.{alias.name}".strip(".")
                place = package.joinpath(*whole.split("."))
                found.add(whole if not base or place.is_dir() or place.with_suffix(".py").exists() else base)
    return found


def graph() -> dict[str, set[str]]:
    files = {module_name(path): path for path in PACKAGE.rglob("*.py") if path.stem != "__main__"}
    return {name: imported(path) for name, path in files.items() if name}


def level(name: str) -> int:
    """The layer of a module, or of the package it lies in."""
    return LEVEL[name if name in LEVEL else name.split(".")[0]]


def test_every_module_has_a_layer():
    assert {name for name in graph() if name not in LEVEL and name.split(".")[0] not in LEVEL} == set()


def test_no_module_imports_from_above():
    upward = [f"{name} -> {used}" for name, uses in graph().items() for used in uses if level(used) > level(name)]
    assert upward == []


def test_no_cycles():
    list(graphlib.TopologicalSorter(graph()).static_order())  # CycleError names the cycle


@pytest.mark.parametrize("line, wanted", [
    ("from .data import Cohort", "wing.data"),
    ("from . import data", "wing.data"),
    ("from ..plots import draw", "plots"),
    ("from .. import plots", "plots"),
    ("from ..wing import data", "wing.data"),
    ("from ..wing import Cohort", "wing"),
    ("import lggseg.unet", "unet"),
    ("from lggseg import shape", "shape"),
    ("def late():\n    from lggseg.wing.data import Cohort", "wing.data"),
    ("import numpy, json\nfrom pathlib import Path", None),
])
def test_finds_every_form_of_import(tmp_path, line, wanted):
    wing = tmp_path / "wing"
    wing.mkdir()
    for path in (tmp_path / "plots.py", wing / "__init__.py", wing / "data.py"):
        path.touch()
    (wing / "module.py").write_text(line)
    assert imported(wing / "module.py", tmp_path) == ({wanted} if wanted else set())


def test_names_of_modules(tmp_path):
    paths = ("__init__.py", "unet.py", "wing/__init__.py", "wing/data.py")
    assert [module_name(tmp_path / path, tmp_path) for path in paths] == ["", "unet", "wing", "wing.data"]
