"""What the values of settings must be, by the type of their field."""

from numbers import Integral, Real

import numpy as np

KINDS = {int: Integral, float: Real, bool: bool | np.bool_}  # NumPy's numbers are welcome, too
WORDS = {bool: "true or false", int: "a whole number", float: "a number"}
