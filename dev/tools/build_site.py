"""Build the site into build/site: `make site`. Needs the extra `docs`.

The pages are the repository's own Markdown files and notebooks, put together in build/site-source;
the living viewers come from a run of the notebooks that have some, always on phantoms.
"""

import os
import re
import shutil
import sys
from pathlib import Path

import nbformat

from lggseg.files import atomic_write

from .check_pages import main as check
from .reference import errors_page, reference_page
from .run_series import run_notebook, settle_environment
from .setup_cell import TAG, has_tag
from .stamp import ROOT, label, load_series
from .static_viewers import for_reading, has_viewer, is_viewer_frame
from .try_page import PageError
from .try_page import build as build_try_page

BUILD = ROOT / "build"
SOURCE = BUILD / "site-source"
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "web/README.md",
    "docs/glossary.md",
    "docs/reliability.md",
    "docs/cluster.md",
    "dev/benchmarks/README.md",
    "experiments/README.md",
    "lggseg/published/README.md",
    "lggseg/weights/README.md",
]
# In docs/try.md: the place of the page in which the network runs.
TRY_MARK = "<!-- web/page.html -->"
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")  # to a file, in Markdown


def collect_sources() -> None:
    """All sources of the site in one folder, each where it lies in the repository, and what they
    link to.
    """
    shutil.rmtree(SOURCE, ignore_errors=True)
    index = (
        (ROOT / "docs" / "index.md")
        .read_text(encoding="utf-8")
        .replace("@series@", series_rows(load_series()))
    )
    write_source("index.md", copy_linked_files(index, ROOT))
    for page in PAGES:
        write_source(
            page, copy_linked_files((ROOT / page).read_text(encoding="utf-8"), (ROOT / page).parent)
        )
    for entry in load_series():
        path = ROOT / "notebooks" / f"{entry['file']}.ipynb"
        write_source(f"notebooks/{path.name}", nbformat.writes(notebook_page(path, entry)))
    write_source("docs/try.md", try_page())
    write_source("errors.md", errors_page())
    write_source("reference/index.md", reference_page())


def try_page() -> str:
    """The page in which the network runs; where it cannot be built, what is missing."""
    text = copy_linked_files((ROOT / "docs" / "try.md").read_text(encoding="utf-8"), ROOT / "docs")
    try:
        build_try_page(BUILD / "try")
    except PageError as error:
        print(f"site: without the page in which the network runs: {error}")
        shutil.rmtree(BUILD / "try", ignore_errors=True)
        missing = (
            "This copy of the site was built where a tool for the page was missing, "
            "so the network does not run here."
        )
        return text.replace(TRY_MARK, missing)
    page = (BUILD / "try" / "page.html").read_text(encoding="utf-8")
    start = (
        '<link rel="stylesheet" href="try/style.css">\n'
        '<script type="module" src="try/app.js"></script>\n'
    )
    return text.replace(TRY_MARK, f"``````{{raw}} html\n{start}{page}``````")


def series_rows(series: list[dict]) -> str:
    """A line of a Markdown table for each notebook."""
    return "\n".join(
        f"| [{label(entry)}](/notebooks/{entry['file']}.ipynb) | {entry['learn']} |"
        for entry in series
    )


def write_source(name: str, text: str) -> None:
    (SOURCE / name).parent.mkdir(parents=True, exist_ok=True)
    (SOURCE / name).write_text(text, encoding="utf-8")


def copy_linked_files(text: str, folder: Path) -> str:
    """Markdown whose linked files are copied, so that they can be had on the site; a folder means
    its README.
    """

    def target(found: re.Match) -> str:
        path = ROOT / found[1].lstrip("/") if found[1].startswith("/") else folder / found[1]
        if path.is_dir():
            return found[1].rstrip("/") + "/README.md"
        if path.is_file() and path.suffix not in (".md", ".ipynb"):
            copy = SOURCE / path.resolve().relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
        return found[1]

    return LINK.sub(target, text)


def notebook_page(path: Path, entry: dict) -> nbformat.NotebookNode:
    """A notebook with its stored outputs, its viewers living, and without the set-up line for
    Colab.
    """
    notebook = nbformat.read(path, as_version=4)
    viewers = [cell for cell in notebook.cells if has_viewer(cell)]
    if viewers:
        run = nbformat.read(executed(path, entry), as_version=4)
        for cell, ran in zip(viewers, filter(has_viewer, run.cells), strict=True):
            cell.outputs += filter(is_viewer_frame, ran.outputs)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = copy_linked_files(cell.source, path.parent)
    notebook.cells = [cell for cell in notebook.cells if not has_tag(cell, TAG)]
    return for_reading(notebook)


def executed(path: Path, entry: dict) -> Path:
    """A run of the notebook on phantoms, made anew if it or the package has changed since the last
    one.
    """
    target = BUILD / "site-runs" / path.name
    package = [
        file for file in (ROOT / "lggseg").rglob("*") if file.is_file() and file.suffix != ".pyc"
    ]
    newest = max(file.stat().st_mtime for file in (path, *package))
    if not target.exists() or target.stat().st_mtime < newest:
        with atomic_write(target) as part:
            run_notebook(path, part, entry)
    return target


def main() -> int:
    os.environ["LGGSEG_DATA"] = (
        "phantom"  # no picture of a patient on a site, whatever data is at hand
    )
    settle_environment()
    collect_sources()
    shutil.rmtree(BUILD / "site", ignore_errors=True)
    from sphinx.cmd.build import main as sphinx  # here, so that tests of the rest need no Sphinx

    code = sphinx(
        [
            "-W",
            "--keep-going",
            "-q",
            "-E",
            "-c",
            str(ROOT / "docs"),
            "-d",
            str(BUILD / "site-doctrees"),
            str(SOURCE),
            str(BUILD / "site"),
        ]
    )
    if (BUILD / "try").is_dir():
        leave_out = shutil.ignore_patterns("index.html", "page.html")
        shutil.copytree(BUILD / "try", BUILD / "site" / "docs" / "try", ignore=leave_out)
    code = code or check([str(BUILD / "site")])
    if code == 0:
        print("site: build/site/index.html")
    return code


if __name__ == "__main__":
    sys.exit(main())
