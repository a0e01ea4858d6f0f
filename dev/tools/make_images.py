"""Make the pictures in images/ from the real code; run with LGGSEG_DATA=phantom, since they are
published.
"""

from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import nn

from lggseg import dice, load_pretrained, segment_volume
from lggseg.data import Cohort, Volume, open_cohort
from lggseg.unet import UNet
from lggseg.viewer import plots

from .palette import few_colours

IMAGES = Path(__file__).resolve().parents[2] / "images"
COLUMNS = {"pre-contrast": 0, "FLAIR": 1, "post-contrast": 2, "FLAIR with both outlines": 1}


def enhancement(volume: Volume) -> float:
    """How much brighter the tumour is after contrast than before, in grey values."""
    pre, post = (volume.image[..., c][volume.mask].mean() for c in (0, 2))
    return float(post - pre)


def chosen(cohort: Cohort, rows: int = 4) -> list[str]:
    """Per site, the patient whose tumour enhances most."""
    complete = cohort.summary.query("not pre_missing and not post_missing and tumour_voxels > 0")
    strength = complete.index.to_series().map(lambda patient: enhancement(cohort.volume(patient)))
    return list(strength.groupby(complete.site).idxmax()[:rows])


def examples(cohort: Cohort, model: nn.Module) -> Figure:
    """The slice with most tumour in each sequence, and the outlines drawn by hand and by the
    network on FLAIR.
    """
    patients = chosen(cohort)
    figure, axes = plt.subplots(
        len(patients), 4, figsize=(10, 2.55 * len(patients) + 0.6), squeeze=False
    )
    for row, patient in zip(axes, patients):
        volume = cohort.volume(patient)
        predicted = segment_volume(model, volume.image)
        k = volume.mask.sum(axis=(1, 2)).argmax()
        for ax, channel in zip(row, COLUMNS.values()):
            plots.show_slice(volume.image[k, ..., channel], ax=ax)
        plots.show_slice(volume.image[k, ..., 1], volume.mask[k], predicted[k], ax=row[-1])
        row[0].text(8, 248, f"{patient}, slice {k + 1}", color="white", size=9)
        row[-1].text(
            8, 248, f"Dice {dice(predicted, volume.mask):.2f}, all slices", color="white", size=9
        )
    for ax, title in zip(axes[0], COLUMNS):
        ax.set_title(title)
    plots.legend(
        axes[-1][-1],
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        ncols=2,
        fontsize=9,
        handlelength=1.2,
        columnspacing=1,
        borderaxespad=0.2,
    )
    figure.suptitle(cohort.label)
    return figure


def save(figure: Figure, path: Path, dpi: int) -> None:
    figure.savefig(path, dpi=dpi)
    path.write_bytes(few_colours(path.read_bytes()))


def main() -> None:
    plots.use_style()
    cohort = open_cohort()
    if cohort.kind != "phantom":
        raise SystemExit("images/ must not show real patients: set LGGSEG_DATA=phantom")
    save(examples(cohort, load_pretrained(cohort.kind)), IMAGES / "examples.png", 90)
    save(plots.architecture(UNet()).figure, IMAGES / "u-net-architecture.png", 110)


if __name__ == "__main__":
    main()
