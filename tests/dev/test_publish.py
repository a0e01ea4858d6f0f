"""The set-up line of the notebooks, and what `make publish` stamps, on made-up notebooks."""

import nbformat
import pytest
from nbformat import v4

from dev.tools import publish, setup_cell, stamp

ADDRESS = "git+https://github.com/someone/series@v1.2.3"
PLACES = {
    "here": "<ipykernel.zmqshell.ZMQInteractiveShell object>",
    "Colab": "<google.colab._shell.Shell object>",
}


@pytest.fixture
def project(tmp_path):
    (tmp_path / "dev" / "tools").mkdir(parents=True)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "README.md").write_text("# Title\n\nText.\n<!-- series --><!-- /series -->\n")
    (tmp_path / "dev" / "tools" / "series.toml").write_text(
        'repository = ""\n\n[[notebook]]\nfile = "01_first"\ntitle = "First"\nlearn = "One"\n'
    )
    cell = v4.new_code_cell(
        "6 * 7",
        execution_count=1,
        outputs=[v4.new_output("execute_result", {"text/plain": "42"}, execution_count=1)],
    )
    first = v4.new_markdown_cell("# 01 First\n\n<!-- frame --><!-- /frame -->\nText.")
    nbformat.write(v4.new_notebook(cells=[first, cell]), tmp_path / "notebooks" / "01_first.ipynb")
    return tmp_path


def notebook(project):
    return nbformat.read(project / "notebooks" / "01_first.ipynb", as_version=4)


class Shell:
    """Stands for IPython's: named as it is in some place, and noting the magics that are run."""

    def __init__(self, place: str):
        self.place, self.run = place, []

    def __str__(self) -> str:
        return PLACES[self.place]

    def run_line_magic(self, name: str, line: str) -> None:
        self.run.append((name, line))


def run_line(source: str, place: str) -> list[tuple[str, str]]:
    """The magics that the set-up line runs in a place."""
    shell = Shell(place)
    exec(setup_cell.setup_line(source), {"get_ipython": lambda: shell})
    return shell.run


def test_off_colab_the_line_does_nothing():
    assert run_line(ADDRESS, "here") == []


def test_on_colab_it_installs_the_tag():
    source = setup_cell.address("someone/series", "v1.2.3")
    assert run_line(source, "Colab") == [("pip", f"install -q --no-deps {ADDRESS}")]


def test_it_is_one_line():
    assert len(setup_cell.setup_line(ADDRESS).splitlines()) == 1


def test_before_publishing_there_is_no_such_cell(project):
    stamp.main([], project)
    markdown, cell = notebook(project).cells
    assert (cell.execution_count, cell.outputs[0].execution_count) == (1, 1)
    assert "badge" not in markdown.source and stamp.main(["--check"], project) == 0


def test_the_cell_comes_first_and_counts_as_run(project):
    publish.publish("someone/series", project)
    _, setup, cell = notebook(project).cells
    assert ADDRESS in setup.source and setup.metadata.tags == ["setup-colab"]
    assert (setup.execution_count, cell.execution_count, cell.outputs[0].execution_count) == (
        1,
        2,
        2,
    )
    publish.publish("", project)
    _, cell = notebook(project).cells
    assert (cell.execution_count, cell.outputs[0].execution_count) == (1, 1)


def test_publish_and_again_and_elsewhere(project, capsys):
    assert publish.main(["someone/series"], project) == 0
    assert "2 files changed" in capsys.readouterr().out
    markdown, setup, _ = notebook(project).cells
    assert ADDRESS in setup.source and "/blob/v1.2.3/notebooks/01_first.ipynb" in markdown.source
    readme = (project / "README.md").read_text()
    assert (
        readme.startswith("# Title\n\n<!-- badges -->\n[![Open in Colab]")
        and "mybinder.org" in readme
    )
    assert (
        publish.publish("someone/series", project) == [] and stamp.main(["--check"], project) == 0
    )
    publish.main(["other/name"], project)
    everything = (project / "README.md").read_text() + str(notebook(project))
    assert "someone" not in everything and everything.count("[![Open in Colab]") == 2
    publish.publish("", project)
    assert "other/name" not in (project / "README.md").read_text() + str(notebook(project))


def test_publish_refuses_an_address_that_is_none(project, capsys):
    assert (
        publish.main(["https://github.com/a/b"], project) == 2
        and "owner/name" in capsys.readouterr().err
    )
