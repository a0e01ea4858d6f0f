"""What may change in a slice and not change the answer: geometry, another scanner's view, missing sequences."""

import torch
from torch.nn import functional as F


class Augment:
    """Random geometry and intensities for images (N,C,H,W) of z-scores and masks (N,1,H,W), each pair drawn anew.

    A mask's values stay within 0..1, the share of a pixel that is tumour: turning it cuts pixels in two.

    A whole batch at once, on its own device: one by one, a processor spends longer on this than on the
    network. A single pair (C,H,W), (1,H,W) works too. `strength` scales all ranges: 0 only mirrors (and
    drops sequences), 1 suits a few dozen patients. A FLAIR copied into an empty sequence is imitated by `drop`, the
    chance that post-contrast, or pre- and post-contrast, are replaced by it; `zoom` is about the largest change of
    the size's logarithm at strength 1; `carve_mix` and `cyst` are the chances of the methods of these names.
    """

    def __init__(self, strength: float = 1.0, drop: float = 0.2, zoom: float = 0.2, carve_mix: float = 0,
                 cyst: float = 0):
        self.strength, self.drop, self.zoom, self.mix_share, self.cyst_share = strength, drop, zoom, carve_mix, cyst

    def __call__(self, image: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if image.ndim == 3:
            image, mask = self(image[None], mask[None])
            return image[0], mask[0]
        image, mask = self.space(image, mask)
        if self.mix_share:
            image, mask = self.carve_mix(image, mask)
        if self.cyst_share:
            image = self.cyst(image, mask)
        return self.intensity(image), mask

    def draw(self, spread: float, *shape: int) -> torch.Tensor:
        """Uniform numbers in -spread .. spread, times the strength."""
        return spread * self.strength * (2 * torch.rand(shape) - 1)

    def smooth(self, spread: float, n: int, channels: int, size: tuple[int, int]) -> torch.Tensor:
        """Fields (n,channels,H,W) that vary slowly across the picture, of standard deviation about `spread`."""
        return enlarge(spread * self.strength * torch.randn(n, channels, 4, 4), size)

    def affine(self, n: int) -> torch.Tensor:
        """Matrices (n,2,3): mirror, turn (mostly below 20 degrees), shear, scale by `zoom`, shift by a twelfth."""
        turn, shear = self.draw(0.35, n), self.draw(0.12, n)
        scale = torch.exp(self.draw(self.zoom, n) + self.draw(0.06, 2, n))  # (2, n): nearly the same along x and y
        mirror = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
        across = torch.stack([turn.cos() * mirror, shear - turn.sin(), self.draw(0.16, n)], dim=1)
        down = torch.stack([turn.sin() * mirror, turn.cos(), self.draw(0.16, n)], dim=1)
        matrices = torch.stack([across, down], dim=1)
        matrices[:, :, :2] *= scale.T[:, :, None]
        return matrices

    def space(self, image: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The same geometry for image and mask; what comes in from outside is air, each channel's darkest value."""
        n, size = len(image), image.shape[-2:]
        grid = F.affine_grid(self.affine(n), (n, 1, *size), align_corners=False)
        grid = (grid + self.smooth(0.02, n, 2, size).movedim(1, 3)).to(image.device)
        air = image.amin(dim=(2, 3), keepdim=True)
        moved = F.grid_sample(image - air, grid, align_corners=False) + air
        return moved, F.grid_sample(mask, grid, align_corners=False)

    def carve_mix(self, image: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Some slices get what another of the batch has where its tumour is (CarveMix: Zhang et al. 2021)."""
        other = torch.randperm(len(image))
        chosen = (torch.rand(len(image), 1, 1, 1) < self.mix_share).to(image)
        around = F.avg_pool2d(F.max_pool2d(mask[other], 7, 1, 3), 5, 1, 2)  # a few pixels more, with a soft edge
        return torch.lerp(image, image[other], chosen * around), torch.lerp(mask, mask[other], chosen * around)

    def cyst(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Parts of some tumours made darker or brighter, per sequence, as cysts and enhancement are: still tumour."""
        n, size = len(image), image.shape[-2:]
        field = enlarge(torch.randn(n, 1, 12, 12), size)  # blobs of a twelfth of the picture
        part = (4 * field + 3.2 * torch.rand(n, 1, 1, 1) - 1.6).sigmoid()  # a third to two thirds of the area
        share = (torch.rand(n, 1, 1, 1) < self.cyst_share) * (0.3 + 0.7 * torch.rand(n, 1, 1, 1))
        level = 4.5 * torch.rand(n, 1, 3, 1, 1) - 2  # z-scores from fluid to fat
        weight = ((share * part).to(image.device) * mask)[:, None]  # (N,1,1,H,W)
        return torch.lerp(image.unflatten(1, (-1, 3)), level.to(image.device), weight).flatten(1, 2)

    def intensity(self, image: torch.Tensor) -> torch.Tensor:
        """Another scanner's view of z-scores (N,C,H,W), drawn per sequence: contrast differs between them."""
        n, size = len(image), image.shape[-2:]
        drawn = [self.draw(0.25, n, 1, 3, 1, 1) + 1, self.draw(0.25, n, 1, 3, 1, 1), self.draw(0.25, n, 1, 3, 1, 1),
                 self.smooth(0.1, n, 3, size)[:, None], self.draw(0.6, n, 1, 1, 1, 1),
                 0.15 * self.strength * torch.rand(n, 1, 1, 1, 1)]
        gain, offset, bend, bias, focus, noise = (value.to(image.device) for value in drawn)
        blurred = F.avg_pool2d(image, 3, 1, 1, count_include_pad=False).unflatten(1, (-1, 3))
        slices = torch.lerp(image.unflatten(1, (-1, 3)), blurred, focus)  # (N,2c+1,3,H,W); focus < 0 sharpens
        curve = (1 + slices * slices).sqrt_().sub_(1).mul_(bend)  # steepness stays above 0: as a gamma, it is monotone
        slices = slices.mul_(gain).add_(curve).add_(offset + bias)
        slices.addcmul_(noise, torch.randn(slices.shape, device=image.device))
        return self.drop_sequences(slices).flatten(1, 2)

    def drop_sequences(self, slices: torch.Tensor) -> torch.Tensor:
        """Replace post, or pre and post, in slices (N,2c+1,3,H,W) by FLAIR, as the data set does; in place."""
        post = torch.rand(len(slices)) < self.drop
        both = post & (torch.rand(len(slices)) < 0.5)  # in the data set, who lacks pre-contrast lacks post-contrast
        slices[post, :, 2] = slices[post, :, 1]
        slices[both, :, 0] = slices[both, :, 1]
        return slices


def enlarge(field: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Bicubic interpolation of (N,C,h,w) to (N,C,*size): along each axis a product with one matrix.

    A twentieth of a training step's time less than `F.interpolate` takes pixel by pixel.
    """
    down, across = (F.interpolate(torch.eye(short)[None, None], (long, short), mode="bicubic")[0, 0]
                    for short, long in zip(field.shape[-2:], size))
    return down @ field @ across.T
