"""Which grey values should become a z-score of 0, and which of 1? A table without any training.

A rule takes the head of a patient and gives a centre and a spread per sequence; z-scores are (grey
level - air - centre) / spread. A good rule gives tumours of all patients the same z-scores, and
healthy brain, too:

- `tumour`, `sd`, `cv`: the tumour's median z-score per patient: mean, standard deviation, and their
  quotient, left out where the mean is nearer to 0 than one standard deviation, as in T1
- `healthy`, `healthy_sd`: the 95th percentile of healthy brain per patient: mean and standard
  deviation
- `pooled`: area under the curve of tumour against healthy brain, voxels of all patients together,
  each patient weighing the same: how well one threshold does for everybody
- `own`: mean over patients of the area within one patient, which no choice of centre and spread can
  change

Healthy brain is the inner head outside the manual mask, and grey levels are smoothed, as
`find_head` smooths them. Per-slice rules change grey levels before, so their `own` differs.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage
from tqdm.auto import tqdm

from lggseg import Cohort, Volume, open_cohort
from lggseg.prepare.head_finder import (
    above_air,
    find_head,
    inner_head,
    joint_signal,
    smoothed,
    tissue_bound,
)
from lggseg.sequences import MriSequence

from .command import command, execute
from .tables import write_csv

SEQUENCES = ("pre", "FLAIR", "post")
BINS = np.linspace(-8, 12, 2001)


@dataclass
class Inside:
    """One sequence of a patient, every second pixel of the slices that show a head.

    Attributes
    ----------
    levels : float32 (n, height, width), smoothed, counted from air
    tissue, filled, inner : bool (n, height, width), what is brighter than air in FLAIR; the same
        with its holes
        filled; and that without scalp and skull
    """

    levels: np.ndarray
    tissue: np.ndarray
    filled: np.ndarray
    inner: np.ndarray


def tissue_quartiles(inside: Inside) -> tuple[float, float]:
    """Median and interquartile range / 1.349 of all tissue."""
    low, middle, high = np.percentile(inside.levels[inside.tissue], [25, 50, 75])
    return middle, (high - low) / 1.349


def head_mean(inside: Inside) -> tuple[float, float]:
    """Mean and standard deviation of the whole head."""
    values = inside.levels[inside.filled]
    return values.mean(), values.std()


def inner_mean(inside: Inside) -> tuple[float, float]:
    """Mean and standard deviation of the inner head."""
    values = inside.levels[inside.inner]
    return values.mean(), values.std()


def inner_quartiles(inside: Inside) -> tuple[float, float]:
    """Median and interquartile range / 1.349 of the inner head."""
    low, middle, high = np.percentile(inside.levels[inside.inner], [25, 50, 75])
    return middle, (high - low) / 1.349


def inner_range(inside: Inside) -> tuple[float, float]:
    """Middle and a 3.29th of the distance of the inner head's 5th and 95th percentiles."""
    low, high = np.percentile(inside.levels[inside.inner], [5, 95])
    return (low + high) / 2, (high - low) / 3.29


def peak(inside: Inside) -> float:
    """The commonest grey level of the inner head, which is white matter's: the mode of a smoothed
    histogram.
    """
    values = inside.levels[inside.inner]
    counts, edges = np.histogram(values, 200, np.percentile(values, [0.5, 99.5]))
    highest = ndimage.gaussian_filter1d(counts.astype(float), 5).argmax()
    return (edges[highest] + edges[highest + 1]) / 2


def peak_and_deviation(inside: Inside) -> tuple[float, float]:
    """White matter's peak, and the inner head's standard deviation."""
    return peak(inside), inner_mean(inside)[1]


def peak_alone(inside: Inside) -> tuple[float, float]:
    """White matter's peak, and 0.3 of it: as if air and white matter were the only fixed points."""
    level = peak(inside)
    return level, 0.3 * abs(level)


RULES: dict[str, Callable[[Inside], tuple[float, float]]] = {
    "tissue, median and quartiles": tissue_quartiles,
    "whole head, mean and deviation": head_mean,
    "inner head, mean and deviation": inner_mean,
    "inner head, median and quartiles": inner_quartiles,
    "inner head, 5th and 95th percentile": inner_range,
    "white-matter peak and deviation": peak_and_deviation,
    "white-matter peak alone": peak_alone,
}
# Then mean and deviation.
PER_SLICE = {"each slice to one level": 1.0, "each slice half-way to one level": 0.5}


def slice_factor(inside: Inside, power: float) -> np.ndarray:
    """What brings each slice's median in the inner head to the stack's, to a power: float (n,); 1
    where it has none.
    """
    factor = np.ones(len(inside.levels))
    medians = [
        np.median(values[where]) if where.any() else np.nan
        for values, where in zip(inside.levels, inside.inner)
    ]
    middle = np.nanmedian(medians)
    usable = np.array(medians) > 0.2 * middle
    factor[usable] = (middle / np.array(medians)[usable]) ** power
    return factor


def insides(volume: Volume) -> tuple[list[Inside], np.ndarray]:
    """The three sequences of a patient, and the manual mask, bool (n, height, width), on the same
    pixels.
    """
    image = np.ascontiguousarray(volume.image)
    head = find_head(image)
    smooth = [smoothed(image[head.slices, :, :, sequence]) for sequence in MriSequence]
    air = head.air[head.slices]
    signal = joint_signal(smooth, air, [True] * 3)
    tissue = (signal > tissue_bound(signal))[:, ::2, ::2]
    filled = np.stack([filled_slice(one) for one in tissue])
    inner = inner_head(tissue, head.box.side / 2)
    levels = [
        above_air(smooth[sequence], air[:, sequence])[:, ::2, ::2] for sequence in MriSequence
    ]
    mask = np.asarray(volume.mask)[head.slices, ::2, ::2]
    return [Inside(one, tissue, filled, inner) for one in levels], mask


def filled_slice(tissue: np.ndarray) -> np.ndarray:
    """Tissue bool (height, width) with gaps of up to six pixels closed and holes filled."""
    return ndimage.binary_fill_holes(ndimage.binary_closing(tissue, iterations=3) | tissue)


def measure(z: np.ndarray, inner: np.ndarray, mask: np.ndarray) -> dict:
    """What is needed of one patient's z-scores (n, height, width) by one rule."""
    tumour = z[mask]
    healthy = z[inner & ~mask]
    return {
        "tumour": np.median(tumour),
        "healthy": np.percentile(healthy, 95),
        "positive": share_per_bin(tumour),
        "negative": share_per_bin(healthy),
    }


def share_per_bin(values: np.ndarray) -> np.ndarray:
    """Histogram over BINS that sums to 1; what is beyond counts at the ends."""
    counts = np.histogram(values.clip(BINS[0], BINS[-1]), BINS)[0]
    return counts / max(1, counts.sum())


def area(positive: np.ndarray, negative: np.ndarray) -> float:
    """Area under the curve from two histograms: chance that a tumour voxel is brighter than a
    healthy one.
    """
    below = np.cumsum(negative) - negative / 2
    return float(positive @ below)


def patient_rows(volume: Volume) -> Iterator[dict]:
    """One row per sequence and rule; none for a sequence that is missing or a patient without
    tumour.
    """
    sequences, mask = insides(volume)
    if not mask.any():
        return
    for name, inside in zip(SEQUENCES, sequences):
        if name in volume.missing:
            continue
        for rule, find in RULES.items():
            centre, spread = find(inside)
            z = (inside.levels - centre) / spread
            yield {
                "patient": volume.patient,
                "sequence": name,
                "rule": rule,
                **measure(z, inside.inner, mask),
            }
        for rule, power in PER_SLICE.items():
            levels = inside.levels * slice_factor(inside, power)[:, None, None]
            centre, spread = inner_mean(Inside(levels, inside.tissue, inside.filled, inside.inner))
            z = (levels - centre) / spread
            yield {
                "patient": volume.patient,
                "sequence": name,
                "rule": rule,
                **measure(z, inside.inner, mask),
            }


def summary(rows: pd.DataFrame) -> pd.Series:
    """The figures of one rule, one sequence, over these patients."""
    pooled = area(np.mean([*rows.positive], axis=0), np.mean([*rows.negative], axis=0))
    own = [area(row.positive, row.negative) for row in rows.itertuples()]
    mean = rows.tumour.mean()
    sd = rows.tumour.std(ddof=0)
    cv = sd / mean if abs(mean) > sd else np.nan
    return pd.Series(
        {
            "patients": len(rows),
            "tumour": mean,
            "sd": sd,
            "cv": cv,
            "healthy": rows.healthy.mean(),
            "healthy_sd": rows.healthy.std(ddof=0),
            "pooled": pooled,
            "own": np.mean(own),
        }
    )


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per sequence, hospital ("all" first) and rule."""
    hospital = rows.patient.str.split("_").str[1]
    parts = []
    for name in ["all", *sorted(hospital.unique())]:
        chosen = rows if name == "all" else rows[hospital == name]
        figures = chosen.groupby(["sequence", "rule"], sort=False)[[*chosen]].apply(summary)
        parts.append(figures.reset_index().assign(hospital=name))
    found = pd.concat(parts, ignore_index=True).astype({"patients": int})
    return found[
        [
            "sequence",
            "hospital",
            "rule",
            *[name for name in found if name not in ("sequence", "hospital", "rule")],
        ]
    ]


def cohort_rows(cohort: Cohort) -> pd.DataFrame:
    """The rows of all patients."""
    found = []
    for patient in tqdm(cohort.patients, "grey values"):
        found += patient_rows(cohort.volume(patient))
    return pd.DataFrame(found)


def options() -> argparse.ArgumentParser:
    parser = command("greyvalues", __doc__)
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="keep the table as a CSV file, hospitals included"
    )
    return parser


def do(chosen: argparse.Namespace) -> None:
    found = table(cohort_rows(open_cohort(chosen.data)))
    for sequence in SEQUENCES:
        print(f"{sequence}, all hospitals")
        rows = found[(found.sequence == sequence) & (found.hospital == "all")]
        print(
            rows.drop(columns=["sequence", "hospital"]).round(3).to_string(index=False), end="\n\n"
        )
    flair = found[(found.sequence == "FLAIR") & (found.hospital != "all")]
    print("FLAIR, mean z-score of tumours by hospital")
    print(
        flair.pivot(index="rule", columns="hospital", values="tumour")
        .loc[[*RULES, *PER_SLICE]]
        .round(2)
        .to_string()
    )
    if chosen.out:
        write_csv(found.round(4), chosen.out)


def main(argv: list[str] | None = None) -> None:
    execute(options(), do, argv)


if __name__ == "__main__":
    main()
