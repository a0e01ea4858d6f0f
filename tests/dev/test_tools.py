"""The runner of the series and the frame, on made-up notebooks."""

import base64

import nbformat
import pytest
from nbformat import v4
from test_palette import colours, png

from dev.tools import environments, run_series, stamp
from dev.tools.palette import has_at_most

SERIES = [
    {"file": "01_first", "title": "First", "learn": "One", "minutes": 2.4, "memory_mb": 1234},
    {"file": "02_second", "title": "Second", "learn": "Two"},
]
ENTRY = SERIES[0]


def write(path, *cells):
    nbformat.write(v4.new_notebook(cells=list(cells)), path)
    return path


def test_runs_a_notebook_and_measures_it(tmp_path):
    score = v4.new_code_cell("print('held-out Dice: mean 0.5')", metadata={"tags": ["scoreboard"]})
    source = write(
        tmp_path / "01_first.ipynb",
        v4.new_code_cell("block = bytearray(200_000_000); 6 * 7"),
        score,
        v4.new_code_cell("import time; time.sleep(1)"),
    )
    (tmp_path / "build").mkdir()
    target = tmp_path / "build" / source.name
    before = source.read_bytes()
    result = run_series.run_notebook(source, target, ENTRY)
    assert result.lines == ["held-out Dice: mean 0.5"]
    assert 200 < result.memory_mb < 2000 and 1 / 60 < result.minutes < 1
    assert nbformat.read(target, as_version=4).cells[0].outputs[0].data["text/plain"] == "42"
    assert source.read_bytes() == before
    board = run_series.scoreboard("PHANTOM cohort: 2 patients, 9 slices", [result])
    assert "data: PHANTOM cohort: 2 patients, 9 slices\n01: held-out Dice: mean 0.5\n" in board
    run_series.write_page(target)
    run_series.write_index(tmp_path / "build", board, [result.entry])
    assert "42" in (tmp_path / "build" / "01_first.html").read_text()
    assert 'href="01_first.html"' in (tmp_path / "build" / "index.html").read_text()


def test_an_error_names_notebook_cell_and_traceback(tmp_path):
    source = write(
        tmp_path / "01_first.ipynb",
        v4.new_markdown_cell("Text"),
        v4.new_code_cell("x = 0"),
        v4.new_code_cell("1 / x"),
    )
    with pytest.raises(
        run_series.RunError, match=r"(?s)01_first.ipynb, cell 2: 1 / x.*ZeroDivisionError"
    ):
        run_series.run_notebook(source, tmp_path / "out.ipynb", ENTRY)
    assert (
        nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[2].outputs[0].ename
        == "ZeroDivisionError"
    )


def test_a_dead_kernel_is_an_error_too(tmp_path):
    source = write(tmp_path / "01_first.ipynb", v4.new_code_cell("import os; os._exit(3)"))
    with pytest.raises(run_series.RunError, match="cell 0: import os"):
        run_series.run_notebook(source, tmp_path / "out.ipynb", ENTRY)


def test_main_returns_1_on_an_error(monkeypatch, capsys):
    def stop(options):
        raise run_series.RunError("01_first.ipynb, cell 2: 1 / x")

    monkeypatch.setattr(run_series, "run_series", stop)
    assert run_series.main([]) == 1
    assert "Stopped at 01_first.ipynb, cell 2" in capsys.readouterr().err


def test_clean_drops_widgets_and_timestamps():
    view = {
        "application/vnd.jupyter.widget-view+json": {"model_id": "1"},
        "text/plain": "SliceViewer(...)",
    }
    cell = v4.new_code_cell(
        "viewer", outputs=[v4.new_output("display_data", data=view)], metadata={"tags": ["x"]}
    )
    cell.metadata["execution"] = {"iopub.status.busy": "2026"}
    notebook = v4.new_notebook(
        cells=[cell], metadata={"language_info": {"name": "python"}, "widgets": {"a": {}}}
    )
    cleaned = run_series.clean(notebook)
    assert cleaned.metadata == {"language_info": {"name": "python"}}
    assert cleaned.cells[0].metadata == {"tags": ["x"]}
    assert cleaned.cells[0].outputs[0].data == {"text/plain": "SliceViewer(...)"}


def test_clean_joins_what_a_busy_machine_printed_in_pieces():
    out, err = (
        lambda text, name=name: v4.new_output("stream", name=name, text=text)
        for name in ("stdout", "stderr")
    )
    figure = v4.new_output("display_data", {"text/plain": "<Figure>"})
    cell = v4.new_code_cell(
        "train()", outputs=[out("a\n"), out("b\n"), err("c\n"), figure, out("d\n"), out("e\n")]
    )
    [cleaned] = run_series.clean(v4.new_notebook(cells=[cell])).cells
    assert cleaned.outputs == [out("a\nb\n"), err("c\n"), figure, out("d\ne\n")]


def test_clean_leaves_figures_few_colours():
    figure = v4.new_output(
        "display_data", {"image/png": base64.b64encode(png(colours(3000))).decode()}
    )
    [cell] = run_series.clean(
        v4.new_notebook(cells=[v4.new_code_cell("plot()", outputs=[figure])])
    ).cells
    assert has_at_most(128, base64.b64decode(cell.outputs[0].data["image/png"]))


def test_record_changes_only_its_own_numbers(tmp_path):
    path = tmp_path / "series.toml"
    path.write_text(
        '# top\n[[notebook]]\nfile = "01_first"\ntitle = "First"\n'
        "minutes = 9.0\nminutes_gpu = 0.5\n\n"
        '[[notebook]]\nfile = "02_second"\ntitle = "Second"\n'
    )
    run_series.record([run_series.Result(ENTRY, 1.26, 800)], path)
    first, second = stamp.load_series(path)
    assert first == {
        "file": "01_first",
        "title": "First",
        "minutes_gpu": 0.5,
        "minutes": 1.3,
        "memory_mb": 800,
    }
    assert second == {"file": "02_second", "title": "Second"}
    assert path.read_text().startswith("# top\n")


def test_folders_become_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LGGSEG_DATA", "~/lgg")
    monkeypatch.setenv("LGGSEG_CACHE", "build/cache")
    monkeypatch.setenv("HOME", str(tmp_path))
    run_series.settle_environment()
    assert run_series.os.environ["LGGSEG_DATA"] == str(tmp_path / "lgg")
    assert run_series.os.environ["LGGSEG_CACHE"] == str(tmp_path / "build" / "cache")


def test_phantom_stays_a_word(monkeypatch):
    monkeypatch.setenv("LGGSEG_DATA", "phantom")
    run_series.settle_environment()
    assert run_series.os.environ["LGGSEG_DATA"] == "phantom"


def test_frame_links_and_cost():
    first, second = stamp.frame(SERIES, 0), stamp.frame(SERIES, 1)
    assert "**1 of 2**" in first and "[02 Second →](02_second.ipynb)" in first and "←" not in first
    assert "2 minutes and 1.2 GB of memory on 2 CPU cores" in first and "Reading" not in first
    assert "[← 01 First](01_first.ipynb)" in second and "Running" not in second
    assert "Reading takes about 25 minutes" in stamp.frame(SERIES, 1, 25)


def test_reading_counts_words_and_code_but_not_the_frame():
    frame = "<!-- frame -->\n" + "frame " * 5000 + "\n<!-- /frame -->\n"
    text, code = (
        v4.new_markdown_cell(frame + "word " * 2000),
        v4.new_code_cell("    x = 1\n\n" * 800),
    )
    # Ten for the words, five for the code, indentation not counted.
    assert stamp.reading_minutes(v4.new_notebook(cells=[text, code])) == 15
    assert stamp.reading_minutes(v4.new_notebook(cells=[])) == 5


def test_table_has_a_row_per_notebook():
    assert stamp.table(SERIES, {"01_first": 25}).splitlines()[2:] == [
        "| [01 First](notebooks/01_first.ipynb) | One | 25 | 2 |",
        "| [02 Second](notebooks/02_second.ipynb) | Two |  |  |",
    ]


def test_stamp_replaces_between_markers_only():
    text = "a\n<!-- frame -->\nold\n<!-- /frame -->\nb"
    once = stamp.stamp(text, "frame", "new \\1")
    assert (
        once
        == "a\n<!-- frame -->\nnew \\1\n<!-- /frame -->\nb"
        == stamp.stamp(once, "frame", "new \\1")
    )
    with pytest.raises(ValueError, match="no <!-- other -->"):
        stamp.stamp(text, "other", "x")


def test_check_tells_and_main_repairs(tmp_path, capsys):
    (tmp_path / "dev" / "tools").mkdir(parents=True)
    (tmp_path / "notebooks").mkdir()
    series = tmp_path / "dev" / "tools" / "series.toml"
    series.write_text('[[notebook]]\nfile = "01_first"\ntitle = "First"\nlearn = "One"\n')
    (tmp_path / "README.md").write_text("<!-- series --><!-- /series -->\n")
    write(
        tmp_path / "notebooks" / "01_first.ipynb",
        v4.new_markdown_cell("# One\n<!-- frame -->\n<!-- /frame -->"),
    )
    assert stamp.main(["--check"], tmp_path) == 1
    assert "01_first.ipynb: out of date" in capsys.readouterr().out
    assert stamp.main([], tmp_path) == 0 and stamp.main(["--check"], tmp_path) == 0
    assert "**1 of 1**" in (tmp_path / "notebooks" / "01_first.ipynb").read_text()


def test_all_notebooks_run_where_it_looks_like_colab_unless_one_is_named():
    assert [path.name[:2] for path in environments.chosen("")] == [
        "01",
        "02",
        "03",
        "04",
        "05",
        "06",
        "07",
    ]
    assert [path.name[:2] for path in environments.chosen("training")] == ["04"]
