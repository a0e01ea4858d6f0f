"""What the pages of `make run` and of the site have in common: viewers that live without a kernel,
formulas without a script, figures with words for who cannot see them.

A cell tagged `viewer` ends in a variable `viewer`, a SliceViewer or CohortViewer. After it has run,
`frame_viewer` asks the kernel for `viewer.page()` and keeps it as one more output of the cell;
`make notebooks` stores none of them.
"""

import ast
import re
from collections.abc import Callable
from html import escape

import nbformat
from latex2mathml.converter import convert
from nbclient import NotebookClient
from nbformat import v4

from .reference import messages
from .setup_cell import has_tag

WIDGET = "application/vnd.jupyter.widget-view+json"
ASK = 'display({"text/html": viewer.page()}, raw=True)'
# As high as its content, also when the page gets narrower.
GROW = (
    "const page = this.contentDocument.body; "
    "new ResizeObserver(() => this.style.height = page.offsetHeight + 'px').observe(page)"
)
# What a figure says of itself, in matplotlib.
WORDS = {"title", "suptitle", "set_title", "xlabel", "set_xlabel", "ylabel", "set_ylabel"}
MATHS = re.compile(
    r"(?P<code>(?P<fence>`+)[\s\S]*?(?P=fence))|\$\$(?P<block>[\s\S]+?)\$\$"
    r"|(?<![\\$\w])\$(?=\S)(?P<inline>[^$\n]+?)(?<=\S)\$(?!\w)"
)


def has_viewer(cell: nbformat.NotebookNode) -> bool:
    return has_tag(cell, "viewer")


async def frame_viewer(client: NotebookClient, cell: nbformat.NotebookNode, index: int) -> None:
    """Add the page of the cell's viewer to its outputs; no trace is left in history or numbers."""
    if has_viewer(cell):
        ask = v4.new_code_cell(ASK)
        await client.async_execute_cell(ask, index, store_history=False)
        client.code_cells_executed -= 1  # by which nbclient numbers the cells to come
        cell.outputs += [viewer_frame(output.data["text/html"]) for output in ask.outputs]


def viewer_frame(page: str) -> nbformat.NotebookNode:
    """An output that shows a viewer's page inside another page."""
    frame = (
        '<iframe class="viewer" title="Viewer of scans, with a slice slider" '
        f'srcdoc="{escape(page)}" '
        f'style="width: 100%; height: 640px; border: 0" onload="{GROW}"></iframe>'
    )
    return v4.new_output("display_data", {"text/html": frame}, metadata={"living": True})


def is_viewer_frame(output: nbformat.NotebookNode) -> bool:
    return "living" in output.get("metadata", {})


def for_reading(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook as pages show it: without widgets, and with words for every figure."""
    notebook.metadata.pop("widgets", None)
    heading = ""
    figures = 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = (re.findall(r"^#+ +(.+)$", cell.source, re.MULTILINE) or [heading])[-1]
            continue
        if any(map(is_viewer_frame, cell.get("outputs", []))):  # in place of the widget
            cell.outputs = [
                output for output in cell.outputs if output.output_type != "execute_result"
            ]
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)
            # Of a progress bar, what a terminal would show in the end.
            if output.output_type == "stream":
                output.text = re.sub(r"[^\n]*\r(?!\n)", "", output.text)
            if "image/png" in output.get("data", {}):
                figures += 1
                words = "; ".join(figure_words(cell.source)) or "drawn by the code above"
                words = f"Figure {figures}, {plain(heading)}: {words}"
                output.metadata["alt"] = words
                cell.metadata["mystnb"] = {"image": {"alt": words}}
    return notebook


def plain(markdown: str) -> str:
    return re.sub(r"[*_`$]", "", markdown)


def figure_words(code: str) -> list[str]:
    """The titles and labels that a cell gives its figure, in order, an ellipsis for what only a run
    can tell.

    >>> figure_words('ax.set_title(f"{patient}, FLAIR"); ax.set(xlabel="slice"); ax.set_title("")')
    ['FLAIR', 'slice']
    >>> figure_words('plots.panels(1, 2, title=f"{patient}: tumour area", data=cohort.label)')
    ['tumour area']
    """
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    found = [
        call.args[0] for call in calls if getattr(call.func, "attr", "") in WORDS and call.args
    ]
    found += [entry.value for call in calls for entry in call.keywords if entry.arg in WORDS]
    found.sort(key=lambda node: (node.lineno, node.col_offset))
    known = [re.sub("⟨[^⟩]*⟩", "…", messages(node)[0]) for node in found]
    texts = [" ".join(text.replace("(…)", "").split()).strip(" :;,…") for text in known]
    return list(dict.fromkeys(filter(None, texts)))


def formulas(markdown: str, write: Callable[[str, str], str]) -> str:
    """Markdown with `write(tex, "inline" or "block")` in place of TeX between dollars; code stays
    as it is.
    """

    def put(found: re.Match) -> str:
        if found["code"]:
            return found["code"]
        return write(found["block"] or found["inline"], "block" if found["block"] else "inline")

    return MATHS.sub(put, markdown)


def mathml(tex: str, display: str) -> str:
    """A formula as MathML, which browsers draw by themselves; `display` is "inline" or "block"."""
    bar = "&#x0007C;</mo>"  # of |A|; taken for an operator between two things, it would stand apart
    return convert(tex.strip(), display=display).replace(
        f'">{bar}', f'" lspace="0" rspace="0">{bar}'
    )
