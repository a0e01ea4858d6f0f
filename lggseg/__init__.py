"""Brain MRI, from scan to genomics: the small package under the notebooks."""

from .checkpoint import Ensemble, load_checkpoint, load_pretrained, save_checkpoint
from .data import Cohort, SliceDataset, Volume, download_cohort, fold_patients, open_cohort, split_patients
from .errors import LggError
from .genomics import association_table
from .losses import DiceBCELoss, DiceLoss, dice_loss
from .metrics import dice, hausdorff95, iou
from .phantom import write_phantom_cohort
from .predict import evaluate, predict_volume, segment_volume
from .shape import asd, bevr, mf, shape_features
from .train import TrainConfig, fit
from .transforms import Recipe
from .unet import UNet, UNetBlock
from .viewer import SliceViewer

__all__ = [
    "Cohort", "DiceBCELoss", "DiceLoss", "Ensemble", "LggError", "Recipe", "SliceDataset", "SliceViewer",
    "TrainConfig", "UNet", "UNetBlock", "Volume", "asd", "association_table", "bevr", "dice", "dice_loss",
    "download_cohort", "evaluate", "fit", "fold_patients", "hausdorff95", "iou", "load_checkpoint",
    "load_pretrained", "mf", "open_cohort", "predict_volume", "save_checkpoint", "segment_volume",
    "shape_features", "split_patients", "write_phantom_cohort",
]
