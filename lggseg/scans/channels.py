"""Which channel is which sequence, what stands in for a missing one, and whether FLAIR is FLAIR."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import binary_fill_holes, gaussian_filter, label

from ..errors import LggError
from ..prepare.head_finder import Head, above_air, find_head
from ..sequences import FLAIR, IN_WORDS, KEYS, POST, PRE, MriSequence
from .intensity import to_bytes

NAMES: dict[str, str | None] = dict.fromkeys(("pre", "t1", "t1w", "t1pre"), "pre")
NAMES |= dict.fromkeys(("flair", "t2flair"), "flair")
NAMES |= dict.fromkeys(("post", "t1ce", "t1c", "t1gd", "t1post"), "post")
NAMES |= dict.fromkeys(("skip", "t2", "t2w", ""), None)
LABELS = 8  # so few values are a label map
FEW = 64  # so few are worth a word: patients' sequences have at least 122


def parse_order(text: str) -> list[str | None]:
    """Sequences in the order that somebody writes, None for those that are not used, or LggError.

    >>> parse_order("flair,T1,t1ce,t2")
    ['flair', 'pre', 'post', None]
    """
    words = [word.strip() for word in text.lower().split(",")]
    unknown = [word for word in words if not word or word.replace("-", "") not in NAMES]
    if unknown:
        raise LggError(
            f"order {text!r}: no sequence {unknown[0]!r}; say pre (or t1), flair, post (or t1ce), "
            "and skip (or t2) for what is not used, such as flair,t1,t1ce"
        )
    names = [NAMES[word.replace("-", "")] for word in words]
    if names.count("flair") != 1 or max(map(names.count, KEYS)) > 1:
        raise LggError(
            f"order {text!r}: names FLAIR {names.count('flair')} times; it must name FLAIR once, "
            "and no sequence twice"
        )
    return names


def name_channels(
    values: np.ndarray, order: Sequence[str | None] | None, what: str
) -> dict[str, np.ndarray]:
    """The channels of (D,H,W,C) by name: by `order`, else FLAIR alone, or pre, FLAIR, post."""
    count = values.shape[-1]
    usual = {1: ("flair",), 3: KEYS}.get(count)
    order = order or usual
    if order is None:
        raise LggError(
            f"{what}: {count} sequences; say which is which, as --order flair,t1,t1ce,t2"
        )
    if len(order) != count:
        raise LggError(
            f"{what}: {count} sequence{'s' * (count > 1)}, but the order names {len(order)}; name "
            "each, and say skip for what is not used"
        )
    return {name: values[..., i] for i, name in enumerate(order) if name}


def check_levels(channels: dict[str, np.ndarray], what: str) -> list[str]:
    """Warnings about sequences (D,H,W) of few values; LggError where they are those of a mask."""
    warnings = []
    for name, values in channels.items():
        step = -(-values.size // 100_000)  # a look at some voxels tells nearly every scan
        if len(np.unique(values.ravel()[::step])) > FEW:
            continue
        found = np.unique(values[np.isfinite(values)])
        if 1 < len(found) <= LABELS:
            raise LggError(
                f"{what}: {IN_WORDS[name]} has only the values "
                f"{', '.join(f'{n:g}' for n in found)}, as a mask or a label map has; name the "
                "scan itself, or say skip for this one of several channels (--order)"
            )
        if LABELS < len(found) <= FEW:
            warnings.append(
                f"{IN_WORDS[name]} has only {len(found)} values, and a scan has hundreds; it may "
                "be a map of regions, or was saved with too little contrast"
            )
    return warnings


def compose(channels: dict[str, np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """A volume uint8 (D,H,W,3) of sequences (D,H,W) in any real type, and warnings.

    FLAIR stands in for what is missing. Raises LggError where FLAIR shows nothing.
    """
    warnings = []
    for name, values in channels.items():
        odd = np.count_nonzero(~np.isfinite(values))
        if odd:
            warnings.append(f"{IN_WORDS[name]}: {odd} voxels are NaN or infinite; taken as air")
    grey = {name: to_bytes(values) for name, values in channels.items()}
    image = np.stack([grey.get(name, grey["flair"]) for name in KEYS], axis=-1)
    for name, found in grey.items():
        lit = found > 25
        white = found > 230
        if white.sum() > 0.5 * lit.sum() and np.mean(white | ~lit) > 0.98:
            raise LggError(
                f"{IN_WORDS[name]} shows little but black and white, as a mask or a map of "
                "probabilities does; name the scan itself"
            )
    missing = [IN_WORDS[name] for name in KEYS if name not in grey]
    if missing:
        warning = f"no {' and no '.join(missing)}; FLAIR stands in, as it does in the data set"
        warnings.append(warning)
    return image, warnings + check_sequences(image)


def check_sequences(image: np.ndarray) -> list[str]:
    """Warnings about a volume uint8 (D,H,W,3): doubts about the head, missing sequences, their
    order.

    Raises LggError where FLAIR shows nothing.
    """
    head = find_head(image)
    if not len(head.slices):
        raise LggError("shows nothing: every slice is of one level; a wrong file, or saved wrongly")
    heads = count_heads(image[..., FLAIR])
    if heads > 3:
        raise LggError(
            f"shows {heads} things of like size side by side, as a mosaic of slices does; give one "
            "picture per slice, or the scan as NIfTI"
        )
    missing = [sequence for sequence in (PRE, POST) if head.source[sequence] == FLAIR]
    warnings = [f"{sequence.words} shows nothing; FLAIR stands in" for sequence in missing]
    warnings += head.doubts
    odd = odd_sequence(image, head)
    if odd not in (None, FLAIR):
        warnings.append(
            f"the channel taken as {MriSequence(odd).words} looks like FLAIR, and the one taken as "
            "FLAIR does not; check the order (pre-contrast, FLAIR, post-contrast, or --order)"
        )
    return warnings


def count_heads(flair: np.ndarray) -> int:
    """How many bright regions of like size the brightest slice of uint8 (D,H,W) shows."""
    brightest = flair[flair.mean(axis=(1, 2)).argmax()].astype(np.float32)
    smooth = gaussian_filter(brightest, max(1, max(brightest.shape) / 128))
    regions, _ = label(binary_fill_holes(smooth > smooth.mean()))
    sizes = np.bincount(regions.ravel())[1:]
    return int(np.sum(sizes > 0.3 * sizes.max(initial=0)))


def odd_sequence(image: np.ndarray, head: Head, margin: float = 0.05) -> int | None:
    """Channel of uint8 (D,H,W,3) whose brain has another contrast than the others; None if unclear.

    In both T1 sequences white matter is brighter than grey matter, in FLAIR it is darker. So,
    within the brain, without what is dark (fluid) and bright (vessels, tumour) in any sequence, and
    without slow changes of brightness, the two T1 resemble each other more than either resembles
    FLAIR: the pair with the highest correlation is theirs, if it is higher than the next by
    `margin`. On real patients this names FLAIR, whatever the order, in at least 19 of 20, and
    another sequence in at most 1 of 50: tests/scans/test_channels.py checks it.
    """
    copies = [(image[..., one] == image[..., FLAIR]).all() for one in (PRE, POST)]
    if any(copies) or head.source != (0, 1, 2):
        return None
    levels = matter(image, head)
    if len(levels) < 500:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):  # a flat sequence resembles none: NaN
        alike = np.nan_to_num(np.corrcoef(levels.T)[(0, 0, 1), (1, 2, 2)])  # channels 01, 02, 12
    _, second, first = np.argsort(alike)
    return int(2 - first) if alike[first] - alike[second] >= margin else None


def matter(image: np.ndarray, head: Head) -> np.ndarray:
    """Levels float (n,3) of brain around the middle of the head, without their local mean."""
    top, left, side = head.box
    step = -(-side // 100)
    fifth = len(head.slices) // 5
    slices = head.slices[fifth : len(head.slices) - fifth]
    levels = above_air(image[slices, ::step, ::step], head.air[slices])
    y, x = np.ogrid[: image.shape[1] : step, : image.shape[2] : step]
    inside = np.hypot(y - top - side / 2, x - left - side / 2) < 0.28 * side
    middle = np.median(levels[:, inside], axis=(0, 1))
    where = ((levels > 0.75 * middle) & (levels < 1.5 * middle)).all(axis=-1) & inside
    blur = (0, side / step / 13, side / step / 13)
    weight = gaussian_filter(where.astype(np.float32), blur) + 1e-6
    means = [gaussian_filter(levels[..., one] * where, blur) / weight for one in range(3)]
    return (levels - np.stack(means, axis=-1))[where]
