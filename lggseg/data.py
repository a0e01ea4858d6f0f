"""The cohort: find or download it, its tables and volumes, splits by patient, slices for training."""

import difflib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset

from .errors import LggError
from .pack import FOLDER, Pack, open_pack, scan
from .phantom import PHANTOM_VERSION, write_phantom_cohort
from .transforms import Recipe, head_stats, resize_image, shrink_slices, standardise

KAGGLE_SET = "mateuszbuda/lgg-mri-segmentation"
CLUSTERS = ("RNASeqCluster", "MethylationCluster", "miRNACluster", "CNCluster", "RPPACluster", "OncosignCluster",
            "COCCluster")

# data.csv's own column -> (our name, code -> word); codes checked against TCGA's clinical table
CODEBOOK = {
    "histological_type": ("histology", {1: "astrocytoma", 2: "oligoastrocytoma", 3: "oligodendroglioma"}),
    "neoplasm_histologic_grade": ("grade", {1: "G2", 2: "G3"}),
    "tumor_tissue_site": ("tissue_site", {1: "central nervous system"}),
    "laterality": ("laterality", {1: "left", 2: "midline", 3: "right"}),
    "tumor_location": ("location", {1: "cerebellum", 2: "frontal", 4: "occipital", 5: "parietal", 6: "temporal"}),
    "gender": ("gender", {1: "female", 2: "male"}),
    "age_at_initial_pathologic": ("age", None),
    "race": ("race", {2: "black", 3: "white"}),
    "ethnicity": ("ethnicity", {1: "hispanic", 2: "not hispanic"}),
    "death01": ("died", {0: "no", 1: "yes"}),
}


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
    pack: Pack
    patients: list[str] = field(init=False)

    def __post_init__(self):
        self.patients = self.summary.index.tolist()
        self._end = dict(zip(self.patients, self.summary.slices.cumsum().tolist(), strict=True))

    @property
    def label(self) -> str:
        """What a figure's title calls this cohort."""
        name = "PHANTOM cohort (synthetic)" if self.kind == "phantom" else "LGG MRI cohort"
        return f"{name}, {len(self.patients)} patients"

    def __repr__(self) -> str:
        return f"{self.label}, {len(self.slices):,} slices"

    def check(self, patient: str) -> str:
        """`patient` itself if the cohort has it, else LggError."""
        if patient not in self._end:
            near = difflib.get_close_matches(str(patient), self.patients, 3, 0.5) or self.patients[:3]
            raise LggError(f"no patient {patient!r} in the {self.label}; an id has no date, such as {', '.join(near)}")
        return patient

    def volume(self, patient: str) -> Volume:
        """The scan and manual mask of one patient, as views: nothing is read until it is used."""
        end = self._end[self.check(patient)]
        start = end - int(self.summary.slices[patient])
        return Volume(patient, self.pack.images[start:end], self.pack.masks[start:end],
                      tuple(self.pack.index["missing"][patient]))


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
    elif not (root := find_root(Path(given).expanduser())):
        source = "" if path is not None else "LGGSEG_DATA="
        raise LggError(f"{source}{given}: no folder such as TCGA_CS_4941_19960909 there or in its kaggle_3m; "
                       'name the unpacked kaggle_3m, or "phantom" for the synthetic cohort')
    cohort = load_cohort(root, progress)
    print(cohort)
    return cohort


def load_cohort(root: Path, progress: bool = True) -> Cohort:
    """The cohort whose patients' folders lie directly in `root`."""
    clinical, clusters = read_clinical(root / "data.csv")
    found = scan(root)
    pack = open_pack(found, cache_folder(), progress)
    slices = found.slices.assign(tumour_pixels=pack.index["tumour_pixels"])
    summary = summarise(slices, pack.index["missing"])
    kind = "phantom" if (root / "PHANTOM.txt").exists() else "kaggle"
    return Cohort(root, kind, slices, summary, clinical.reindex(summary.index), clusters.reindex(summary.index), pack)


def summarise(slices: pd.DataFrame, missing: dict[str, list[str]]) -> pd.DataFrame:
    """One row per patient from one row per slice, and the sequences each lacks."""
    groups = slices.assign(tumour=slices.tumour_pixels > 0).groupby("patient", sort=False)
    summary = groups.agg(site=("site", "first"), slices=("k", "size"), tumour_slices=("tumour", "sum"),
                         tumour_voxels=("tumour_pixels", "sum"))
    for name in ("pre", "post"):
        summary[f"{name}_missing"] = [name in missing[patient] for patient in summary.index]
    return summary


def find_root(place: Path) -> Path | None:
    """The folder of patients: `place` itself, or below it as the archive or kagglehub's cache lays it out.

    The archive holds everything twice; the first copy found counts. Unfinished downloads do not.
    """
    downloads = place / "datasets" / KAGGLE_SET
    versions = sorted((int(mark.stem) for mark in downloads.glob("*.complete") if mark.stem.isdecimal()), reverse=True)
    for base in (place, *(downloads / "versions" / str(version) for version in versions)):
        for root in (base, base / "kaggle_3m", base / "lgg-mri-segmentation" / "kaggle_3m"):
            if root.is_dir() and any(FOLDER.fullmatch(entry.name) for entry in root.iterdir()):
                return root
    return None


def default_places() -> list[Path]:
    """Where the real data may lie when nobody says: data/ in the project, then kagglehub's cache."""
    projects = (Path.cwd(), Path.cwd().parent, Path(__file__).parents[1])  # notebooks run one level down
    downloads = os.environ.get("KAGGLEHUB_CACHE") or Path.home() / ".cache" / "kagglehub"
    return [*(project / "data" for project in projects), Path(downloads)]


def cache_folder() -> Path:
    """Where packs and phantoms are kept: $LGGSEG_CACHE, else lggseg in the user's cache folder."""
    if named := os.environ.get("LGGSEG_CACHE"):
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lggseg"


def phantom_root(progress: bool = True) -> Path:
    """The phantom cohort in the cache, drawn now if it is not there yet."""
    return write_phantom_cohort(cache_folder() / "phantom" / f"{PHANTOM_VERSION}-0", seed=0, progress=progress)


def download_cohort(dest: str | Path | None = None) -> Path:
    """Download the Kaggle set (about 750 MB, no account needed) and return the folder of patients.

    kagglehub resumes a broken download and checks the archive. `dest` takes the place of its cache:
    "data" in the project, or no `dest` at all, is where `open_cohort` looks by itself.
    Licence of the data: CC BY-NC-SA 4.0.
    """
    try:
        import kagglehub
    except ImportError as error:
        raise LggError("download_cohort needs the package kagglehub: pip install kagglehub") from error
    before = os.environ.get("KAGGLEHUB_CACHE")
    try:
        if dest is not None:  # kagglehub's own output_dir cannot resume
            os.environ["KAGGLEHUB_CACHE"] = str(Path(dest).expanduser().resolve())
        place = Path(kagglehub.dataset_download(KAGGLE_SET))
    finally:
        if dest is not None:
            os.environ.pop("KAGGLEHUB_CACHE")
            os.environ |= {} if before is None else {"KAGGLEHUB_CACHE": before}
    if not (root := find_root(place)):
        raise LggError(f"{place}: the download holds no patient folder; delete it and download again")
    return root


def read_clinical(csv: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(clinical, clusters) from data.csv: words and nullable integers, both indexed by patient.

    Codes may be written 1 or 1.0; an empty field is NaN (clinical) or <NA> (clusters). Raises
    LggError for a missing file or column, a patient twice, or a code the codebook lacks.
    """
    try:
        table = pd.read_csv(csv, dtype=str, index_col="Patient", skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise LggError(f"{csv} cannot be read ({error}); the patients' folder needs the data set's data.csv, "
                       "a table with a column Patient") from error
    if lost := [name for name in (*CLUSTERS, *CODEBOOK) if name not in table]:
        raise LggError(f"{csv} lacks the columns {lost}; take data.csv from the archive as it is")
    if table.index.has_duplicates:
        raise LggError(f"{csv} has {table.index[table.index.duplicated()][0]} twice; one row per patient")
    numbers = table[[*CLUSTERS, *CODEBOOK]].apply(whole_numbers)
    clinical = pd.DataFrame({name: decode(numbers[column], words) for column, (name, words) in CODEBOOK.items()})
    return clinical, numbers[list(CLUSTERS)]


def whole_numbers(column: pd.Series) -> pd.Series:
    """Text such as "2" or "2.0" as nullable integers."""
    numbers = pd.to_numeric(column, errors="coerce")
    if (wrong := (numbers.isna() & column.notna()) | (numbers % 1 > 0)).any():
        raise LggError(f"data.csv: {column.name} of {wrong.idxmax()} is {column[wrong.idxmax()]!r}; "
                       "it must be a whole number or empty")
    return numbers.astype("Int64")


def decode(codes: pd.Series, words: dict[int, str] | None) -> pd.Series:
    """Codes as words, or as plain numbers where there is no codebook; NaN where empty."""
    if words is None:
        return codes.astype("float64")
    if (wrong := codes.notna() & ~codes.isin(list(words))).any():
        raise LggError(f"data.csv: {codes.name} of {wrong.idxmax()} is {codes[wrong.idxmax()]}; known codes: {words}")
    return codes.astype("float64").map(words)


def split_patients(patients: Iterable[str], fractions: Sequence[float] = (0.8, 0.2),
                   seed: int = 0) -> tuple[list[str], ...]:
    """Part the patients at random into lists of these fractions, every site in proportion.

    By patient, never by slice: neighbouring slices are near-copies, and a network that trained on
    one knows the other. Sites of one or two patients are pooled. The same patients and seed
    give the same split, in whatever order they come. Raises LggError if a part would be empty.
    """
    patients = list(patients)
    if len(set(patients)) < len(patients):
        raise LggError("a patient is listed twice, and could land on both sides of the split; give each one once")
    if min(fractions, default=0) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise LggError(f"fractions {tuple(fractions)} must be positive and sum to 1")
    order = stratified_order(patients, np.random.default_rng(seed))
    cuts = np.rint(np.cumsum([0, *fractions]) * len(order)).astype(int)
    if (np.diff(cuts) == 0).any():
        raise LggError(f"{len(order)} patients are too few for the fractions {tuple(fractions)}: a part would be empty")
    return tuple(sorted(order[a:b]) for a, b in zip(cuts[:-1], cuts[1:], strict=True))


def fold_patients(patients: Iterable[str], folds: int = 5, seed: int = 0) -> list[list[str]]:
    """The held-out patients of each fold of a cross-validation: every patient once, stratified by site."""
    if folds < 2:
        raise LggError(f"folds={folds}: cross-validation needs at least 2")
    return list(split_patients(patients, [1 / folds] * folds, seed))


def stratified_order(patients: list[str], rng: np.random.Generator) -> list[str]:
    """Shuffled so that every stretch of the order holds each site in about its share.

    Patient i of the n of a site, itself shuffled, is put at (i + u) / n, u drawn once per site
    (systematic sampling).
    """
    site = pd.Series({patient: (patient.split("_") + [""])[1] for patient in sorted(patients)}, dtype=object)
    site = site.where(site.map(site.value_counts()) > 2, "pooled")
    place = {}
    for _, members in site.groupby(site):
        shuffled = rng.permutation(members.index.to_numpy())
        place |= dict(zip(shuffled, (np.arange(len(shuffled)) + rng.random()) / len(shuffled), strict=True))
    return sorted(place, key=place.get)


class SliceDataset(Dataset):
    """The slices of some patients as the network wants them.

    Item i is (image, mask): image float32 (C,size,size), z-scores of the volume's own sequences inside the
    head (about -3 to 10), C = recipe.channels; mask float32 (1,size,size), 0 or 1: tumour where at
    least half of the shrunken pixel's area is; with `soft` that share itself, which remembers where inside the pixel
    the margin runs. `augment` maps such a pair to another.
    Attributes: rows (the rows of cohort.slices, in order) and has_tumour, bool per item. Pickles
    as paths and tables, so DataLoader workers share the packed images.
    """

    def __init__(self, cohort: Cohort, patients: Iterable[str], recipe: Recipe | None = None,
                 augment: Callable | None = None, tumour_only: bool = False, soft: bool = False):
        chosen = {cohort.check(patient) for patient in patients}
        wanted = cohort.slices.patient.isin(chosen) & (cohort.slices.tumour_pixels >= int(tumour_only))
        self.rows = cohort.slices[wanted].reset_index(drop=True)
        if self.rows.empty:
            raise LggError(f"no slice to choose from: {len(chosen)} patients, tumour_only={tumour_only}")
        self.cohort, self.recipe, self.augment, self.soft = cohort, recipe or Recipe(), augment, soft
        self.stats = {patient: head_stats(cohort.volume(patient).image, self.recipe.robust)
                      for patient in sorted(chosen)}
        self.has_tumour = (self.rows.tumour_pixels > 0).to_numpy()
        self._items = list(zip(self.rows.patient, self.rows.k - 1, strict=True))
        self._shrunken = {}

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        patient, d = self._items[i]
        slices, masks = self.shrunken(patient)
        image = standardise(slices, self.stats[patient], np.array([d]), self.recipe.context)[0]
        share = masks[d].float() / 255
        mask = share if self.soft else (share >= 0.5).float()
        return (image, mask) if self.augment is None else self.augment(image, mask)

    def shrunken(self, patient: str) -> tuple[torch.Tensor, torch.Tensor]:
        """All slices uint8 (D,3,size,size) and masks uint8 (D,1,size,size), 0..255, of a patient, shrunk once."""
        size = self.recipe.size
        if (patient, size) not in self._shrunken:
            volume = self.cohort.volume(patient)
            mask = resize_image(torch.from_numpy(255 * volume.mask.astype(np.uint8))[:, None], size)
            self._shrunken[patient, size] = shrink_slices(volume.image, size), mask
        return self._shrunken[patient, size]

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_shrunken": {}}
