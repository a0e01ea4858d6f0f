"""The data set: files, the cohort made of them, splits by patient, slices for training.

Names are loaded when they are first used: splitting patients does not import a network's libraries.
"""

from importlib import import_module

HOME = {
    "cache": ("cache_folder",),
    "clinical": ("CLUSTERS", "read_clinical"),
    "cohort": ("Cohort", "Volume", "load_cohort", "open_cohort"),
    "dataset": ("SliceDataset",),
    "places": ("download_cohort",),
    "splits": ("fold_patients", "split_patients"),
}
MODULE_OF = {name: module for module, names in HOME.items() for name in names}

__all__ = sorted(MODULE_OF)


def __getattr__(name: str) -> object:
    if name not in MODULE_OF:
        raise AttributeError(f"module 'lggseg.data' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{MODULE_OF[name]}", __name__), name)
    return value
