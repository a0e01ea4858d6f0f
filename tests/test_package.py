"""The wheel is complete: it installs elsewhere, imports from there, and carries the weights."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = ("pyproject.toml", "README.md", "LICENSE", "requirements.txt")


def run(*command, **options) -> str:
    command = [sys.executable, *map(str, command)]
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder into which the wheel, built from a copy of the sources, was installed."""
    source, wheels, target = (tmp_path_factory.mktemp(name) for name in ("source", "wheels", "target"))
    for name in FILES:
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "lggseg", source / "lggseg", ignore=shutil.ignore_patterns("__pycache__"))
    run("-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, source)
    [wheel] = wheels.glob("lggseg-*.whl")
    run("-m", "pip", "install", "--no-deps", "--target", target, wheel)
    return target


def elsewhere(installed: Path, code: str) -> str:
    """What `code` prints in a process that sees the installed wheel and not the sources."""
    return run("-c", code, cwd=installed, env={**os.environ, "PYTHONPATH": str(installed)}).strip()


def test_imports_from_the_wheel(installed):
    assert elsewhere(installed, "import lggseg; print(lggseg.__file__)") == str(installed / "lggseg" / "__init__.py")


def test_wheel_has_every_file_of_the_package(installed):
    def listing(folder: Path) -> set[str]:
        files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        return {str(path) for path in files if "__pycache__" not in path.parts}

    assert listing(installed / "lggseg") == listing(ROOT / "lggseg")


@pytest.mark.parametrize("kind", ["kaggle", "phantom"])
def test_weights_load_from_the_wheel(installed, kind):
    code = f"import lggseg; print(sum(p.numel() for p in lggseg.load_pretrained({kind!r}).parameters()) > 0)"
    assert elsewhere(installed, code) == "True"
