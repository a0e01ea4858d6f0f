"""The ids of patients, as TCGA writes them, and the names of their folders."""

import re

from .errors import LggError

PATIENT_FOLDER = re.compile(r"(TCGA_([A-Z0-9]{2})_[A-Z0-9]+)(_[0-9]{8})?")  # TCGA_<site>_<id>_<date>


def parse_patient_folder(folder: str) -> tuple[str, str]:
    """(patient, site) from a folder's name; LggError for a name that is not a patient's.

    >>> parse_patient_folder("TCGA_CS_4941_19960909")
    ('TCGA_CS_4941', 'CS')
    """
    match = PATIENT_FOLDER.fullmatch(folder)
    if not match:
        raise LggError(f"folder {folder!r}: a patient's folder is called TCGA_<site>_<id>_<yyyymmdd>, such as "
                       "TCGA_CS_4941_19960909; rename it or take it out")
    return match[1], match[2]


def patient_id(text: str) -> str:
    """The id that a text means: without the folder's date, in capitals. What is no id of TCGA stays as it is.

    >>> [patient_id(text) for text in ("TCGA_CS_4941_19960909", "tcga-cs-4941", "P1")]
    ['TCGA_CS_4941', 'TCGA_CS_4941', 'P1']
    """
    match = PATIENT_FOLDER.fullmatch(text.upper().replace("-", "_"))
    return match[1] if match else text
