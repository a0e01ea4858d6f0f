"""Signals of the tissues, and the slice they are painted on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from .anatomy import Coordinate, ball, cerebellum, cerebrum

Signal = tuple[float, float, float]  # before contrast, in FLAIR, after contrast
Window = tuple[slice, slice]  # rows and columns of a picture
EVERYWHERE: Window = (slice(None), slice(None))

# Fat is about 1. Grey matter is darker than white before contrast and brighter in FLAIR. What has
# blood but no barrier to contrast medium (dura, mucosa, plexus, muscle) lights up after it.
SIGNAL: dict[str, Signal] = {
    "air": (0.0, 0.0, 0.0),
    "skin": (0.4, 0.42, 0.62),
    "fat": (0.95, 0.85, 0.95),
    "muscle": (0.3, 0.24, 0.42),
    "bone": (0.06, 0.05, 0.07),
    "marrow": (0.5, 0.4, 0.55),
    "mucosa": (0.33, 0.5, 0.85),
    "dura": (0.25, 0.26, 0.62),
    "fluid": (0.13, 0.07, 0.14),
    "grey": (0.37, 0.46, 0.44),
    "white": (0.5, 0.37, 0.5),
    "nerve": (0.4, 0.38, 0.42),
    "vessel": (0.16, 0.08, 0.95),
    "plexus": (0.3, 0.36, 0.75),
    "rim": (0.45, 0.75, 0.46),
    "lesion": (0.42, 0.72, 0.43),
    "vitreous": (0.17, 0.1, 0.18),
    "lens": (0.38, 0.24, 0.4),
    "sclera": (0.3, 0.26, 0.5),
}


@dataclass(frozen=True)
class Plane:
    """One slice while it is painted.

    Attributes
    ----------
    z : float
        Its height in head units.
    x, y : float (height, width)
        Head coordinates of the pixels.
    fold : float (height, width)
        Distance to the nearest sulcus.
    texture : float (height, width)
        Smooth noise.
    vein : float (height, width)
        Finer noise: high where a vessel runs.
    scalp : float (height, width)
        Thickness of skin and fat.
    tumour : float (height, width)
        Its level.
    signal : dict
        Of each tissue.
    """

    z: float
    x: np.ndarray
    y: np.ndarray
    fold: np.ndarray
    texture: np.ndarray
    vein: np.ndarray
    scalp: np.ndarray
    tumour: np.ndarray
    signal: dict[str, Signal] = field(default_factory=SIGNAL.copy)

    @cached_property
    def image(self) -> np.ndarray:
        """Signal so far, float32 (3, height, width); air at first."""
        return np.zeros((3, *self.x.shape), np.float32)

    @cached_property
    def side(self) -> np.ndarray:
        """Distance from the midline."""
        return np.abs(self.x)

    @cached_property
    def cerebrum(self) -> np.ndarray:
        """Level of the hemispheres."""
        return cerebrum(self.x, self.y, self.z)

    @cached_property
    def cerebellum(self) -> np.ndarray:
        """Level of the cerebellum."""
        return cerebellum(self.x, self.y, self.z)

    @cached_property
    def brain(self) -> np.ndarray:
        """Level of cerebrum and cerebellum together."""
        if self.z < -0.1:
            return np.maximum(self.cerebrum, self.cerebellum)
        return self.cerebrum

    @cached_property
    def extent(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Least and greatest x of each column, least and greatest y of each row."""
        return self.x.min(0), self.x.max(0), self.y.min(1), self.y.max(1)

    def window(self, low: tuple[float, float], high: tuple[float, float]) -> Window:
        """Rows and columns that hold everything between two corners (x, y).

        What is small is painted in a window: that takes less time.
        """
        left, right, top, bottom = self.extent
        rows = (bottom >= low[1]) & (top <= high[1])
        columns = (right >= low[0]) & (left <= high[0])
        return span(rows), span(columns)

    def paint(self, weight: np.ndarray, tissue: str, window: Window = EVERYWHERE) -> None:
        """Mix a tissue into the picture.

        Parameters
        ----------
        weight : float, 0 to 1, of the size of the window
            1 replaces what is there.
        tissue : str
            A key of `signal`.
        window : rows and columns
            The whole picture if not given.
        """
        if not weight.any():
            return
        for picture, value in zip(self.image, self.signal[tissue], strict=True):
            part = picture[window]
            part += weight * (value - part)

    def spot(
        self,
        tissue: str,
        centre: tuple[float, float, float],
        radii: Sequence[float],
        width: float = 0.012,
        mirror: bool = True,
    ) -> None:
        """Paint a small ellipsoid.

        Parameters
        ----------
        tissue : str
            A key of `signal`.
        centre, radii : three floats
            Along x, y and z.
        width : float
            Of its border.
        mirror : bool
            Paint its mirror image on the other side as well.
        """
        x, y, z = centre
        if abs(self.z - z) >= radii[2] + width:
            return
        across = radii[0] + width
        down = radii[1] + width
        sides = {x}
        if mirror:
            sides = {x, -x}
        for side in sides:
            here = self.window((side - across, y - down), (side + across, y + down))
            level = ball(self.x[here], self.y[here], self.z, (side, y, z), radii)
            self.paint(soft(level, width), tissue, here)


def span(hits: np.ndarray) -> slice:
    """The slice from the first to the last True of a bool array (n,); empty if there is none."""
    places = np.flatnonzero(hits)
    if not places.size:
        return slice(0)
    return slice(places[0], places[-1] + 1)


def soft(level: Coordinate, width: float = 0.012) -> np.ndarray:
    """Weight 0 to 1 across a border that is `width` head units wide.

    Examples
    --------
    >>> soft(np.array([-0.02, 0.0, 0.005, 0.02]), width=0.02).tolist()
    [0.0, 0.5, 0.75, 1.0]
    """
    return np.clip(level / width + 0.5, 0, 1)
