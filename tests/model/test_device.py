from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from lggseg.errors import LggError
from lggseg.model import device
from lggseg.model.device import (
    amp_dtype,
    augmentation_device,
    cpu_has_bfloat16,
    mixed_precision,
    pick_device,
)


@pytest.fixture(autouse=True)
def forget():
    """What the processor can do is asked once per process; here it changes."""
    cpu_has_bfloat16.cache_clear()
    yield
    cpu_has_bfloat16.cache_clear()


def test_a_name_is_obeyed_and_a_gpu_preferred(monkeypatch):
    assert pick_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for there, kind in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert pick_device().type == kind


def test_each_process_of_torchrun_takes_its_own_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("cuda") == torch.device("cuda", 0)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert (
        pick_device() == pick_device("cuda") == torch.device("cuda", 1)
        and pick_device("cuda:0").index == 0
    )
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(LggError, match="PyTorch sees 2 GPUs here, and number 2 is wanted"):
        pick_device()


@pytest.mark.parametrize(
    "name, told",
    [
        ("cuda", "sees 0 GPUs"),
        ("cuda:1", "sees 0 GPUs"),
        ("gpu", "no such device"),
        ("meta", "no such device"),
        ("xpu", "no such device"),
        pytest.param(
            "mps",
            "no such device",
            marks=pytest.mark.skipif(torch.backends.mps.is_available(), reason="a Mac with a GPU"),
        ),
    ],
)
def test_devices_that_are_not_there_are_named(monkeypatch, name, told):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(LggError, match=told):
        pick_device(name)


def test_the_gpu_of_a_mac_is_taken_when_asked_for(monkeypatch):
    """As far as can be seen without one: PyTorch answers there, and everything stays in float32."""
    zeros = torch.zeros
    monkeypatch.setattr(torch, "zeros", lambda size, device: zeros(size))
    mac = pick_device("mps")
    assert mac == torch.device("mps")
    assert amp_dtype(mac) is None and isinstance(mixed_precision(mac), nullcontext)
    assert not torch.amp.GradScaler(mac.type, enabled=amp_dtype(mac) == torch.float16).is_enabled()


def test_slices_are_augmented_where_the_network_is_except_on_a_mac():
    assert augmentation_device(torch.device("cuda", 1)) == torch.device("cuda", 1)
    assert augmentation_device(torch.device("cpu")) == torch.device("cpu")
    assert augmentation_device(torch.device("mps")) == torch.device("cpu")


@pytest.mark.parametrize(
    "flags, expected",
    [("avx512f avx512_bf16", torch.bfloat16), ("amx_bf16", torch.bfloat16), ("avx2 avx512f", None)],
)
def test_bfloat16_on_a_cpu_only_with_instructions_for_it(monkeypatch, flags, expected):
    monkeypatch.setattr(Path, "read_text", lambda path: f"flags : {flags}\n")
    assert amp_dtype(torch.device("cpu")) is expected


def test_float32_where_the_cpu_does_not_tell(monkeypatch):
    def missing(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", missing)
    assert amp_dtype(torch.device("cpu")) is None


@pytest.mark.parametrize(
    "capability, expected", [((8, 0), torch.bfloat16), ((7, 5), torch.float16)]
)
def test_number_format_of_a_gpu(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert amp_dtype(torch.device("cuda")) is expected


@pytest.mark.parametrize("busy, expected", [(False, 4), (True, 1)])
def test_as_many_threads_as_are_fast(monkeypatch, busy, expected):
    """A convolution of 1 s on one thread; on a busy machine each further thread adds a wait."""
    tried = []

    def seconds(threads, limit):
        tried.append(threads)
        return 1 + threads if busy else 1 / threads

    monkeypatch.setattr(device, "convolution_seconds", seconds)
    monkeypatch.setattr(device, "THREADS", 4)
    assert device.pick_threads() == expected and tried == [1, 2, 4]


def test_too_many_threads_are_not_waited_for():
    assert device.convolution_seconds(1, 0.0) < device.convolution_seconds(1, float("inf"))


def test_a_thread_count_of_the_machine_at_hand():
    before = torch.get_num_threads()
    try:
        for present in (before, 1):  # who set one thread at a busy moment may get more later
            torch.set_num_threads(present)
            assert (
                1 <= device.pick_threads() <= device.THREADS and torch.get_num_threads() == present
            )
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", [0, "", [], 1.5])
def test_a_device_that_is_no_name_is_not_taken_for_none(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(LggError, match="device"):
        pick_device(name)
