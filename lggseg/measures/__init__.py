"""How well masks agree, and what shape a tumour has."""
