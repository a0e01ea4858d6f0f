"""Imports run one way: a module may use only the layers below its own, and its own layer without cycles."""

import ast
import graphlib
from pathlib import Path

import lggseg

LAYERS = [
    {"errors", "device"},
    {"metrics", "losses", "unet", "transforms", "shape", "phantom", "checkpoint"},
    {"data", "scan"},
    {"train", "predict", "crossval", "genomics", "plots", "overlay"},
    {"viewer"},
]
PACKAGE = Path(lggseg.__path__[0])
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def module_name(path: Path) -> str:
    """The file's module without "lggseg.": "unet", "data.pack"; a wing's __init__ is the wing itself."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py")) if path.parent.name != "__pycache__"}
FILES = {name: path for name, path in FILES.items() if not name.startswith("__")}


def imported(name: str, path: Path) -> set[str]:
    """Modules of the package, by dotted name, that the file of module `name` imports, anywhere in it."""
    home = ["lggseg", *name.split(".")]
    home = home if path.name == "__init__.py" else home[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = home[:len(home) + 1 - node.level] if node.level else []
            base = ".".join([*start, *filter(None, [node.module])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return {known(dotted.removeprefix("lggseg.")) for dotted in found if dotted.startswith("lggseg.")} - {""}


def known(dotted: str) -> str:
    """The longest beginning of `dotted` that is a module: "data.pack.Pack" means data.pack, "dice" means none."""
    while dotted and dotted not in FILES:
        dotted = dotted.rpartition(".")[0]
    return dotted


def wing(name: str) -> str:
    return name.split(".")[0]


GRAPH = {name: imported(name, path) for name, path in FILES.items()}


def test_every_module_has_a_layer():
    assert set(map(wing, GRAPH)) <= set(LEVEL) and "data.pack" in GRAPH


def test_no_module_imports_from_above():
    upward = [f"{name} -> {used}" for name, uses in GRAPH.items() for used in uses
              if LEVEL[wing(used)] > LEVEL[wing(name)]]
    assert upward == []


def test_no_cycles():
    list(graphlib.TopologicalSorter(GRAPH).static_order())  # CycleError names the cycle


def test_finds_every_form_of_import(tmp_path):
    file = tmp_path / "module.py"
    file.write_text("from ..data import Cohort\nfrom .. import plots\nimport lggseg.unet\nfrom .pack import Pack\n"
                    "from . import folder\ndef late():\n    from lggseg.viewer import SliceViewer\n"
                    "    from lggseg import shape, dice\n    import numpy\n")
    assert imported("data.module", file) == {"data", "plots", "unet", "data.pack", "data.folder", "viewer", "shape"}
