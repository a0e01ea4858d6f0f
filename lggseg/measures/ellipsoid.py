"""The smallest ellipsoid around a tumour's voxels, for the bounding ellipsoid volume ratio of `lggseg.measures.shape`.

Khachiyan's algorithm with the away steps of Todd and Yildirim (2007, Discrete Applied Mathematics), and Newton steps.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import qr
from scipy.spatial import ConvexHull, QhullError

from ..errors import LggError


class Ellipsoid(NamedTuple):
    """The points x with (x - centre)' inverse(matrix) (x - centre) <= 1."""

    centre: np.ndarray  # (3,)
    matrix: np.ndarray  # (3, 3), symmetric, positive definite; its eigenvalues are the squared semi-axes

    @property
    def volume(self) -> float:
        """In the cube of the points' unit."""
        return float(4 / 3 * np.pi * np.sqrt(np.linalg.det(self.matrix)))


def corners(mask: np.ndarray) -> np.ndarray:
    """Outermost voxel corners of a non-empty mask bool (D,H,W): float (n, 3), voxel d covering d .. d+1.

    Of each run of corners along the last axis only the two ends are given: the rest lies between them.

    >>> corners(np.ones((1, 1, 5), bool)).shape  # 4 runs of 6 corners, their ends
    (8, 3)
    """
    touched = np.zeros(np.add(mask.shape[:2], 1).tolist() + [mask.shape[2]], bool)
    for dz, dy in np.ndindex(2, 2):
        touched[dz:dz + mask.shape[0], dy:dy + mask.shape[1]] |= mask
    z, y = np.nonzero(touched.any(axis=2))
    first = touched[z, y].argmax(axis=1)
    last = mask.shape[2] - touched[z, y, ::-1].argmax(axis=1)
    return np.concatenate([np.stack([z, y, x], axis=1) for x in (first, last)]).astype(float)


def enclosing_ellipsoid(points: np.ndarray, tolerance: float = 1e-9) -> Ellipsoid:
    """Smallest ellipsoid around points (n, 3); its volume is right to 2 x tolerance.

    The ellipsoid is the inverse spread of the points under weights u that make its volume extreme: weighted
    points lie on it, all others inside (Khachiyan). Each round moves weight to the vertex of the convex hull
    that sticks out most, or from the weighted one lying deepest (Todd and Yildirim 2007), then
    takes a Newton step over the few weighted vertices, so some ten rounds replace thousands. LggError for points that
    all lie in a plane, or are no numbers.

    >>> octahedron = np.concatenate([np.eye(3), -np.eye(3)])  # touches the unit ball
    >>> round(enclosing_ellipsoid(octahedron).volume, 4)
    4.1888
    """
    try:
        points = points[ConvexHull(points).vertices]
    except (QhullError, ValueError) as error:
        raise LggError(f"points are {np.shape(points)}; an ellipsoid needs (n, 3) finite ones that do not all lie in a "
                       "plane, such as the corners of a mask's voxels") from error
    origin, scale = points.mean(axis=0), points.std(axis=0)
    q = np.column_stack([(points - origin) / scale, np.ones(len(points))])  # (n, 4): lifted, well conditioned
    u = np.zeros(len(q))
    u[qr(q.T, mode="r", pivoting=True)[1][:4]] = 1 / 4  # a wide tetrahedron to start from
    for _ in range(10_000):
        kappa = np.einsum("ij,ij->i", q @ np.linalg.inv((q.T * u) @ q), q)  # 4 on the ellipsoid, less inside
        far, near = int(kappa.argmax()), int(np.where(u > 0, kappa, np.inf).argmin())
        if max(kappa[far] - 4, 4 - kappa[near]) < 4 * tolerance:
            break
        u = _newton_step(q, _shift_weight(u, kappa, far if kappa[far] - 4 >= 4 - kappa[near] else near))
    centre = u @ q[:, :3]
    spread = ((q[:, :3] - centre).T * u) @ (q[:, :3] - centre)
    return Ellipsoid(origin + scale * centre, spread * (kappa[far] - 1) * np.outer(scale, scale))


def _shift_weight(u: np.ndarray, kappa: np.ndarray, i: int) -> np.ndarray:
    """Weights after the best step towards vertex `i` (kappa above 4) or away from it (below), none negative."""
    step = (kappa[i] - 4) / (4 * (kappa[i] - 1)) if kappa[i] > 1 else -np.inf
    emptied = step <= -u[i] / (1 - u[i])
    moved = u / (1 - u[i]) if emptied else u * (1 - step)
    moved[i] = 0 if emptied else moved[i] + step
    return moved


def _newton_step(q: np.ndarray, u: np.ndarray) -> np.ndarray:
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
