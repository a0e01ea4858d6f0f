"""Build the page in which the network runs: python -m dev.tools.try_page OUT [--serve].

Node bundles the scripts of web/; the package writes the networks as ONNX and draws the phantoms.
"""

import contextlib
import functools
import http.server
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from lggseg import load_pretrained
from lggseg.export import INDEX, export_segmenter
from lggseg.measures import trust
from lggseg.phantom.patient import Patient
from lggseg.phantom.scanning import draw_slices
from lggseg.phantom.table import plan_cohort
from lggseg.prepare.head_finder import find_head

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "web"
NODE = 18  # the oldest version that the bundler runs on
COHORT_SEED = 25  # no network of the package has seen these phantoms
PHANTOMS = {
    "DU_P008": "large and clear",
    "DU_P004": "small",
    "DU_P007": "faint",
    "HT_P012": "grey air before contrast",
    "DU_P003": "FLAIR alone",
}
MOST_SLICES = 7  # of a phantom: noise does not compress, and the page is to stay small
NETWORKS = {
    "phantom": (
        16,
        "for phantoms",
        "Learned from phantoms: right for the phantoms of this page, and not for people.",
    ),
    "kaggle": (
        8,
        "for people",
        "Learned from real patients; its weights are under CC BY-NC-SA 4.0, for non-commercial "
        "use. Not a medical device.",
    ),
}


# Of `lggseg.measures.trust`: where a warning begins.
LIMITS = ("LARGE", "DISAGREE", "AT_THE_RIM", "SCATTERED", "BROKEN", "POOR")


class PageError(Exception):
    """The page cannot be built here, and why."""


def missing_tool() -> str | None:
    """What this machine lacks to bundle the page, in words; None where it lacks nothing."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed (Node {NODE} or newer brings both)"
    version = subprocess.run(
        ["node", "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    major = int(version.removeprefix("v").split(".")[0])
    if major < NODE:
        return f"node is {version}, and the page needs {NODE} or newer"
    return None


def build(out: Path) -> None:
    """Write the whole page into the folder `out`, from where any web server can serve it.

    Raises PageError where Node or one of its packages cannot be had.
    """
    if lacking := missing_tool():
        raise PageError(lacking)
    lock = (WEB / "package-lock.json").read_bytes()
    installed = WEB / "node_modules" / ".lggseg-lock"
    if not installed.is_file() or installed.read_bytes() != lock:
        result = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=WEB)
        if result.returncode:
            raise PageError(
                "npm ci did not get the packages of web/package-lock.json; is there a network?"
            )
        installed.write_bytes(lock)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    subprocess.run(["node", "build.mjs", str(out.resolve())], cwd=WEB, check=True)
    write_networks(out)
    write_trust(out)
    write_phantoms(out)


def write_networks(out: Path) -> None:
    """The package's networks as ONNX, and what the page must know of them."""
    entries = []
    for name, (bits, title, note) in NETWORKS.items():
        entry = export_segmenter(load_pretrained(name), name, out, bits)
        entries.append(entry | {"title": title, "note": note})
    (out / INDEX).write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")


def write_trust(out: Path) -> None:
    """The tables and limits by which the package's `measures.trust` judges a mask."""
    tables: dict[str, dict] = {"limits": {name: getattr(trust, name) for name in LIMITS}}
    for kind in (trust.SEVERAL, trust.ONE):
        model = trust.published_model(kind)
        tables[kind] = {
            "weights": model.weights.reset_index().to_dict("records"),
            "levels": model.levels.to_dict("records"),
        }
    (out / "trust.json").write_text(json.dumps(tables, indent=1) + "\n", encoding="utf-8")


def write_phantoms(out: Path) -> None:
    """Phantoms as pictures, slices one below the other, and the masks that they were drawn with."""
    plan, _ = plan_cohort(12, COHORT_SEED)
    patients = {patient.folder[len("TCGA_") : -len("_20000101")]: patient for patient in plan}
    entries = []
    for number, (name, title) in enumerate(PHANTOMS.items(), start=1):
        image, mask = around_tumour(patients[name])
        files = {"file": f"phantom-{number}.png", "truth": f"phantom-{number}-truth.png"}
        (out / files["file"]).write_bytes(tall_png(image))
        (out / files["truth"]).write_bytes(tall_png(255 * mask.astype(np.uint8)))
        entries.append({"name": f"phantom {number}", "title": title, "depth": len(image)} | files)
    (out / "phantoms.json").write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")


def around_tumour(patient: Patient) -> tuple[np.ndarray, np.ndarray]:
    """Slices of a phantom around its tumour, uint8 (D,H,W,3), and their mask, cut to the head."""
    slices = list(draw_slices(patient))
    image = np.stack([picture for picture, _ in slices])
    mask = np.stack([truth for _, truth in slices]) > 0
    with_tumour = np.flatnonzero(mask.any(axis=(1, 2)))
    middle = int(with_tumour.mean().round())
    depth = min(MOST_SLICES, len(with_tumour) + 4)
    first = max(0, middle - depth // 2)
    last = min(len(image), first + depth)
    top, left, side = find_head(image).box
    rows = slice(max(0, top), top + side)
    columns = slice(max(0, left), left + side)
    return image[first:last, rows, columns], mask[first:last, rows, columns]


def tall_png(slices: np.ndarray) -> bytes:
    """Slices (D,H,W) or (D,H,W,3) as one PNG of D times the height."""
    buffer = io.BytesIO()
    tall = np.ascontiguousarray(slices).reshape(-1, *slices.shape[2:])
    Image.fromarray(tall).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def main() -> int:
    if len(sys.argv) not in (2, 3):
        print(__doc__)
        return 2
    out = Path(sys.argv[1])
    try:
        build(out)
    except PageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    size = sum(file.stat().st_size for file in out.iterdir())
    print(f"{out}: {size / 1e6:.1f} MB")
    if "--serve" in sys.argv:
        serve(out)
    return 0


def serve(folder: Path) -> None:
    """Serve the page on this machine alone, until Ctrl-C."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 8000), handler) as server:
        print("http://127.0.0.1:8000/  (Ctrl-C ends it)")
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
