"""Pages of `make run`: nothing loaded from elsewhere, formulas, words for figures, links to each
other.
"""

import base64
import re
import shutil
from pathlib import Path

from nbformat import v4
from test_palette import colours, png
from test_tools import SERIES, write

from dev.tools import check_pages, pages, static_viewers

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


def page_of(tmp_path, *cells):
    path = write(tmp_path / "01_first.ipynb", *cells)
    pages.write_page(path)
    return path.with_suffix(".html").read_text(encoding="utf-8")


def test_a_page_loads_nothing_and_has_words_for_its_figure(tmp_path):
    figure = v4.new_output(
        "display_data", {"image/png": base64.b64encode(png(colours(9))).decode()}
    )
    cells = [
        v4.new_markdown_cell(
            "# First\n\n$x^2$ and [next](02_second.ipynb), [overview](../README.md)"
        ),
        v4.new_code_cell('ax.set_title("A & B")', outputs=[figure]),
        v4.new_code_cell("viewer", outputs=[static_viewers.viewer_frame("<p>lives</p>")]),
    ]
    text = page_of(tmp_path, *cells)
    pages.write_index(tmp_path, "data: <phantoms>", SERIES)
    (tmp_path / "02_second.html").write_text("<h1 id='top'>Second</h1>")
    assert check_pages.problems(tmp_path) == []
    assert (
        "<msup><mi>x</mi><mn>2</mn></msup>" in text and "<script" not in text.partition("srcdoc")[0]
    )
    assert (
        'alt="Figure 1, First: A &amp; B"' in text and 'srcdoc="&lt;p&gt;lives&lt;/p&gt;"' in text
    )
    assert "data: &lt;phantoms&gt;" in (tmp_path / "index.html").read_text(encoding="utf-8")


FOLD = """**1.** Why?

<details><summary>Answer</summary>

Because *this* holds:

```python
answer = 42
```
</details>

**2.** And then?"""


def test_an_answer_is_folded_and_what_comes_after_it_is_not(tmp_path):
    text = page_of(tmp_path, v4.new_markdown_cell(FOLD))
    folded = re.search("<details><summary>Answer</summary>(.*?)</details>", text, re.DOTALL)[1]
    assert "<em>this</em>" in folded and "answer" in folded and "And then?" not in folded
    assert check_pages.problems(tmp_path) == []


def test_the_answers_of_the_series_are_folded(tmp_path):
    """Every <details> of the committed notebooks, as pages show them."""
    for path in NOTEBOOKS:
        copy = tmp_path / path.name
        shutil.copy(path, copy)
        pages.write_page(copy)
        page = check_pages.Page(copy.with_suffix(".html").read_text(encoding="utf-8"))
        assert page.empty_folds == [], path.name


def test_pages_are_dark_for_who_likes_it(tmp_path):
    text = page_of(tmp_path, v4.new_markdown_cell("# First"))
    assert '<style media="(prefers-color-scheme: dark)"' in text
    assert "prefers-color-scheme: dark" in pages.INDEX.read_text(encoding="utf-8")
