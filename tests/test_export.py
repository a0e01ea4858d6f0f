import json

import numpy as np
import pytest
import torch

from lggseg import LggError, UNet, load_checkpoint, load_pretrained
from lggseg.export import export_network, export_segmenter, level_channels, level_names, main
from lggseg.model.segmenter import Segmenter
from lggseg.prepare.network_grid import GridSpec

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def run(content: bytes, image: torch.Tensor, skips: list[float]) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    values = session.run(names, {"image": image.numpy(), "skips": np.float32(skips)})
    return dict(zip(names, values, strict=True))


@pytest.fixture(scope="module")
def phantom():
    return load_pretrained("phantom")


def test_same_answer_as_the_package_for_any_batch(phantom):
    content = export_network(phantom.networks[0], phantom.recipe.block, bits=16).SerializeToString()
    for count, side in ((1, 64), (3, 32)):
        image = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(count))
        found = run(content, image, [1] * 4)
        with torch.inference_mode():
            wanted = phantom(image).sigmoid().numpy()
        assert np.abs(found["probability"] - wanted).max() < 1e-3


def test_activations_are_those_of_the_blocks(phantom):
    network = phantom.networks[0]
    seen = {}
    network.encoder[1].register_forward_hook(
        lambda block, inputs, output: seen.update(encoder_2=output)
    )
    network.bottom.register_forward_hook(lambda block, inputs, output: seen.update(bottom=output))
    network.decoder[-1].register_forward_hook(
        lambda block, inputs, output: seen.update(decoder_1=output)
    )
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        phantom(image)
    found = run(export_network(network, 2, bits=32).SerializeToString(), image, [1] * 4)
    for name, wanted in seen.items():
        assert np.abs(found[name] - wanted.numpy()).max() < 1e-3 * float(wanted.max())
    for name, channels in zip(level_names(5), level_channels(network), strict=True):
        assert found[name].shape[1] == channels


def test_a_cut_skip_connection_gives_zeros():
    torch.manual_seed(1)
    network = UNet(3, 1, features=4, depth=3).eval()
    content = export_network(network, bits=32).SerializeToString()
    image = torch.randn(1, 3, 16, 16)
    whole, cut = run(content, image, [1, 1]), run(content, image, [0, 1])
    assert (whole["encoder_1"] == cut["encoder_1"]).all() and (
        whole["decoder_2"] == cut["decoder_2"]
    ).all()

    network.decoder[-1].register_forward_pre_hook(
        lambda block, inputs: torch.cat(
            [torch.zeros_like(inputs[0][:, :4]), inputs[0][:, 4:]], dim=1
        )
    )
    with torch.inference_mode():
        wanted = network(image).sigmoid().numpy()
    assert np.abs(cut["probability"] - wanted).max() < 1e-5


def test_weights_stored_in_8_bits_lose_nothing_by_8(tmp_path):
    torch.manual_seed(2)
    fresh = Segmenter(UNet(3, 1, features=4, depth=2), GridSpec(size=32, block=1))
    model = load_checkpoint(fresh.save(tmp_path / "short.pt", bits=8))
    image = torch.randn(1, 3, 16, 16)
    found = run(export_network(model.networks[0], bits=8).SerializeToString(), image, [1])
    with torch.inference_mode():
        wanted = model(image).sigmoid().numpy()
    assert np.abs(found["probability"] - wanted).max() < 1e-5


def test_only_a_unet_with_one_output():
    with pytest.raises(LggError, match="Linear: only a U-Net"):
        export_network(torch.nn.Linear(1, 1))
    with pytest.raises(LggError, match="one output channel"):
        export_network(UNet(3, 2))


def test_one_file_per_member_and_an_index(tmp_path):
    networks = [UNet(3, 1, features=4, depth=2) for _ in range(2)]
    entry = export_segmenter(Segmenter(networks, GridSpec(size=32, block=1)), "two", tmp_path)
    assert [member["file"] for member in entry["members"]] == ["two-1.onnx", "two-2.onnx"]
    assert all(
        (tmp_path / member["file"]).stat().st_size == member["bytes"] for member in entry["members"]
    )
    assert entry["recipe"]["size"] == 32


def test_members_may_differ_in_neighbours_depth_and_width(tmp_path):
    torch.manual_seed(3)
    networks = [UNet(9, 1, features=4, depth=2), UNet(3, 1, features=3, depth=4)]
    model = Segmenter(networks, GridSpec(size=32, context=1, block=1)).eval()
    members = export_segmenter(model, "mixed", tmp_path, bits=32)["members"]
    assert [(member["channels"], member["depth"]) for member in members] == [(9, 2), (3, 4)]
    assert [len(member["levels"]) for member in members] == [4, 10]
    assert [member["levels"][0]["channels"] for member in members] == [4, 3]
    assert [member["weights"] for member in members] == [
        sum(values.numel() for values in network.parameters()) for network in networks
    ]
    image = torch.randn(1, 9, 32, 32)
    answers = []
    for member, shown in zip(members, (image, image[:, 3:6]), strict=True):
        content = (tmp_path / member["file"]).read_bytes()
        answers.append(run(content, shown, [1] * (member["depth"] - 1))["probability"])
    with torch.inference_mode():
        wanted = model(image).sigmoid().numpy()
    assert np.abs(np.mean(answers, axis=0) - wanted).max() < 1e-5


def test_command(tmp_path, capsys):
    main(["phantom", "--out", str(tmp_path / "networks")])
    entries = json.loads((tmp_path / "networks" / "networks.json").read_text())
    assert [entry["name"] for entry in entries] == ["phantom"] and entries[0]["licence"] == "MIT"
    assert capsys.readouterr().out.startswith("phantom: 3 members, 0.38 MB")
    with pytest.raises(SystemExit):
        main(["nothing", "--out", str(tmp_path)])
    assert "no pretrained weights called 'nothing'" in capsys.readouterr().err


@pytest.mark.parametrize("change", ["half", "double"])
def test_weights_of_another_type_are_refused(change):
    network = getattr(UNet(3, 1, features=4, depth=2), change)()
    with pytest.raises(LggError, match=r"they must be torch.float32: call .float\(\)"):
        export_network(network)
