"""Brain MRI, from scan to genomics: the small package under the notebooks.

The names are listed once, in `__init__.pyi`, where type checkers and editors read them; at run time
each is loaded when it is first used, so `import lggseg` is quick and `python -m lggseg.train` runs
clean.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
