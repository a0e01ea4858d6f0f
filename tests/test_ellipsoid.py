"""The smallest enclosing ellipsoid by John's conditions, and against a general optimiser."""

import math

import numpy as np
import pytest
from scipy import optimize

from lggseg.ellipsoid import corners, enclosing_ellipsoid


def john(points, ellipsoid):
    """How far the ellipsoid is from John's conditions, which only the smallest enclosing one meets.

    In coordinates where it is the unit ball: no point outside, and weights >= 0 on the points
    touching it with sum w y = 0 and sum w y y' = identity.
    """
    y = np.linalg.solve(np.linalg.cholesky(ellipsoid.matrix), (points - ellipsoid.centre).T).T
    norm = np.linalg.norm(y, axis=1)
    touching = y[norm > 1 - 1e-6]
    if len(touching) == 0:
        return norm.max() - 1, np.inf
    equations = np.concatenate([touching.T, np.einsum("ni,nj->ijn", touching, touching).reshape(9, -1)])
    return norm.max() - 1, optimize.nnls(equations, np.concatenate([np.zeros(3), np.eye(3).ravel()]))[1]


@pytest.mark.parametrize("seed", range(8))
def test_the_ellipsoid_is_the_smallest_by_johns_conditions(seed):
    rng = np.random.default_rng(seed)
    points = corners(rng.random(rng.integers(2, 12, 3)) < 0.3) @ np.diag([5.0, 1.0, 0.7])
    outside, residual = john(points, enclosing_ellipsoid(points))
    assert outside < 1e-8
    assert residual < 1e-6


def test_johns_conditions_refuse_a_larger_ellipsoid():
    points = corners(np.random.default_rng(1).random((4, 5, 6)) < 0.3)
    best = enclosing_ellipsoid(points)
    assert john(points, best._replace(matrix=best.matrix * 1.01))[1] > 0.1


def test_the_ellipsoid_agrees_with_a_general_optimiser():
    points = np.random.default_rng(3).normal(size=(12, 3))

    def matrix(v):
        a = np.zeros((3, 3))
        a[np.tril_indices(3)] = v[:6]
        return a + np.tril(a, -1).T

    found = optimize.minimize(
        lambda v: -np.linalg.slogdet(matrix(v))[1], [0.2, 0, 0.2, 0, 0, 0.2, 0, 0, 0], method="SLSQP",
        constraints={"type": "ineq", "fun": lambda v: 1 - ((points @ matrix(v) + v[6:])**2).sum(axis=1)},
        options={"ftol": 1e-14, "maxiter": 1000})
    volume = 4 / 3 * math.pi / np.linalg.det(matrix(found.x))
    assert enclosing_ellipsoid(points).volume == pytest.approx(volume, rel=1e-6)


def test_many_points_on_a_ball_are_no_trouble():
    points = np.random.default_rng(0).normal(size=(2000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    ellipsoid = enclosing_ellipsoid(points * [100, 1, 0.01] + [1000, 0, -5])
    assert ellipsoid.volume == pytest.approx(4 / 3 * math.pi, rel=1e-6)
    assert ellipsoid.centre == pytest.approx([1000, 0, -5], abs=1e-3)


def test_corners_of_every_voxel_lie_between_those_given():
    """Of two voxels in a row and one beside them: the ends of each run, as pairs of first and last."""
    mask = np.zeros((1, 2, 3), bool)
    mask[0, 0, :2] = mask[0, 1, 2] = True
    points = corners(mask)
    first, last = np.split(points, 2)
    runs = {tuple(a[:2]): (a[2], b[2]) for a, b in zip(first, last)}
    assert runs == {(z, y): ends for z in (0, 1) for y, ends in ((0, (0, 2)), (1, (0, 3)), (2, (2, 3)))}
    assert points.dtype == float
