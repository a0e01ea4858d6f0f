"""The site's sources: linked files come along, folders mean their README, viewers are put in,
phantoms only.
"""

import os

import nbformat
import pytest
from nbformat import v4
from test_tools import ENTRY, SERIES, write

from dev.tools import build_site, static_viewers


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.setattr(build_site, "ROOT", tmp_path)
    monkeypatch.setattr(build_site, "BUILD", tmp_path / "build")
    monkeypatch.setattr(build_site, "SOURCE", tmp_path / "build" / "site-source")
    return tmp_path


def test_files_come_along_and_folders_mean_their_readme(repository):
    (repository / "results").mkdir()
    (repository / "results" / "table.csv").write_text("a,b\n")
    (repository / "README.md").write_text("# Read\n")
    text = (
        "[t](results/table.csv) [r](results/) [p](README.md#top) [w](https://x.y/z.csv) [h](#here) "
        "![i](/results/table.csv)"
    )
    assert build_site.copy_linked_files(text, repository) == text.replace(
        "(results/)", "(results/README.md)"
    )
    copied = [path.name for path in build_site.SOURCE.rglob("*") if path.is_file()]
    assert copied == ["table.csv"]


def test_a_row_per_notebook():
    assert (
        build_site.series_rows(SERIES).splitlines()[0]
        == "| [01 First](/notebooks/01_first.ipynb) | One |"
    )


def test_stored_outputs_are_shown_with_living_viewers(repository):
    (repository / "lggseg").mkdir()
    stored = v4.new_output("execute_result", {"text/plain": "stored"})
    setup = v4.new_code_cell("# On Google Colab", metadata={"tags": ["setup-colab"]})
    viewer = v4.new_code_cell("viewer", outputs=[stored], metadata={"tags": ["viewer"]})
    other = v4.new_code_cell("6 * 7", outputs=[stored])
    path = write(repository / "01_first.ipynb", setup, viewer, other)
    run = nbformat.read(path, as_version=4)
    run.cells[1].outputs = [stored, static_viewers.viewer_frame("<p>lives</p>")]
    (repository / "build" / "site-runs").mkdir(parents=True)
    # Newer than the notebook: not run again.
    nbformat.write(run, repository / "build" / "site-runs" / path.name)
    page = build_site.notebook_page(path, ENTRY)
    assert [static_viewers.is_viewer_frame(cell.outputs[0]) for cell in page.cells] == [True, False]
    assert page.cells[1].outputs == [stored]


def test_a_notebook_that_has_changed_is_run_again(repository, monkeypatch):
    (repository / "lggseg").mkdir()
    path = write(repository / "01_first.ipynb")
    monkeypatch.setattr(
        build_site, "run_notebook", lambda source, target, entry: target.write_text("run")
    )
    target = build_site.executed(path, ENTRY)
    target.write_text("kept")
    assert build_site.executed(path, ENTRY).read_text() == "kept"
    os.utime(target, (1, 1))
    assert build_site.executed(path, ENTRY).read_text() == "run"


def test_no_real_patient_is_ever_shown(monkeypatch):
    seen = []
    monkeypatch.setenv("LGGSEG_DATA", "/real/kaggle_3m")
    monkeypatch.setattr(
        build_site, "collect_sources", lambda: seen.append(os.environ["LGGSEG_DATA"]) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        build_site.main()
    assert seen == ["phantom"]
