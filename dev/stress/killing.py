"""Run a job in a process of its own, and end it with SIGKILL at a random instant."""

import os
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Protocol

from .report import Clock, Row, memory, random

PATIENCE = 120  # seconds for a job of one or two; beyond it, it hangs
FINISH_EVERY = 4  # every fourth run is left alone, to go on with what the killed ones left
# A server without threads, with the libraries loaded, forks the jobs: each starts within
# milliseconds.
context = get_context("forkserver")
context.set_forkserver_preload(["dev.stress.preload"])


class Scenario(Protocol):
    """A job to be killed again and again in one place, and what must hold there afterwards."""

    def job(self) -> tuple[Callable, tuple]:
        """The function to run, and its arguments."""

    def killed(self) -> str | None:
        """What is wrong with what a killed job left, or None."""

    def completed(self) -> str | None:
        """What is wrong with what a job left that ran to its end, or None; and make room for the
        next.
        """


def begin(connection: Connection, job: Callable, arguments: tuple) -> None:
    """In the job's process: say that it starts, run, say how much memory it took."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    connection.send(None)
    job(*arguments)
    connection.send(memory())


def run(job: Callable, arguments: tuple, delay: float = PATIENCE) -> tuple[bool, float, float]:
    """(whether it was killed, seconds, MB at the end) of a job that gets SIGKILL after `delay`
    seconds.
    """
    here, there = context.Pipe()
    process = context.Process(target=begin, args=(there, job, arguments))
    process.start()
    there.close()
    here.recv()
    start = time.monotonic()
    process.join(delay)
    process.kill()
    process.join()
    seconds = time.monotonic() - start
    if process.exitcode == 0:
        return False, seconds, here.recv()
    if process.exitcode > 0 or delay == PATIENCE:
        raise RuntimeError(
            f"{job.__name__} ended with exit code {process.exitcode} after {seconds:.1f} s"
        )
    return True, seconds, 0.0


def kill_again_and_again(what: str, scenario: Scenario, wanted: int, clock: Clock) -> Row:
    """Kill the scenario's job at instants spread evenly over the time it takes; a case is a kill
    that struck.
    """
    row = Row(what, wanted)
    rng = random(Row(what, wanted))
    _, duration, row.memory = run(*scenario.job())
    row.failures += [complaint for complaint in [scenario.completed()] if complaint]
    runs = 0
    while row.cases < wanted and clock.left() > 2 * duration:
        runs += 1
        delay = PATIENCE if runs % FINISH_EVERY == 0 else rng.uniform(0, duration)
        try:
            killed, seconds, _ = run(*scenario.job(), delay)
            complaint = scenario.killed() if killed else scenario.completed()
        except Exception as error:
            killed = True
            seconds = 0
            complaint = f"{what}, run {runs}: {type(error).__name__}: {error}"
        if killed:
            row.add(complaint, seconds)
        elif complaint:
            row.failures.append(complaint)
        row.slowest = max(row.slowest, seconds)
    return row
