"""How the shipped weights were found: trainings, comparisons and release, as commands.

`experiments/README.md` is the log.
"""
