"""Somebody's own scan as a volume, read as what it is or refused with a word on what to do.

The network sees axial slices; what it finds comes back on the scan's own pixels. One channel is
FLAIR. Three are pre-contrast T1, FLAIR and post-contrast T1 unless `order` says otherwise. FLAIR
stands in for a missing sequence, as in the data set.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np

from ..errors import LggError
from ..sequences import IN_WORDS
from .channels import check_levels, compose, name_channels, parse_order
from .own_scan import OwnScan, reading
from .pictures import is_mask, slice_name

READERS = {  # the module that reads a file, by the end of its name
    "nifti": (".nii", ".nii.gz"),
    "itk": (".nrrd", ".nhdr", ".mha", ".mhd"),
    "pictures": (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp"),
    "dicom": (".dcm", ".ima", ".dicom"),  # and any other name, by how the file begins
    "other": (),
}
RESULTS = "lggseg-results.json"  # what the command wrote into a folder; such a folder is no scan
MAX_FILES = 20_000  # in a folder and its subfolders: a study has some hundreds to some thousands


def read_scan(path: Path | str, order: str | None = None, series: str | None = None) -> OwnScan:
    """Read the scan in a file or folder.

    Parameters
    ----------
    path : a folder of pictures, one per axial slice; a picture; a TIFF of several pages; a NIfTI,
        NRRD or MetaImage file; a DICOM file, or a folder of them
    order : which channel is which sequence, such as "flair,t1,t1ce"
    series : of DICOM, numbers or UIDs such as "3" or "1,3,4", each a channel

    Raises
    ------
    LggError
        naming what cannot be used, the rule it breaks, and what to do
    """
    path = Path(path)
    scan = read_raw_scan(path, [name.strip() for name in series.split(",")] if series else [])
    channels = name_channels(scan.image, parse_order(order) if order else None, str(path))
    scan.warnings += check_levels(channels, str(path))
    return compose_scan(path, scan, channels)


def read_sequences(
    flair: Path | str, pre: Path | str | None = None, post: Path | str | None = None
) -> OwnScan:
    """Read a scan whose sequences lie in files or folders of their own, all on one grid.

    Names, truth and header are FLAIR's. Raises LggError where one has several channels, or another
    grid than FLAIR.
    """
    given = {"flair": flair, "pre": pre, "post": post}
    paths = {name: Path(path) for name, path in given.items() if path}
    if len({path.resolve() for path in paths.values()}) < len(paths):
        raise LggError(
            f"{', '.join(map(str, paths.values()))}: one file named for two sequences; leave out "
            "the one that you do not have, and FLAIR stands in for it"
        )
    scans = {name: read_raw_scan(path) for name, path in paths.items()}
    first = scans["flair"]
    channels = {}
    warnings = []
    for name, scan in scans.items():
        shape = scan.image.shape
        size = first.image.shape[:3]
        wrong = ""
        if shape[3] != 1:
            wrong = f"{shape[3]} channels; {IN_WORDS[name]} in a file of its own has one (grey)"
        elif shape[:3] != size:
            wrong = f"{shape[:3]} slices, rows and columns, but {paths['flair']} has {size}"
        elif scan.grid is not first.grid and not (scan.grid and scan.grid.same_as(first.grid)):
            wrong = f"does not show the same places as {paths['flair']}"
        if wrong:
            raise LggError(
                f"{paths[name]}: {wrong}; register and resample it to FLAIR, in the same format, "
                "or give one file that holds all sequences, with --order"
            )
        channels[name] = scan.image[..., 0]
        warnings += scan.warnings + check_levels({name: channels[name]}, str(paths[name]))
    return compose_scan(paths["flair"], replace(first, warnings=warnings), channels)


def compose_scan(path: Path, scan: OwnScan, channels: dict[str, np.ndarray]) -> OwnScan:
    """A scan that was read, made of its named sequences (D,H,W); LggError where no head fits."""
    height = 1.0
    width = 1.0
    with reading(path, "a scan"):
        if scan.grid:
            scan.grid.check_head()
            _, height, width = map(float, scan.grid.spacing)
        image, warnings = compose(channels)
    pixel = (height, width)
    if max(pixel) > 3 * min(pixel):
        warnings.append(
            f"its axial slices have pixels of {height:.3g} x {width:.3g} mm; do not expect much of "
            "slices as coarse as that"
        )
    return replace(scan, image=image, pixel=pixel, warnings=scan.warnings + warnings)


def read_raw_scan(path: Path, series: Sequence[str] = ()) -> OwnScan:
    """What lies at a path, as it is stored; LggError where that is no scan, or several."""
    try:
        return read_by_kind(path, series)
    except ImportError as error:
        raise LggError(
            f"{path}: needs the package {error.name}; pip install {error.name}"
        ) from error
    except OSError as error:
        raise LggError(f"{path}: cannot be read ({error})") from error


def read_by_kind(path: Path, series: Sequence[str]) -> OwnScan:
    """What lies at a path, by the one reader that takes it."""
    files = list_files(path)
    kinds: dict[str, list[Path]] = {kind: [] for kind in READERS}
    for file in files:
        kinds[kind_of(file)].append(file)
    masks = [file for file in kinds["pictures"] if is_mask(file)]
    kinds["pictures"] = [file for file in kinds["pictures"] if file not in masks]
    del kinds["other"]
    found = [kind for kind, of_kind in kinds.items() if of_kind]
    kind = found[0] if found else "dicom"
    scans = kinds[kind]
    wrong = ""
    if any(file.name == RESULTS for file in files):
        wrong = "holds what an earlier run found, not a scan; name the folder of the scan"
    elif masks and kind != "pictures":
        wrong = f"{masks[0].name} is a mask by its name; name the pictures of the scan"
    elif len(found) > 1:
        wrong = (
            f"holds scans of several kinds ({', '.join(found)}); name one file, or a folder of one"
        )
    elif series and kind != "dicom":
        wrong = "is not DICOM, so there is no series to choose; leave out --series"
    elif len(scans) > 1 and kind in ("nifti", "itk"):
        wrong = (
            f"holds {len(scans)} scans ({', '.join(file.name for file in scans[:6])}); name one, "
            "or say which is which by --flair, --pre and --post"
        )
    if wrong:
        raise LggError(f"{path}: {wrong}")
    read = getattr(import_module(f".{kind}", __package__), f"read_{kind}")
    if kind == "dicom":
        return read(list_dicom(path), path, series)
    if kind == "pictures":
        return read(scans, masks_of(path, masks))
    return read(scans[0])


def kind_of(file: Path) -> str:
    """The reader that takes a file: by the end of its name, or as DICOM by how it begins."""
    for kind, ends in READERS.items():
        if file.name.lower().endswith(ends):
            return kind
    return "dicom" if is_dicom(file) else "other"


def list_files(path: Path) -> list[Path]:
    """A file itself, or the files in a folder without hidden ones; LggError for other things."""
    if not path.is_dir():
        if not path.is_file():
            what = "neither a file nor a folder" if path.exists() else "no such file or folder"
            raise LggError(f"{path}: {what}; name a file, or a folder with the slices of a scan")
        return [path]
    found = [entry for entry in sorted(path.iterdir()) if not entry.name.startswith(".")]
    for entry in found:
        plain = entry.is_file() or entry.is_dir()
        if not plain and any(entry.name.lower().endswith(ends) for ends in READERS.values()):
            raise LggError(f"{entry}: a link to nowhere, or not a plain file; take it out")
    return [entry for entry in found if entry.is_file()]


def masks_of(path: Path, masks: list[Path]) -> list[Path]:
    """The masks of a picture that lie beside it, or of slices: `masks`, and a folder of masks."""
    if path.is_file():
        beside = [file for file in list_files(path.parent) if kind_of(file) == "pictures"]
        return [file for file in beside if is_mask(file) and slice_name(file) == slice_name(path)]
    folders = [entry for entry in sorted(path.iterdir()) if entry.is_dir() and is_mask(entry)]
    return masks + [file for folder in folders for file in list_files(folder)]


def list_dicom(path: Path) -> list[Path]:
    """The DICOM files at or below a path, without hidden ones.

    LggError where there is none, or one is DICOM by its name alone: a slice would be lost.
    """
    found = [] if path.is_dir() else [path]
    folders = []
    for place, names, files in os.walk(path):
        names[:] = sorted(name for name in names if not name.startswith("."))
        folders += names
        found += [Path(place, name) for name in sorted(files) if not name.startswith(".")]
        if len(found) > MAX_FILES:
            raise LggError(f"{path}: more than {MAX_FILES} files; name the folder of one scan")
    dicom = [file for file in found if file.is_file() and is_dicom(file)]
    for file in sorted(set(found) - set(dicom)):
        if file.name.lower().endswith(READERS["dicom"]):
            raise LggError(
                f"{file}: is called DICOM and is none (empty, cut short, without its first 132 "
                "bytes, or a broken link); copy it again, or take it out"
            )
    if not dicom:
        hint = (
            "convert it to NIfTI, as by mri_convert (.mgz), dcm2niix (.par) or nibabel (.img, "
            ".npy), a picture to PNG, and unpack archives"
        )
        if folders:
            hint = f"name one of its folders ({', '.join(folders[:3])})"
        raise LggError(
            f"{path}: no picture there (.png, .tif, .jpg, .bmp), no NIfTI, NRRD, MetaImage and no "
            f"DICOM; {hint}"
        )
    return dicom


def is_dicom(file: Path) -> bool:
    """By the letters behind its preamble or, without one, by the tag that it begins with."""
    with file.open("rb") as content:
        start = content.read(132)
    return start[128:] == b"DICM" or (start[:2] == b"\x08\0" and start[2:4] <= b"\x18\0")
