"""The cohort: tables of its patients and slices, and the volume of each patient."""

import difflib
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import LggError
from .array_cache import ArrayCache, open_array_cache
from .cache_folder import cache_folder
from .clinical import check_rows, read_clinical
from .folder import list_folder
from .places import default_places, find_root, phantom_root


@dataclass(frozen=True)
class Volume:
    """One patient's scan and manual mask, as read-only views of the cached arrays.

    Attributes
    ----------
    patient : str
    image : uint8 (slices, height, width, 3), the sequences pre-contrast, FLAIR, post-contrast
    mask : bool (slices, height, width)
    missing : tuple of str
        Sequences ("pre", "post") that were not recorded: the data set repeats FLAIR there.
    """

    patient: str
    image: np.ndarray
    mask: np.ndarray
    missing: tuple[str, ...] = ()


@dataclass(eq=False, repr=False)
class Cohort:
    """The patients of one folder. `open_cohort` makes it.

    Tables are in memory; pixels are read when they are used.

    Attributes
    ----------
    root : Path
        The folder in which the patients' folders lie.
    kind : str
        "kaggle" for real patients, "phantom" for synthetic ones.
    patients : list of str
        Ids, such as TCGA_CS_4941.
    slices : DataFrame
        One row per slice in anatomical order: patient, site, k (from 1), image and mask (paths
        relative to `root`), tumour_pixels.
    summary : DataFrame
        Per patient: site, slices, tumour_slices, tumour_voxels, pre_missing, post_missing.
    clinical : DataFrame
        Per patient: histology, grade and others in words, age in years, NaN where not known.
    clusters : DataFrame
        Per patient: the seven genomic columns of data.csv, nullable integers.
    arrays : ArrayCache
        The pixels of all patients.
    """

    root: Path
    kind: str
    slices: pd.DataFrame
    summary: pd.DataFrame
    clinical: pd.DataFrame
    clusters: pd.DataFrame
    arrays: ArrayCache
    patients: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.patients = self.summary.index.tolist()

    @property
    def label(self) -> str:
        """What the title of a figure calls this cohort."""
        name = "LGG MRI cohort"
        if self.kind == "phantom":
            name = "PHANTOM cohort (synthetic)"
        return f"{name}, {len(self.patients)} patients"

    def __repr__(self) -> str:
        return f"{self.label}, {len(self.slices):,} slices"

    def check(self, patient: str) -> str:
        """Return `patient` if the cohort has such a patient; raise LggError if not."""
        if isinstance(patient, str) and patient in self.summary.index:
            return patient
        similar = difflib.get_close_matches(str(patient), self.patients, n=3, cutoff=0.5)
        examples = ", ".join(similar or self.patients[:3])
        raise LggError(
            f"no patient {patient!r} in the {self.label}; an id has no date, such as {examples}"
        )

    def volume(self, patient: str) -> Volume:
        """The scan and manual mask of one patient.

        The first time in a process they are compared with their checksums.

        Parameters
        ----------
        patient : str
            One of `patients`.

        Returns
        -------
        Volume

        Raises
        ------
        LggError
            If there is no such patient, or the cache is damaged.
        """
        image, mask = self.arrays.volume(self.check(patient))
        missing = self.arrays.index["patients"][patient]["missing"]
        return Volume(patient, image, mask, tuple(missing))


def open_cohort(path: str | Path | None = None, progress: bool = True) -> Cohort:
    """Open the real data set, or the phantom cohort if there is none, and print which it is.

    Without `path`, the environment variable LGGSEG_DATA says where the data is. Without that, it
    is looked for in ``data/kaggle_3m`` of the project and in kagglehub's cache. If it is not there
    either, the phantom cohort is opened.

    Parameters
    ----------
    path : str or Path, optional
        The folder of patients, or one above it; "phantom" for the phantom cohort.
    progress : bool
        Show a progress bar while files are read for the first time.

    Returns
    -------
    Cohort

    Raises
    ------
    LggError
        If there are no patients where `path` or LGGSEG_DATA says, or a file breaks the data set's
        rules.
    """
    cohort = load_cohort(choose_root(path, progress), progress)
    print(cohort)
    return cohort


def choose_root(path: str | Path | None, progress: bool) -> Path:
    """The folder of patients that `open_cohort` opens."""
    variable = os.environ.get("LGGSEG_DATA")
    if path is not None:
        given = str(path)
        source = ""
    elif variable:
        given = variable
        source = "LGGSEG_DATA="
    else:
        return find_default_root(progress)
    if given == "phantom":
        return phantom_root(progress)
    root = find_root(Path(os.path.expanduser(given)))
    if root is None:
        raise LggError(
            f"{source}{given}: no folder such as TCGA_CS_4941_19960909 there or in its kaggle_3m; "
            'name the unpacked kaggle_3m, or "phantom" for the synthetic cohort'
        )
    return root


def find_default_root(progress: bool) -> Path:
    """The first of the default places that holds patients, else the phantom cohort."""
    for place in default_places():
        root = find_root(place)
        if root is not None:
            return root
    return phantom_root(progress)


def load_cohort(root: Path, progress: bool = True) -> Cohort:
    """Open the cohort whose patients' folders lie directly in `root`.

    Parameters
    ----------
    root : Path
        Holds data.csv and a folder for each patient.
    progress : bool
        Show a progress bar while files are read for the first time.

    Returns
    -------
    Cohort

    Raises
    ------
    LggError
        If a file breaks the data set's rules, or the cache cannot be written.
    """
    clinical, clusters = read_clinical(root / "data.csv")
    found = list_folder(root)
    check_rows(root / "data.csv", clusters.index, found.slices.patient)
    arrays = open_array_cache(found, cache_folder(), progress)
    tumour_pixels: list[int] = []
    missing = {}
    for patient, entry in arrays.index["patients"].items():
        tumour_pixels += entry["tumour_pixels"]
        missing[patient] = entry["missing"]
    slices = found.slices.assign(tumour_pixels=tumour_pixels)
    summary = summarise(slices, missing)
    kind = "kaggle"
    if (root / "PHANTOM.txt").exists():
        kind = "phantom"
    return Cohort(
        root,
        kind,
        slices,
        summary,
        clinical.reindex(summary.index),
        clusters.reindex(summary.index),
        arrays,
    )


def summarise(slices: pd.DataFrame, missing: dict[str, list[str]]) -> pd.DataFrame:
    """Make one row per patient from one row per slice and each patient's missing sequences."""
    with_tumour = slices.assign(tumour=slices.tumour_pixels > 0)
    summary = with_tumour.groupby("patient", sort=False).agg(
        site=("site", "first"),
        slices=("k", "size"),
        tumour_slices=("tumour", "sum"),
        tumour_voxels=("tumour_pixels", "sum"),
    )
    for name in ("pre", "post"):
        summary[f"{name}_missing"] = [name in missing[patient] for patient in summary.index]
    return summary
