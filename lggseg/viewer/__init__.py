"""Scans under a slider.

The pictures (`overlay`) need no widgets, so each viewer, listed in `__init__.pyi`, is loaded when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
