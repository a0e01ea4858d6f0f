"""What the choices made after training are worth, judged out of fold on every patient.

    python tools/inference.py build/crossval

Each fold's network predicts the patients it never saw, as shipped and with one thing changed. Writes
results/inference.csv (Dice per patient and run) and prints the table of tools/screen.py: mean, median, and the mean
difference from `shipped` with a 95 % interval by bootstrap over patients; seconds are those of the prediction.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from screen import ROOT, table
from torch import nn

from lggseg import dice, load_checkpoint, open_cohort, segment_volume
from lggseg.data import Cohort, fold_patients

RESULTS = ROOT / "results" / "inference.csv"
RUNS = {
    "shipped": {},
    "no_mirror": {"flip": False},
    "keep_all": {"keep": 0.0},
    "keep_strongest": {"keep": 1.0},
    "threshold_0.5": {"threshold": 0.5},
    "size_128": {"size": 128},
    "size_160": {"size": 160},
    "size_224": {"size": 224},
    "last_step": {},  # the weights of the very last step in place of their moving average
}


def members(out: Path, name: str) -> list[nn.Module]:
    """The folds' networks as run `name` changes them."""
    found = list(load_checkpoint(out / "ensemble.pt").members)
    for fold, member in enumerate(found):
        member.recipe = replace(member.recipe, **RUNS[name])
        if name == "last_step":
            state = torch.load(out / f"fold{fold}" / "resume.pt", map_location="cpu", weights_only=True)
            member.load_state_dict(state["model"])
    return found


def judge(name: str, cohort: Cohort, out: Path) -> pd.DataFrame:
    """Dice of every patient by the network that never saw it."""
    networks, start, rows = members(out, name), time.perf_counter(), {}
    for network, patients in zip(networks, fold_patients(cohort.patients, len(networks)), strict=True):
        for volume in map(cohort.volume, patients):
            rows[volume.patient] = dice(segment_volume(network, volume.image), volume.mask)
    scores = pd.DataFrame({"dice": rows}).rename_axis("patient")
    return scores.assign(run=name, seconds=round(time.perf_counter() - start))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", help="folder of a finished cross-validation; none: only print")
    parser.add_argument("--data", help="cohort folder; see lggseg.open_cohort")
    args = parser.parse_args()
    if args.out:
        cohort = open_cohort(args.data)
        pd.concat(judge(name, cohort, args.out) for name in RUNS).round(4).to_csv(RESULTS)
    print(table(pd.read_csv(RESULTS, index_col="patient"), "shipped", "seconds").round(3).to_string())


if __name__ == "__main__":
    main()
