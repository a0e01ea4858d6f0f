"""The ids of patients, as TCGA writes them, and the names of their folders."""

import re

from .errors import LggError

# TCGA_<site>_<id>_<date>.
PATIENT_FOLDER = re.compile(r"(TCGA_([A-Z0-9]{2})_[A-Z0-9]+)(_[0-9]{8})?")


def parse_patient_folder(folder: str) -> tuple[str, str]:
    """Read patient and site from the name of a patient's folder.

    Parameters
    ----------
    folder : str
        Such as ``TCGA_<site>_<id>_<yyyymmdd>``; the date may be missing.

    Returns
    -------
    patient : str
        The name without the date.
    site : str
        Code of the hospital, two characters.

    Raises
    ------
    LggError
        If this is not the name of a patient's folder.

    Examples
    --------
    >>> parse_patient_folder("TCGA_CS_4941_19960909")
    ('TCGA_CS_4941', 'CS')
    """
    match = PATIENT_FOLDER.fullmatch(folder)
    if not match:
        raise LggError(
            f"folder {folder!r}: a patient's folder is called TCGA_<site>_<id>_<yyyymmdd>, "
            "such as TCGA_CS_4941_19960909; rename it or take it out"
        )
    return match[1], match[2]


def patient_id(text: str) -> str:
    """Bring a TCGA id into the form of the package: capitals, underscores, no date.

    Parameters
    ----------
    text : str
        An id in any of the forms that TCGA uses, or any other name.

    Returns
    -------
    str
        The id; a name that is not one of TCGA's is returned unchanged.

    Examples
    --------
    >>> [patient_id(text) for text in ("TCGA_CS_4941_19960909", "tcga-cs-4941", "P1")]
    ['TCGA_CS_4941', 'TCGA_CS_4941', 'P1']
    """
    match = PATIENT_FOLDER.fullmatch(text.upper().replace("-", "_"))
    if match:
        return match[1]
    return text
