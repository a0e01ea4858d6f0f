"""Imports run one way: a module may use only the layers below its own, and its own layer without cycles."""

import ast
import graphlib
from pathlib import Path

import lggseg

LAYERS = [
    {"errors", "device"},
    {"metrics", "losses", "unet", "transforms", "shape", "phantom", "checkpoint"},
    {"pack", "data", "scan"},
    {"train", "predict", "crossval", "genomics", "plots", "overlay"},
    {"viewer"},
]
PACKAGE = Path(lggseg.__path__[0])
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def module(path: Path, package: Path = PACKAGE) -> str:
    """The file's name as it is imported, less "lggseg.": data, phantom (for its __init__), phantom.table."""
    return ".".join(part for part in path.relative_to(package).with_suffix("").parts if part != "__init__")


def imported(path: Path, package: Path = PACKAGE) -> set[str]:
    """The package's modules that the file imports, anywhere in it."""
    wing, found = path.parent.relative_to(package).parts, []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = ["lggseg", *wing[:len(wing) + 1 - node.level]] if node.level else []
            base = ".".join([*base, *filter(None, [node.module])])
            found += [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    inside = [name.split(".")[1:] for name in found if name.startswith("lggseg.")]
    known = {module(file, package) for file in package.rglob("*.py")}
    return {next(name for end in range(len(parts), -1, -1) if (name := ".".join(parts[:end])) in known or not end)
            for parts in inside} - {""}


def graph() -> dict[str, set[str]]:
    return {module(path): imported(path) for path in PACKAGE.rglob("*.py")
            if path.parent != PACKAGE or not path.stem.startswith("__")}


def level(name: str) -> int:
    return LEVEL[name.split(".")[0]]


def test_every_module_has_a_layer():
    assert {name.split(".")[0] for name in graph()} <= set(LEVEL)


def test_no_module_imports_from_above():
    upward = [f"{name} -> {used}" for name, uses in graph().items() for used in uses if level(used) > level(name)]
    assert upward == []


def test_no_cycles():
    list(graphlib.TopologicalSorter(graph()).static_order())  # CycleError names the cycle


def test_finds_every_form_of_import(tmp_path):
    for name in ("data", "plots", "unet", "viewer", "shape", "wing/__init__", "wing/inner", "wing/module"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.py").touch()
    file = tmp_path / "module.py"
    file.write_text("from .data import Cohort\nfrom . import plots\nimport lggseg.unet, numpy\n"
                    "def late():\n    from lggseg.viewer import SliceViewer\n    from lggseg import shape\n"
                    "    from .wing.inner import thing\n    from .wing import other\n    from os import path\n")
    assert imported(file, tmp_path) == {"data", "plots", "unet", "viewer", "shape", "wing", "wing.inner"}
    file = tmp_path / "wing" / "module.py"
    file.write_text("from .inner import thing\nfrom ..data import Cohort\nfrom .. import plots\nfrom . import inner\n")
    assert imported(file, tmp_path) == {"wing.inner", "data", "plots"}
