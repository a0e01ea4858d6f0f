from itertools import permutations, product

import numpy as np
import pytest

from lggseg.errors import LggError
from lggseg.scans.grid import Grid

# All 48 ways in which a file's axes can run: which world axis each follows, and whether it runs
# against it.
WAYS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]
SIZE = np.array([1.0, 2.0, 5.0])  # mm towards right, front, top


def stored(world: np.ndarray, order, signs) -> tuple[np.ndarray, Grid]:
    """The array (R,A,S) as a file with these axes would hold it, and that file's grid."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    volume = world.transpose(order)
    for axis, (to, sign) in enumerate(zip(order, signs)):
        affine[to, axis] = sign * SIZE[to]
        if sign < 0:
            volume = np.flip(volume, axis)
            affine[to, 3] = SIZE[to] * (world.shape[to] - 1)
    return volume, Grid(volume.shape, affine)


@pytest.mark.parametrize(("order", "signs"), WAYS)
def test_every_orientation_shows_the_same_slices(order, signs):
    world = np.arange(24).reshape(2, 3, 4)
    volume, grid = stored(world, order, signs)
    slices = grid.to_slices(volume)
    assert slices.shape == (4, 3, 2) and grid.spacing.tolist() == [5.0, 2.0, 1.0]
    # The bottom slice's first row is the front, its first column the right.
    assert slices[0, 0, 0] == world[1, 2, 0]
    assert slices[3, 2, 1] == world[0, 0, 3]
    np.testing.assert_array_equal(grid.from_slices(slices), volume)
    assert grid.same_as(stored(world, (0, 1, 2), (1, 1, 1))[1])


def test_same_places_or_not():
    grid = Grid((4, 4, 4), np.eye(4))
    moved, wider = np.eye(4), np.diag([1.2, 1, 1, 1])
    moved[0, 3] = 0.05
    assert grid.same_as(Grid((4, 4, 4), moved)) and not grid.same_as(Grid((4, 4, 4), wider))
    for shift, same in ((0.09, True), (0.11, False)):  # a tenth of a voxel
        moved[0, 3] = shift
        assert grid.same_as(Grid((4, 4, 4), moved)) is same
    assert not grid.same_as(Grid((4, 4, 5), np.eye(4)))
    moved[0, 3] = 0.5
    assert not grid.same_as(Grid((4, 4, 4), moved))


def test_oblique_volumes_keep_their_slices():
    angle = np.radians(20)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    grid = Grid((3, 4, 5), turn @ np.diag([1, 1, 4, 1]))
    assert grid.axial_shape == (5, 4, 3) and grid.spacing[0] == pytest.approx(4)
    assert grid.voxel == pytest.approx(0.004)


@pytest.mark.parametrize(
    "affine", [np.zeros((4, 4)), np.full((4, 4), np.nan), np.diag([1.0, 0, 1, 1])]
)
def test_an_affine_that_places_nothing_is_refused(affine):
    with pytest.raises(LggError, match="does not place voxels in space"):
        Grid((2, 2, 2), affine)


def head_grid(shape, spacing) -> Grid:
    return Grid(shape, np.diag([*spacing, 1.0]) @ np.diag([-1, -1, 1, 1]))


@pytest.mark.parametrize(
    ("shape", "spacing", "fits"),
    [
        ((256, 256, 24), (0.94, 0.94, 5), True),
        ((240, 240, 155), (1, 1, 1), True),  # 2D FLAIR; BraTS
        ((30, 256, 256), (5, 0.94, 0.94), True),  # in sagittal slices
        ((256, 256, 24), (1, 1, 1), False),  # the identity as affine: a head 24 mm high
        ((256, 256, 24), (0.00094, 0.00094, 0.005), False),
        ((256, 256, 24), (940, 940, 5000), False),  # m, microns
        ((256, 256, 1), (0.94, 0.94, 5), False),
        ((1536, 1536, 1), (0.94, 0.94, 5), False),  # a slice; a mosaic
        ((100, 100, 12), (1, 1, 5), True),
        ((99, 100, 12), (1, 1, 5), False),
        ((100, 100, 11), (1, 1, 5), False),
        ((100, 100, 20), (3, 3, 15), True),
        ((100, 100, 20), (3.1, 3, 15), False),
        ((99, 100, 19), (3, 3, 15.1), False),
        ((1500, 1500, 600), (0.2, 0.2, 0.5), True),
        ((1500, 1500, 600), (0.19, 0.2, 0.5), False),
        ((1500, 1500, 600), (0.2, 0.2, 0.4), False),
        ((301, 256, 24), (1, 1, 5), False),
        ((256, 256, 61), (1, 1, 5), False),
    ],
)
def test_a_head_fits_or_not(shape, spacing, fits):
    grid = head_grid(shape, spacing)
    assert grid.fits_a_head() is fits
    if fits:
        grid.check_head()
    else:
        with pytest.raises(LggError, match="voxels of .* mm; a head has 100 to 300 mm"):
            grid.check_head()


def test_the_identity_is_no_scanners_affine():
    with pytest.raises(LggError, match="its affine is the identity"):
        Grid((240, 240, 155), np.eye(4)).check_head()
