"""A synthetic cohort, drawn from a seed and written in the layout of the real data set.

Nobody is in these pictures: heads are level sets, folds and margins are thresholded noise. Each
file is one step: patient (what is decided first), table (data.csv), anatomy (where things lie),
scanning (what a scanner makes of them), cohort (the files).
"""

from .cohort import PHANTOM_VERSION, write_phantom_cohort
from .table import PLANTED

__all__ = ["PHANTOM_VERSION", "PLANTED", "write_phantom_cohort"]
