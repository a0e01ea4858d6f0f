"""Shape of a tumour and its genomic subtype: exact tests, corrections, effect sizes.

`python -m lggseg.genomics` measures a cohort's manual masks and prints the table of the 2019 paper.
"""

from .association import (
    aligned,
    association_table,
    category_codes,
    cohort_features,
    compare,
    median_split,
)
from .corrections import benjamini_hochberg, bonferroni
from .effect_size import Auc, auc, cramers_v
from .fisher import count_tables, exact_p_values, freeman_halton
from .permutation import false_positive_rates, permuted_p_values
from .replication import CLAIMS, KeptLead, Replication, kept_lead, replication, verdict

__all__ = [
    "CLAIMS",
    "Auc",
    "KeptLead",
    "Replication",
    "aligned",
    "association_table",
    "auc",
    "benjamini_hochberg",
    "bonferroni",
    "category_codes",
    "cohort_features",
    "compare",
    "count_tables",
    "cramers_v",
    "exact_p_values",
    "false_positive_rates",
    "freeman_halton",
    "kept_lead",
    "median_split",
    "permuted_p_values",
    "replication",
    "verdict",
]
