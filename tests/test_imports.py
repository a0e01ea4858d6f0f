"""Imports run one way, file by file: each may use only what is listed above it, and nothing above
uses it.
"""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import lggseg

# From the bottom up. A file may import files of earlier lines, and of its own line without a
# circle.
ORDER = [
    ["errors", "files", "sequences", "patient_ids", "settings", "masks", "published_tables"],
    ["unet", "prepare.*", "phantom.*"],
    ["data.*"],
    ["model.*"],
    ["measures.*", "training.*"],
    ["viewer.*", "genomics.*", "exercises.*"],
    ["scans.*", "train", "predict", "export"],
]
# What a first use must not load: each step in one process, after those above it.
LATER = {
    "import lggseg": "numpy pandas torch",
    "lggseg.open_cohort, lggseg.SliceViewer": "torch scipy.stats skimage matplotlib kagglehub",
    "lggseg.UNet": "torch._dynamo torchvision sympy",
    "FIGURES = 'plots legend montage show_slice use_style'.split()": "",
    "[getattr(lggseg, name) for name in lggseg.__all__ if name not in FIGURES]": (
        "torch._dynamo torchvision sympy scipy.stats statsmodels skimage.transform matplotlib "
        "seaborn kagglehub"
    ),
}
PACKAGE = Path(lggseg.__path__[0])


def files() -> dict[str, Path]:
    """Every file of the package by its dotted name: lggseg/data/cohort.py is data.cohort, an
    __init__ its folder.
    """
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    found.pop("")  # the package's own __init__ names everything, lazily
    return found


def level(name: str) -> int:
    """The line of ORDER that a file belongs to: by its name, else by its folder's."""
    for wanted in (name, f"{name.split('.')[0]}.*"):
        for i, line in enumerate(ORDER):
            if wanted in line:
                return i
    raise AssertionError(f"{name} has no place in ORDER")


def imported(path: Path, package: Path = PACKAGE) -> set[str]:
    """Dotted names of the package's files that the file imports, anywhere in it."""
    here = path.relative_to(package).parts[:-1]
    wanted = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = [*here[: len(here) - node.level + 1], *(node.module or "").split(".")]
            elif (node.module or "").split(".")[0] == "lggseg":
                base = node.module.split(".")[1:]
            else:
                continue
            base = [part for part in base if part]
            wanted |= {resolve([*base, alias.name], package) for alias in node.names}
        elif isinstance(node, ast.Import):
            wanted |= {
                resolve(alias.name.split(".")[1:], package)
                for alias in node.names
                if alias.name.startswith("lggseg.")
            }
    return wanted - {"", ".".join(here)}


def resolve(parts: list[str], package: Path) -> str:
    """The longest beginning of `parts` that is a file or a folder of the package: the rest are
    names inside it.
    """
    for end in range(len(parts), 0, -1):
        place = package.joinpath(*parts[:end])
        if place.with_suffix(".py").is_file() or (place / "__init__.py").is_file():
            return ".".join(parts[:end])
    return ""


def graph() -> dict[str, set[str]]:
    return {name: imported(path) for name, path in files().items()}


@pytest.mark.parametrize("name", files())
def test_no_file_imports_from_above(name):
    upward = [
        used for used in graph()[name] if level(used) > level(name) and name != used.split(".")[0]
    ]
    assert upward == []


def test_no_circles():
    # a folder's __init__ hands on what its files hold, so it stands for none of them here
    inner = {
        name: {used for used in uses if name != used.split(".")[0]}
        for name, uses in graph().items()
    }
    list(graphlib.TopologicalSorter(inner).static_order())  # CycleError names the circle


def test_first_uses_load_no_more_than_they_need():
    lines = ["import sys"]
    for step, modules in LATER.items():
        lines += [
            step,
            f"print({step!r}, [name for name in {modules.split()} if name in sys.modules], sep=': "
            "')",
        ]
    run = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == [f"{step}: []" for step in LATER]


def test_finds_every_form_of_import(tmp_path):
    for folder in ("data", "viewer"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    for file in ("unet", "plots", "shape", "data/cohort", "viewer/base"):
        (tmp_path / f"{file}.py").touch()
    path = tmp_path / "viewer" / "slices.py"
    path.write_text(
        "from ..data.cohort import Cohort\nfrom .. import plots\nimport lggseg.unet\nfrom . "
        "import base\ndef late():\n    from lggseg.data import cohort, open_cohort\n    from "
        "lggseg import shape\n"
    )
    assert imported(path, tmp_path) == {
        "data.cohort",
        "plots",
        "unet",
        "viewer.base",
        "data",
        "shape",
    }
