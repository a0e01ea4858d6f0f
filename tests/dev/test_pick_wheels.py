"""Which builds of PyTorch are installed where."""

import http.server
import threading

import pytest

from dev.tools import pick_wheels
from dev.tools.pick_wheels import CPU_INDEX, answers, main, pip_options

WITHOUT_CUDA = ["--extra-index-url", CPU_INDEX]


@pytest.fixture
def machine(monkeypatch):
    """Make this machine look like another one."""

    def look(system="Linux", processor="x86_64", driver=False, index=True):
        monkeypatch.setattr(pick_wheels.platform, "system", lambda: system)
        monkeypatch.setattr(pick_wheels.platform, "machine", lambda: processor)
        monkeypatch.setattr(pick_wheels, "has_nvidia_driver", lambda: driver)
        monkeypatch.setattr(pick_wheels, "answers", lambda address: index)

    return look


@pytest.mark.parametrize(
    ("looks", "cpu", "gpu", "options", "words"),
    [
        ({}, False, False, WITHOUT_CUDA, "no NVIDIA GPU was found"),
        ({"driver": True}, False, False, [], "there is an NVIDIA GPU"),
        ({"index": False}, False, False, [], "does not answer"),
        ({"index": False}, True, False, WITHOUT_CUDA, "as CPU=1 asks"),
        ({}, False, True, [], "as GPU=1 asks"),
        ({"system": "Darwin", "processor": "arm64"}, False, False, [], "no CUDA"),
        ({"system": "Windows"}, False, False, [], "no CUDA"),
    ],
)
def test_wheels_fit_the_machine_and_the_reason_is_given(machine, looks, cpu, gpu, options, words):
    machine(**looks)
    found, reason = pip_options(cpu, gpu)
    assert found == options and words in reason


def test_options_are_printed_alone_and_the_reason_beside_them(machine, capsys):
    machine()
    main([])
    printed = capsys.readouterr()
    assert printed.out.split() == WITHOUT_CUDA and "CPU wheels" in printed.err


def test_intel_macs_are_refused_at_once(machine, capsys):
    machine("Darwin", "x86_64")
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2 and "ends at version 2.2" in capsys.readouterr().err


def test_an_index_answers_or_not():
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert answers(address)
        server.shutdown()
    assert not answers(address)
