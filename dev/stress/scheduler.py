"""Parts that run one after the other, where memory matters each in a process of its own."""

from collections.abc import Callable
from multiprocessing.connection import Connection

from .killing import context
from .report import Clock, Row

GRACE = 45  # seconds for a part to end in when its time is over


def send_rows(part: Callable, seconds: float, connection: Connection) -> None:
    """In a process: run a part and send its rows."""
    rows = part(Clock(seconds))
    connection.send(rows if isinstance(rows, list) else [rows])


def run_in_process(part: Callable, until: float) -> list[Row]:
    """The rows of a part that runs in a process of its own."""
    here, there = context.Pipe()
    process = context.Process(target=send_rows, args=(part, until, there))
    process.start()
    there.close()
    try:
        in_time = here.poll(until + GRACE)
        found = here.recv() if in_time else [Row(part.__name__, 0, 0, ["did not end in its time"])]
    except EOFError:
        found = [Row(part.__name__, 0, 0, ["died; see above"])]
    process.kill()
    process.join()
    return found


def run_here(part: Callable, until: float) -> list[Row]:
    """The rows of a part that starts processes itself: a child of the server would need a second
    server.
    """
    try:
        return [part(Clock(until))]
    except Exception as error:
        return [Row(part.__name__, 0, 0, [f"{type(error).__name__}: {error}"])]


def run_lane(lane: list, seconds: float, clock: Clock, in_processes: bool) -> list[Row]:
    """The rows of the parts of one lane, each part in its own process if `in_processes`."""
    rows = []
    used = 0.0
    for part, share in lane:
        used += share
        until = max(1.0, clock.left() - seconds * (1 - used))
        found = run_in_process(part, until) if in_processes else run_here(part, until)
        for row in found:
            print(row, flush=True)
        rows += found
    return rows
