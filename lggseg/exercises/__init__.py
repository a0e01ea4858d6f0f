"""The exercises' checks: what is right, and a hint for what is commonly wrong: `check("02.3",
answer)`.
"""

from .base import check, verdict

__all__ = ["check", "verdict"]
