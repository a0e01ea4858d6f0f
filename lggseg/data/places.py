"""Where a cohort may lie: on disk, in the cache of a download, or in our own cache as phantoms."""

import os
from pathlib import Path

from ..errors import LggError
from ..files import check_apart
from ..patient_ids import PATIENT_FOLDER
from ..phantom import PHANTOM_VERSION, write_phantom_cohort
from .cache_folder import cache_folder

KAGGLE_SET = "mateuszbuda/lgg-mri-segmentation"


def find_root(place: Path) -> Path | None:
    """Find the folder of patients in or below a folder.

    The archive of the data set holds everything twice: the first copy found is taken.

    Parameters
    ----------
    place : Path
        The folder of patients itself, one above it as the archive is unpacked, or the cache of
        kagglehub. There, a download that is not complete is ignored.

    Returns
    -------
    Path or None
        The folder in which the patients' folders lie, None if there is none.

    Raises
    ------
    LggError
        If a folder cannot be listed.
    """
    for base in (place, *complete_downloads(place)):
        for root in (base, base / "kaggle_3m", base / "lgg-mri-segmentation" / "kaggle_3m"):
            if holds_patients(root):
                return root
    return None


def complete_downloads(place: Path) -> list[Path]:
    """Folders of the data set's versions in kagglehub's cache, the newest first."""
    downloads = place / "datasets" / KAGGLE_SET
    versions = []
    for mark in downloads.glob("*.complete"):
        if mark.stem.isdecimal():
            versions.append(int(mark.stem))
    versions.sort(reverse=True)
    return [downloads / "versions" / str(version) for version in versions]


def holds_patients(root: Path) -> bool:
    """Whether a patient's folder lies directly in `root`."""
    try:
        if not root.is_dir():
            return False
        return any(PATIENT_FOLDER.fullmatch(entry.name) for entry in root.iterdir())
    except OSError as error:
        raise LggError(
            f"{root} cannot be listed ({error}); it must be a folder that you may read"
        ) from error


def check_no_patients(out: Path) -> None:
    """LggError if a folder for results holds patients' folders, or is one of them."""
    slices = [*out.glob("TCGA_*.tif"), *out.glob("TCGA_*/TCGA_*.tif")]
    check_apart(out, slices)


def default_places() -> list[Path]:
    """Where real data may lie when nobody says: ``data`` in the project, then kagglehub's cache."""
    repository = Path(__file__).parents[2]
    here = Path.cwd()
    projects = (here, here.parent, repository)  # notebooks run in a folder of the project
    downloads = os.environ.get("KAGGLEHUB_CACHE") or os.path.expanduser("~/.cache/kagglehub")
    return [*(project / "data" for project in projects), Path(downloads)]


def own_network(kind: str) -> Path:
    """Where notebook 04 keeps the network that a reader has trained, and notebook 05 looks for it.

    In build/ of the project if the notebooks lie in it, else in build/ of the current folder.

    Parameters
    ----------
    kind : of the cohort that it was trained on, "phantom" or "kaggle" (real patients)

    Returns
    -------
    path of a checkpoint, which need not exist
    """
    here = Path.cwd()
    in_project = here.name == "notebooks" and (here.parent / "pyproject.toml").exists()
    project = here.parent if in_project else here
    return project / "build" / f"own_network_{kind}.pt"


def phantom_root(progress: bool = True) -> Path:
    """The folder of the phantom cohort in the cache; it is drawn now if it is not there yet."""
    place = cache_folder() / "phantom" / f"{PHANTOM_VERSION}-0"
    return write_phantom_cohort(place, seed=0, progress=progress)


def download_cohort(dest: str | Path | None = None) -> Path:
    """Download the data set from Kaggle: about 750 MB, no account needed.

    kagglehub resumes a download that broke off, and checks the archive. The licence of the data is
    CC BY-NC-SA 4.0.

    Parameters
    ----------
    dest : str or Path, optional
        Folder to use in place of kagglehub's cache. `open_cohort` finds the data by itself in that
        cache and in the project's folder ``data``.

    Returns
    -------
    Path
        The folder in which the patients' folders lie.

    Raises
    ------
    LggError
        If kagglehub is not installed, the data cannot be fetched, or it holds no patients.
    """
    try:
        import kagglehub
    except ImportError as error:
        raise LggError(
            "download_cohort needs the package kagglehub: pip install kagglehub"
        ) from error
    before = os.environ.get("KAGGLEHUB_CACHE")
    try:
        if dest is not None:  # kagglehub's own output_dir cannot resume a download
            os.environ["KAGGLEHUB_CACHE"] = str(Path(dest).expanduser().resolve())
        place = Path(kagglehub.dataset_download(KAGGLE_SET))
    except Exception as error:  # of requests, of the archive, of the disk
        reason = " ".join(str(error).split())[:200]
        raise LggError(
            f"the data set cannot be downloaded ({reason}); look at the network, its proxy "
            "(HTTPS_PROXY) and the disk, and call again: what is there already is kept. Or fetch "
            f"it by a browser from https://www.kaggle.com/datasets/{KAGGLE_SET}, unpack it, and "
            "name the folder kaggle_3m by LGGSEG_DATA"
        ) from error
    finally:
        if before is not None:
            os.environ["KAGGLEHUB_CACHE"] = before
        else:
            os.environ.pop("KAGGLEHUB_CACHE", None)
    root = find_root(place)
    if root is None:
        raise LggError(
            f"{place}: the download holds no patient folder; delete it and download again"
        )
    return root
