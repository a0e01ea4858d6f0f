"""Results on real patients that the notebooks speak of: the tables in `lggseg/published`.

The README in that folder explains each table.
"""

from pathlib import Path

import pandas as pd

from .errors import LggError

FOLDER = Path(__file__).with_name("published")


def published(name: str) -> pd.DataFrame:
    """Read one of the published tables.

    Parameters
    ----------
    name : str
        Name of the file in `lggseg/published`, without ``.csv``.

    Returns
    -------
    DataFrame
        The table, with the columns that the README of the folder describes.

    Raises
    ------
    LggError
        If there is no table of this name; the message lists those that there are.

    Examples
    --------
    >>> published("shape_manual_110").columns.tolist()
    ['patient', 'asd', 'mf', 'bevr']
    """
    known = sorted(file.stem for file in FOLDER.glob("*.csv"))
    if name not in known:
        raise LggError(f"no published table called {name!r}; there are {', '.join(known)}")
    return pd.read_csv(FOLDER / f"{name}.csv")
