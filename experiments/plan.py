"""Who trains and who is judged in each fold of a cross-validation, and what a run's folder holds.

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
        """The same fold with `n` training patients, every site in proportion.

        The patients of a smaller `n` are among those of a larger one.
        """
        if not 0 <= n <= len(self.train):
            raise LggError(
                f"{n} training patients; a fold has {len(self.train)}: ask for 0 to "
                f"{len(self.train)}"
            )
        order = stratified_order(self.train, np.random.default_rng(0))
        return Fold(sorted(order[:n]), self.held_out)


def k_folds(patients: Iterable[str], folds: int) -> list[Fold]:
    """Folds in which every patient is held out once, every site in proportion."""
    return [hold_out(patients, held_out) for held_out in fold_patients(patients, folds)]


def sites_left_out(patients: Iterable[str], sites: Iterable[str]) -> list[Fold]:
    """One fold per hospital: does a network travel to one that it has never seen?

    Raises LggError where no patient is from one of the `sites`.
    """
    folds = []
    for site in sites:
        from_there = [patient for patient in patients if site_of(patient) == site]
        if not from_there:
            known = sorted({site_of(patient) for patient in patients})
            raise LggError(f"no patient is from the site {site!r}; there are {', '.join(known)}")
        folds.append(hold_out(patients, from_there))
    return folds


def site_of(patient: str) -> str:
    """The hospital, which is the second part of a patient's id.

    >>> site_of("TCGA_CS_4941")
    'CS'
    """
    return patient.split("_")[1]


def hold_out(patients: Iterable[str], held_out: list[str]) -> Fold:
    """The fold that trains on all others."""
    train = [patient for patient in patients if patient not in held_out]
    return Fold(train, held_out)


@dataclass(frozen=True)
class Run:
    """A cross-validation in a folder.

    Attributes
    ----------
    out : the folder
    settings : as TrainConfig calls them
    folds : who trains and who is judged
    """

    out: Path
    settings: dict[str, Any]
    folds: list[Fold]

    @property
    def description(self) -> Path:
        """The file that describes the run."""
        return self.out / "run.json"

    def folder(self, k: int) -> Path:
        """Folder of fold `k`; LggError where there is no such fold."""
        if not 0 <= k < len(self.folds):
            raise LggError(
                f"fold {k}: {self.out} has {len(self.folds)}, numbered from 0 to "
                f"{len(self.folds) - 1}"
            )
        return self.out / f"fold{k}"

    def network(self, k: int) -> Path:
        """File of the network of fold `k`, once it is trained."""
        return self.folder(k) / "last.pt"

    def maps(self, k: int) -> Path:
        """File of the probability maps of the patients of fold `k`; it is written last of all."""
        return self.folder(k) / "maps.npz"

    def done(self) -> list[int]:
        """The folds that are finished."""
        return [k for k in range(len(self.folds)) if self.maps(k).exists()]

    def claim(self) -> None:
        """Write run.json, or check that the one in the folder describes this very run.

        Raises
        ------
        LggError
            where the folder holds a run with other settings, patients or folds
        """
        if not self.description.exists():
            content = {"settings": self.settings, "folds": [asdict(fold) for fold in self.folds]}
            with atomic_write(self.description) as part:
                part.write_text(json.dumps(content, indent=1), encoding="utf-8")
            return

        present = read_run(self.out)
        names = [*self.settings, *(name for name in present.settings if name not in self.settings)]
        changed = [name for name in names if self.settings.get(name) != present.settings.get(name)]
        if self.folds != present.folds:
            changed.append("patients or folds")
        if changed:
            raise LggError(
                f"{self.out} holds a run with other {', '.join(changed)}; choose another --out, or "
                "delete this folder to start again"
            )


def read_run(out: Path | str) -> Run:
    """The run in a folder; LggError where there is none."""
    out = Path(out)
    try:
        content = json.loads((out / "run.json").read_text(encoding="utf-8"))
        folds = [Fold(**fold) for fold in content["folds"]]
        return Run(out, content["settings"], folds)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise LggError(
            f"{out} holds no cross-validation ({error}); make one with "
            f"`python -m experiments.crossval --out {out}`"
        ) from error
