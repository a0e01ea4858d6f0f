"""What may change in a slice and not change the answer: geometry, tumours, another scanner, missing
sequences.

Images are z-scores (see `lggseg.prepare.network_grid.standardise`). What a scanner does to a
signal, as noise or shading, is done to the z-scores counted from air, each channel's darkest value.
"""

import math
from collections.abc import Sequence

import torch
from torch.nn import functional as F

# Chance that a sequence is missing: more than in the data set, where it is one patient in ten.
DROP = 0.2
# Chances that a slice gets each of these.
GHOST = 0.25
COARSE = 0.15
FEW_LEVELS = 0.1
NOISE = 0.5
FADE = 0.35


class Augment:
    """Random changes of images (N, channels, H, W) and masks (N, 1, H, W), each pair drawn anew.

    A whole batch at once, on its own device: one by one, a processor spends longer on this than on
    the network. A single pair (channels, H, W), (1, H, W) works too. A mask's values stay within 0
    and 1, the share of a pixel that is tumour: turning it cuts pixels in two.

    Parameters
    ----------
    strength : scales all ranges; 0 only mirrors (and drops sequences), 1 suits a few dozen patients
    drop : chance that post-contrast, or pre- and post-contrast, are replaced by FLAIR, as in the
        data set
    zoom : about the largest change of the size's logarithm at strength 1
    carve_mix : chance that a slice gets another slice's tumour
    cyst : chance that parts of a tumour get another look
    grey : strength of what changes grey levels, ghosts aside, as a share of `strength`
    """

    def __init__(
        self,
        strength: float = 1.0,
        drop: float = DROP,
        zoom: float = 0.2,
        carve_mix: float = 0,
        cyst: float = 0,
        grey: float = 1.0,
    ):
        self.strength = strength
        self.grey = grey
        self.drop = drop
        self.zoom = zoom
        self.mix_share = carve_mix
        self.cyst_share = cyst

    def __call__(
        self, image: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if image.ndim == 3:
            image, mask = self(image[None], mask[None])
            return image[0], mask[0]
        image, mask = self.space(image, mask)
        if self.mix_share:
            image, mask = self.carve_mix(image, mask)
        if self.cyst_share:
            image = self.cyst(image, mask)
        if not self.strength:
            return self.drop_sequences(image.unflatten(1, (-1, 3))).flatten(1, 2), mask
        image = self.fade(image, mask)
        slices = self.contrast(image).unflatten(1, (-1, 3))  # (N, slices, 3, H, W)
        slices = self.scan(slices)
        return self.drop_sequences(slices).flatten(1, 2), mask

    @property
    def grey_strength(self) -> float:
        """Scales the ranges of what changes grey levels."""
        return self.strength * self.grey

    def affine(self, n: int) -> torch.Tensor:
        """Matrices (n, 2, 3): mirror, turn (mostly below 20 degrees), shear, scale by `zoom`, shift
        by a twelfth.
        """
        strength = self.strength
        turn = uniform(0.35 * strength, n)
        shear = uniform(0.12 * strength, n)
        # (2, n): nearly the same along x and y
        scale = torch.exp(uniform(self.zoom * strength, n) + uniform(0.06 * strength, 2, n))
        mirror = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
        across = torch.stack(
            [turn.cos() * mirror, shear - turn.sin(), uniform(0.16 * strength, n)], dim=1
        )
        down = torch.stack([turn.sin() * mirror, turn.cos(), uniform(0.16 * strength, n)], dim=1)
        matrices = torch.stack([across, down], dim=1)
        matrices[:, :, :2] *= scale.T[:, :, None]
        return matrices

    def space(self, image: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The same geometry for image and mask; what comes in from outside is air, each channel's
        darkest value.
        """
        n = len(image)
        size = image.shape[-2:]
        grid = F.affine_grid(self.affine(n), [n, 1, *size], align_corners=False)
        grid = (grid + smooth(0.02 * self.strength, n, 2, size).movedim(1, 3)).to(image.device)
        air = image.amin(dim=(2, 3), keepdim=True)
        moved = F.grid_sample(image - air, grid, align_corners=False) + air
        return moved, F.grid_sample(mask, grid, align_corners=False)

    def carve_mix(
        self, image: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Some slices get what another of the batch has where its tumour is.

        CarveMix, Zhang et al. 2021.
        """
        chosen = chosen_rows(self.mix_share, len(image))
        if not len(chosen):
            return image, mask
        here = chosen.to(image.device)
        other = torch.randperm(len(image))[chosen].to(image.device)
        theirs = mask[other]
        wider = F.max_pool2d(theirs, 7, 1, 3)  # by a few pixels
        around = F.avg_pool2d(wider, 5, 1, 2)  # with a soft edge
        mixed_image = torch.lerp(image[here], image[other], around)
        mixed_mask = torch.lerp(mask[here], theirs, around)
        return image.index_copy(0, here, mixed_image), mask.index_copy(0, here, mixed_mask)

    def cyst(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Parts of some tumours made darker or brighter, per sequence, as cysts and enhancement
        are: still tumour.
        """
        n = len(image)
        # Blobs of a twelfth of the picture, which cover a third to two thirds of its area.
        blobs = enlarge(torch.randn(n, 1, 12, 12), image.shape[-2:])
        part = (4 * blobs + 3.2 * torch.rand(n, 1, 1, 1) - 1.6).sigmoid()
        share = (torch.rand(n, 1, 1, 1) < self.cyst_share) * (0.3 + 0.7 * torch.rand(n, 1, 1, 1))
        level = 4.5 * torch.rand(n, 1, 3, 1, 1) - 2  # z-scores from fluid to fat
        weight = ((share * part).to(image.device) * mask)[:, None]  # (N, 1, 1, H, W)
        return torch.lerp(image.unflatten(1, (-1, 3)), level.to(image.device), weight).flatten(1, 2)

    def fade(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Some tumours faded towards what surrounds them, by up to 0.65, or made to stand out:
        faint ones are missed.
        """
        chosen = chosen_rows(FADE, len(image))
        if not len(chosen):
            return image
        some = image[chosen]
        tumour = mask[chosen]
        amount = min(self.grey_strength, 1.0) * (1.05 * torch.rand(len(chosen), 1, 1, 1) - 0.4)
        faded = torch.lerp(some, surroundings(some, tumour), amount.to(image.device) * tumour)
        return image.index_copy(0, chosen.to(image.device), faded)

    def contrast(self, image: torch.Tensor) -> torch.Tensor:
        """Another scanner's grey values of z-scores (N, channels, H, W), drawn per sequence."""
        strength = self.grey_strength
        n = len(image)
        gain = normal(0.3 * strength, n, 1, 3, 1, 1).exp().to(image.device)
        bend = uniform(0.4 * strength, n, 1, 3, 1, 1).to(image.device)
        offset = uniform(0.4 * strength, n, 1, 3, 1, 1).to(image.device)
        focus = uniform(0.6 * strength, n, 1, 1, 1, 1).to(image.device)
        blurred = F.avg_pool2d(image, 3, 1, 1, count_include_pad=False).unflatten(1, (-1, 3))
        slices = torch.lerp(image.unflatten(1, (-1, 3)), blurred, focus)  # focus < 0 sharpens
        # Like a gamma curve, it keeps the order of grey values.
        curve = (1 + slices * slices).sqrt_().sub_(1).mul_(bend.clamp(-0.8, 0.8))
        return slices.add_(curve).mul_(gain).add_(offset).flatten(1, 2)

    def scan(self, slices: torch.Tensor) -> torch.Tensor:
        """What another scan does to the signal above air, for z-scores (N, slices, 3, H, W)."""
        n, count = slices.shape[:2]
        size = slices.shape[-2:]
        air = slices.amin(dim=(3, 4), keepdim=True)
        signal = slices - air
        # One coil, so much the same for all sequences.
        shading = self.shading(n, size)[:, None, None]
        signal.mul_((shading + self.brightness(n, count)).exp_().to(slices.device))
        self.coarsen(signal)
        self.add_ghosts(signal)
        self.add_noise(signal)
        self.cut_levels(signal)
        return signal.add_(air)

    def shading(self, n: int, size: Sequence[int]) -> torch.Tensor:
        """Logarithm (n, H, W) of a coil's sensitivity: a slope across the picture and a field that
        varies slowly.
        """
        strength = self.grey_strength
        down = torch.linspace(-1, 1, size[0])[:, None] * uniform(0.4 * strength, n, 1, 1)
        across = torch.linspace(-1, 1, size[1]) * uniform(0.4 * strength, n, 1, 1)
        return down + across + smooth(0.1 * strength, n, 1, size)[:, 0]

    def brightness(self, n: int, count: int) -> torch.Tensor:
        """How much brighter a slice is than its stack, mostly alike in all sequences: a logarithm
        (n, count, 3, 1, 1).
        """
        of_slice = normal(0.12 * self.grey_strength, n, count, 1, 1, 1)
        of_sequence = normal(0.05 * self.grey_strength, n, count, 3, 1, 1)
        return of_slice + of_sequence

    def coarsen(self, signal: torch.Tensor) -> None:
        """Some slices as if they had fewer pixels, down to a third along each axis; in place."""
        chosen = chosen_rows(COARSE, len(signal))
        if not len(chosen):
            return
        some = signal[chosen].flatten(1, 2)
        size = some.shape[-2:]
        finest = 1 / (1 + 2 * min(self.grey_strength, 1.0))
        coarse = [round(side * float(finest + (1 - finest) * torch.rand(()))) for side in size]
        some = F.interpolate(
            F.interpolate(some, coarse, mode="bilinear", antialias=True), size, mode="bilinear"
        )
        signal[chosen] = some.unflatten(1, signal.shape[1:3])

    def add_ghosts(self, signal: torch.Tensor) -> None:
        """Some slices with ghosts of motion: weak copies, moved either way along one axis, each of
        its own phase, though often in phase; in place.
        """
        chosen = chosen_rows(GHOST, len(signal))
        if not len(chosen):
            return
        n = len(chosen)
        some = signal[chosen]
        axis = 3 + int(torch.randint(2, ()))
        steps = some.shape[axis] // int(torch.randint(2, 6, ()))
        most = 0.25 * self.strength
        weight = most * torch.rand(n, 1, 1, 1, 1).to(signal.device)
        apart = math.pi * torch.rand(n, 1, 1, 1, 1)
        real, imaginary = some, torch.zeros_like(some)
        for way in (steps, -steps):
            moved = some.roll(way, axis)
            phase = (apart * uniform(1, n, 1, 1, 1, 1)).to(signal.device)
            real = real + weight * phase.cos() * moved
            imaginary = imaginary + weight * phase.sin() * moved
        signal[chosen] = torch.hypot(real, imaginary)

    def add_noise(self, signal: torch.Tensor) -> None:
        """Rician noise in some slices, in one sequence or in all; in place.

        Air gets brighter by it, as it does.
        """
        chosen = chosen_rows(NOISE, len(signal))
        if not len(chosen):
            return
        n = len(chosen)
        some = signal[chosen]
        share = torch.rand(n, 1, 3, 1, 1) < 0.7
        most = 0.9 * self.grey_strength
        level = (most * torch.rand(n, 1, 1, 1, 1).square() * share).to(signal.device)
        real = torch.randn(some.shape, device=signal.device).mul_(level).add_(some)
        imaginary = torch.randn(some.shape, device=signal.device).mul_(level)
        signal[chosen] = torch.hypot(real, imaginary)

    def cut_levels(self, signal: torch.Tensor) -> None:
        """Some slices in few grey levels; in place."""
        chosen = chosen_rows(FEW_LEVELS, len(signal))
        if not len(chosen):
            return
        most = 0.6 * self.grey_strength
        step = (0.05 + most * torch.rand(len(chosen), 1, 1, 1, 1)).to(signal.device)
        signal[chosen] = (signal[chosen] / step).round_().mul_(step)

    def drop_sequences(self, slices: torch.Tensor) -> torch.Tensor:
        """Replace post, or pre and post, in slices (N, slices, 3, H, W) by FLAIR, as the data set
        does; in place.
        """
        post = torch.rand(len(slices)) < self.drop
        # In the data set, who lacks pre-contrast lacks post-contrast, too.
        both = post & (torch.rand(len(slices)) < 0.5)
        slices[post, :, 2] = slices[post, :, 1]
        slices[both, :, 0] = slices[both, :, 1]
        return slices


def uniform(spread: float, *shape: int) -> torch.Tensor:
    """Uniform numbers from -spread to spread."""
    return spread * (2 * torch.rand(shape) - 1)


def normal(spread: float, *shape: int) -> torch.Tensor:
    """Normal numbers of this standard deviation, none beyond three deviations."""
    return spread * torch.randn(shape).clamp(-3, 3)


def smooth(spread: float, n: int, channels: int, size: Sequence[int]) -> torch.Tensor:
    """Fields (n, channels, H, W) that vary slowly across the picture, of standard deviation about
    `spread`.
    """
    return enlarge(spread * torch.randn(n, channels, 4, 4), size)


def chosen_rows(chance: float, n: int) -> torch.Tensor:
    """Which of n slices get something that comes with this chance, as row numbers."""
    return (torch.rand(n) < chance).nonzero().flatten()


def surroundings(image: torch.Tensor, tumour: torch.Tensor) -> torch.Tensor:
    """What image (N, C, H, W) shows around the tumour (N, 1, H, W), carried on into it: a local
    mean without it.
    """
    step = max(1, image.shape[-1] // 28)
    healthy = 1 - tumour
    total = F.avg_pool2d(image * healthy, step)
    weight = F.avg_pool2d(healthy, step)
    for _ in range(2):
        total = F.avg_pool2d(total, 5, 1, 2)
        weight = F.avg_pool2d(weight, 5, 1, 2)
    return F.interpolate(total / (weight + 1e-3), image.shape[-2:], mode="bilinear")


def enlarge(field: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Interpolate (N, C, h, w) bicubically to this height and width, by a matrix for each axis.

    A twentieth of a training step's time less than `F.interpolate` takes pixel by pixel.
    """
    height, width = field.shape[-2:]
    down = bicubic_matrix(height, size[0])
    across = bicubic_matrix(width, size[1])
    return down @ field @ across.T


def bicubic_matrix(short: int, long: int) -> torch.Tensor:
    """The matrix (long, short) that interpolates `short` values bicubically to `long` ones."""
    return F.interpolate(torch.eye(short)[None, None], (long, short), mode="bicubic")[0, 0]
