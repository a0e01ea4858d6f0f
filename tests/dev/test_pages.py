"""Pages of `make run`: nothing loaded from elsewhere, formulas, words for figures, links to each other."""

import base64

from nbformat import v4
from test_palette import colours, png
from test_tools import SERIES, write

from dev.tools import check_pages, pages, static_viewers


def page_of(tmp_path, *cells):
    path = write(tmp_path / "01_first.ipynb", *cells)
    pages.write_page(path)
    return path.with_suffix(".html").read_text(encoding="utf-8")


def test_a_page_loads_nothing_and_has_words_for_its_figure(tmp_path):
    figure = v4.new_output("display_data", {"image/png": base64.b64encode(png(colours(9))).decode()})
    cells = [v4.new_markdown_cell("# First\n\n$x^2$ and [next](02_second.ipynb), [overview](../README.md)"),
             v4.new_code_cell('ax.set_title("A & B")', outputs=[figure]),
             v4.new_code_cell("viewer", outputs=[static_viewers.living("<p>lives</p>")])]
    text = page_of(tmp_path, *cells)
    pages.write_index(tmp_path, "data: <phantoms>", SERIES)
    (tmp_path / "02_second.html").write_text("<h1 id='top'>Second</h1>")
    assert check_pages.problems(tmp_path) == []
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in text and "<script" not in text.partition("srcdoc")[0]
    assert 'alt="Figure 1, First: A &amp; B"' in text and 'srcdoc="&lt;p&gt;lives&lt;/p&gt;"' in text
    assert "data: &lt;phantoms&gt;" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_pages_are_dark_for_who_likes_it(tmp_path):
    text = page_of(tmp_path, v4.new_markdown_cell("# First"))
    assert '<style media="(prefers-color-scheme: dark)"' in text
    assert "prefers-color-scheme: dark" in pages.INDEX.read_text(encoding="utf-8")
