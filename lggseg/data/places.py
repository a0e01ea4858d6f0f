"""Where a cohort may lie: on disk, in the cache of a download, or in our own cache as phantoms."""

import os
from pathlib import Path

from ..errors import LggError
from ..phantom import PHANTOM_VERSION, write_phantom_cohort
from .folder import PATIENT_FOLDER

KAGGLE_SET = "mateuszbuda/lgg-mri-segmentation"


def find_root(place: Path) -> Path | None:
    """The folder of patients: `place` itself, or below it as the archive or kagglehub's cache lays it out.

    The archive holds everything twice; the first copy found counts. Unfinished downloads do not.
    """
    downloads = place / "datasets" / KAGGLE_SET
    versions = sorted((int(mark.stem) for mark in downloads.glob("*.complete") if mark.stem.isdecimal()), reverse=True)
    for base in (place, *(downloads / "versions" / str(version) for version in versions)):
        for root in (base, base / "kaggle_3m", base / "lgg-mri-segmentation" / "kaggle_3m"):
            if root.is_dir() and any(PATIENT_FOLDER.fullmatch(entry.name) for entry in root.iterdir()):
                return root
    return None


def default_places() -> list[Path]:
    """Where the real data may lie when nobody says: data/ in the project, then kagglehub's cache."""
    projects = (Path.cwd(), Path.cwd().parent, Path(__file__).parents[2])  # notebooks run one level down
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
