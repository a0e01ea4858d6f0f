"""Scans under a slider. The pictures (`overlay`) need no widgets, so each viewer is loaded when it is first used."""

from importlib import import_module

HOME = {"ActivationViewer": "activations", "CohortViewer": "cohort", "SliceViewer": "slices"}

__all__ = sorted(HOME)


def __getattr__(name: str) -> object:
    if name not in HOME:
        raise AttributeError(f"module 'lggseg.viewer' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{HOME[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
