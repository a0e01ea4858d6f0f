"""House rules for committed notebooks: what nbval cannot see, and what would break on other
people's pages.
"""

import base64
import re
import sys
from pathlib import Path

import nbformat

from .palette import has_at_most
from .setup_cell import TAG, has_tag

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 45
# of a line of code: the site shows it without scrolling at 1280 pixels; the set-up line may be
# longer
MAX_WIDTH = 92
MAX_BYTES = 1_000_000
MIN_FIGURES = 3
MAX_COLOURS = 256
MAX_IGNORED = 0.40
PERSONAL = re.compile(r"(?<![\w./~-])/(?:home|root|Users|work)\b|\b[A-Z]:\\+Users\b")
SECTION = re.compile(r"^## (\d+) · ", re.MULTILINE)
ASSERTS = re.compile(r"^\s*assert\b", re.MULTILINE)


def problems(path: Path) -> list[str]:
    """Every rule that the notebook at `path` breaks, in words; empty for a good one."""
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    found = [
        f"cell {i}: {rule}" for i, cell in enumerate(notebook.cells) for rule in cell_problems(cell)
    ]
    found += section_problems(notebook) + order_problems(code) + ignore_problems(code)
    found += figure_problems(code) + widget_problems(notebook)
    if (size := path.stat().st_size) > MAX_BYTES:
        found.append(f"{size / 1e6:.2f} MB; at most {MAX_BYTES / 1e6:.0f}")
    return found


def cell_problems(cell: nbformat.NotebookNode) -> list[str]:
    """Rules for one cell, of any type."""
    found = []
    if (lines := len(cell.source.splitlines())) > MAX_LINES:
        found.append(f"{lines} lines; at most {MAX_LINES}")
    if path := PERSONAL.search(visible_text(cell)):
        found.append(f"personal path {path[0]!r}")
    if cell.cell_type != "code":
        return found
    # Sentences that a cell prints as a list may be longer.
    lines = [line for line in cell.source.splitlines() if not line.startswith("- ")]
    if not has_tag(cell, TAG) and (width := max(map(len, lines), default=0)) > MAX_WIDTH:
        found.append(f"a line of {width} characters; at most {MAX_WIDTH}")
    if tagged(cell, "nbval-skip"):
        found.append("nbval-skip; every cell must run")
    if has_error(cell) and not (
        tagged(cell, "raises-exception") or tagged(cell, "nbval-raises-exception")
    ):
        found.append("holds an error, and is not tagged raises-exception")
    return found


def section_problems(notebook: nbformat.NotebookNode) -> list[str]:
    """Numbered sections, where there are any, must be 1, 2, 3, ...: a heading is easily lost with
    the cell it is in.
    """
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    numbers = [int(number) for text in texts for number in SECTION.findall(text)]
    if numbers == list(range(1, len(numbers) + 1)):
        return []
    return [f"sections are numbered {numbers}"]


def order_problems(code: list[nbformat.NotebookNode]) -> list[str]:
    """Cells must have been executed once each, from the first to the last."""
    counts = [cell.execution_count for cell in code if cell.source.strip()]
    if counts == list(range(1, len(counts) + 1)):
        return []
    return [f"cells not executed in order: {counts}"]


def ignore_problems(code: list[nbformat.NotebookNode]) -> list[str]:
    """Ignored outputs must be few, and followed, at once or further down, by a cell that asserts
    what must hold.
    """
    ignored = [i for i, cell in enumerate(code) if tagged(cell, "nbval-ignore-output")]
    found = []
    if len(ignored) > MAX_IGNORED * len(code):
        found.append(
            f"{len(ignored)} of {len(code)} code cells have ignored output; at most "
            f"{MAX_IGNORED:.0%}"
        )
    for i in ignored:
        if not any(ASSERTS.search(cell.source) for cell in code[i + 1 :]):
            found.append(
                f"ignored code cell {i} ({first_line(code[i])}) has no asserting cell after it"
            )
    return found


def figure_problems(code: list[nbformat.NotebookNode]) -> list[str]:
    """Enough figures, and none with more colours than it needs."""
    data = [output.get("data", {}) for cell in code for output in cell.outputs]
    figures = [base64.b64decode(entry["image/png"]) for entry in data if "image/png" in entry]
    if len(figures) >= MIN_FIGURES:
        found = []
    else:
        found = [f"{len(figures)} PNG figures; at least {MIN_FIGURES}"]
    if many := sum(not has_at_most(MAX_COLOURS, figure) for figure in figures):
        found.append(
            f"{many} figures of more than {MAX_COLOURS} colours; `make notebooks` stores fewer"
        )
    return found


def widget_problems(notebook: nbformat.NotebookNode) -> list[str]:
    """GitHub refuses to show a notebook whose widget metadata lacks the state; JupyterLab shows an
    error instead.
    """
    widgets = notebook.metadata.get("widgets")
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = any(
        "application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in outputs
    )
    states = [entry.get("state") for entry in (widgets or {}).values()]
    if (widgets is None and not shown) or (states and all(states)):
        return []
    return ["widget metadata without state; `make notebooks` drops it"]


def tagged(cell: nbformat.NotebookNode, name: str) -> bool:
    """Whether the cell has the tag, or nbval's comment of the same meaning (# NBVAL_SKIP)."""
    comment = re.compile(rf"^\s*#+\s*{name.upper().replace('-', '_')}\s*$", re.MULTILINE)
    return has_tag(cell, name) or bool(comment.search(cell.source))


def has_error(cell: nbformat.NotebookNode) -> bool:
    return any(output.output_type == "error" for output in cell.outputs)


def visible_text(cell: nbformat.NotebookNode) -> str:
    """Source and outputs as text, without pictures, whose base64 may spell anything."""
    parts = [cell.source]
    for output in cell.get("outputs", []):
        parts += [str(output.get("text", "")), *output.get("traceback", [])]
        parts += [
            str(data)
            for kind, data in output.get("data", {}).items()
            if not kind.startswith("image/")
        ]
    return "\n".join(parts)


def first_line(cell: nbformat.NotebookNode) -> str:
    return next(iter(cell.source.splitlines()), "")


def main(paths: list[str]) -> int:
    broken = 0
    for path in map(Path, paths or sorted((ROOT / "notebooks").glob("*.ipynb"))):
        for problem in problems(path):
            print(f"{path.name}: {problem}")
            broken += 1
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
