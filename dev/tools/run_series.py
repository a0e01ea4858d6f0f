"""Run the notebooks in order and write build/: one page each, an index, and a scoreboard at the
end.

`--in-place` also stores what the cells showed in the notebooks, pictures with few colours.
Reads LGGSEG_DATA and LGGSEG_CACHE as the package does. Lines printed by a cell tagged `scoreboard`
are shown in the scoreboard as they are.
"""

import argparse
import base64
import os
import re
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from tqdm.auto import tqdm

from .pages import write_index, write_page
from .palette import few_colours
from .setup_cell import has_tag
from .stamp import ROOT, SERIES, label, load_series
from .static_viewers import WIDGET, frame_viewer, is_viewer_frame


class RunError(Exception):
    """A notebook stopped: the message names notebook, cell and traceback."""


@dataclass
class Result:
    """What one run of a notebook took and showed."""

    entry: dict
    minutes: float = 0.0
    memory_mb: int = 0
    lines: list[str] = field(default_factory=list)


class Meter(threading.Thread):
    """Peak resident memory (bytes) of this process's descendants: the kernel and its workers."""

    def __init__(self, seconds: float = 0.2):
        super().__init__(daemon=True)
        self.seconds = seconds
        self.peak = 0
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.wait(self.seconds):
            self.peak = max(
                self.peak, sum(map(resident, psutil.Process().children(recursive=True)))
            )

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.join()


def resident(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:  # it ended meanwhile
        return 0


def run_notebook(source: Path, target: Path, entry: dict) -> Result:
    """Execute `source` in its own folder and write the outcome, even a failed one, to `target`."""
    notebook = nbformat.read(source, as_version=4)
    at = [0]
    started = time.monotonic()
    code = sum(cell.cell_type == "code" for cell in notebook.cells)
    with tqdm(total=code, desc=label(entry), unit="cell") as bar, Meter() as meter:
        client = NotebookClient(
            notebook,
            timeout=None,
            kernel_name="python3",
            record_timing=False,
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": str(source.parent)}},
            on_cell_start=lambda cell, cell_index: at.__setitem__(0, cell_index),
        )

        async def executed(cell, cell_index, execute_reply):
            if cell is notebook.cells[cell_index]:  # and not the question for its page
                bar.update()
                await frame_viewer(client, cell, cell_index)

        client.on_cell_executed = executed
        try:
            client.execute()
        except (CellExecutionError, DeadKernelError) as error:
            raise RunError(
                f"{source.name}, cell {at[0]}: {first_line(notebook.cells[at[0]])}\n\n{error}"
            ) from None
        finally:
            nbformat.write(notebook, target)
    return Result(
        entry, (time.monotonic() - started) / 60, meter.peak // 2**20, scoreboard_lines(notebook)
    )


def first_line(cell: nbformat.NotebookNode) -> str:
    return next(iter(cell.source.splitlines()), "")


def scoreboard_lines(notebook: nbformat.NotebookNode) -> list[str]:
    """What the cells tagged `scoreboard` printed."""
    tagged = [cell for cell in notebook.cells if has_tag(cell, "scoreboard")]
    printed = [
        output.text
        for cell in tagged
        for output in cell.get("outputs", [])
        if output.get("name") == "stdout"
    ]
    return "".join(printed).splitlines()


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop what is too large or changes from run to run: viewers' pages, widget models, timestamps,
    most colours, and where a print was cut in pieces.
    """
    for key in set(notebook.metadata) - {"kernelspec", "language_info"}:
        del notebook.metadata[key]
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = joined(
                [output for output in cell.outputs if not is_viewer_frame(output)]
            )
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            data.pop(WIDGET, None)
            if "image/png" in data:
                data["image/png"] = base64.b64encode(
                    few_colours(base64.b64decode(data["image/png"]))
                ).decode()
    return notebook


def joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """The outputs, neighbours of one stream made one: a busy machine hands them over in pieces."""
    whole = []
    for output in outputs:
        if whole and output.output_type == "stream" and output.name == whole[-1].get("name"):
            whole[-1].text += output.text
        else:
            whole.append(output)
    return whole


def scoreboard(data: str, results: list[Result]) -> str:
    """The table printed at the end: data, time and memory per notebook, and the scores they
    printed.
    """
    width = max(len(label(result.entry)) for result in results)
    rows = [f"{label(r.entry):{width}}  {r.minutes:7.1f}  {r.memory_mb:9,d}" for r in results]
    total = (
        f"{'all':{width}}  {sum(r.minutes for r in results):7.1f}  "
        f"{max(r.memory_mb for r in results):9,d}"
    )
    head = f"{'notebook':{width}}  minutes  memory MB"
    scores = [f"{r.entry['file'][:2]}: {line}" for r in results for line in r.lines]
    return "\n".join([f"data: {data}", *scores, "", head, *rows, total])


def describe_data() -> str:
    """Open the cohort once, so that drawing or packing it is not counted to the first notebook."""
    from lggseg import open_cohort

    cohort = open_cohort()
    return f"{cohort.label}, {len(cohort.slices):,} slices"


def settle_environment() -> None:
    """Make the two folders absolute: the notebooks run in a folder of their own."""
    for name in ("LGGSEG_DATA", "LGGSEG_CACHE"):
        value = os.environ.get(name)
        if value and value != "phantom":
            os.environ[name] = str(Path(value).expanduser().resolve())


def record(results: list[Result], path: Path = SERIES) -> None:
    """Write minutes and memory_mb into series.toml, leaving the rest of the file as it is."""
    text = path.read_text(encoding="utf-8")
    for result in results:
        block = re.search(
            rf'\[\[notebook\]\]\nfile = "{result.entry["file"]}"\n(?:\w+ = .*\n?)*', text
        )[0]
        kept = [
            line
            for line in block.rstrip("\n").split("\n")
            if not line.startswith(("minutes =", "memory_mb ="))
        ]
        kept += [f"minutes = {result.minutes:.1f}", f"memory_mb = {result.memory_mb}"]
        text = text.replace(block, "\n".join(kept) + "\n")
    path.write_text(text, encoding="utf-8")


def run_series(options: argparse.Namespace, root: Path = ROOT) -> None:
    """Run what `options` ask for; RunError at the first notebook that fails."""
    folder = root / "notebooks"
    build = root / "build"
    results = []
    build.mkdir(exist_ok=True)
    listed = load_series(root / "dev" / "tools" / "series.toml")
    series = [entry for entry in listed if (folder / f"{entry['file']}.ipynb").exists()]
    data = describe_data()
    for entry in series:
        if not entry["file"].startswith(tuple(options.only)):
            continue
        source = folder / f"{entry['file']}.ipynb"
        target = build / f"{entry['file']}.ipynb"
        results.append(run_notebook(source, target, entry))
        write_page(target)
        if options.in_place:
            nbformat.write(clean(nbformat.read(target, as_version=4)), source)
    board = scoreboard(data, results)
    write_index(build, board, [result.entry for result in results])
    print(f"\n{board}\n\npages: {build.name}/index.html")
    if options.record:
        record(results, root / "dev" / "tools" / "series.toml")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "only",
        nargs="*",
        default=[""],
        help="beginnings of notebook names, such as 04 05; else all",
    )
    parser.add_argument(
        "--in-place", action="store_true", help="also store the outputs in notebooks/"
    )
    parser.add_argument(
        "--record", action="store_true", help="write minutes and memory into dev/tools/series.toml"
    )
    options = parser.parse_args(arguments)
    settle_environment()
    try:
        run_series(options)
    except RunError as error:
        print(f"\nStopped at {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
