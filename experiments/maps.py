"""Probability maps of the held-out patients of a fold, stored as bytes for later study.

A file lists who trained the networks that made its maps. A map by a network that saw the patient is
neither written nor read.
"""

import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from lggseg import Cohort, LggError, Segmenter
from lggseg.files import atomic_write

from .plan import Run

TRAINED_ON = "trained on"  # the entry that lists the training patients; no patient is called so


def to_bytes(probability: np.ndarray) -> np.ndarray:
    """Probabilities 0..1 as uint8: 255 is 1."""
    return np.rint(255 * probability).astype(np.uint8)


def from_bytes(stored: np.ndarray) -> np.ndarray:
    """The inverse of `to_bytes`, float32, within 1/510."""
    return stored.astype(np.float32) / 255


def predict_maps(segmenter: Segmenter, cohort: Cohort, patients: Iterable[str], path: Path) -> None:
    """Write the maps of these patients; LggError if the network was trained on one of them."""
    maps = {}
    for patient in patients:
        probability = segmenter.probability(cohort.volume(patient).image)
        maps[patient] = to_bytes(probability)
    write_maps(maps, segmenter.training_patients, path)


def write_maps(maps: dict[str, np.ndarray], trained_on: Iterable[str], path: Path) -> None:
    """Store maps uint8 (D,H,W) by patient, and who trained the networks that made them."""
    trained_on = sorted(trained_on)
    check(maps, trained_on, path)
    with atomic_write(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **maps, **{TRAINED_ON: np.array(trained_on, dtype=str)})


def check(patients: Iterable[str], trained_on: Iterable[str], path: Path) -> None:
    """Raise LggError if one of the patients was trained on."""
    seen = sorted(set(patients) & set(trained_on))
    if seen:
        raise LggError(
            f"{path}: the network was trained on {', '.join(seen)}; others must judge them"
        )


def read_maps(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Read the maps of a file one by one.

    Yields
    ------
    patient, and the probability float32 (D, H, W)

    Raises
    ------
    LggError
        for a file that is damaged, or holds a map by a network that saw the patient
    """
    try:
        with path.open("rb") as stored, np.load(stored) as file:
            patients = [name for name in file.files if name != TRAINED_ON]
            check(patients, file[TRAINED_ON].tolist(), path)
            for patient in patients:
                yield patient, from_bytes(file[patient])
    except LggError:
        raise
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise LggError(
            f"{path}: not a whole file of maps ({error}); delete it and run the command again"
        ) from error


def run_maps(run: Run) -> Iterator[tuple[int, str, np.ndarray]]:
    """(fold, patient, probability) of every patient that a run has judged."""
    for k in run.done():
        for patient, probability in read_maps(run.maps(k)):
            yield k, patient, probability
