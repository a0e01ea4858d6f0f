"""The data set: files, the cohort made of them, splits by patient, slices for training.

Names, listed in `__init__.pyi`, are loaded when they are first used: splitting patients imports no network's libraries.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
