import pickle

import numpy as np
import pytest
import torch

from lggseg.errors import LggError
from lggseg.model.checkpoint import dequantise, digest, quantise, read_checkpoint, write_checkpoint


@pytest.fixture
def content():
    torch.manual_seed(0)
    return {
        "weights": {
            "a": torch.randn(50, 40),
            "half": torch.randn(9).half(),
            "steps": torch.tensor(3),
        },
        "names": ["x", "y"],
        "size": 32,
        "rate": 0.1,
        "nothing": None,
    }


def test_round_trip(tmp_path, content):
    again = read_checkpoint(write_checkpoint(content, tmp_path / "deep" / "net.pt"))
    assert again["names"] == ["x", "y"] and again["rate"] == 0.1 and again["nothing"] is None
    assert all(
        torch.equal(again["weights"][name], value) for name, value in content["weights"].items()
    )


def test_missing_and_broken_files_are_named(tmp_path, content):
    with pytest.raises(LggError, match="nowhere.pt: no such checkpoint"):
        read_checkpoint(tmp_path / "nowhere.pt")
    path = write_checkpoint(content, tmp_path / "net.pt")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(LggError, match="net.pt: not a whole lggseg checkpoint"):
        read_checkpoint(path)
    torch.save({"something": "else"}, path)
    with pytest.raises(
        LggError, match="net.pt: a dictionary of something, not an lggseg checkpoint"
    ):
        read_checkpoint(path)
    torch.save({"format": 1, "digest": "", "content": {}}, path)
    with pytest.raises(LggError, match="format 1, and this version reads format 4"):
        read_checkpoint(path)


NETWORK = torch.nn.Linear(2, 2)
FOREIGN = {  # what others save, and what it is called
    "state_dict": (
        NETWORK.state_dict(),
        "a state_dict, which holds weights alone, not an lggseg checkpoint",
    ),
    "model": (NETWORK, "Python objects, such as a whole model .* not an lggseg checkpoint"),
    "lightning": (
        {"state_dict": NETWORK.state_dict(), "epoch": 3},
        "a training checkpoint with a state_dict",
    ),
    "lightning with settings": (
        {"state_dict": {}, "hyper": NETWORK},
        "Python objects, .* a Lightning checkpoint",
    ),
    "tensor": (torch.zeros(3), "a Tensor, not an lggseg checkpoint"),
    "list": ([1], "a list, not an lggseg checkpoint"),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("zipped", [True, False])
def test_other_peoples_checkpoints_are_called_what_they_are(tmp_path, kind, zipped):
    """bioimage-io #482, deep-person-reid #4: a sound file is not called damaged, and nobody is told
    to delete it.
    """
    stored, words = FOREIGN[kind]
    torch.save(stored, tmp_path / "net.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        LggError, match=f"net.pt: {words}.*load_state_dict.*save_checkpoint"
    ) as refused:
        read_checkpoint(tmp_path / "net.pt")
    assert "delete" not in str(refused.value) and "damaged" not in str(refused.value)


@pytest.mark.filterwarnings("ignore")  # PyTorch has deprecated it
def test_a_torchscript_program_is_called_so(tmp_path):
    torch.jit.trace(NETWORK, torch.zeros(1, 2)).save(tmp_path / "net.pt")
    with pytest.raises(LggError, match="net.pt: a TorchScript program, not an lggseg checkpoint"):
        read_checkpoint(tmp_path / "net.pt")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS"),
        (b"\x93NUMPY", "a NumPy array"),
        (b"\x08\x07\x12\x07pytorch", "perhaps an ONNX network"),
        (pickle.dumps({"a": 1}, 2), "a pickle of Python objects"),
        (pickle.dumps({"a": 1}, 5), "a pickle of Python objects"),
        (b"\x46\0\0\0\0\0\0\0" + b'{"weight": {"dtype": "F32"', "safetensors"),
        (bytes(99), r"of an unknown kind, it begins with b'"),
    ],
)
def test_other_files_are_called_what_they_are(tmp_path, content, words):
    (tmp_path / "net.pt").write_bytes(content)
    with pytest.raises(LggError, match=f"net.pt: {words}.* not an lggseg checkpoint") as refused:
        read_checkpoint(tmp_path / "net.pt")
    assert "damaged" not in str(refused.value) and "again" not in str(refused.value)


def test_other_archives_are_called_what_they_are(tmp_path):
    np.savez(tmp_path / "net.npz", weight=np.zeros(9))
    with pytest.raises(LggError, match="net.npz: a zip archive of something else"):
        read_checkpoint(tmp_path / "net.npz")


def test_an_empty_file_is_damaged(tmp_path):
    (tmp_path / "net.pt").write_bytes(b"")
    with pytest.raises(LggError, match="net.pt: not a whole lggseg checkpoint .it is empty"):
        read_checkpoint(tmp_path / "net.pt")


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, content, monkeypatch):
    def refused(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    path = write_checkpoint(content, tmp_path / "net.pt")
    monkeypatch.setattr(torch, "load", refused)
    with pytest.raises(LggError, match="net.pt: may not be read .*Permission denied"):
        read_checkpoint(path)


def test_a_flipped_bit_anywhere_is_found_or_harmless(tmp_path, content):
    path = write_checkpoint(content, tmp_path / "net.pt")
    whole = path.read_bytes()
    found, generator = 0, torch.Generator().manual_seed(0)
    for place in torch.randint(len(whole), (150,), generator=generator).tolist():
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            # Padding, or a checksum nobody reads.
            assert digest(read_checkpoint(path)) == digest(content)
        except LggError:
            found += 1
    assert found > 120


def test_every_change_changes_the_digest(content):
    before = digest(content)
    for change in (
        {"size": 33},
        {"names": ["xy"]},
        {"rate": 0.1000001},
        {"nothing": 0},
        {"weights": content["weights"] | {"a": content["weights"]["a"].view(40, 50)}},
        {"weights": content["weights"] | {"half": content["weights"]["half"].float()}},
    ):
        assert digest(content | change) != before
    assert digest({"a": [1], "b": []}) != digest({"a": [], "b": [1]})


def test_eight_bits_by_hand():
    kernels = torch.tensor([[127.0, -64.4, 0.6], [0.5, -0.25, 0.0], [0, 0, 0]])
    stored = quantise(kernels, 8)
    assert stored["steps"].tolist() == [[127, -64, 1], [127, -64, 0], [0, 0, 0]]
    assert stored["steps"].dtype == torch.int8
    worst = (dequantise(stored) - kernels).abs().amax(dim=1)
    assert (worst <= kernels.abs().amax(dim=1) / 254 + 1e-7).all()  # half a step at most
    assert quantise(kernels.int(), 8).dtype == torch.int32
    with pytest.raises(LggError, match="bits is 4; a weight is stored in 32, 16 or 8"):
        quantise(kernels, 4)


@pytest.mark.parametrize("bits", [8, 16])
def test_norms_keep_their_digits(bits):
    """A running variance may be greater than 16 bits can say (65,504)."""
    variances = torch.tensor([1e5, 1e-9, 1.23456789])
    torch.testing.assert_close(dequantise(quantise(variances, bits)), variances, rtol=0, atol=0)


def test_what_sixteen_bits_cannot_say_is_refused():
    with pytest.raises(LggError, match="16 bits hold numbers up to 65,504; store 32"):
        quantise(torch.full((2, 2, 3, 3), 1e5), 16)


def test_a_checkpoint_cannot_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"architecture": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(LggError, match="Python objects, .* where you trust it"):
        read_checkpoint(tmp_path / "evil.pt")


def test_a_failed_save_leaves_the_old_file(tmp_path):
    write_checkpoint({"a": 1}, tmp_path / "x.pt")
    with pytest.raises(Exception, match="pickle"):
        write_checkpoint({"a": lambda: 0}, tmp_path / "x.pt")
    assert read_checkpoint(tmp_path / "x.pt") == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["x.pt"]
