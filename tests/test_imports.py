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


def imported(path: Path) -> set[str]:
    """Names of the package's modules that the file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            found |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lggseg"):
            found |= {node.module.split(".")[1]} if "." in node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("lggseg.")}
    return found


def graph() -> dict[str, set[str]]:
    return {path.stem: imported(path) for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")}


def test_every_module_has_a_layer():
    assert set(graph()) <= set(LEVEL)


def test_no_module_imports_from_above():
    upward = [f"{name} -> {used}" for name, uses in graph().items() for used in uses if LEVEL[used] > LEVEL[name]]
    assert upward == []


def test_no_cycles():
    list(graphlib.TopologicalSorter(graph()).static_order())  # CycleError names the cycle


def test_finds_every_form_of_import(tmp_path):
    file = tmp_path / "module.py"
    file.write_text("from .data import Cohort\nfrom . import plots\nimport lggseg.unet\n"
                    "def late():\n    from lggseg.viewer import SliceViewer\n    from lggseg import shape\n")
    assert imported(file) == {"data", "plots", "unet", "viewer", "shape"}
