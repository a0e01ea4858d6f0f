"""What does not change a picture's content must not change its mask: on phantoms, and on real
patients where they are.

Every change hands back a scan and the way from its mask to the unchanged scan's grid; Dice is
against the unchanged scan's own mask.
"""

import numpy as np
import pytest
from scipy import ndimage

from lggseg.measures.metrics import dice
from lggseg.model.segmenter import load_pretrained

STRICT, LOOSE = 0.98, 0.95


def random(image: np.ndarray) -> np.random.Generator:
    return np.random.default_rng(len(image))


def offset(image, channels, per_slice=False):
    """Grey air: levels moved up, in some sequences, by one number or by one per slice; without
    clipping.
    """
    dim = (image * 0.75).astype(np.uint8)
    levels = random(image).integers(20, 60, (len(image) if per_slice else 1, 1, 1, len(channels)))
    moved = dim.copy()
    moved[..., channels] += levels.astype(np.uint8)
    return moved, dim


def factor(image):
    factors = random(image).uniform(0.3, 1, 3)
    return (image * factors).round().astype(np.uint8)


def doubled(image):
    dim = image // 2
    return np.minimum(2 * dim.astype(int), 255).astype(np.uint8), dim


def gamma(image, power):
    return np.rint(255 * (image / 255.0) ** power).astype(np.uint8)


def resized(image, scale):
    zoomed = [
        ndimage.zoom(
            one.astype(np.float32), (scale, scale, 1), order=1, grid_mode=True, mode="nearest"
        )
        for one in image
    ]
    return np.rint(zoomed).clip(0, 255).astype(np.uint8)


def sampled(mask, scale):
    """A mask of another size at the places of the unchanged pixels' middles."""
    return (
        mask[:, int(scale / 2) :: int(scale)][:, :, int(scale / 2) :: int(scale)]
        if scale > 1
        else mask.repeat(round(1 / scale), axis=1).repeat(round(1 / scale), axis=2)
    )


def hot(image):
    broken = image.copy()
    broken[random(image).random(image.shape[:3]) < 0.0005] = 255
    return broken


CHANGES = {  # name: (bound, image -> changed image, changed mask -> mask on the unchanged grid)
    "factor per sequence": (STRICT, factor, None),
    "mirror": (STRICT, lambda image: image[:, :, ::-1], lambda mask: mask[:, :, ::-1]),
    "frame of air": (
        STRICT,
        lambda image: np.pad(image, ((0, 0), (31, 8), (20, 45), (0, 0))),
        lambda mask: mask[:, 31:-8, 20:-45],
    ),
    "slices of air": (
        STRICT,
        lambda image: np.pad(image, ((3, 2), (0, 0), (0, 0), (0, 0))),
        lambda mask: mask[3:-2],
    ),
    "not square": (
        STRICT,
        lambda image: np.pad(image, ((0, 0), (0, 0), (0, 60), (0, 0))),
        lambda mask: mask[:, :, :-60],
    ),
    "gamma 0.8": (LOOSE, lambda image: gamma(image, 0.8), None),
    "gamma 1.25": (LOOSE, lambda image: gamma(image, 1.25), None),
    "512 pixels": (LOOSE, lambda image: resized(image, 2), lambda mask: sampled(mask, 2)),
    "128 pixels": (LOOSE, lambda image: resized(image, 0.5), lambda mask: sampled(mask, 0.5)),
    "hot pixels": (LOOSE, hot, None),
}


class Scan:
    """One patient's scan, its manual mask, and the mask that the network gives it."""

    def __init__(self, volume, model):
        self.image, self.truth, self.model = (
            np.ascontiguousarray(volume.image),
            np.asarray(volume.mask),
            model,
        )
        self.mask = model.segment(self.image)

    def score(self, image, back=None, against=None) -> float:
        mask = self.model.segment(np.ascontiguousarray(image))
        return dice(mask if back is None else back(mask), self.mask if against is None else against)


@pytest.fixture(scope="module", params=range(3))
def phantom(request, phantom_cohort):
    return Scan(
        phantom_cohort.volume(phantom_cohort.patients[request.param]), load_pretrained("phantom")
    )


@pytest.fixture(scope="module", params=range(0, 60, 20))
def real(request, real_cohort):
    return Scan(real_cohort.volume(real_cohort.patients[request.param]), load_pretrained("kaggle"))


def check_change(scan, name):
    bound, change, back = CHANGES[name]
    assert scan.score(change(scan.image), back) >= bound


def check_offsets(scan):
    for channels, per_slice in (([0], False), ([1], True), ([0, 1, 2], False), ([0, 2], True)):
        moved, unmoved = offset(scan.image, channels, per_slice)
        assert scan.score(moved, against=scan.model.segment(unmoved)) >= STRICT, (
            channels,
            per_slice,
        )
    twice, dim = doubled(scan.image)
    assert scan.score(twice, against=scan.model.segment(dim)) >= STRICT


def check_broken_slice(scan):
    d = len(scan.image) // 2
    others = np.delete(np.arange(len(scan.image)), d)
    for value in (0, 255):
        broken = scan.image.copy()
        broken[d] = value
        assert scan.score(broken, lambda mask: mask[others], scan.mask[others]) >= LOOSE, value


def check_missing(scan):
    for channel, value in ((0, 0), (2, 0), (2, 90)):
        lacking, copied = scan.image.copy(), scan.image.copy()
        lacking[..., channel], copied[..., channel] = value, scan.image[..., 1]
        with pytest.warns(UserWarning, match="shows nothing: FLAIR stands in"):
            score = scan.score(lacking, against=scan.truth)
        assert score >= scan.score(copied, against=scan.truth) - 0.001


@pytest.mark.parametrize("name", CHANGES)
def test_phantoms_keep_their_mask(phantom, name):
    check_change(phantom, name)


@pytest.mark.parametrize("check", [check_offsets, check_broken_slice, check_missing])
def test_phantoms_whatever_is_done_to_them(phantom, check):
    check(phantom)


@pytest.mark.real
@pytest.mark.parametrize("name", CHANGES)
def test_real_patients_keep_their_mask(real, name):
    check_change(real, name)


@pytest.mark.real
@pytest.mark.parametrize("check", [check_offsets, check_broken_slice, check_missing])
def test_real_patients_whatever_is_done_to_them(real, check):
    check(real)
