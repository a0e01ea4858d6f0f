import pytest
import torch

from lggseg.errors import LggError
from lggseg.model.checkpoint import dequantise, digest, quantise, read_checkpoint, write_checkpoint


@pytest.fixture
def content():
    torch.manual_seed(0)
    return {"weights": {"a": torch.randn(50, 40), "half": torch.randn(9).half(), "steps": torch.tensor(3)},
            "names": ["x", "y"], "size": 32, "rate": 0.1, "nothing": None}


def test_round_trip(tmp_path, content):
    again = read_checkpoint(write_checkpoint(content, tmp_path / "deep" / "net.pt"))
    assert again["names"] == ["x", "y"] and again["rate"] == 0.1 and again["nothing"] is None
    assert all(torch.equal(again["weights"][name], value) for name, value in content["weights"].items())


def test_missing_and_broken_files_are_named(tmp_path, content):
    with pytest.raises(LggError, match="nowhere.pt: no such checkpoint"):
        read_checkpoint(tmp_path / "nowhere.pt")
    path = write_checkpoint(content, tmp_path / "net.pt")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(LggError, match="net.pt: not a whole lggseg checkpoint"):
        read_checkpoint(path)
    torch.save({"something": "else"}, path)
    with pytest.raises(LggError, match="not a whole lggseg checkpoint"):
        read_checkpoint(path)
    torch.save({"format": 1, "digest": "", "content": {}}, path)
    with pytest.raises(LggError, match="format 1, and this version reads format 4"):
        read_checkpoint(path)


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
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1:])
        try:
            assert digest(read_checkpoint(path)) == digest(content)  # padding, or a checksum nobody reads
        except LggError:
            found += 1
    assert found > 120


def test_every_change_changes_the_digest(content):
    before = digest(content)
    for change in ({"size": 33}, {"names": ["xy"]}, {"rate": 0.1000001}, {"nothing": 0},
                   {"weights": content["weights"] | {"a": content["weights"]["a"].view(40, 50)}},
                   {"weights": content["weights"] | {"half": content["weights"]["half"].float()}}):
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
    with pytest.raises(LggError, match="not a whole"):
        read_checkpoint(tmp_path / "evil.pt")


def test_a_failed_save_leaves_the_old_file(tmp_path):
    write_checkpoint({"a": 1}, tmp_path / "x.pt")
    with pytest.raises(Exception, match="pickle"):
        write_checkpoint({"a": lambda: 0}, tmp_path / "x.pt")
    assert read_checkpoint(tmp_path / "x.pt") == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["x.pt"]
