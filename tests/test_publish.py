"""The set-up cell of the notebooks, and what `make publish` stamps, on made-up notebooks."""

import subprocess
import sys

import frame
import nbformat
import publish
import pytest
import setup_cell
from nbformat import v4

ADDRESS = "git+https://github.com/someone/series@v1.2.3"
RUN = """
import importlib.util, subprocess, sys
sys.path[:0] = [{colab!r}]
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name in {absent!r} else find(name)
subprocess.run = lambda command, check: print("RUN", command[1:], check)
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "tools").mkdir()
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "README.md").write_text("# Title\n\nText.\n<!-- series --><!-- /series -->\n")
    (tmp_path / "tools" / "series.toml").write_text(
        'repository = ""\n\n[[notebook]]\nfile = "01_first"\ntitle = "First"\nlearn = "One"\n')
    cell = v4.new_code_cell("6 * 7", execution_count=1, outputs=[
        v4.new_output("execute_result", {"text/plain": "42"}, execution_count=1)])
    first = v4.new_markdown_cell("# 01 First\n\n<!-- frame --><!-- /frame -->\nText.")
    nbformat.write(v4.new_notebook(cells=[first, cell]), tmp_path / "notebooks" / "01_first.ipynb")
    return tmp_path


def notebook(project):
    return nbformat.read(project / "notebooks" / "01_first.ipynb", as_version=4)


def run_cell(tmp_path, source: str, colab: bool, absent=(), **environment) -> subprocess.CompletedProcess:
    """Run the cell in a new Python; `colab` makes a module google.colab importable, `absent` modules are not."""
    if colab:
        (tmp_path / "google" / "colab").mkdir(parents=True)
    code = RUN.format(colab=str(tmp_path), absent=tuple(absent) + (() if colab else ("google.colab",))) + source
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)


def test_off_colab_the_cell_does_nothing(tmp_path):
    result = run_cell(tmp_path, setup_cell.setup_cell("someone/series", "v1.2.3"), False, ["lggseg"])
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


def test_on_colab_it_installs_the_tag_alone(tmp_path):
    result = run_cell(tmp_path, setup_cell.setup_cell("someone/series", "v1.2.3"), True, ["lggseg", "kagglehub"])
    assert result.stdout == f"RUN ['-m', 'pip', 'install', '--quiet', '--no-deps', '{ADDRESS}', 'kagglehub'] True\n"


def test_an_installed_package_is_left_alone(tmp_path):
    assert run_cell(tmp_path, setup_cell.setup_cell("someone/series", "v1.2.3"), True).stdout == ""


def test_another_source(tmp_path):
    result = run_cell(tmp_path, setup_cell.setup_cell(), True, ["lggseg"], LGGSEG_SOURCE="/some/folder")
    assert "'--no-deps', '/some/folder']" in result.stdout


def test_before_publishing_it_says_what_is_missing(tmp_path):
    result = run_cell(tmp_path, setup_cell.setup_cell(), True, ["lggseg"])
    assert result.returncode != 0 and "does not know where to get lggseg from" in result.stderr


def test_heavy_packages_are_never_named():
    for name in ("torch", "numpy", "ipywidgets", "drive"):
        assert f'"{name}"' not in setup_cell.SETUP_CELL


def test_the_cell_comes_first_and_counts_as_run(project):
    frame.main([], project)
    markdown, setup, cell = notebook(project).cells
    assert setup.source == setup_cell.setup_cell() and setup.metadata.tags == ["setup-colab"]
    assert (setup.execution_count, cell.execution_count, cell.outputs[0].execution_count) == (1, 2, 2)
    assert "badge" not in markdown.source and frame.main(["--check"], project) == 0


def test_publish_and_again_and_elsewhere(project, capsys):
    assert publish.main(["someone/series"], project) == 0
    assert "2 files changed" in capsys.readouterr().out
    markdown, setup, _ = notebook(project).cells
    assert ADDRESS in setup.source and "/blob/v1.2.3/notebooks/01_first.ipynb" in markdown.source
    readme = (project / "README.md").read_text()
    assert readme.startswith("# Title\n\n<!-- badges -->\n[![Open in Colab]") and "mybinder.org" in readme
    assert publish.publish("someone/series", project) == [] and frame.main(["--check"], project) == 0
    publish.main(["other/name"], project)
    everything = (project / "README.md").read_text() + str(notebook(project))
    assert "someone" not in everything and everything.count("[![Open in Colab]") == 2
    publish.publish("", project)
    assert "other/name" not in (project / "README.md").read_text() + str(notebook(project))


def test_publish_refuses_an_address_that_is_none(project, capsys):
    assert publish.main(["https://github.com/a/b"], project) == 2 and "owner/name" in capsys.readouterr().err
