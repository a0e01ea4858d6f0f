"""What the browser's tests need of this machine: a Chromium, a free port, a server that is up."""

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "build" / "browser"


def find_chromium() -> str:
    """Path of a Chromium or Chrome; $CHROMIUM names another."""
    names = (
        os.environ.get("CHROMIUM", ""),
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    )
    for name in filter(None, names):
        if path := shutil.which(name):
            return path
    pytest.skip(
        "no Chromium or Chrome found, so no browser test was run: install one, or let CHROMIUM "
        "name it"
    )


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def served(command: list[str], folder: Path, ready: str, environment: dict):
    """A server of ours, from when it answers at the address `ready` until the end of the block."""
    log = (folder / "server.log").open("w")
    process = subprocess.Popen(
        command, cwd=folder, env={**os.environ, **environment}, stdout=log, stderr=log
    )
    try:
        for _ in range(240):
            assert process.poll() is None, (folder / "server.log").read_text()
            try:
                urllib.request.urlopen(ready, timeout=60).close()
                break
            except OSError:
                time.sleep(0.5)
        yield
    finally:
        process.terminate()
        process.wait(30)
        log.close()
