"""Hours of bad luck in ten minutes: kills at random instants, damaged files, two at once, thousands
of steps.

    python -m dev.stress --minutes 10

Each file is one kind of bad luck. Linux and macOS.
"""
