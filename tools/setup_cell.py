"""What makes a notebook run where only its file is at hand: the guarded set-up cell, and the badges that open it there.

The cell is the first code cell of every notebook, tagged `setup-colab`. On Google Colab, and only there,
it installs lggseg at a fixed tag with --no-deps, and those small requirements that Colab lacks;
torch, numpy and ipywidgets stay as Colab has them. `tools/frame.py` keeps it and the badges the same in all
notebooks; `tools/publish.py` gives them the repository's address. LGGSEG_SOURCE overrides the address.
"""

import nbformat

TAG = "setup-colab"
SETUP_CELL = '''\
# On Google Colab only: install lggseg, and what Colab lacks of its needs. Anywhere else this cell does nothing.
import importlib.util
import os
import subprocess
import sys

source = os.environ.get("LGGSEG_SOURCE", "{source}")
on_colab = importlib.util.find_spec("google") and importlib.util.find_spec("google.colab")
if on_colab and not importlib.util.find_spec("lggseg"):
    if not source:
        raise RuntimeError("this copy of the notebook does not know where to get lggseg from: take it from the "
                           "published project, or set os.environ['LGGSEG_SOURCE'] to the project's folder or address")
    small = {{"skimage": "scikit-image", "statsmodels": "statsmodels", "patsy": "patsy", "seaborn": "seaborn",
             "kagglehub": "kagglehub", "tqdm": "tqdm"}}
    lacking = [package for module, package in small.items() if not importlib.util.find_spec(module)]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", source, *lacking], check=True)
    importlib.invalidate_caches()'''


def setup_cell(repository: str = "", tag: str = "") -> str:
    """Source of the cell for 'owner/name' at a tag; without a repository it can only say what is missing."""
    return SETUP_CELL.format(source=f"git+https://github.com/{repository}@{tag}" if repository else "")


def badges(repository: str, tag: str, notebook: str) -> str:
    """Markdown of the badges that open notebooks/<notebook> on Colab and on Binder; empty without a repository."""
    if not repository:
        return ""
    return (f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com"
            f"/github/{repository}/blob/{tag}/notebooks/{notebook}) "
            f"[![Open on Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/{repository}/{tag}"
            f"?labpath=notebooks%2F{notebook})")


def put_setup(notebook: nbformat.NotebookNode, source: str) -> None:
    """Make `source` the notebook's set-up cell; a new one goes before the first code cell.

    Off Colab the cell does nothing and prints nothing, so in a notebook that was run the new cell
    counts as run: the numbers of all cells are those a new run would give.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code:
        if TAG in cell.metadata.get("tags", []):
            cell.source = source
            return
    cell = nbformat.v4.new_code_cell(source, id=TAG, metadata={"tags": [TAG]})
    notebook.cells.insert(notebook.cells.index(code[0]) if code else len(notebook.cells), cell)
    if code and all(cell.execution_count for cell in code):
        renumber(notebook)


def renumber(notebook: nbformat.NotebookNode) -> None:
    """Number the code cells, and the results they show, 1, 2, 3, ..."""
    for number, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1):
        cell.execution_count = number
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number
