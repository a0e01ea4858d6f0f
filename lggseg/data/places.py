"""Where a cohort may lie: on disk, in the cache of a download, or in our own cache as phantoms."""

import os
from pathlib import Path

from ..errors import LggError
from ..files import check_apart
from ..patient_ids import PATIENT_FOLDER
from ..phantom import PHANTOM_VERSION, write_phantom_cohort
from .cache_folder import cache_folder, sweep, touch

KAGGLE_SET = "mateuszbuda/lgg-mri-segmentation"


def find_root(place: Path) -> Path | None:
    """The folder of patients: `place` itself, or below it as the archive or kagglehub's cache lays it out.

    The archive holds everything twice; the first copy found counts. Unfinished downloads do not.
    """
    downloads = place / "datasets" / KAGGLE_SET
    versions = sorted((int(mark.stem) for mark in downloads.glob("*.complete") if mark.stem.isdecimal()), reverse=True)
    for base in (place, *(downloads / "versions" / str(version) for version in versions)):
        for root in (base, base / "kaggle_3m", base / "lgg-mri-segmentation" / "kaggle_3m"):
            if holds_patients(root):
                return root
    return None


def holds_patients(root: Path) -> bool:
    """Whether a patient's folder lies directly in `root`."""
    try:
        return root.is_dir() and any(PATIENT_FOLDER.fullmatch(entry.name) for entry in root.iterdir())
    except OSError as error:
        raise LggError(f"{root} cannot be listed ({error}); it must be a folder that you may read") from error


def check_no_patients(out: Path) -> None:
    """Raise LggError where the folder `out` holds patients' folders, or is one: results do not go there."""
    check_apart(out, [*out.glob("TCGA_*.tif"), *out.glob("TCGA_*/TCGA_*.tif")])


def default_places() -> list[Path]:
    """Where the real data may lie when nobody says: data/ in the project, then kagglehub's cache."""
    projects = (Path.cwd(), Path.cwd().parent, Path(__file__).parents[2])  # notebooks run one level down
    downloads = os.environ.get("KAGGLEHUB_CACHE") or os.path.expanduser("~/.cache/kagglehub")
    return [*(project / "data" for project in projects), Path(downloads)]


def phantom_root(progress: bool = True) -> Path:
    """The phantom cohort in the cache, drawn now if it is not there yet."""
    place = cache_folder() / "phantom" / f"{PHANTOM_VERSION}-0"
    drawn = (place / "kaggle_3m").exists()
    root = write_phantom_cohort(place, seed=0, progress=progress)
    touch(root / "PHANTOM.txt")
    if not drawn:
        sweep(cache_folder())
    return root


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
