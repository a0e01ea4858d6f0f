"""A JupyterLab on loopback and a headless Chromium that looks at it."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "build" / "browser"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def find_chromium() -> str:
    """Path of a Chromium or Chrome; $CHROMIUM names another."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    for name in filter(None, names):
        if path := shutil.which(name):
            return path
    pytest.skip("no Chromium or Chrome found, so no browser test was run: install one, or let CHROMIUM name it")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def served(command: list[str], folder: Path, ready: str, environment: dict):
    """A server of ours, from when it answers at the address `ready` until the end of the block."""
    log = (folder / "server.log").open("w")
    process = subprocess.Popen(command, cwd=folder, env={**os.environ, **environment}, stdout=log, stderr=log)
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


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """(address, token, folder) of a JupyterLab with settings of its own, which looks up nothing in the network."""
    folder, port, token = tmp_path_factory.mktemp("lab"), free_port(), secrets.token_hex(16)
    notification = folder / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    notification.parent.mkdir(parents=True)
    notification.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
    (folder / "work").mkdir()
    environment = {f"JUPYTER{name}": str(folder / name.strip("_").lower()) for name in (
        "_CONFIG_DIR", "_DATA_DIR", "_RUNTIME_DIR", "LAB_WORKSPACES_DIR")}
    environment |= {"JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
               f"--ServerApp.port={port}", f"--IdentityProvider.token={token}", "--ServerApp.port_retries=0",
               f"--ServerApp.root_dir={folder / 'work'}", "--LabApp.expose_app_in_browser=True",
               "--LabApp.extension_manager=readonly"]
    address = f"http://127.0.0.1:{port}"
    with served(command, folder, f"{address}/api/status?token={token}", environment):
        yield address, token, folder / "work"


@pytest.fixture(scope="session")
def browser():
    path = find_chromium()
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed, so no browser test "
                                     "was run: pip install playwright")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()
