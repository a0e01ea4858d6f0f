"""House rules of the committed notebooks, and proof that the rules and nbval refuse what they
should.
"""

import base64
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import v4
from test_palette import colours, png

from dev.tools import lint, stamp

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwAD"
    "hgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_house_rules(path):
    assert lint.problems(path) == []


def test_series_lists_the_notebooks():
    assert [entry["file"] for entry in stamp.load_series()] == [path.stem for path in NOTEBOOKS]


def test_frames_are_up_to_date():
    assert stamp.main(["--check"]) == 0


# --- the rules themselves, on made-up notebooks ---


def cell(source: str = "1 + 1", *outputs, tags=()):
    made = v4.new_code_cell(source, outputs=list(outputs))
    made.metadata["tags"] = list(tags)
    return made


def printed(text: str):
    return v4.new_output("stream", name="stdout", text=text)


def figure():
    return v4.new_output("display_data", data={"image/png": PIXEL, "text/plain": "<Figure>"})


def good_cells() -> list:
    return [
        cell("plot()", figure(), figure(), figure()),
        cell("train()", tags=["nbval-ignore-output"]),
        cell("assert dice > 0.8"),
        cell("print(2)", printed("2\n")),
        v4.new_markdown_cell("The end."),
    ]


def write(path: Path, cells: list, metadata: dict | None = None) -> Path:
    """A notebook of these cells, numbered as if run in order, those excepted that carry a number
    already.
    """
    code = [c for c in cells if c.cell_type == "code"]
    for count, made in enumerate(code, start=1):
        made.execution_count = made.execution_count or count
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, **(metadata or {})})
    nbformat.write(notebook, path)
    return path


def found(tmp_path: Path, cells: list, metadata: dict | None = None) -> str:
    return "\n".join(lint.problems(write(tmp_path / "made.ipynb", cells, metadata)))


def test_a_good_notebook_passes(tmp_path):
    assert found(tmp_path, good_cells()) == ""


@pytest.mark.parametrize("counts", [[1, 3, 2, 4], [2, 3, 4, 5], [1, 2, 2, 3], [1, 2, 4, 5]])
def test_refuses_cells_out_of_order(tmp_path, counts):
    cells = good_cells()
    for made, count in zip(cells, counts, strict=False):
        made.execution_count = count
    assert "not executed in order" in found(tmp_path, cells)


def test_refuses_a_cell_that_was_not_executed(tmp_path):
    path = write(tmp_path / "made.ipynb", good_cells())
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[3].execution_count = None
    nbformat.write(notebook, path)
    assert "not executed in order" in lint.problems(path)[0]


def test_refuses_errors_but_not_those_announced(tmp_path):
    error = v4.new_output("error", ename="ValueError", evalue="no", traceback=["ValueError: no"])
    assert "holds an error" in found(tmp_path, [*good_cells(), cell("boom()", error)])
    assert found(tmp_path, [*good_cells(), cell("boom()", error, tags=["raises-exception"])]) == ""


@pytest.mark.parametrize("path", ["/{}", "'/{}'", "/{}/ann/lgg", "C:\\{}\\ann"])
@pytest.mark.parametrize("top", ["home", "root", "Users", "work"])
def test_refuses_personal_paths(tmp_path, path, top):
    path = path.format("Users" if "C:" in path else top)
    assert "personal path" in found(tmp_path, [*good_cells(), cell("print(root)", printed(path))])
    assert "personal path" in found(tmp_path, [*good_cells(), cell(f"open_cohort({path})")])
    assert "personal path" in found(tmp_path, [*good_cells(), v4.new_markdown_cell(f"See {path}.")])


@pytest.mark.parametrize(
    "text", ["https://a.org/home/x", "before/home/after", "~/lgg/kaggle_3m", "/homes", "a/root"]
)
def test_other_paths_pass(tmp_path, text):
    assert found(tmp_path, [*good_cells(), v4.new_markdown_cell(text)]) == ""


def test_refuses_widget_metadata_without_state(tmp_path):
    kind = "application/vnd.jupyter.widget-state+json"
    assert "widget" in found(tmp_path, good_cells(), {"widgets": {}})
    assert "widget" in found(tmp_path, good_cells(), {"widgets": {kind: {"version_major": 2}}})
    assert found(tmp_path, good_cells(), {"widgets": {kind: {"state": {"a": {}}}}}) == ""
    view = v4.new_output(
        "display_data", data={"application/vnd.jupyter.widget-view+json": {"model_id": "a"}}
    )
    assert "widget" in found(tmp_path, [*good_cells(), cell("viewer", view)])


@pytest.mark.parametrize(
    "numbers, fine", [([1, 2, 3], True), ([1, 3], False), ([2], False), ([1, 2, 2], False)]
)
def test_refuses_sections_that_do_not_count(tmp_path, numbers, fine):
    headings = [
        v4.new_markdown_cell(f"Before.\n\n## {number} · A heading\n\nAfter.") for number in numbers
    ]
    told = found(tmp_path, [*good_cells(), *headings])
    assert told == ("" if fine else f"sections are numbered {numbers}")


def test_refuses_long_cells(tmp_path):
    assert found(tmp_path, [*good_cells(), cell("\n".join("x" * 45))]) == ""
    assert "46 lines" in found(tmp_path, [*good_cells(), cell("\n".join("x" * 46))])
    assert "46 lines" in found(tmp_path, [*good_cells(), v4.new_markdown_cell("\n".join("x" * 46))])


def test_refuses_long_lines_of_code(tmp_path):
    wide = [cell("x" * 92), cell("x" * 200, tags=["setup-colab"]), v4.new_markdown_cell("x" * 200)]
    assert found(tmp_path, [*good_cells(), *wide]) == ""
    assert "93 characters" in found(tmp_path, [*good_cells(), cell("1\n" + "x" * 93)])


def test_refuses_large_notebooks(tmp_path):
    assert "MB" in found(tmp_path, [*good_cells(), cell("print(x)", printed("x" * 1_000_001))])
    assert found(tmp_path, [*good_cells(), cell("print(x)", printed("x" * 980_000))]) == ""


def test_refuses_figures_of_many_colours(tmp_path):
    few, many = (
        {"image/png": base64.b64encode(png(colours(count))).decode()} for count in (256, 257)
    )
    cells = [
        *good_cells(),
        cell("plot()", v4.new_output("display_data", few), v4.new_output("display_data", many)),
    ]
    assert (
        found(tmp_path, cells)
        == "1 figures of more than 256 colours; `make notebooks` stores fewer"
    )


def test_refuses_few_figures(tmp_path):
    cells = good_cells()
    cells[0].outputs.pop()
    assert found(tmp_path, cells) == "2 PNG figures; at least 3"


def test_refuses_much_ignored_output(tmp_path):
    def ignored(count: int) -> list:
        pairs = [
            (cell("# NBVAL_IGNORE_OUTPUT\ntrain()"), cell("assert dice > 0.8"))
            for _ in range(count)
        ]
        return [made for pair in pairs for made in pair]

    assert "ignored output" not in found(tmp_path, [cell(), *ignored(2)])  # 2 of 5
    assert "ignored output" in found(tmp_path, [cell(), *ignored(3)])  # 3 of 7


def test_refuses_an_ignored_cell_without_an_asserting_one(tmp_path):
    last = [*good_cells(), cell("train()", tags=["nbval-ignore-output"])]
    unchecked = [*last, cell("print('assert')")]
    assert "no asserting cell" in found(tmp_path, last)
    assert "no asserting cell" in found(tmp_path, unchecked)


def test_one_asserting_cell_at_the_end_serves_all(tmp_path):
    ignored = cell("train()", tags=["nbval-ignore-output"])
    checks = cell("assert dice > 0.8", tags=["hide-cell"])
    assert found(tmp_path, [*good_cells(), ignored, cell("plot()"), checks]) == ""


@pytest.mark.parametrize(
    "made", [cell(tags=["nbval-skip"]), cell("# NBVAL_SKIP\n1 + 1"), cell("  #NBVAL_SKIP\n1 + 1")]
)
def test_refuses_skipped_cells(tmp_path, made):
    assert "nbval-skip" in found(tmp_path, [*good_cells(), made])


def test_nbval_fails_on_one_changed_number(tmp_path):
    """As `make test` runs it: the one notebook passes, the other does not."""
    text = "print(sum(range(101)))"
    paths = [
        write(tmp_path / "right.ipynb", [cell(text, printed("5050\n"))]),
        write(tmp_path / "wrong.ipynb", [cell(text, printed("5051\n"))]),
    ]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "-v",
        "-c",
        str(ROOT / "pyproject.toml"),
        *map(str, paths),
    ]
    told = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path).stdout
    assert re.findall(r"Cell 0 ([A-Z]+) ", told) == ["PASSED", "FAILED"]  # in their order
    assert "1 failed, 1 passed" in told.splitlines()[-1]
