"""Who is drawn: the scanner of a site, a patient, and what that patient's tissue looks like."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scanner:
    """What the pictures of a site have in common.

    Attributes
    ----------
    fraction : float
        Of the cohort's patients who come from this site.
    slices : (int, int)
        Fewest and most slices of a volume.
    radius : float
        Pixels per head unit.
    gain : float
        Grey level of fat, about.
    noise : float
        Standard deviation in grey levels.
    contrast : float
        How much the grey scale is bent; 0 is not at all.
    blur : float
        Fraction of a pixel's signal that each neighbour gets.
    """

    fraction: float
    slices: tuple[int, int]
    radius: float
    gain: float
    noise: float
    contrast: float
    blur: float


SCANNERS = {
    "CS": Scanner(0.145, (18, 22), 110, 200, 3.0, 0.0, 0.2),
    "DU": Scanner(0.41, (20, 25), 95, 225, 4.0, 0.25, 0.16),
    "EZ": Scanner(0.009, (16, 17), 100, 160, 6.0, -0.1, 0.23),
    "FG": Scanner(0.127, (18, 22), 100, 235, 2.5, 0.15, 0.13),
    "HT": Scanner(0.309, (16, 20), 106, 185, 5.0, -0.1, 0.23),
}


@dataclass(frozen=True)
class Patient:
    """What is decided about a patient before anything is drawn.

    Attributes
    ----------
    folder : str
        Name of the patient's folder.
    site : str
        A key of SCANNERS.
    key : (int, int)
        The cohort's seed and the patient's number. All random numbers are drawn from it.
    slices : int
    side : float
        Where the tumour is: -1 right, 0 midline, 1 left.
    location : int
        The lobe, as a code of tumor_location in data.csv.
    irregularity : float
        Of the tumour's margin; 0 is smooth.
    missing : tuple of str
        Sequences ("pre", "post") that are copies of FLAIR.
    air : int
        Grey level of air before contrast: some scanners store that sequence with an offset.
    signed : bool
        In that sequence tissue lies on both sides of air.
    """

    folder: str
    site: str
    key: tuple[int, int]
    slices: int
    side: float
    location: int
    irregularity: float
    missing: tuple[str, ...]
    air: int = 0
    signed: bool = False

    def rng(self, purpose: int) -> np.random.Generator:
        """Random numbers for one purpose; those for another purpose do not change them."""
        return np.random.default_rng([*self.key, purpose])


@dataclass(frozen=True)
class Look:
    """What one patient's tissue looks like, whatever the scanner.

    Attributes
    ----------
    ventricles : float
        Their width; 1 is average.
    rims : float
        How bright the rims of the ventricles are in FLAIR, 0 to 1.
    contrast : float
        The tumour's FLAIR over that of healthy brain; below 1.15 is faint.
    softness : float
        Width of the tumour's border in head units.
    enhancing : float
        Depth in head units from which the tumour takes up contrast medium; infinite if nowhere.
    rim : bool
        It takes up contrast medium in a rim only.
    lesions : list of [x, y, z, radius]
        Bright spots in FLAIR that are no tumour.
    scalp : float
        Its mean thickness in head units.
    diploe : float
        How bright the marrow in the skull is, 0 to 1.
    fat_after : float
        Fraction of fat's signal that is left after contrast: some sites suppress it.
    """

    ventricles: float
    rims: float
    contrast: float
    softness: float
    enhancing: float
    rim: bool
    lesions: list[list[float]]
    scalp: float
    diploe: float
    fat_after: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Look":
        """Draw a look at random. The order of the draws decides what a seed looks like."""
        count = rng.integers(0, 4)
        low = (-0.42, -0.4, 0.02, 0.035)
        high = (0.42, 0.5, 0.45, 0.065)
        lesions = rng.uniform(low, high, (count, 4)).tolist()
        is_faint = rng.random() < 0.08
        ventricles = rng.uniform(0.6, 1.4)
        rims = rng.uniform(0.0, 1.0)
        if is_faint:
            contrast = rng.uniform(1.08, 1.14)
        else:
            contrast = rng.uniform(1.3, 1.9)
        softness = rng.uniform(0.02, 0.05)
        enhancing = np.inf
        if rng.random() < 0.35:
            enhancing = rng.uniform(0.02, 0.05)
        rim = rng.random() < 0.5
        scalp = rng.uniform(0.04, 0.065)
        diploe = rng.uniform(0.1, 0.8)
        fat_after = 1.0
        if rng.random() < 0.25:
            fat_after = 0.35
        return cls(
            ventricles,
            rims,
            contrast,
            softness,
            enhancing,
            rim,
            lesions,
            scalp,
            diploe,
            fat_after,
        )
