"""The smallest enclosing ellipsoid by John's conditions, and against a general optimiser."""

import math

import numpy as np
import pytest
from scipy import optimize

from lggseg.errors import LggError
from lggseg.measures import ellipsoid as module
from lggseg.measures.ellipsoid import corners, enclosing_ellipsoid


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
    equations = np.concatenate(
        [touching.T, np.einsum("ni,nj->ijn", touching, touching).reshape(9, -1)]
    )
    return norm.max() - 1, optimize.nnls(
        equations, np.concatenate([np.zeros(3), np.eye(3).ravel()])
    )[1]


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
        lambda v: -np.linalg.slogdet(matrix(v))[1],
        [0.2, 0, 0.2, 0, 0, 0.2, 0, 0, 0],
        method="SLSQP",
        constraints={
            "type": "ineq",
            "fun": lambda v: 1 - ((points @ matrix(v) + v[6:]) ** 2).sum(axis=1),
        },
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    volume = 4 / 3 * math.pi / np.linalg.det(matrix(found.x))
    assert enclosing_ellipsoid(points).volume == pytest.approx(volume, rel=1e-6)


def test_many_points_on_a_ball_are_no_trouble():
    points = np.random.default_rng(0).normal(size=(2000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    ellipsoid = enclosing_ellipsoid(points * [100, 1, 0.01] + [1000, 0, -5])
    assert ellipsoid.volume == pytest.approx(4 / 3 * math.pi, rel=1e-6)
    assert ellipsoid.centre == pytest.approx([1000, 0, -5], abs=1e-3)


def test_corners_of_every_voxel_lie_between_those_given():
    """Of two voxels in a row and one beside them: the ends of each run,
    as pairs of first and last.
    """
    mask = np.zeros((1, 2, 3), bool)
    mask[0, 0, :2] = mask[0, 1, 2] = True
    points = corners(mask)
    first, last = np.split(points, 2)
    runs = {tuple(a[:2]): (a[2], b[2]) for a, b in zip(first, last)}
    assert runs == {
        (z, y): ends for z in (0, 1) for y, ends in ((0, (0, 2)), (1, (0, 3)), (2, (2, 3)))
    }
    assert points.dtype == float
    assert {tuple(point) for point in corners(np.array([[[0, 1, 0, 0, 0]]], bool))} == {
        (z, y, x) for z in (0, 1) for y in (0, 1) for x in (1, 2)
    }


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((3, 3)),
        np.eye(3),
        np.ones((20, 3)),
        np.full((9, 3), np.nan),
        np.random.default_rng(0).random((9, 3)) * [1, 1, 0],
    ],
)
def test_points_in_a_plane_have_no_ellipsoid(points):
    with pytest.raises(LggError, match="do not all lie in a plane"):
        enclosing_ellipsoid(points)


# ---------------------------------------------------------------- how it gets there


def lifted(seed, n=9):
    """Points (n, 4), the last coordinate 1 and the last point near the middle,
    and positive weights (n,) of sum 1.
    """
    rng = np.random.default_rng(seed)
    points, u = rng.normal(size=(n, 3)), rng.random(n) + 0.1
    points[-1] *= 0.1
    return np.column_stack([points, np.ones(n)]), u / u.sum()


def log_det(q, u):
    return np.linalg.slogdet((q.T * u) @ q)[1]


def kappas(q, u):
    return np.einsum("ij,jk,ik->i", q, np.linalg.inv((q.T * u) @ q), q)


@pytest.mark.parametrize("seed", range(5))
def test_a_shift_of_weight_goes_as_far_as_the_volume_gains(seed):
    """Against a search along the line, whose end is where the vertex has no weight left."""
    q, u = lifted(seed)
    u[0] = 0.0
    u /= u.sum()
    for i in range(len(u)):

        def along(t):
            return u * (1 - t) + t * np.eye(len(u))[i]  # noqa: B023

        end = -u[i] / (1 - u[i])
        best = optimize.minimize_scalar(
            lambda t: -log_det(q, along(t)),
            bounds=(end, 0.99),
            method="bounded",
            options={"xatol": 1e-10},
        ).x
        moved = module._shift_weight(u, kappas(q, u), i)
        assert moved == pytest.approx(along(best), abs=1e-5)
        assert moved.sum() == pytest.approx(1) and (moved >= 0).all()
        assert moved[i] == 0 if best < end + 1e-6 else moved[i] > 0


@pytest.mark.parametrize("middle", [1.0, 0.9])
def test_a_vertex_in_the_very_middle_loses_all_its_weight(middle):
    moved = module._shift_weight(np.array([0.2, 0.2, 0.2, 0.4]), np.array([5, 5, 5, middle]), 3)
    assert moved == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])


def test_a_heavy_vertex_near_the_middle_keeps_some_of_its_weight():
    """The best step is (1.5 - 4) / (4 (1.5 - 1)) = -1.25,
    and all of it would be gone at -0.6 / 0.4 = -1.5.
    """
    moved = module._shift_weight(np.array([0.1, 0.1, 0.2, 0.6]), np.array([5, 5, 5, 1.5]), 3)
    assert moved == pytest.approx([0.225, 0.225, 0.45, 0.1])


def newton(q, u, gap=1e-4):
    """(step, decrement) of Newton's method for log det - 4 sum,
    from differences of the function's own values.
    """

    def rise(w):
        return log_det(q, w) - 4 * w.sum()

    e = gap * np.eye(len(u))
    gradient = np.array([(rise(u + d) - rise(u - d)) / (2 * gap) for d in e])
    hessian = np.array(
        [
            [
                (rise(u + a + b) - rise(u + a - b) - rise(u - a + b) + rise(u - a - b))
                / (4 * gap**2)
                for a in e
            ]
            for b in e
        ]
    )
    step = np.linalg.solve(-hessian, gradient)
    return step, math.sqrt(gradient @ step)


def test_newton_steps_against_differences():
    """Whole near the top, damped far from it,
    and no further than to where the first weight is gone.
    """
    kinds = set()
    for seed in range(40):
        q, u = lifted(seed, n=5)
        if seed % 2:  # near the top
            for _ in range(2):
                u = module._newton_step(q, u)
        if (u < 1e-3).any():
            continue
        step, decrement = newton(q, u)
        wanted = 1 if decrement < 0.25 else 1 / (1 + decrement)
        reach = np.where(step < 0, u / np.where(step < 0, -step, 1), np.inf)
        size = min(wanted, reach.min())
        new, expected = module._newton_step(q, u), u + size * step
        assert new == pytest.approx(expected / expected.sum(), abs=2e-4)
        assert new.sum() == pytest.approx(1) and (new >= 0).all()
        kinds.add("whole" if size == 1 else "damped" if size == wanted else "emptied")
        assert (new == 0).sum() == (size < wanted)
    assert kinds == {"whole", "damped", "emptied"}


def test_newton_leaves_out_what_has_no_weight():
    q, u = lifted(0, n=6)
    u[[1, 4]] = 0
    new = module._newton_step(q, u / u.sum())
    assert new[[1, 4]].tolist() == [0, 0]
    assert new[[0, 2, 3, 5]] == pytest.approx(
        module._newton_step(q[[0, 2, 3, 5]], u[[0, 2, 3, 5]] / u.sum())
    )


def test_some_ten_rounds_are_enough(monkeypatch):
    """Thousands would be needed without Newton's steps, twice as many with worse ones."""
    rounds, step = [], module._newton_step
    monkeypatch.setattr(module, "_newton_step", lambda q, u: rounds.append(0) or step(q, u))
    for seed in range(10):
        enclosing_ellipsoid(np.random.default_rng(seed).normal(size=(500, 3)))
    assert len(rounds) <= 10 * 7


@pytest.mark.parametrize("tolerance", [0.3, 0.03, 1e-4])
def test_tolerance_bounds_the_volume(tolerance):
    for seed in range(20):
        points = np.random.default_rng(seed).normal(size=(40, 3))
        loose, best = (
            enclosing_ellipsoid(points, tolerance).volume,
            enclosing_ellipsoid(points).volume,
        )
        assert best * (1 - 1e-8) <= loose <= best * (1 + 2 * tolerance)
