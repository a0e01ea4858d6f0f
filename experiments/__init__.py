"""How the shipped weights were found: trainings, comparisons and release, as commands on the package lggseg.

`experiments/README.md` is the log.
"""
