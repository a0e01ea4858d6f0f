"""The data set: files, the cohort made of them, splits by patient, slices for training.

The names are listed in `__init__.pyi`. Each is loaded when it is first used, so that whoever only
splits patients does not wait for PyTorch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
