"""What makes a notebook run where only its file is at hand: the one set-up line, and the badges
that open it there.

The line is the first code cell of every published notebook, tagged `setup-colab`. On Google Colab,
and only there, it installs lggseg at a fixed tag, and nothing else: Colab has what lggseg needs,
and torch, numpy and ipywidgets stay. Before the project is published there is nothing to install
from, and no such cell. `dev/tools/stamp.py` keeps it and the badges the same in all notebooks;
`dev/tools/publish.py` gives them the address.
"""

import nbformat

TAG = "setup-colab"
SETUP_LINE = (
    'if "google.colab" in str(get_ipython()): '
    'get_ipython().run_line_magic("pip", "install -q --no-deps {source}")'
)


def has_tag(cell: nbformat.NotebookNode, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


def setup_line(source: str = "") -> str:
    """Source of the cell that installs lggseg from pip's `source`; empty without one."""
    return SETUP_LINE.format(source=source) if source else ""


def address(repository: str, tag: str) -> str:
    """What pip takes 'owner/name' at a tag from; empty without a repository."""
    return f"git+https://github.com/{repository}@{tag}" if repository else ""


def badges(repository: str, tag: str, notebook: str) -> str:
    """Markdown of the badges that open notebooks/<notebook> on Colab and on Binder; empty without a
    repository.
    """
    if not repository:
        return ""
    return (
        f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com"
        f"/github/{repository}/blob/{tag}/notebooks/{notebook}) "
        f"[![Open on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/{repository}/{tag}"
        f"?labpath=notebooks%2F{notebook})"
    )


def put_setup(notebook: nbformat.NotebookNode, source: str) -> None:
    """Make `source` the notebook's set-up cell; a new one goes before the first code cell, and
    without source there is none.

    Off Colab the cell does nothing and prints nothing, so in a notebook that was run the new cell
    counts as run: the numbers of all cells are those a new run would give.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    was_run = bool(code) and all(cell.execution_count for cell in code)
    old = [cell for cell in code if has_tag(cell, TAG)]
    if old and source:
        old[0].source = source
    elif old:
        notebook.cells.remove(old[0])
    elif source:
        cell = nbformat.v4.new_code_cell(source, id=TAG, metadata={"tags": [TAG]})
        notebook.cells.insert(notebook.cells.index(code[0]) if code else len(notebook.cells), cell)
    if was_run:
        renumber(notebook)


def renumber(notebook: nbformat.NotebookNode) -> None:
    """Number the code cells, and the results they show, 1, 2, 3, ..."""
    for number, cell in enumerate(
        (cell for cell in notebook.cells if cell.cell_type == "code"), start=1
    ):
        cell.execution_count = number
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number
