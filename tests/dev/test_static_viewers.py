"""What pages do to a notebook: viewers' pages asked for and kept apart, formulas as MathML, words
for figures.
"""

import asyncio

import nbformat
from nbformat import v4
from test_tools import ENTRY, write

from dev.tools import run_series, static_viewers

PNG = {"image/png": "iVBORw0KGgo="}
VIEWER = """from IPython.display import display
class Viewer:
    def page(self):
        return '<p title="a">5 < 6</p>'
viewer = Viewer()
viewer"""


def test_a_viewers_page_is_one_more_output_and_leaves_no_trace(tmp_path):
    cells = [v4.new_code_cell(VIEWER, metadata={"tags": ["viewer"]}), v4.new_code_cell("6 * 7")]
    source, target = write(tmp_path / "01_first.ipynb", *cells), tmp_path / "out.ipynb"
    run_series.run_notebook(source, target, ENTRY)
    ran = nbformat.read(target, as_version=4)
    shown, page = ran.cells[0].outputs
    assert "Viewer" in shown.data["text/plain"] and static_viewers.is_viewer_frame(page)
    assert 'srcdoc="&lt;p title=&quot;a&quot;&gt;5 &lt; 6&lt;/p&gt;"' in page.data["text/html"]
    assert [cell.execution_count for cell in ran.cells] == [1, 2] and len(ran.cells[1].outputs) == 1
    assert run_series.clean(ran).cells[0].outputs == [shown]


def test_only_cells_tagged_viewer_are_asked():
    cell = v4.new_code_cell(VIEWER)
    asyncio.run(static_viewers.frame_viewer(None, cell, 0))
    assert cell.outputs == []


def test_a_page_takes_the_place_of_the_widget_and_figures_get_words():
    widget = v4.new_output(
        "execute_result", {static_viewers.WIDGET: {"model_id": "1"}, "text/plain": "SliceViewer"}
    )
    cells = [
        v4.new_markdown_cell("# Title\n## Two *masks*"),
        v4.new_code_cell("viewer", outputs=[widget, static_viewers.viewer_frame("<p></p>")]),
        v4.new_code_cell(
            'ax.set(title="One", xlabel="k")', outputs=[v4.new_output("display_data", PNG)]
        ),
    ]
    notebook = static_viewers.for_reading(v4.new_notebook(cells=cells, metadata={"widgets": {}}))
    assert "widgets" not in notebook.metadata
    assert [static_viewers.is_viewer_frame(output) for output in notebook.cells[1].outputs] == [
        True
    ]
    assert notebook.cells[2].outputs[0].metadata.alt == "Figure 1, Two masks: One; k"
    assert notebook.cells[2].metadata.mystnb.image.alt == "Figure 1, Two masks: One; k"


def test_a_widget_without_a_page_is_shown_in_words():
    shown = {static_viewers.WIDGET: {"model_id": "1"}, "text/plain": "ActivationViewer"}
    widget = v4.new_output("execute_result", shown)
    [cell] = static_viewers.for_reading(
        v4.new_notebook(cells=[v4.new_code_cell("viewer", outputs=[widget])])
    ).cells
    assert cell.outputs[0].data == {"text/plain": "ActivationViewer"}


def test_a_figure_says_its_titles_in_order():
    code = (
        'ax.set_xlabel(f"{n} slices (log)")\n'
        'plt.suptitle("All" + name)\n'
        'ax.set(title=f"{a}: {b}", ylabel="Dice")'
    )
    assert static_viewers.figure_words(code) == ["slices (log)", "All", "Dice"]
    assert static_viewers.figure_words(
        'ax.set_title(f"Errors ({cohort.label})"); ax.set_title("Errors")'
    ) == ["Errors"]


def test_formulas_become_mathml_and_code_stays():
    source = "`$x$` and $x^2$, or $5 and $6\n\n```\n$y$\n```\n\n$$\\frac{1}{2}$$"
    text = static_viewers.formulas(source, static_viewers.mathml)
    assert (
        text.count("<math") == 2
        and 'display="block"><mrow><mfrac>' in text
        and "<msup><mi>x</mi><mn>2</mn>" in text
    )
    assert "`$x$`" in text and "\n$y$\n" in text and "$5 and $6" in text


def test_bars_stand_close_to_what_they_enclose():
    """Browsers take the bar for an operator between two things, and put room on either side."""
    bar = '<mo stretchy="false" lspace="0" rspace="0">&#x0007C;</mo>'
    assert static_viewers.mathml("|A|", "inline").count(bar) == 2


def test_of_a_progress_bar_the_end_is_shown():
    bar = v4.new_output(
        "stream", name="stderr", text="\rdrawn: 0%\rdrawn: 50%\rdrawn: 100%\nread\r\n"
    )
    [cell] = static_viewers.for_reading(
        v4.new_notebook(cells=[v4.new_code_cell("draw()", outputs=[bar])])
    ).cells
    assert cell.outputs[0].text == "drawn: 100%\nread\r\n"
