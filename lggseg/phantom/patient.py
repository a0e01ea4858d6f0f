"""Who is drawn: a site's scanner, a patient, and what that patient's tissue looks like."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scanner:
    """What a site's pictures have in common."""

    share: float  # of the cohort's patients
    slices: tuple[int, int]
    radius: float  # pixels per head unit
    gain: float  # grey levels of fat, about
    noise: float  # standard deviation, grey levels
    contrast: float  # bend of the grey scale, 0 is none
    blur: float  # share of a pixel's signal that each neighbour gets


SCANNERS = {"CS": Scanner(0.145, (18, 22), 110, 200, 3.0, 0.0, 0.2),
            "DU": Scanner(0.41, (20, 25), 95, 225, 4.0, 0.25, 0.16),
            "EZ": Scanner(0.009, (16, 17), 100, 160, 6.0, -0.1, 0.23),
            "FG": Scanner(0.127, (18, 22), 100, 235, 2.5, 0.15, 0.13),
            "HT": Scanner(0.309, (16, 20), 106, 185, 5.0, -0.1, 0.23)}


@dataclass(frozen=True)
class Patient:
    """What is decided before anything is drawn."""

    folder: str
    site: str
    key: tuple[int, int]  # (cohort's seed, patient's number): seeds every draw
    slices: int
    side: float  # -1 right, 0 midline, 1 left
    location: int  # code of data.csv
    irregularity: float
    missing: tuple[str, ...]
    air: int = 0  # grey level of air before contrast: some scanners store that sequence with an offset
    signed: bool = False  # and in some of these, tissue lies on both sides of air

    def rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([*self.key, purpose])


@dataclass(frozen=True)
class Look:
    """What one patient's tissue looks like, whatever the scanner."""

    ventricles: float  # width, 1 is average
    rims: float  # how bright the ventricles' rims are in FLAIR
    contrast: float  # tumour's FLAIR over healthy brain's; under 1.15 is faint
    softness: float  # width of the tumour's border, head units
    enhancing: float  # depth from which the tumour takes up contrast medium; inf: nowhere
    rim: bool  # it takes it up in a rim only
    lesions: list  # centre and radius (x, y, z, r) of each bright spot that is no tumour
    scalp: float  # mean thickness, head units
    diploe: float  # how bright the marrow in the skull is, 0 to 1
    fat_after: float  # share of fat's signal after contrast: some sites saturate it

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Look":
        lesions = rng.uniform((-0.42, -0.4, 0.02, 0.035), (0.42, 0.5, 0.45, 0.065), (rng.integers(0, 4), 4)).tolist()
        faint = rng.random() < 0.08
        tissue = (rng.uniform(0.6, 1.4), rng.uniform(0.0, 1.0), rng.uniform(1.08, 1.14) if faint else
                  rng.uniform(1.3, 1.9), rng.uniform(0.02, 0.05),
                  rng.uniform(0.02, 0.05) if rng.random() < 0.35 else np.inf, rng.random() < 0.5, lesions)
        return cls(*tissue, rng.uniform(0.04, 0.065), rng.uniform(0.1, 0.8), 0.35 if rng.random() < 0.25 else 1.0)
