"""The cohort: tables of its patients and slices, and every patient's volume a memory read away."""

import difflib
import os
from dataclasses import dataclass, field
from itertools import chain
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
    """One patient's scan: `image` uint8 (D,H,W,3), channels pre-contrast, FLAIR, post-contrast; `mask` bool (D,H,W).

    Both are read-only views on the packed cohort, slice 0 being k = 1. `missing` names the
    sequences ("pre", "post") that the data set filled with a copy of FLAIR.
    """

    patient: str
    image: np.ndarray
    mask: np.ndarray
    missing: tuple[str, ...] = ()


@dataclass(eq=False, repr=False)
class Cohort:
    """Patients of one folder: tables at hand, volumes a memory read away. Made by `open_cohort`.

    slices    one row per slice in anatomical order: patient, site, k (1..D), image and mask (paths
              relative to `root`), tumour_pixels
    summary   per patient: site, slices, tumour_slices, tumour_voxels, pre_missing, post_missing
    clinical  per patient: histology, grade, ... in words, age in years, NaN where not known
    clusters  per patient: the seven genomic columns of data.csv, nullable integers
    """

    root: Path
    kind: str  # "kaggle" or "phantom"
    slices: pd.DataFrame
    summary: pd.DataFrame
    clinical: pd.DataFrame
    clusters: pd.DataFrame
    arrays: ArrayCache
    patients: list[str] = field(init=False)

    def __post_init__(self):
        self.patients = self.summary.index.tolist()

    @property
    def label(self) -> str:
        """What a figure's title calls this cohort."""
        name = "PHANTOM cohort (synthetic)" if self.kind == "phantom" else "LGG MRI cohort"
        return f"{name}, {len(self.patients)} patients"

    def __repr__(self) -> str:
        return f"{self.label}, {len(self.slices):,} slices"

    def check(self, patient: str) -> str:
        """`patient` itself if the cohort has it, else LggError."""
        if not isinstance(patient, str) or patient not in self.summary.index:
            near = difflib.get_close_matches(str(patient), self.patients, 3, 0.5) or self.patients[:3]
            raise LggError(f"no patient {patient!r} in the {self.label}; an id has no date, such as {', '.join(near)}")
        return patient

    def volume(self, patient: str) -> Volume:
        """The scan and manual mask of one patient, as views: nothing is read until it is used.

        Its first use compares them with their checksums; LggError where the cache has rotten.
        """
        image, mask = self.arrays.volume(self.check(patient))
        return Volume(patient, image, mask, tuple(self.arrays.index["patients"][patient]["missing"]))


def open_cohort(path: str | Path | None = None, progress: bool = True) -> Cohort:
    """Open the real data set, or the phantom cohort where there is none, and print which it is.

    Looks at `path`, else $LGGSEG_DATA ("phantom" in either asks for the phantom cohort), else
    data/kaggle_3m in the project, else the Kaggle download cache, else takes phantoms. Accepts
    the folder of patients or one above it. Raises LggError if a path or variable was given and
    does not work, or if a file breaks the data set's rules.
    """
    given = path if path is not None else os.environ.get("LGGSEG_DATA") or None
    if given is None:
        root = next((root for root in map(find_root, default_places()) if root), None) or phantom_root(progress)
    elif str(given) == "phantom":
        root = phantom_root(progress)
    elif not (root := find_root(Path(os.path.expanduser(given)))):
        source = "" if path is not None else "LGGSEG_DATA="
        raise LggError(f"{source}{given}: no folder such as TCGA_CS_4941_19960909 there or in its kaggle_3m; "
                       'name the unpacked kaggle_3m, or "phantom" for the synthetic cohort')
    cohort = load_cohort(root, progress)
    print(cohort)
    return cohort


def load_cohort(root: Path, progress: bool = True) -> Cohort:
    """The cohort whose patients' folders lie directly in `root`."""
    clinical, clusters = read_clinical(root / "data.csv")
    found = list_folder(root)
    check_rows(root / "data.csv", clusters.index, found.slices.patient)
    arrays = open_array_cache(found, cache_folder(), progress)
    packed = arrays.index["patients"]
    slices = found.slices.assign(tumour_pixels=list(chain(*(entry["tumour_pixels"] for entry in packed.values()))))
    summary = summarise(slices, {patient: entry["missing"] for patient, entry in packed.items()})
    kind = "phantom" if (root / "PHANTOM.txt").exists() else "kaggle"
    return Cohort(root, kind, slices, summary, clinical.reindex(summary.index), clusters.reindex(summary.index), arrays)


def summarise(slices: pd.DataFrame, missing: dict[str, list[str]]) -> pd.DataFrame:
    """One row per patient from one row per slice, and the sequences each lacks."""
    groups = slices.assign(tumour=slices.tumour_pixels > 0).groupby("patient", sort=False)
    summary = groups.agg(site=("site", "first"), slices=("k", "size"), tumour_slices=("tumour", "sum"),
                         tumour_voxels=("tumour_pixels", "sum"))
    for name in ("pre", "post"):
        summary[f"{name}_missing"] = [name in missing[patient] for patient in summary.index]
    return summary
