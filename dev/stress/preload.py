"""What parts and jobs need, imported once by the server that forks them."""

import torch._dynamo  # noqa: F401  the optimiser imports it when it is made, and that takes longer than a small training

from . import concurrency, drawing, fuzz, memory_growth, packing, prediction, training  # noqa: F401
