"""Who trains and who is judged in each fold of a cross-validation, and what a run's folder says of it.

A run is a folder with run.json (settings and folds) and one folder per fold: `fold0`, `fold1`, ...
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lggseg import LggError, fold_patients
from lggseg.data.splits import stratified_order
from lggseg.files import atomic_write


@dataclass(frozen=True)
class Fold:
    """Patients to train on, and patients to judge by the network that never saw them."""

    train: list[str]
    held_out: list[str]

    def fewer(self, n: int) -> "Fold":
        """The same with `n` training patients: every site in proportion, and 10 are among the 20."""
        if not 0 <= n <= len(self.train):
            raise LggError(f"{n} training patients; a fold has {len(self.train)}: ask for 0 to {len(self.train)}")
        return Fold(sorted(stratified_order(self.train, np.random.default_rng(0))[:n]), self.held_out)


def k_folds(patients: Iterable[str], folds: int) -> list[Fold]:
    """Every patient held out once, every site in proportion."""
    return [hold_out(patients, held_out) for held_out in fold_patients(patients, folds)]


def sites_left_out(patients: Iterable[str], sites: Iterable[str]) -> list[Fold]:
    """One fold per hospital: does a network travel to one it has never seen?"""
    patients_of = {site: [patient for patient in patients if patient.split("_")[1] == site] for site in sites}
    for site, theirs in patients_of.items():
        if not theirs:
            known = sorted({patient.split("_")[1] for patient in patients})
            raise LggError(f"no patient is from the site {site!r}; there are {', '.join(known)}")
    return [hold_out(patients, theirs) for theirs in patients_of.values()]


def hold_out(patients: Iterable[str], held_out: list[str]) -> Fold:
    """The fold that trains on all others."""
    return Fold([patient for patient in patients if patient not in set(held_out)], held_out)


@dataclass(frozen=True)
class Run:
    """A cross-validation in the folder `out`: its settings, as TrainConfig calls them, and its folds."""

    out: Path
    settings: dict[str, Any]
    folds: list[Fold]

    def place(self, k: int) -> Path:
        """Folder of fold `k`; LggError where there is no such fold."""
        if not 0 <= k < len(self.folds):
            raise LggError(f"fold {k}: {self.out} has {len(self.folds)}, numbered from 0 to {len(self.folds) - 1}")
        return self.out / f"fold{k}"

    def network(self, k: int) -> Path:
        """Where the network of fold `k` lies, once it is trained."""
        return self.place(k) / "last.pt"

    def maps(self, k: int) -> Path:
        """Where the probability maps of the patients of fold `k` lie; they are written last of all."""
        return self.place(k) / "maps.npz"

    def done(self) -> list[int]:
        """The folds that are finished."""
        return [k for k in range(len(self.folds)) if self.maps(k).exists()]

    def claim(self) -> None:
        """Write run.json; LggError where the folder holds a run with other settings or patients."""
        if self.path.exists():
            there = read_run(self.out)
            changed = [name for name in {**self.settings, **there.settings}
                       if self.settings.get(name) != there.settings.get(name)]
            changed += ["patients or folds"] * (self.folds != there.folds)
            if changed:
                raise LggError(f"{self.out} holds a run with other {', '.join(changed)}; choose another --out, or "
                               "delete this folder to start again")
            return
        with atomic_write(self.path) as part:
            stored = {"settings": self.settings, "folds": [asdict(fold) for fold in self.folds]}
            part.write_text(json.dumps(stored, indent=1), encoding="utf-8")

    @property
    def path(self) -> Path:
        """The file that describes the run."""
        return self.out / "run.json"


def read_run(out: Path | str) -> Run:
    """The run in a folder; LggError where there is none."""
    out = Path(out)
    try:
        stored = json.loads((out / "run.json").read_text(encoding="utf-8"))
        return Run(out, stored["settings"], [Fold(**fold) for fold in stored["folds"]])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise LggError(f"{out} holds no cross-validation ({error}); make one with "
                       f"`python -m experiments.crossval --out {out}`") from error
