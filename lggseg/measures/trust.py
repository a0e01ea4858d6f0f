"""What a mask is worth when nobody has drawn one: expected Dice with an interval, and warnings.

`signs` measures a prediction without the truth: do the members of an ensemble agree, is the network
sure, does the mask look like a tumour? `TrustModel` makes an expected Dice of these signs: a
weighted sum of them is looked up in a table. Weights and table were learned from patients that the
networks had not seen, as scanned and under the changes of `lggseg.prepare.scanner`; they are the
published tables trust_signs and trust_levels. `assess` does all of it for a scan.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import ndimage

from ..masks import bounding_box
from ..model.postprocess import postprocess
from ..model.segmenter import Segmenter
from ..prepare.head_finder import Head, find_head
from ..published_tables import published
from ..sequences import FLAIR
from .metrics import dice

FAINT = 0.05  # probability below which a voxel is left out of sums: most of a volume is nearly 0
SURE = (0.2, 0.8)  # between these probabilities a voxel is uncertain
NEIGHBOURS = np.ones((3, 3, 3))  # 26 of them, as in `lggseg.model.postprocess`
# members: a single network cannot disagree with itself
SEVERAL = "several"
ONE = "one"
FAR = 3  # standard deviations from the mean at which a sign stops counting more

# When a warning is given. Of a Dice that is shown, the two digits shown decide.
LARGE = 0.2  # of the head: no tumour among 80 patients covers as much
DISAGREE = 0.7  # Dice between two members
AT_THE_RIM = 0.3  # of the mask, where skull and scalp are
SCATTERED = 0.7  # of the voxels found, in the largest piece
BROKEN = 0.55  # Dice between the masks of neighbouring slices
POOR = 0.7  # expected Dice


@dataclass(frozen=True)
class Trust:
    """What to expect of a mask that nobody can check.

    Attributes
    ----------
    expected_dice : 0 to 1, of the mask with the one that a reader would draw, if there is a tumour
    low, high : four in five masks like this one lie between
    warnings : what is odd about scan or mask, in words; empty where nothing is
    """

    expected_dice: float
    low: float
    high: float
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line, such as "expected Dice 0.91 (0.84 to 0.95); the members disagree"."""
        line = f"expected Dice {self.expected_dice:.2f} ({self.low:.2f} to {self.high:.2f})"
        return "; ".join([line, *self.warnings])

    def columns(self) -> dict[str, float | str]:
        """The same as columns of a table: expected_dice, low, high, warnings."""
        return {
            "expected_dice": self.expected_dice,
            "low": self.low,
            "high": self.high,
            "warnings": "; ".join(self.warnings),
        }


@dataclass(frozen=True)
class Assessment:
    """A prediction and what it is worth.

    Attributes
    ----------
    probability : float32 (slices, height, width)
    mask : bool (slices, height, width)
    trust : `Trust`
    """

    probability: np.ndarray
    mask: np.ndarray
    trust: Trust

    def __iter__(self) -> Iterator[np.ndarray]:
        """Probability and mask, so that `probability, mask = segment_scan(model, scan)` works."""
        return iter((self.probability, self.mask))


def assess(segmenter: Segmenter, image: np.ndarray, device: str | None = None) -> Assessment:
    """Segment a volume, and say what the mask is worth.

    Parameters
    ----------
    segmenter : the network, or several
    image : uint8 (slices, height, width, 3), the sequences in the order pre-contrast, FLAIR,
        post-contrast
    device : cpu, cuda or mps; without it the GPU if CUDA sees one

    Returns
    -------
    Assessment
        its mask is that of `segmenter.segment`

    Raises
    ------
    LggError
        for another shape or type
    """
    head = find_head(image)
    members = segmenter.member_probabilities(image, device, head=head)
    recipe = segmenter.recipe
    probability = members.mean(axis=0)
    mask = postprocess(probability, recipe.threshold, recipe.min_component_share)
    found = signs(members, mask, image, head, recipe.threshold)
    return Assessment(probability, mask, trust_of(found, head))


def trust_of(found: dict[str, float], head: Head) -> Trust:
    """Expected Dice and warnings from `signs` of a prediction, by the published model."""
    if found["volume"] == 0:
        return Trust(0.0, 0.0, 0.0, tuple(warnings_of(found, head, 0.0)))
    kind = ONE if math.isnan(found["agreement"]) else SEVERAL
    expected, low, high = published_model(kind).expect(found)
    return Trust(expected, low, high, tuple(warnings_of(found, head, expected)))


def warnings_of(found: dict[str, float], head: Head, expected: float) -> list[str]:
    """What is odd about a scan or its mask, in words: doubts about the head, then `alarms`."""
    return [*head.doubts, *alarms(found, expected).values()]


def alarms(found: dict[str, float], expected: float) -> dict[str, str]:
    """What is odd about a mask: kinds of alarm, each with its words.

    Parameters
    ----------
    found : by `signs`
    expected : expected Dice

    Returns
    -------
    dict
        of these kinds those that are given: no head, nothing found, larger than the head, large,
        members disagree, several places, at the rim, jumps, low expected Dice

    Examples
    --------
    >>> alarms({"slices": 20, "volume": 0}, 0)
    {'nothing found': 'no tumour was found'}
    """
    given = {}
    if found["slices"] == 0:
        given["no head"] = "no head was found"
    if found["volume"] == 0:
        given["nothing found"] = "no tumour was found"
        return given
    if found["volume"] > 1:
        given["larger than the head"] = "the mask is larger than the head"
    elif found["volume"] > LARGE:
        given["large"] = f"the mask covers {100 * found['volume']:.0f} % of the head"
    if round(found["agreement"], 2) < DISAGREE:
        dice = f"{found['agreement']:.2f}"
        given["members disagree"] = f"the members disagree (Dice {dice} between two of them)"
    if found["largest"] < SCATTERED:
        given["several places"] = (
            "tumour was found in several places: check that the right one is outlined"
        )
    if found["rim"] > AT_THE_RIM:
        given["at the rim"] = "much of the mask lies where skull and scalp are"
    if found["continuity"] < BROKEN:
        given["jumps"] = "the mask jumps from slice to slice, or lies on one alone"
    if round(expected, 2) < POOR:
        given["low expected Dice"] = "a mask like this one is often wrong: compare it with the scan"
    return given


class TrustModel:
    """Expected Dice from signs: a weighted sum of them, looked up in a table.

    Parameters
    ----------
    weights : one row per sign, and one called "constant"; columns mean, sd, weight
    levels : rows in the order of their score; columns score, expected_dice, low, high
    """

    def __init__(self, weights: pd.DataFrame, levels: pd.DataFrame):
        self.weights = weights
        self.levels = levels

    def score(self, found: dict[str, float]) -> float:
        """The weighted sum.

        A sign that is NaN counts as average, and none counts more than FAR deviations do.
        """
        total = 0.0
        for name, row in self.weights.iterrows():
            value = 1.0 if name == "constant" else scaled(name, found[name])
            distance = (value - row["mean"]) / row["sd"]
            if not math.isnan(distance):
                total += row["weight"] * min(max(distance, -FAR), FAR)
        return total

    def expect(self, found: dict[str, float]) -> tuple[float, float, float]:
        """Expected Dice, and the low and high end of its 80 % interval."""
        score = self.score(found)
        columns = ("expected_dice", "low", "high")
        expected, low, high = (
            float(np.interp(score, self.levels.score, self.levels[name])) for name in columns
        )
        return expected, low, high


@lru_cache
def published_model(kind: str) -> TrustModel:
    """The model in the published tables, for "several" members or "one".

    Where the tables hold none for several, that for one serves: all its signs mean the same for
    one member and for several.
    """
    weights = published("trust_signs")
    levels = published("trust_levels")
    if kind not in set(weights.members):
        kind = ONE
    weights = weights[weights.members == kind].set_index("sign").drop(columns="members")
    return TrustModel(weights, levels[levels.members == kind].drop(columns="members"))


def scaled(name: str, value: float) -> float:
    """A sign on the scale on which it is summed.

    That is the log odds of Dice and probabilities, and the logarithm of sizes and counts.

    >>> round(scaled("agreement", 0.9), 2), scaled("pieces", 1), scaled("rim", 0.2)
    (2.2, 0.0, 0.2)
    """
    if name in ("agreement", "soft_dice", "confidence", "continuity", "largest"):
        value = min(max(value, 0.02), 0.98)
        return math.log(value / (1 - value))
    if name in ("volume", "pieces"):
        return math.log(max(value, 1e-4))
    return value


def signs(
    members: np.ndarray, mask: np.ndarray, image: np.ndarray, head: Head, threshold: float
) -> dict[str, float]:
    """Measure what can be known about a prediction without the truth.

    Parameters
    ----------
    members : float32 (members, slices, height, width), the tumour probability by each network
    mask : bool (slices, height, width), made from their mean
    image : uint8 (slices, height, width, 3)
    head : what `find_head` found in the image
    threshold : probability from which a voxel counts as tumour

    Returns
    -------
    dict
        Numbers by their names:

        - agreement: mean Dice between the masks of two members; NaN for a single one
        - soft_dice: Dice that the mean probability promises, if it is calibrated and its voxels are
          independent
        - uncertain: voxels between 0.2 and 0.8, over those from 0.2 up; mean over the members
        - confidence: mean probability by a member of the mask's voxels that are tumour by the same
          member; mean over the members
        - volume: of the mask, as a fraction of the head
        - pieces: number of 3D components of the mean before weak ones are removed
        - largest: voxels of a member's largest component, as a fraction of all it finds; mean over
          the members
        - continuity: Dice between the masks of neighbouring slices; 0 for a mask on one of several
        - rim: fraction of the mask in the outer fifth of the head's square, where skull and scalp
          are
        - height: middle of the mask in the stack of the head's slices, 0 to 1
        - brightness: mean z-score of FLAIR within the mask
        - slices: that show a head
        - doubts: number of `Head.doubts`

        What cannot be said of an empty mask, or where there is no head, is NaN. The mean of several
        members is less sure than each of them, so uncertain, confidence and largest are measured
        member by member: then one, two and ten members are comparable.
    """
    mean = members.mean(axis=0)
    box = bounding_box((mean >= FAINT) | mask)
    mean = mean[box]
    members = members[(slice(None), *box)]
    tumour = members >= threshold  # by each member
    found = mask[box]
    size = np.count_nonzero(found)
    result = {
        "agreement": agreement(tumour),
        "soft_dice": soft_dice(mean, found),
        "uncertain": average([uncertain_fraction(member) for member in members]),
        "confidence": np.nan,
        "volume": size / max(1, head_voxels(image, head)),
        "pieces": len(component_sizes(mean >= threshold)),
        "largest": np.nan,
        "continuity": np.nan,
        "rim": np.nan,
        "height": np.nan,
        "brightness": np.nan,
        "slices": len(head.slices),
        "doubts": len(head.doubts),
    }
    if size:
        within = [member[of_member & found] for member, of_member in zip(members, tumour)]
        result["confidence"] = average([values.mean() for values in within if len(values)])
        result["largest"] = average([largest_fraction(of_member) for of_member in tumour])
        result["continuity"] = continuity(mask)
    if size and len(head.slices):
        result["rim"] = rim_fraction(mask, head)
        result["height"] = height(mask, head)
        result["brightness"] = brightness(image, mask, head)
    return {name: float(value) for name, value in result.items()}


def average(values: list[float]) -> float:
    """Mean of the values that are not NaN; NaN if there is none."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return np.nan
    return float(np.mean(known))


def component_sizes(mask: np.ndarray) -> np.ndarray:
    """Voxels of each 3D component of a mask."""
    labels, _ = ndimage.label(mask, NEIGHBOURS)
    return np.bincount(labels.ravel())[1:]


def largest_fraction(mask: np.ndarray) -> float:
    """Voxels of a mask's largest component, as a fraction of all; NaN for an empty mask.

    >>> largest_fraction(np.array([[[1, 1, 0, 1]]], bool)).round(2)
    np.float64(0.67)
    """
    sizes = component_sizes(mask)
    if len(sizes) == 0:
        return np.nan
    return sizes.max() / sizes.sum()


def agreement(masks: np.ndarray) -> float:
    """Mean Dice between two of the masks bool (members, ...): 1 where both are empty; NaN for a
    single mask.

    >>> round(agreement(np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0]], bool)), 3)  # of 2/3, 1 and 2/3
    0.778
    """
    found = []
    for one, other in combinations(masks, 2):
        overlap = dice(one, other)
        found.append(1.0 if math.isnan(overlap) else overlap)
    return float(np.mean(found)) if found else np.nan


def soft_dice(probability: np.ndarray, mask: np.ndarray) -> float:
    """Dice that calibrated probabilities promise a mask: expected overlap over the expected sum of
    both sizes.

    >>> soft_dice(np.array([0.9, 0.7, 0.4]), np.array([True, True, False]))  # 2 x 1.6 / (2 + 2)
    0.8
    """
    total = probability[probability >= FAINT].sum(dtype=np.float64) + np.count_nonzero(mask)
    if total == 0:
        return np.nan
    return float(2 * probability[mask].sum(dtype=np.float64) / total)


def uncertain_fraction(probability: np.ndarray) -> float:
    """Voxels from 0.2 to 0.8, over all from 0.2 up; 0 where there is none.

    >>> uncertain_fraction(np.array([0.1, 0.3, 0.9, 0.95, 0.97]))
    0.25
    """
    possible = int(np.count_nonzero(probability >= SURE[0]))
    sure = int(np.count_nonzero(probability >= SURE[1]))
    return (possible - sure) / max(1, possible)


def continuity(mask: np.ndarray) -> float:
    """Dice between the masks of neighbouring slices, all pairs together.

    0 for a mask on one slice of several; NaN for an empty mask, and for a scan of one slice.

    >>> continuity(np.array([[1, 1], [1, 0], [1, 0]], bool))  # 2 (1 + 1) / (2 + 1 + 1 + 1)
    0.8
    """
    shown = np.flatnonzero(mask.any(axis=tuple(range(1, mask.ndim))))
    if len(shown) == 0 or len(mask) == 1:
        return np.nan
    if len(shown) == 1:
        return 0.0
    extent = mask[shown[0] : shown[-1] + 1]
    return dice(extent[1:], extent[:-1])


def head_voxels(image: np.ndarray, head: Head) -> int:
    """Voxels of a volume whose FLAIR is nearer to the head's than to air's."""
    if len(head.slices) == 0:
        return 0
    bound = head.air[head.slices, FLAIR] + head.centre[FLAIR] / 2
    return int(np.count_nonzero(image[head.slices, :, :, FLAIR] > bound[:, None, None]))


def rim_fraction(mask: np.ndarray, head: Head) -> float:
    """Fraction of a mask beyond four fifths of the way from the middle of the head's square to its
    sides.
    """
    top, left, side = head.box
    _, rows, columns = np.nonzero(mask)
    down = (2 * (rows - top) + 1) / side - 1
    across = (2 * (columns - left) + 1) / side - 1
    return float((np.hypot(down, across) > 0.8).mean())


def height(mask: np.ndarray, head: Head) -> float:
    """Middle of a mask in the stack of the head's slices: 0 the first, 1 the last."""
    first = head.slices[0]
    last = head.slices[-1]
    areas = np.count_nonzero(mask, axis=(1, 2))
    middle = np.average(np.arange(len(mask)), weights=areas)
    return float((middle - first) / max(1, last - first))


def brightness(image: np.ndarray, mask: np.ndarray, head: Head) -> float:
    """Mean z-score of FLAIR within a mask."""
    air = head.air[:, FLAIR].astype(np.float32)
    above_air = image[..., FLAIR][mask] - air[np.nonzero(mask)[0]]
    return float((above_air.mean() - head.centre[FLAIR]) / head.spread[FLAIR])
