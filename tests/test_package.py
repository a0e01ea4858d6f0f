"""The wheel is complete: it installs elsewhere, imports from there, and carries weights and
licences.

And what it says it needs is what it imports.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import PathDistribution, packages_distributions
from pathlib import Path

import nbformat
import pytest

from lggseg import write_phantom_cohort

ROOT = Path(__file__).resolve().parent.parent
FILES = ("pyproject.toml", "README.md", "LICENSE")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OPTIONAL = ("export", "scans")  # extras of packages that lggseg imports only when they are needed


def run(*command, **options) -> str:
    command = [sys.executable, *map(str, command)]
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder into which the wheel, built from a copy of the sources, was installed."""
    source, wheels, target = (
        tmp_path_factory.mktemp(name) for name in ("source", "wheels", "target")
    )
    for name in FILES:
        shutil.copy(ROOT / name, source)
    shutil.copytree(
        ROOT / "lggseg", source / "lggseg", ignore=shutil.ignore_patterns("__pycache__")
    )
    run("-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, source)
    [wheel] = wheels.glob("lggseg-*.whl")
    run("-m", "pip", "install", "--no-deps", "--target", target, wheel)
    return target


def elsewhere(installed: Path, code: str) -> str:
    """What `code` prints in a process that sees the installed wheel and not the sources."""
    return run("-c", code, cwd=installed, env={**os.environ, "PYTHONPATH": str(installed)}).strip()


def test_imports_from_the_wheel(installed):
    assert elsewhere(installed, "import lggseg; print(lggseg.__file__)") == str(
        installed / "lggseg" / "__init__.py"
    )


def test_wheel_has_every_file_of_the_package(installed):
    def listing(folder: Path) -> set[str]:
        files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        return {str(path) for path in files if "__pycache__" not in path.parts}

    assert listing(installed / "lggseg") == listing(ROOT / "lggseg")


def test_weights_load_from_the_wheel(installed):
    code = (
        "import lggseg; print([len(lggseg.load_pretrained(kind).networks) > 0 for kind in "
        "('kaggle', 'phantom')])"
    )
    assert elsewhere(installed, code) == "[True, True]"


RUN_CELLS = """
import json, sys
import matplotlib
matplotlib.use("agg")
names = {"display": print}
for cell in json.load(open(sys.argv[1], encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        exec("".join(cell["source"]), names)
print(names["cohort"])
"""


@pytest.mark.parametrize(  # quick ones
    "number",
    ["05", *(pytest.param(number, marks=pytest.mark.more) for number in ("01", "02", "07"))],
)
def test_notebooks_run_from_the_wheel(installed, tmp_path, number):
    """In an empty folder; all that a notebook reads lies in the package or is drawn."""
    notebook = next((ROOT / "notebooks").glob(f"{number}_*.ipynb"))
    root = write_phantom_cohort(tmp_path / "data", patients=3, seed=1, progress=False)
    empty = tmp_path / "empty"
    empty.mkdir()
    places = {
        "PYTHONPATH": str(installed),
        "LGGSEG_DATA": str(root),
        "LGGSEG_CACHE": str(tmp_path / "cache"),
    }
    told = run("-W", "ignore", "-c", RUN_CELLS, notebook, cwd=empty, env={**os.environ, **places})
    assert told.splitlines()[-1].startswith("PHANTOM cohort (synthetic), 3 patients")


def test_wheel_names_both_licences_and_holds_them(installed):
    [folder] = installed.glob("lggseg-*.dist-info")
    metadata = PathDistribution(folder).metadata
    assert metadata["License-Expression"] == "MIT AND CC-BY-NC-SA-4.0"
    assert sorted(metadata.get_all("License-File")) == ["LICENSE", "lggseg/weights/LICENSE"]
    assert "MIT License" in (folder / "licenses" / "LICENSE").read_text(encoding="utf-8")
    weights = (folder / "licenses" / "lggseg" / "weights" / "LICENSE").read_text(encoding="utf-8")
    assert (
        "creativecommons.org/licenses/by-nc-sa/4.0/legalcode" in weights
        and "Mateusz Buda" in weights
    )


def test_requirements_are_those_of_the_package_and_the_notebooks():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    listed = [line for line in lines if not line.startswith("#")]
    assert sorted(listed) == sorted(
        PROJECT["dependencies"] + PROJECT["optional-dependencies"]["notebooks"]
    )


def names(requirements: list[str]) -> set[str]:
    return {normal(re.match(r"[\w.-]+", requirement)[0]) for requirement in requirements}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# Module -> packages; it reads every package's list of files.
installed_as = cache(packages_distributions)


def imported(source: str) -> set[str]:
    """The packages of others that the code imports, by the names that they are installed by."""
    nodes = list(ast.walk(ast.parse(source)))
    modules = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    modules += [
        node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level
    ]
    tops = {module.split(".")[0] for module in modules} - set(sys.stdlib_module_names) - {"lggseg"}
    return {normal(installed_as().get(top, [top])[0]) for top in tops}


def test_core_requirements_are_what_the_package_imports():
    found = set().union(
        *(imported(path.read_text(encoding="utf-8")) for path in (ROOT / "lggseg").rglob("*.py"))
    )
    optional = names([one for extra in OPTIONAL for one in PROJECT["optional-dependencies"][extra]])
    assert found - optional == names(PROJECT["dependencies"])


def test_notebooks_import_nothing_else():
    needed = names(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["notebooks"])
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = [
            cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"
        ]
        plain = [re.sub(r"^[%!].*$", "", cell.source, flags=re.MULTILINE) for cell in cells]
        # The kernel's own.
        assert set().union(*map(imported, plain)) - needed - {"ipython"} == set(), path.name


def test_the_version_is_the_same_everywhere():
    version = PROJECT["version"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^version: (.*)$", citation, re.MULTILINE)[1] == version
    assert re.findall(r"^## ([\d.]+) - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)[0] == version
    for name in ("package.json", "package-lock.json"):
        page = json.loads((ROOT / "web" / name).read_text(encoding="utf-8"))
        assert page["version"] == version


def test_the_changelog_has_the_headings_of_keep_a_changelog():
    lines = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    headings = {line.removeprefix("### ") for line in lines if line.startswith("### ")}
    assert headings <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert "## Unreleased" in lines
