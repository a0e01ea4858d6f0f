"""Stamp navigation, minutes, memory and the project's address from series.toml into the notebooks
and README, and the same set-up line into every notebook.

Minutes of computing are measured by `python -m dev.tools.run_series --record`; minutes of reading
are counted from the notebook's own words and lines.

`--check` only tells which files are out of date, and fails if any is.
"""

import argparse
import re
import sys
import tomllib
from pathlib import Path

import nbformat

from .setup_cell import address, badges, put_setup, setup_line

ROOT = Path(__file__).resolve().parents[2]
SERIES = ROOT / "dev" / "tools" / "series.toml"
# Of prose that has to be understood; easy prose is read at about 240 (Brysbaert 2019).
WORDS_A_MINUTE = 200
CHARACTERS_A_MINUTE = 800  # of code, read and not typed; indentation does not count


def load_series(path: Path = SERIES) -> list[dict]:
    """The notebooks in order, each with file, title, learn and, once measured, minutes, memory_mb,
    minutes_gpu.
    """
    return tomllib.loads(path.read_text(encoding="utf-8"))["notebook"]


def label(entry: dict) -> str:
    """'01 Data exploration' for the entry of 01_data_exploration."""
    return f"{entry['file'][:2]} {entry['title']}"


def cost(entry: dict) -> str:
    """Measured minutes and memory in words; empty before the first measurement."""
    if "minutes" not in entry:
        return ""
    text = f"{minutes(entry)} and {entry['memory_mb'] / 1000:.1f} GB of memory on 2 CPU cores"
    if "minutes_gpu" in entry:
        text += f"; {minutes(entry, 'minutes_gpu')} with a GPU"
    return text


def minutes(entry: dict, key: str = "minutes") -> str:
    """'2 minutes', or 'under 1 minute': coarse on purpose, machines differ."""
    value = entry[key]
    if value < 1:
        return "under 1 minute"
    return "1 minute" if round(value) == 1 else f"{round(value)} minutes"


def reading_minutes(notebook: nbformat.NotebookNode) -> int:
    """Minutes to read a notebook, its words and its lines of code, in steps of five."""
    words = 0
    characters = 0
    for cell in notebook.cells:
        text = re.sub(r"<!-- frame -->.*<!-- /frame -->", "", cell.source, flags=re.DOTALL)
        if cell.cell_type == "markdown":
            words += len(text.split())
        else:
            characters += sum(len(line.strip()) for line in text.splitlines())
    spent = words / WORDS_A_MINUTE + characters / CHARACTERS_A_MINUTE
    return max(5, 5 * round(spent / 5))


def frame(series: list[dict], i: int, reading: int = 0) -> str:
    """Navigation of notebook `i`, its minutes of reading (0: unknown) and its cost, in Markdown."""
    links = [f"**{i + 1} of {len(series)}**", "[overview](../README.md)"]
    if i > 0:
        links.insert(0, f"[← {label(series[i - 1])}]({series[i - 1]['file']}.ipynb)")
    if i + 1 < len(series):
        links.append(f"[{label(series[i + 1])} →]({series[i + 1]['file']}.ipynb)")
    lines = [" · ".join(links)]
    if reading:
        lines.append(f"Reading takes about {reading} minutes, exercises not counted.")
    if measured := cost(series[i]):
        lines.append(f"Running takes {measured}, measured on the phantom cohort.")
    return "\n\n".join(lines)


def table(series: list[dict], reading: dict[str, int]) -> str:
    """The series as a Markdown table for README; `reading` maps files to minutes of reading."""
    rows = ["| Notebook | What you learn | Minutes to read | Minutes to run |", "|---|---|---|---|"]
    for entry in series:
        if "minutes" in entry:
            spent = minutes(entry).removesuffix("s").removesuffix(" minute")
        else:
            spent = ""
        read = reading.get(entry["file"], "")
        rows.append(
            f"| [{label(entry)}](notebooks/{entry['file']}.ipynb) | {entry['learn']} | {read} | "
            f"{spent} |"
        )
    return "\n".join(rows)


def stamp(text: str, name: str, content: str) -> str:
    """`text` with `content` between the markers `<!-- name -->` and `<!-- /name -->`; ValueError
    without them.
    """
    pattern = re.compile(rf"(<!-- {name} -->).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"no <!-- {name} --> ... <!-- /{name} --> to fill")
    return pattern.sub(lambda found: f"{found[1]}\n{content}\n{found[2]}", text, count=1)


def stamp_badges(text: str, content: str) -> str:
    """`text` with the badges under its first line; without badges it needs no markers."""
    if content and "<!-- badges -->" not in text:
        title, _, rest = text.partition("\n")
        text = f"{title}\n\n<!-- badges -->\n<!-- /badges -->\n{rest}"
    return stamp(text, "badges", content) if "<!-- badges -->" in text else text


def tag(root: Path = ROOT) -> str:
    """The git tag of this version, such as v0.1.0."""
    return (
        "v"
        + tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    )


def stamp_notebook(path: Path, content: str, version: tuple[str, str] = ("", "")) -> str:
    """The notebook's file text with frame and badges of its first Markdown cell, and the set-up
    line, renewed.

    `version` is the repository and its tag.
    """
    notebook = nbformat.read(path, as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "markdown")
    first.source = stamp_badges(stamp(first.source, "frame", content), badges(*version, path.name))
    put_setup(notebook, setup_line(address(*version)))
    return nbformat.writes(notebook) + "\n"


def stamped(root: Path = ROOT) -> dict[Path, str]:
    """What every stamped file should hold: path -> text. Notebooks not yet written are left out."""
    file = root / "dev" / "tools" / "series.toml"
    series = load_series(file)
    repository = tomllib.loads(file.read_text(encoding="utf-8")).get("repository", "")
    version = (repository, tag(root)) if repository else ("", "")
    readme = root / "README.md"
    texts = {}
    reading = {}
    for i, entry in enumerate(series):
        path = root / "notebooks" / f"{entry['file']}.ipynb"
        if path.exists():
            reading[entry["file"]] = reading_minutes(nbformat.read(path, as_version=4))
            texts[path] = stamp_notebook(path, frame(series, i, reading[entry["file"]]), version)
    text = stamp(readme.read_text(encoding="utf-8"), "series", table(series, reading))
    texts[readme] = stamp_badges(text, badges(*version, f"{series[0]['file']}.ipynb"))
    return texts


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail if a file is out of date"
    )
    check = parser.parse_args(arguments).check
    stale = {
        path: text
        for path, text in stamped(root).items()
        if path.read_text(encoding="utf-8") != text
    }
    for path, text in stale.items():
        print(
            f"{path.relative_to(root)}: {'out of date; run `make stamp`' if check else 'stamped'}"
        )
        if not check:
            path.write_text(text, encoding="utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
