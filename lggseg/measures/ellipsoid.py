"""The smallest ellipsoid around a tumour's voxels, for the bounding ellipsoid volume ratio.

Khachiyan's algorithm with the away steps of Todd and Yildirim (2007, Discrete Applied Mathematics),
and Newton steps.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import qr
from scipy.spatial import ConvexHull, QhullError

from ..errors import LggError

MOST_ROUNDS = 10_000  # some ten are enough for a tumour


class Ellipsoid(NamedTuple):
    """The points x with (x - centre)' inverse(matrix) (x - centre) <= 1.

    Attributes
    ----------
    centre : float (3,)
    matrix : float (3, 3)
        Symmetric and positive definite; its eigenvalues are the squared semi-axes.
    """

    centre: np.ndarray
    matrix: np.ndarray

    @property
    def volume(self) -> float:
        """In the cube of the points' unit."""
        return float(4 / 3 * np.pi * np.sqrt(np.linalg.det(self.matrix)))


def corners(mask: np.ndarray) -> np.ndarray:
    """The outermost corners of a mask's voxels.

    Of each run of corners along the last axis only the two ends are returned: the rest lies
    between them.

    Parameters
    ----------
    mask : bool (slices, height, width), not empty

    Returns
    -------
    float (n, 3)
        The voxel at index d covers d to d + 1 along each axis.

    Examples
    --------
    >>> corners(np.ones((1, 1, 5), bool)).shape  # 4 runs of 6 corners, their ends
    (8, 3)
    """
    slices, height, width = mask.shape
    touched = np.zeros((slices + 1, height + 1, width), bool)  # runs of voxels that a corner ends
    for dz, dy in np.ndindex(2, 2):
        touched[dz : dz + slices, dy : dy + height] |= mask
    z, y = np.nonzero(touched.any(axis=2))
    first = touched[z, y].argmax(axis=1)
    last = width - touched[z, y, ::-1].argmax(axis=1)
    starts = np.stack([z, y, first], axis=1)
    ends = np.stack([z, y, last], axis=1)
    return np.concatenate([starts, ends]).astype(float)


def enclosing_ellipsoid(points: np.ndarray, tolerance: float = 1e-9) -> Ellipsoid:
    """The smallest ellipsoid around points.

    The ellipsoid is the inverse spread of the points under weights u that make its volume extreme:
    points with weight lie on it, all others inside (Khachiyan). Each round moves weight to the
    vertex of the convex hull that sticks out most, or away from the one with weight that lies
    deepest (Todd and Yildirim 2007). Then it takes a Newton step over the few vertices with weight,
    so that some ten rounds replace thousands.

    Parameters
    ----------
    points : float (n, 3)
        Finite, and not all in a plane.
    tolerance : float
        The volume is right to twice this fraction.

    Returns
    -------
    Ellipsoid

    Raises
    ------
    LggError
        If the points are all in a plane, or not finite.

    Examples
    --------
    >>> octahedron = np.concatenate([np.eye(3), -np.eye(3)])  # touches the unit ball
    >>> round(enclosing_ellipsoid(octahedron).volume, 4)
    4.1888
    """
    try:
        points = points[ConvexHull(points).vertices]
    except (QhullError, ValueError) as error:
        raise LggError(
            f"points are {np.shape(points)}; an ellipsoid needs (n, 3) finite ones that do not all "
            "lie in a plane, such as the corners of a mask's voxels"
        ) from error
    origin = points.mean(axis=0)
    scale = points.std(axis=0)
    # One more coordinate, 1, turns the ellipsoid around its centre into one around the origin.
    q = np.column_stack([(points - origin) / scale, np.ones(len(points))])
    u = _first_weights(q)
    for _ in range(MOST_ROUNDS):
        spread = (q.T * u) @ q
        # One number per point: 4 on the ellipsoid, less inside, more outside.
        kappa = np.einsum("ij,ij->i", q @ np.linalg.inv(spread), q)
        far = int(kappa.argmax())
        near = int(np.where(u > 0, kappa, np.inf).argmin())
        outside = kappa[far] - 4
        inside = 4 - kappa[near]
        if max(outside, inside) < 4 * tolerance:
            break
        if outside >= inside:
            u = _shift_weight(u, kappa, far)
        else:
            u = _shift_weight(u, kappa, near)
        u = _newton_step(q, u)
    centre = u @ q[:, :3]
    offset = q[:, :3] - centre
    matrix = (offset.T * u) @ offset * (kappa[far] - 1)
    return Ellipsoid(origin + scale * centre, matrix * np.outer(scale, scale))


def _first_weights(q: np.ndarray) -> np.ndarray:
    """Weights to start from: equal ones on four points that are far apart."""
    _, order = qr(q.T, mode="r", pivoting=True)
    u = np.zeros(len(q))
    u[order[:4]] = 1 / 4
    return u


def _shift_weight(u: np.ndarray, kappa: np.ndarray, i: int) -> np.ndarray:
    """Weights after the best step towards vertex `i`, if its kappa is above 4, else away from it.

    No weight becomes negative.
    """
    step = -np.inf
    if kappa[i] > 1:
        step = (kappa[i] - 4) / (4 * (kappa[i] - 1))
    takes_all = step <= -u[i] / (1 - u[i])
    if takes_all:
        moved = u / (1 - u[i])
        moved[i] = 0
    else:
        moved = u * (1 - step)
        moved[i] += step
    return moved


def _newton_step(q: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Weights after a damped Newton step to the maximum of log det(q' diag(u) q) - 4 sum(u)."""
    support = np.flatnonzero(u)
    s = q[support]
    w = u[support]
    k = s @ np.linalg.inv((s.T * w) @ s) @ s.T
    gradient = np.diag(k) - 4
    # Symmetric layouts, such as a box, make k**2 singular: least squares takes the shortest step.
    step = np.linalg.lstsq(k**2, gradient, rcond=1e-12)[0]
    decrement = np.sqrt(max(step @ gradient, 0))
    reach = np.full(len(w), np.inf)  # the size of step that empties each weight
    np.divide(w, -step, out=reach, where=step < 0)
    size = 1.0
    if decrement >= 0.25:
        size = 1 / (1 + decrement)
    size = min(size, reach.min())
    new = np.zeros_like(u)
    new[support] = np.where(reach <= size, 0, w + size * step)
    return new / new.sum()
