"""The pages that `make run` writes into build/: one per notebook, and an index.

They load nothing from elsewhere.
"""

import html
import re
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter

from .stamp import label
from .static_viewers import for_reading, formulas, mathml

TEMPLATE = Path(__file__).with_name("page.html.j2")
INDEX = Path(__file__).with_name("index.html")


def write_page(path: Path) -> None:
    """Write the executed notebook `path` as an HTML page beside it; links lead to other pages."""
    notebook = for_reading(nbformat.read(path, as_version=4))
    written = []

    # nbconvert would take MathML to pieces: it gets a word in its place.
    def keep(tex: str, display: str) -> str:
        written.append(mathml(tex, display))
        return f"formula-{len(written) - 1}-formula"

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = formulas(cell.source, keep)
    # Without `embed_images`: it closes <details> right behind its summary, and no answer would fold
    # any more.
    exporter = HTMLExporter(raw_template=TEMPLATE.read_text(encoding="utf-8"))
    page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": path.stem}})
    page = re.sub(r"formula-(\d+)-formula", lambda found: written[int(found[1])], page)
    page = re.sub(r'href="(\d\d_\w+)\.ipynb"', r'href="\1.html"', page)
    path.with_suffix(".html").write_text(
        page.replace('href="../README.md"', 'href="index.html"'), encoding="utf-8"
    )


def write_index(build: Path, board: str, series: list[dict]) -> None:
    """build/index.html: a line and a link for each notebook of `series`, and the scoreboard."""
    line = '<li><a href="{}.html">{}</a><br>{}</li>'
    items = "\n".join(
        line.format(entry["file"], label(entry), html.escape(entry["learn"])) for entry in series
    )
    page = INDEX.read_text(encoding="utf-8")
    (build / "index.html").write_text(
        page.replace("@items@", items).replace("@board@", html.escape(board)), encoding="utf-8"
    )
