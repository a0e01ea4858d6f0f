"""What a reader can rely on: the names of `import lggseg`, and commands that run clean."""

import subprocess
import sys

import pytest

import lggseg

DESIGNED = """open_cohort download_cohort Cohort split_patients SliceDataset UNet dice_loss DiceLoss DiceBCELoss
    TrainConfig fit load_checkpoint load_pretrained predict_volume segment_volume evaluate dice iou hausdorff95
    asd mf bevr shape_features association_table SliceViewer LggError""".split()


@pytest.mark.parametrize("name", sorted({*DESIGNED, *lggseg.__all__}))
def test_public_names(name):
    value = getattr(lggseg, name)
    assert value.__doc__ and value.__module__.startswith("lggseg.") and name in dir(lggseg)


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="attribute 'unet3d'|attribute unet3d"):
        lggseg.unet3d  # noqa: B018


@pytest.mark.parametrize("module", ["train", "predict", "genomics", "data.cache"])
def test_commands_explain_themselves_without_a_warning(module):
    run = subprocess.run([sys.executable, "-W", "error", "-m", f"lggseg.{module}", "--help"], capture_output=True,
                         text=True, check=False)
    assert run.returncode == 0 and f"lggseg.{module}" in run.stdout, run.stderr
