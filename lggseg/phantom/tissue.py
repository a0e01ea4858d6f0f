"""Signals of the tissues, and the slice they are painted on."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from .anatomy import ball, cerebellum, cerebrum

# Before contrast, in FLAIR, after contrast; fat is about 1. Grey matter is darker than white before contrast and
# brighter in FLAIR; what has blood but no barrier to contrast medium (dura, mucosa, plexus, muscle) lights up after it.
SIGNAL = {
    "air": (0.0, 0.0, 0.0), "skin": (0.4, 0.42, 0.62), "fat": (0.95, 0.85, 0.95), "muscle": (0.3, 0.24, 0.42),
    "bone": (0.06, 0.05, 0.07), "marrow": (0.5, 0.4, 0.55), "mucosa": (0.33, 0.5, 0.85), "dura": (0.25, 0.26, 0.62),
    "fluid": (0.13, 0.07, 0.14), "grey": (0.37, 0.46, 0.44), "white": (0.5, 0.37, 0.5), "nerve": (0.4, 0.38, 0.42),
    "vessel": (0.16, 0.08, 0.95), "plexus": (0.3, 0.36, 0.75), "rim": (0.45, 0.75, 0.46), "lesion": (0.42, 0.72, 0.43),
    "vitreous": (0.17, 0.1, 0.18), "lens": (0.38, 0.24, 0.4), "sclera": (0.3, 0.26, 0.5),
}


@dataclass(frozen=True)
class Plane:
    """One slice while it is painted: its height, fields (H,W) of places, distances and noise, and its signal so far."""

    z: float
    x: np.ndarray
    y: np.ndarray
    fold: np.ndarray  # distance to the nearest sulcus
    texture: np.ndarray  # smooth noise
    vein: np.ndarray  # finer noise: high where a vessel runs
    scalp: np.ndarray  # thickness of skin and fat
    tumour: np.ndarray  # level
    signal: dict[str, tuple] = field(default_factory=SIGNAL.copy)

    @cached_property
    def image(self) -> np.ndarray:
        """Signal float32 (3,H,W); air at first."""
        return np.zeros((3, *self.x.shape), np.float32)

    @cached_property
    def side(self) -> np.ndarray:
        """Distance from the midline."""
        return np.abs(self.x)

    @cached_property
    def cerebrum(self) -> np.ndarray:
        return cerebrum(self.x, self.y, self.z)

    @cached_property
    def cerebellum(self) -> np.ndarray:
        return cerebellum(self.x, self.y, self.z)

    @cached_property
    def brain(self) -> np.ndarray:
        """Level of cerebrum and cerebellum together."""
        return np.maximum(self.cerebrum, self.cerebellum) if self.z < -0.1 else self.cerebrum

    @cached_property
    def extent(self) -> tuple[np.ndarray, ...]:
        """Least and greatest x of each column, least and greatest y of each row."""
        return self.x.min(0), self.x.max(0), self.y.min(1), self.y.max(1)

    def window(self, low: tuple[float, float], high: tuple[float, float]) -> tuple[slice, slice]:
        """Rows and columns around everything between two corners (x, y): what is small is painted in them alone."""
        left, right, top, bottom = self.extent
        rows = np.flatnonzero((bottom >= low[1]) & (top <= high[1]))
        columns = np.flatnonzero((right >= low[0]) & (left <= high[0]))
        return tuple(slice(i[0], i[-1] + 1) if i.size else slice(0) for i in (rows, columns))

    def paint(self, weight: np.ndarray, tissue: str, window: tuple[slice, slice] = (slice(None), slice(None))) -> None:
        """Mix a tissue into the picture or into a window of it: weight 0..1 of the picture's or the window's size."""
        if weight.any():
            for plane, value in zip(self.image, self.signal[tissue], strict=True):
                part = plane[window]
                part += weight * (value - part)

    def spot(self, tissue: str, centre: tuple, radii: tuple, width: float = 0.012, mirror: bool = True) -> None:
        """Paint a small ellipsoid, and its mirror image where it lies to one side."""
        if abs(self.z - centre[2]) >= radii[2] + width:
            return
        across, down = radii[0] + width, radii[1] + width
        for x in {centre[0], -centre[0]} if mirror else {centre[0]}:
            here = self.window((x - across, centre[1] - down), (x + across, centre[1] + down))
            self.paint(soft(ball(self.x[here], self.y[here], self.z, (x, *centre[1:]), radii), width), tissue, here)


def soft(level: np.ndarray, width: float = 0.012) -> np.ndarray:
    """Weight 0..1 across a border `width` head units wide.

    >>> soft(np.array([-0.02, 0.0, 0.005, 0.02]), width=0.02).tolist()
    [0.0, 0.5, 0.75, 1.0]
    """
    return np.clip(level / width + 0.5, 0, 1)
