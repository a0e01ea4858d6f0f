"""Make the pictures in images/ from the real code; run with LGGSEG_DATA=phantom, since they are published."""

from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from lggseg import plots
from lggseg.data import Cohort, Volume, open_cohort
from lggseg.unet import UNet

IMAGES = Path(__file__).resolve().parent.parent / "images"


COLUMNS = {"pre-contrast": 0, "FLAIR": 1, "post-contrast": 2, "FLAIR and mask": 1}


def enhancement(volume: Volume) -> float:
    """How much brighter the tumour is after contrast than before, in grey values."""
    pre, post = (volume.image[..., c][volume.mask].mean() for c in (0, 2))
    return float(post - pre)


def examples(cohort: Cohort) -> Figure:
    """Sequences and mask of the slice with most tumour: per site, the patient whose tumour enhances most."""
    complete = cohort.summary.query("not pre_missing and not post_missing and tumour_voxels > 0")
    strength = complete.index.to_series().map(lambda patient: enhancement(cohort.volume(patient)))
    chosen = strength.groupby(complete.site).idxmax()[:4]
    figure, axes = plt.subplots(len(chosen), 4, figsize=(10, 2.55 * len(chosen) + 0.6), squeeze=False)
    for row, patient in zip(axes, chosen):
        volume = cohort.volume(patient)
        k = volume.mask.sum(axis=(1, 2)).argmax()
        for ax, channel in zip(row, COLUMNS.values()):
            plots.show_slice(volume.image[k, ..., channel], volume.mask[k] if ax is row[-1] else None, ax=ax)
        row[0].text(8, 248, f"{patient}, slice {k + 1}", color="white", size=9)
    for ax, title in zip(axes[0], COLUMNS):
        ax.set_title(title)
    figure.suptitle(cohort.label)
    return figure


def main() -> None:
    plots.use_style()
    cohort = open_cohort()
    if cohort.kind != "phantom":
        raise SystemExit("images/ must not show real patients: set LGGSEG_DATA=phantom")
    examples(cohort).savefig(IMAGES / "examples.png", dpi=75)
    plots.architecture(UNet()).figure.savefig(IMAGES / "u-net-architecture.png", dpi=110)


if __name__ == "__main__":
    main()
