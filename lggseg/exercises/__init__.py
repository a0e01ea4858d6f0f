"""The exercises' checks: what is right, and a hint for what is commonly wrong. A reader calls `check("02.3", answer)`."""

from .base import check, verdict

__all__ = ["check", "verdict"]
