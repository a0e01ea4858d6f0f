"""Three numbers for the shape of a tumour: angular standard deviation, margin fluctuation, ellipsoid ratio.

ASD and MF read the outline of one slice, BEVR the whole volume. All three are pure numbers: they know
neither pixel size nor slice spacing, and the data set has none. A tumour of no voxels has no shape:
its features are NaN, and whatever counts or averages them leaves it out.

Sources: Mazurowski et al. 2017 (J Neuro-Oncology); Buda, Saha, Mazurowski 2019
(doi 10.1016/j.compbiomed.2019.05.002).
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.linalg import qr
from scipy.spatial import ConvexHull
from skimage.measure import find_contours

from .errors import LggError

SECTORS = 10  # of 36 degrees each
WINDOW = 0.1  # of the outline's points, for the moving average of MF


class Outline(NamedTuple):
    """The tumour's outline in its largest slice, and its boundary signal."""

    index: int  # the slice
    points: np.ndarray  # (n, 2), row and column in pixels, in order around the tumour, first point not repeated
    centroid: np.ndarray  # (2,), row and column of the mean tumour pixel
    radius: np.ndarray  # (n,), distance to the centroid over the mean distance: mean 1, no unit
    angle: np.ndarray  # (n,), radians in 0 .. 2 pi, from +x (columns) towards +y (rows, downwards)


class Ellipsoid(NamedTuple):
    """The points x with (x - centre)' inverse(matrix) (x - centre) <= 1."""

    centre: np.ndarray  # (3,)
    matrix: np.ndarray  # (3, 3), symmetric, positive definite; its eigenvalues are the squared semi-axes

    @property
    def volume(self) -> float:
        """In the cube of the points' unit."""
        return float(4 / 3 * np.pi * np.sqrt(np.linalg.det(self.matrix)))


def shape_features(mask: np.ndarray) -> dict[str, float]:
    """`asd`, `mf` and `bevr` of a tumour mask bool (D,H,W); all NaN when it is empty."""
    check_mask(mask)
    if not mask.any():
        return {"asd": np.nan, "mf": np.nan, "bevr": np.nan}
    mask = mask[bounding_box(mask)]
    outline = largest_outline(mask)
    return {"asd": angular_deviation(outline), "mf": margin_fluctuation(outline), "bevr": ellipsoid_ratio(mask)}


def asd(mask: np.ndarray) -> float:
    """Angular standard deviation of the outline in the largest slice; no unit, from 0 (a disc), rarely above 0.3.

    With r the distance of an outline point from the centroid over the mean distance, and S_1 .. S_10
    the points in ten sectors of 36 degrees, the first starting along +x:

        ASD = mean over non-empty s of sd(r in S_s)          (population SD)

    `mask` is bool (D,H,W); NaN when empty; LggError for another type or number of axes.

    Traps: the SD must be taken within each sector and over every outline point. Keeping only the
    largest radius per degree makes ASD track the tumour's size. The sectors have a fixed origin, so
    ASD changes a little when the head is rotated, unless by a multiple of 36 degrees.
    """
    return shape_features(mask)["asd"]


def mf(mask: np.ndarray) -> float:
    """Margin fluctuation of the outline in the largest slice; no unit, from 0 (smooth), rarely above 0.15.

    With r as in `asd`, in order around the outline, and m its moving average over a tenth of the
    points (rounded, made odd upwards), wrapped around at the ends:

        MF = sd(r - m)          (population SD)

    `mask` is bool (D,H,W); NaN when empty; LggError for another type or number of axes.

    Traps: an average that does not wrap around invents fluctuation where the outline happens to
    start; an outline cut open by the image border does too, so slices are padded first.
    """
    return shape_features(mask)["mf"]


def bevr(mask: np.ndarray) -> float:
    """Bounding ellipsoid volume ratio; no unit, in 0 .. 1: 1 is a perfect ellipsoid, 0.37 a box.

        BEVR = volume of the tumour / volume of the smallest ellipsoid that encloses it

    over all voxels of all components. `mask` is bool (D,H,W); NaN when empty; LggError for another
    type or number of axes. Stretching space changes both volumes alike, so slice spacing cancels.

    Traps: the ellipsoid must enclose the voxels' corners, not centres (which inflates the ratio up to
    1.6 times, most for thin tumours); an ellipsoid from principal components is not the smallest one and
    does not cancel the spacing; a solver stopped early overstates it by some per cent; and a single
    false-positive voxel far away changes everything.
    """
    return shape_features(mask)["bevr"]


def check_mask(mask: np.ndarray) -> None:
    """Raise LggError unless `mask` is bool (D,H,W)."""
    if not isinstance(mask, np.ndarray) or mask.ndim != 3 or mask.dtype != bool:
        what = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise LggError(f"mask is {what}; it must be a numpy array of bool (D, H, W): "
                       "mask > 0 makes it bool, mask[None] makes one slice a volume")


def bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box of slices that holds every True of `mask`, which must have one."""
    box = []
    for axis in range(mask.ndim):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        box.append(slice(hit[0], hit[-1] + 1))
    return tuple(box)


def largest_outline(mask: np.ndarray) -> Outline:
    """Outline of the largest 8-connected piece in the slice with most tumour of a non-empty mask bool (D,H,W).

    The outline runs half-way between tumour and background pixels (marching squares at 0.5); where it
    falls into several contours, as around holes, it is the longest. Of equals, the first counts.
    """
    index = int(mask.sum(axis=(1, 2)).argmax())
    labels, _ = ndimage.label(mask[index], structure=np.ones((3, 3)))
    piece = labels == np.bincount(labels.flat)[1:].argmax() + 1
    contours = find_contours(np.pad(piece, 1).astype(float), 0.5)  # padded, so that the border closes it too
    points = max(contours, key=len)[:-1] - 1
    centroid = np.argwhere(piece).mean(axis=0)
    dy, dx = (points - centroid).T
    distance = np.hypot(dy, dx)
    return Outline(index, points, centroid, distance / distance.mean(), np.arctan2(dy, dx) % (2 * np.pi))


def sectors(angle: np.ndarray) -> np.ndarray:
    """Number 0 .. 9 of the 36-degree sector that holds each angle (radians, 0 .. 2 pi)."""
    return np.floor(angle * SECTORS / (2 * np.pi)).astype(int) % SECTORS


def angular_deviation(outline: Outline) -> float:
    """ASD of an outline; see `asd`."""
    sector = sectors(outline.angle)
    return float(np.mean([outline.radius[sector == s].std() for s in np.unique(sector)]))


def smooth(radius: np.ndarray) -> np.ndarray:
    """Circular moving average of a boundary signal (n,) over a tenth of its points, made odd upwards."""
    window = round(WINDOW * len(radius))
    return ndimage.uniform_filter1d(radius, window + 1 - window % 2, mode="wrap")


def margin_fluctuation(outline: Outline) -> float:
    """MF of an outline; see `mf`."""
    return float(np.std(outline.radius - smooth(outline.radius)))


def ellipsoid_ratio(mask: np.ndarray) -> float:
    """BEVR of a non-empty mask; see `bevr`."""
    return float(mask.sum() / enclosing_ellipsoid(corners(mask)).volume)


def corners(mask: np.ndarray) -> np.ndarray:
    """Outermost voxel corners of a non-empty mask bool (D,H,W): float (n, 3), voxel d covering d .. d+1.

    Of each run of corners along the last axis only the two ends are given: the rest lies between them.
    """
    touched = np.zeros(np.add(mask.shape[:2], 1).tolist() + [mask.shape[2]], bool)
    for dz, dy in np.ndindex(2, 2):
        touched[dz:dz + mask.shape[0], dy:dy + mask.shape[1]] |= mask
    z, y = np.nonzero(touched.any(axis=2))
    first = touched[z, y].argmax(axis=1)
    last = mask.shape[2] - touched[z, y, ::-1].argmax(axis=1)
    return np.concatenate([np.stack([z, y, x], axis=1) for x in (first, last)]).astype(float)


def enclosing_ellipsoid(points: np.ndarray, tolerance: float = 1e-9) -> Ellipsoid:
    """Smallest ellipsoid around points (n, 3) that do not all lie in a plane; its volume is right to 2 x tolerance.

    The ellipsoid is the inverse spread of the points under weights u that make its volume extreme: weighted
    points lie on it, all others inside (Khachiyan). Each round moves weight to the vertex of the convex hull
    that sticks out most, or from the weighted one lying deepest (Todd and Yildirim 2007), then
    takes a Newton step over the few weighted vertices, so some ten rounds replace thousands.
    """
    points = points[ConvexHull(points).vertices]
    origin, scale = points.mean(axis=0), points.std(axis=0)
    q = np.column_stack([(points - origin) / scale, np.ones(len(points))])  # (n, 4): lifted, well conditioned
    u = np.zeros(len(q))
    u[qr(q.T, mode="r", pivoting=True)[1][:4]] = 1 / 4  # a wide tetrahedron to start from
    for _ in range(10_000):
        kappa = np.einsum("ij,ij->i", q @ np.linalg.inv((q.T * u) @ q), q)  # 4 on the ellipsoid, less inside
        far, near = int(kappa.argmax()), int(np.where(u > 0, kappa, np.inf).argmin())
        if max(kappa[far] - 4, 4 - kappa[near]) < 4 * tolerance:
            break
        u = newton_step(q, shift_weight(u, kappa, far if kappa[far] - 4 >= 4 - kappa[near] else near))
    centre = u @ q[:, :3]
    spread = ((q[:, :3] - centre).T * u) @ (q[:, :3] - centre)
    return Ellipsoid(origin + scale * centre, spread * (kappa[far] - 1) * np.outer(scale, scale))


def shift_weight(u: np.ndarray, kappa: np.ndarray, i: int) -> np.ndarray:
    """Weights after the best step towards vertex `i` (kappa above 4) or away from it (below), none negative."""
    step = (kappa[i] - 4) / (4 * (kappa[i] - 1)) if kappa[i] > 1 else -np.inf
    emptied = step <= -u[i] / (1 - u[i])
    moved = u * (1 + u[i] / (1 - u[i])) if emptied else u * (1 - step)
    moved[i] = 0 if emptied else moved[i] + step
    return moved


def newton_step(q: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Weights after a damped Newton step towards log det(q' diag(u) q) - 4 sum(u) at its highest, over u > 0."""
    support = np.flatnonzero(u)
    s, w = q[support], u[support]
    k = s @ np.linalg.inv((s.T * w) @ s) @ s.T
    rise = np.diag(k) - 4
    step = np.linalg.lstsq(k**2, rise, rcond=1e-12)[0]  # symmetric layouts, as a box, make k**2 singular
    decrement = np.sqrt(max(step @ rise, 0))
    reach = np.divide(w, -step, out=np.full(len(w), np.inf), where=step < 0)  # the step that empties each weight
    size = min(1 if decrement < 0.25 else 1 / (1 + decrement), reach.min())
    new = np.zeros_like(u)
    new[support] = np.where(reach <= size, 0, w + size * step)
    return new / new.sum()
