"""Parts that run one after the other, each in a process of its own, so that its memory is its own, too."""

from collections.abc import Callable
from multiprocessing.connection import Connection

from .killing import context
from .part import Clock, Row

GRACE = 45  # seconds for a part to end in when its time is over


def answer(part: Callable, seconds: float, connection: Connection) -> None:
    """In a process: run a part and send its rows."""
    rows = part(Clock(seconds))
    connection.send(rows if isinstance(rows, list) else [rows])


def run_lane(lane: list, seconds: float, clock: Clock) -> list[Row]:
    """The rows of the parts of one lane, each run in a process of its own."""
    rows, used = [], 0.0
    for part, share in lane:
        used += share
        until = max(1.0, clock.left() - seconds * (1 - used))
        here, there = context.Pipe()
        process = context.Process(target=answer, args=(part, until, there))
        process.start()
        there.close()
        try:
            told = here.poll(until + GRACE)
            found = here.recv() if told else [Row(part.__name__, 0, 0, ["did not end in its time"])]
        except EOFError:
            found = [Row(part.__name__, 0, 0, ["died; see above"])]
        process.kill()
        process.join()
        for row in found:
            print(row, flush=True)
        rows += found
    return rows
