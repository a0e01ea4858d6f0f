"""Brain MRI, from scan to genomics: the small package under the notebooks.

Names are loaded when they are first used, so `import lggseg` is quick and `python -m lggseg.train` runs clean.
"""

from importlib import import_module

HOME = {
    "data": ("Cohort", "SliceDataset", "Volume", "download_cohort", "fold_patients", "open_cohort", "split_patients"),
    "errors": ("LggError",),
    "evaluation": ("evaluate",),
    "genomics": ("association_table",),
    "losses": ("DiceBCELoss", "DiceLoss", "dice_loss"),
    "metrics": ("dice", "hausdorff95", "iou"),
    "phantom": ("write_phantom_cohort",),
    "preprocess": ("Recipe",),
    "segmenter": ("Segmenter", "load_checkpoint", "load_pretrained", "predict_volume", "save_checkpoint",
                  "segment_volume"),
    "shape": ("angular_standard_deviation", "asd", "bevr", "bounding_ellipsoid_volume_ratio", "margin_fluctuation",
              "mf", "shape_features"),
    "train": ("TrainConfig", "fit"),
    "unet": ("UNet", "UNetBlock"),
    "viewer": ("ActivationViewer", "CohortViewer", "SliceViewer"),
}
MODULE_OF = {name: module for module, names in HOME.items() for name in names}

__all__ = sorted(MODULE_OF)


def __getattr__(name: str) -> object:
    if name not in MODULE_OF:
        raise AttributeError(f"module 'lggseg' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{MODULE_OF[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
