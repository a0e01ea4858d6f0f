import math

import pytest
import torch
from torch.nn import functional as F

from lggseg.prepare import augment as module
from lggseg.prepare.augment import Augment, enlarge, smooth, surroundings, uniform


def test_space_moves_image_and_mask_together():
    torch.manual_seed(0)
    mask = torch.zeros(8, 1, 32, 32)
    mask[:, :, 10:20, 8:14] = 1
    image, moved = Augment(1.0).space(mask.repeat(1, 3, 1, 1) * 5, mask)
    assert ((image[:, :1] > 2.5) != (moved > 0.5)).float().mean() < 0.02
    assert moved.min() >= 0 and moved.max() <= 1
    assert len({tuple(one.flatten().tolist()) for one in moved}) == 8  # each is moved its own way


def test_what_comes_in_from_outside_is_air():
    torch.manual_seed(0)
    image, air = torch.ones(16, 3, 32, 32), -1.5
    image[:, :, 0, 0] = air  # one dark pixel tells what air is
    moved, _ = Augment(1.0).space(image, torch.zeros(16, 1, 32, 32))
    assert moved.min() == pytest.approx(air, abs=1e-5) and (moved < -1.4).sum() > 16 * 3


def test_affine_at_strength_zero_mirrors_or_keeps():
    torch.manual_seed(0)
    matrices = Augment(0.0).affine(20)
    kept = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
    mirrored = torch.tensor([[-1.0, 0, 0], [0, 1, 0]])
    which = [torch.allclose(m, kept) for m in matrices]
    assert 0 < sum(which) < 20 and all(
        torch.allclose(m, kept if k else mirrored) for m, k in zip(matrices, which)
    )


def test_affine_by_hand(monkeypatch):
    """All at their largest: 0.35 of turn, 0.12 of shear, 0.16 of shift (half the width is 1), 0.2
    and 0.06 of zoom.
    """
    monkeypatch.setattr(module, "uniform", lambda spread, *shape: torch.full(shape, spread))
    augment = Augment(1.0)
    sin, cos, scale = 0.34290, 0.93937, 1.29693  # of 0.35; e to the 0.26
    across, down = augment.affine(1)[0].tolist()
    mirror = 1 if across[0] > 0 else -1
    assert across == pytest.approx([mirror * cos * scale, (0.12 - sin) * scale, 0.16], abs=1e-4)
    assert down == pytest.approx([mirror * sin * scale, cos * scale, 0.16], abs=1e-4)


def test_half_of_the_slices_are_mirrored():
    torch.manual_seed(0)
    assert (Augment(0.0).affine(4000)[:, 0, 0] < 0).float().mean() == pytest.approx(0.5, abs=0.03)


def test_draws_are_even_between_their_limits():
    torch.manual_seed(0)
    drawn = uniform(1.0, 4000)
    assert drawn.min() == pytest.approx(-1, abs=0.01) and drawn.max() == pytest.approx(1, abs=0.01)
    assert drawn.mean().abs() < 0.05 and drawn.std() == pytest.approx(2 / 12**0.5, abs=0.02)


def test_smooth_fields_have_their_spread():
    torch.manual_seed(0)
    field = smooth(0.2, 200, 2, (32, 32))
    assert field.std() == pytest.approx(0.17, abs=0.03)  # interpolation takes a little of the 0.2
    assert field.diff(dim=-1).std() < 0.2 * field.std()


def test_slices_are_bent_a_little():
    """By a hundredth of the picture, where nothing else moves: half the width is 1."""
    torch.manual_seed(0)
    augment = Augment(1.0)
    augment.affine = lambda n: torch.eye(2, 3).repeat(n, 1, 1)
    ramp = torch.linspace(-1, 1, 64).expand(100, 1, 64, 64)
    moved = augment.space(ramp.contiguous(), ramp.contiguous())[0]
    assert (moved - ramp)[..., 8:-8, 8:-8].std() == pytest.approx(0.017, abs=0.003)


def test_affine_turns_without_distorting(monkeypatch):
    def turn_alone(spread, *shape):
        return torch.full(shape, 0.3 if spread == 0.35 else 0.0)

    monkeypatch.setattr(module, "uniform", turn_alone)
    augment = Augment(1.0)
    matrix = augment.affine(1)[0, :, :2]
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(2))


def test_zoom_sets_how_much_sizes_change():
    torch.manual_seed(0)
    areas = {
        zoom: torch.linalg.det(Augment(1.0, zoom=zoom).affine(500)[:, :, :2]).abs()
        for zoom in (0.0, 0.5)
    }
    assert areas[0.0].min() > 0.8 and areas[0.0].max() < 1.25  # shear and unequal scales remain
    assert areas[0.5].min() < 0.5 and areas[0.5].max() > 2


def test_augment_returns_plain_tensors_and_changes_intensities():
    torch.manual_seed(1)
    image, mask = torch.randn(9, 32, 32), torch.zeros(1, 32, 32)
    other, same = Augment(1.0)(image, mask)
    assert type(same) is torch.Tensor and other.shape == image.shape
    assert not torch.equal(other, image) and same.sum() == 0


def test_strength_zero_only_mirrors():
    torch.manual_seed(0)
    image, mask = torch.randn(20, 3, 8, 8), (torch.rand(20, 1, 8, 8) > 0.5).float()
    changed, moved = Augment(0.0, drop=0.0)(image, mask)
    masks = [torch.allclose(new, old, atol=1e-5) for new, old in zip(moved, mask)]
    assert all(
        torch.allclose(m if k else m.flip(-1), n, atol=1e-5) for m, n, k in zip(mask, moved, masks)
    )
    kept = [torch.allclose(new, old, atol=1e-5) for new, old in zip(changed, image)]
    flipped = [torch.allclose(new, old.flip(-1), atol=1e-5) for new, old in zip(changed, image)]
    assert 0 < sum(kept) < 20 and all(k or f for k, f in zip(kept, flipped)) and kept == masks


def test_weaker_grey_levels_leave_the_geometry_as_it_is():
    torch.manual_seed(0)
    image, mask = torch.randn(8, 3, 32, 32), torch.rand(8, 1, 32, 32).round()

    def changed(grey):
        torch.manual_seed(0)
        return Augment(1.0, drop=0, grey=grey)(image.clone(), mask)

    whole, of_whole = changed(1)
    half, of_half = changed(0.5)
    none, _ = changed(0)
    assert torch.equal(of_whole, of_half)
    assert (whole - none).abs().mean() > 1.3 * (half - none).abs().mean() > 0


def fixed(monkeypatch, uniform, normal):
    """Random numbers that are all alike."""

    def full(value):
        return lambda *shape, **_: torch.full(
            shape[0] if isinstance(shape[0], tuple | torch.Size) else shape, value
        )

    monkeypatch.setattr(torch, "rand", full(uniform))
    monkeypatch.setattr(torch, "randn", full(normal))


@pytest.mark.parametrize(
    ("uniform", "normal", "strength", "expected"),
    [
        (0.5, 0.0, 1.0, 1.0),  # the middle of all: nothing
        (1.0, 0.0, 1.0, 1.0 + 0.4 * (2**0.5 - 1) + 0.4),  # curve and offset
        (0.0, 0.0, 1.0, 1.0 - 0.4 * (2**0.5 - 1) - 0.4),
        (0.5, 1.0, 1.0, math.exp(0.3)),  # gain
        (0.5, 9.0, 1.0, math.exp(0.9)),  # no gain beyond three deviations
        (0.5, 1.0, 0.5, math.exp(0.15)),
    ],
)
def test_contrast_by_hand(monkeypatch, uniform, normal, strength, expected):
    fixed(monkeypatch, uniform, normal)
    changed = Augment(strength).contrast(torch.ones(2, 6, 8, 8))
    torch.testing.assert_close(changed, torch.full((2, 6, 8, 8), expected))


def test_blur_by_hand(monkeypatch):
    """One pixel of 9 over its nine: at most six tenths of the way to a mean of 1, or as far beyond
    itself.
    """
    image = torch.zeros(1, 3, 8, 8)
    image[..., 4, 4] = 9
    augment = Augment(drop=0.0)
    monkeypatch.setattr(
        module, "uniform", lambda spread, *shape: uniform(spread if spread == 0.6 else 0, *shape)
    )
    for drawn, expected in ((1.0, 9 - 0.6 * 8), (0.0, 9 + 0.6 * 8)):
        fixed(monkeypatch, drawn, 0.0)
        assert augment.contrast(image)[0, :, 4, 4].tolist() == pytest.approx([expected] * 3)


def test_contrast_keeps_the_order_of_grey_values(monkeypatch):
    levels = torch.linspace(-5, 10, 64).repeat(300, 3, 1, 1).expand(300, 3, 8, 64)
    augment = Augment(1.5)
    blur = 0.6 * 1.5
    monkeypatch.setattr(
        module, "uniform", lambda spread, *shape: uniform(0 if spread == blur else spread, *shape)
    )
    assert (augment.contrast(levels.contiguous()).diff(dim=-1) > 0).all()


def test_contrast_is_drawn_per_sequence_and_alike_for_neighbouring_slices():
    torch.manual_seed(0)
    changed = Augment().contrast(torch.ones(4, 6, 8, 8)).unflatten(1, (2, 3))
    assert changed.std(dim=(-2, -1)).max() < 1e-5
    torch.testing.assert_close(changed[:, 0], changed[:, 1])
    assert len(changed[:, 0, :, 0, 0].unique()) == 12


# --- another scan ---


def signal(n: int = 400, level: float = 4.0) -> torch.Tensor:
    """Slices (n, 1, 3, 32, 32): tissue of one level on the right, air on the left."""
    slices = torch.zeros(n, 1, 3, 32, 32)
    slices[..., 16:] = level
    return slices


def changed_slices(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """Which slices differ, bool (n,)."""
    return (before != after).flatten(1).any(1)


@pytest.mark.parametrize(
    ("method", "chance"),
    [("coarsen", 0.15), ("add_ghosts", 0.25), ("add_noise", 0.5), ("cut_levels", 0.1)],
)
def test_changes_of_a_scan_come_with_their_chance(method, chance):
    torch.manual_seed(0)
    image = signal() + torch.rand(400, 1, 3, 32, 32)
    changed = image.clone()
    getattr(Augment(), method)(changed)
    assert changed_slices(image, changed).float().mean() == pytest.approx(chance, abs=0.05)


def test_noise_is_rician():
    """In air the modulus of two normal numbers has a mean of 1.25 deviations, in tissue it is
    hardly brighter.
    """
    image = signal(level=20.0)
    torch.manual_seed(0)
    Augment().add_noise(image)
    air, tissue = image[..., :16], image[..., 16:]
    deviation = tissue.std(dim=(-2, -1))
    noisy = deviation > 0.2
    assert noisy.any() and deviation.max() < 1.0
    ratio = air.mean(dim=(-2, -1))[noisy] / deviation[noisy]
    assert ratio.mean() == pytest.approx(1.2533, abs=0.03)
    assert (tissue.mean(dim=(-2, -1)) - 20).abs().max() < 0.15


def test_noise_is_in_some_sequences_only():
    torch.manual_seed(0)
    image = signal()
    changed = image.clone()
    Augment().add_noise(changed)
    noisy = (image != changed).flatten(3).any(3)[:, 0]  # (n, 3)
    assert {1, 2, 3} <= set(noisy.sum(1).tolist())


def test_ghosts_come_in_pairs_along_one_axis():
    """On either side of a head in the middle equally strong; whatever `grey` is."""
    torch.manual_seed(0)
    image = torch.zeros(100, 1, 3, 60, 60)
    image[..., 20:40, 20:40] = 4
    ghosts = image.clone()
    Augment(grey=0).add_ghosts(ghosts)
    outside = torch.where(image == 0, ghosts, 0.0)
    for axis in (-1, -2):
        torch.testing.assert_close(outside, outside.flip(axis))
    # The least shift is a fifth of the side, the largest takes both copies to one place.
    assert 4 * 0.2 < outside.max() <= 2 * 4 * 0.25
    changed = ghosts[changed_slices(image, ghosts)][:, 0, 0]
    along = (changed[:, 30, :20].amax(1) > 0) | (changed[:, :20, 30].amax(1) > 0)
    corners = changed[:, :20, :20]
    assert along.all() and not corners.any()


@pytest.mark.parametrize(("drawn", "factor"), [(0.5, 1 + 2 * 0.125), (1.0, 1 - 2 * 0.25)])
def test_ghosts_add_up_or_cancel(monkeypatch, drawn, factor):
    """In phase with the head they make it brighter by their weights, in opposite phase darker."""
    monkeypatch.setattr("lggseg.prepare.augment.chosen_rows", lambda chance, n: torch.arange(n))
    fixed(monkeypatch, drawn, 0.0)
    image = torch.full((1, 1, 3, 8, 8), 4.0)
    Augment().add_ghosts(image)
    assert image.flatten().tolist() == pytest.approx([4 * factor] * 192)


def test_coarse_slices_keep_their_mean():
    torch.manual_seed(0)
    image = signal() + torch.rand(400, 1, 3, 32, 32)
    coarse = image.clone()
    Augment().coarsen(coarse)
    chosen = changed_slices(image, coarse)
    inner = (..., slice(4, -4), slice(20, -4))
    assert coarse[chosen][inner].std() < 0.8 * image[chosen][inner].std()
    assert coarse[chosen][inner].mean() == pytest.approx(
        float(image[chosen][inner].mean()), abs=0.02
    )


def test_few_levels_are_few():
    torch.manual_seed(0)
    image = 8 * torch.rand(400, 1, 3, 32, 32)
    cut = image.clone()
    Augment().cut_levels(cut)
    chosen = changed_slices(image, cut).nonzero().flatten()
    numbers = [len(cut[row].round(decimals=4).unique()) for row in chosen]
    assert min(numbers) < 20 and max(numbers) < 200
    assert (cut - image).abs().max() <= 0.65 / 2 + 1e-5


def test_shading_by_hand(monkeypatch):
    """At their largest the slopes add up in a corner; the smooth field is left out."""
    fixed(monkeypatch, 1.0, 0.0)
    shading = Augment().shading(1, (5, 9))[0]
    assert shading[-1, -1] == pytest.approx(0.8) and shading[0, 0] == pytest.approx(-0.8)
    assert shading[2, 4] == pytest.approx(0, abs=1e-6)


def test_a_scan_leaves_air_where_it_is():
    """Brightness and shading are factors of the signal above air, each channel's darkest value."""
    torch.manual_seed(0)
    augment = Augment()
    for name in ("coarsen", "add_ghosts", "add_noise", "cut_levels"):
        setattr(augment, name, lambda signal: None)
    slices = signal(50) - 3
    scanned = augment.scan(slices)
    torch.testing.assert_close(scanned[..., :16], slices[..., :16])
    assert (scanned[..., 16:] > -3).all() and scanned[..., 16:].std() > 0.2


# --- tumours ---


def test_tumours_fade_towards_what_surrounds_them(monkeypatch):
    fixed(monkeypatch, 0.0, 0.0)  # every slice is chosen
    image = torch.ones(2, 3, 56, 56)
    mask = torch.zeros(2, 1, 56, 56)
    mask[:, :, 20:36, 20:36] = 1
    image[:, :, 20:36, 20:36] = 3
    stands_out = Augment().fade(image, mask)
    assert stands_out[:, :, 28, 28].mean() == pytest.approx(3 + 0.4 * 2, abs=0.01)
    assert torch.equal(
        stands_out[mask.expand(2, 3, 56, 56) == 0], image[mask.expand(2, 3, 56, 56) == 0]
    )
    monkeypatch.setattr("lggseg.prepare.augment.chosen_rows", lambda chance, n: torch.arange(n))
    fixed(monkeypatch, 1.0, 0.0)
    faint = Augment().fade(image, mask)
    assert faint[:, :, 28, 28].mean() == pytest.approx(3 - 0.65 * 2, abs=0.01)


def test_surroundings_carry_on_into_the_tumour():
    image = torch.linspace(0, 1, 56).expand(1, 1, 56, 56).clone()
    mask = torch.zeros(1, 1, 56, 56)
    mask[..., 24:32, 24:32] = 1
    image[mask > 0] = 9
    around = surroundings(image, mask)
    assert around[0, 0, 28, 28] == pytest.approx(0.5, abs=0.05)


def test_drop_copies_flair_exactly_and_never_into_pre_contrast_alone():
    torch.manual_seed(0)
    image, _ = Augment(1.0, drop=1.0)(torch.randn(50, 6, 16, 16), torch.zeros(50, 1, 16, 16))
    assert torch.equal(image[:, [2, 5]], image[:, [1, 4]])
    pre = [torch.equal(one[0], one[1]) for one in image]
    assert pre == [torch.equal(one[3], one[4]) for one in image] and 10 < sum(pre) < 40


def test_pre_contrast_is_dropped_half_as_often_as_post():
    torch.manual_seed(0)
    image = torch.tensor([1.0, 2, 3]).view(1, 1, 3, 1, 1).repeat(4000, 1, 1, 1, 1)
    for drop in (0.4, 1.0):
        pre, flair, post = Augment(drop=drop).drop_sequences(image.clone()).flatten(1).T
        assert (post == 2).float().mean() == pytest.approx(drop, abs=0.02) and (flair == 2).all()
        assert (pre == 2).float().mean() == pytest.approx(drop / 2, abs=0.02)


def test_carve_mix_has_a_soft_edge(monkeypatch):
    monkeypatch.setattr(torch, "randperm", lambda n: torch.arange(n).flip(0))
    image, mask = torch.zeros(2, 3, 32, 32), torch.zeros(2, 1, 32, 32)
    image[0], mask[0, :, 16, 16] = 5, 1
    mixed, moved = Augment(carve_mix=1.0).carve_mix(image, mask)
    row = [
        0,
        0.2,
        0.4,
        0.6,
        0.8,
        1,
        1,
        1,
        0.8,
        0.6,
        0.4,
        0.2,
        0,
    ]  # three pixels more, and five of a fading edge
    assert mixed[1, 1, 16, 10:23].tolist() == pytest.approx(
        [5 * weight for weight in row], abs=1e-5
    )
    assert moved[1].sum() == 1 and moved[1, 0, 16, 16] == 1


def test_carve_mix_moves_a_tumour_with_its_image():
    torch.manual_seed(0)
    mask = torch.zeros(2, 1, 32, 32)
    mask[0, :, 10:20, 10:20] = 1
    image = torch.stack([torch.full((3, 32, 32), 5.0), torch.zeros(3, 32, 32)])
    mixed = [Augment(carve_mix=1.0).carve_mix(image, mask) for _ in range(8)]
    # The batch is shuffled: a slice may meet itself.
    swapped = [(i, m) for i, m in mixed if m[1].any()]
    assert 0 < len(swapped) < 8
    for i, m in swapped:
        assert (i[1, :, 10:20, 10:20] == 5).all() and (m[1, :, 10:20, 10:20] == 1).all()
        # Surroundings come along, but they are no tumour.
        assert i[1, :, :4].abs().max() == 0 and m[1].sum() == 100
        # Nothing to give, nothing taken.
        assert torch.equal(i[0], image[0]) and torch.equal(m[0], mask[0])


def test_cyst_changes_tumours_only_and_neighbouring_slices_alike():
    torch.manual_seed(0)
    image, mask = torch.ones(20, 6, 48, 48), torch.zeros(20, 1, 48, 48)
    mask[:, :, 12:36, 12:36] = 1
    changed = Augment(cyst=1.0).cyst(image, mask).unflatten(1, (2, 3))
    inside = mask.bool().expand(20, 3, 48, 48)
    assert (changed[:, 0][~inside] == 1).all() and torch.equal(changed[:, 0], changed[:, 1])
    assert (
        changed.min() > -2 and changed.max() < 2.5 and (changed[:, 0] != 1).flatten(1).any(1).all()
    )
    assert torch.equal(Augment(cyst=1.0).cyst(image, 0 * mask), image)


@pytest.mark.parametrize(
    ("uniform", "normal", "expected"),
    [
        (0.0, 0.0, 1 - 3 * 0.3 * 0.16798),
        (0.999999, 0.0, 1 + 1.5 * 0.83202),  # the logistic function of -1.6 and 1.6
        (0.0, 1.0, 1 - 3 * 0.3 * 0.91683),
    ],
)  # of 4 - 1.6
def test_cyst_by_hand(monkeypatch, uniform, normal, expected):
    """Towards -2 by three tenths, or towards 2.5 wholly, of a part that is soft."""
    fixed(monkeypatch, uniform, normal)
    changed = Augment(cyst=1.0).cyst(torch.ones(1, 3, 24, 24), torch.ones(1, 1, 24, 24))
    torch.testing.assert_close(changed, torch.full((1, 3, 24, 24), expected), atol=1e-4, rtol=0)


def test_cyst_changes_sequences_differently():
    torch.manual_seed(0)
    changed = Augment(cyst=1.0).cyst(torch.ones(8, 3, 24, 24), torch.ones(8, 1, 24, 24))
    assert len(changed.flatten(2).mean(2).flatten().unique()) == 24


def test_tricks_are_left_out_unless_asked_for():
    torch.manual_seed(0)
    image, mask = torch.zeros(8, 3, 16, 16), torch.zeros(8, 1, 16, 16)
    plain = Augment()
    assert (plain.strength, plain.drop, plain.zoom, plain.mix_share, plain.cyst_share) == (
        1,
        0.2,
        0.2,
        0,
        0,
    )
    plain.carve_mix = plain.cyst = lambda *_: pytest.fail("not asked for")
    plain(image, mask)
    asked, called = Augment(carve_mix=0.5, cyst=0.5), []
    asked.carve_mix = lambda image, mask: called.append("carve_mix") or (image, mask)
    asked.cyst = lambda image, mask: called.append("cyst") or image
    asked(image, mask)
    assert called == ["carve_mix", "cyst"]


def test_carve_mix_and_cyst_are_chances():
    torch.manual_seed(0)
    image, mask = torch.randn(400, 3, 16, 16), torch.ones(400, 1, 16, 16)
    assert torch.equal(Augment().carve_mix(image, mask)[0], image) and torch.equal(
        Augment().cyst(image, mask), image
    )
    for changed in (
        Augment(carve_mix=0.3).carve_mix(image, mask)[0],
        Augment(cyst=0.3).cyst(image, mask),
    ):
        assert 0.2 < (changed != image).flatten(1).any(1).float().mean() < 0.4


def test_turn_and_scale_are_independent(monkeypatch):
    def turn_and_scale(spread, *shape):
        return torch.full(shape, 0.3 if spread == 0.35 else 0.2 if spread == 0.2 else 0.0)

    monkeypatch.setattr(module, "uniform", turn_and_scale)
    augment = Augment(1.0, zoom=0.2)
    matrix = augment.affine(1)[0, :, :2]
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(2) * torch.tensor(0.4).exp())


@pytest.mark.parametrize("size", [(224, 160), (9, 4)])
def test_enlarge_is_bicubic_interpolation(size):
    torch.manual_seed(0)
    field = torch.randn(3, 2, 4, 5)
    torch.testing.assert_close(enlarge(field, size), F.interpolate(field, size, mode="bicubic"))
