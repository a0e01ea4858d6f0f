"""The tables in `lggseg/published`: results on real patients, which notebooks speak of. Its README explains each."""

from pathlib import Path

import pandas as pd

from .errors import LggError

FOLDER = Path(__file__).with_name("published")


def published(name: str) -> pd.DataFrame:
    """One of the published tables, such as "oof_features"; LggError for a name that none has."""
    known = sorted(file.stem for file in FOLDER.glob("*.csv"))
    if name not in known:
        raise LggError(f"no published table called {name!r}; there are {', '.join(known)}")
    return pd.read_csv(FOLDER / f"{name}.csv")
