"""Scans under a slider.

The viewers are listed in `__init__.pyi`. Each is loaded when it is first used: the pictures
(`overlay`) need no widgets.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
