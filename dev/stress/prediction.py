"""Predictions killed: every file found is whole, the list says if all are there, and the next run
clears up.
"""

import io
import json
import tempfile
from contextlib import redirect_stderr
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lggseg.model.segmenter import Segmenter
from lggseg.predict import main
from lggseg.prepare.network_grid import GridSpec
from lggseg.scans.read import RESULTS
from lggseg.scans.write import PART
from lggseg.unet import UNet

from .cohorts import files
from .killing import kill_again_and_again, run
from .report import Clock, Row

SLICES = 12


def predict(scan: Path, out: Path, weights: Path) -> None:
    """The command on one scan, without its warnings: the scans are noise."""
    torch.set_num_threads(1)
    options = ["--out", str(out), "--overwrite", "--weights", str(weights), "--device", "cpu"]
    with redirect_stderr(io.StringIO()):
        main([str(scan), *options])


def write_scan(folder: Path, seed: int) -> None:
    """Slices of noise in a box; the second scan has fewer slices, so that some results of the first
    must go.
    """
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for k in range(1, SLICES - 4 * seed + 1):
        pixels = np.zeros((64, 72, 3), np.uint8)
        pixels[10:54, 10:62] = rng.integers(100, 256, (44, 52, 3))
        Image.fromarray(pixels).save(folder / f"s_{k}.png")


class Predictions:
    """Two scans, predicted in turns into one folder."""

    def __init__(self, place: Path):
        torch.manual_seed(0)
        self.out = place / "out"
        self.turn = 0
        self.weights = Segmenter(
            UNet(features=4, depth=2), GridSpec(32, block=1, threshold=0.0)
        ).save(place / "net.pt")
        self.scans = [place / "scan_0", place / "scan_1"]
        self.truth = []
        for seed, scan in enumerate(self.scans):
            write_scan(scan, seed)
            run(predict, (scan, place / f"unkilled_{seed}", self.weights))
            self.truth.append(files(place / f"unkilled_{seed}"))

    def job(self):
        self.turn = 1 - self.turn
        return predict, (self.scans[self.turn], self.out, self.weights)

    def killed(self) -> str | None:
        """Each file must be a whole one of either scan, and the list complete only where all files
        are there.
        """
        found = files(self.out) if self.out.exists() else {}
        odd = [
            name
            for name, content in found.items()
            if name not in (RESULTS, PART)
            and content not in (self.truth[0].get(name), self.truth[1].get(name))
        ]
        if odd:
            return f"prediction: {odd[0]} is not whole"
        if RESULTS in found and json.loads((self.out / RESULTS).read_text())["complete"]:
            found.pop(PART, None)
            if found not in self.truth:
                return "prediction: called complete, and is not"

    def completed(self) -> str | None:
        if files(self.out) != self.truth[self.turn]:
            return "prediction: after kills, the results are not those of an unkilled run"


def predictions(clock: Clock) -> Row:
    """Kills of a prediction."""
    with tempfile.TemporaryDirectory() as place:
        return kill_again_and_again("prediction, killed", Predictions(Path(place)), 30, clock)
