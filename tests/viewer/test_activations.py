"""What a network's layers return, and its tiles."""

import numpy as np
import pytest
import torch
from torch import nn

from lggseg.errors import LggError
from lggseg.viewer import ActivationViewer
from lggseg.viewer.activations import layer_outputs


@pytest.fixture
def model(model):
    """The plain network in the shared Segmenter."""
    return model.networks[0]


def test_layer_outputs_are_what_the_layers_return(model):
    x, by_hand = torch.randn(2, 3, 32, 32), {}
    hooks = [
        model.encoder[1].register_forward_hook(lambda m, i, o: by_hand.update(e=o.clone())),
        model.up[0].register_forward_hook(lambda m, i, o: by_hand.update(u=o.clone())),
    ]
    with torch.no_grad():
        logits = model.eval()(x)
    for hook in hooks:
        hook.remove()
    model.train()
    caught = layer_outputs(model, x)
    assert np.allclose(caught["head"], logits) and np.allclose(caught["encoder.1"], by_hand["e"])
    # With the skip connection, added by the model's own hook.
    assert np.allclose(caught["up.0"], by_hand["u"])
    assert [*caught][:1] + [*caught][-1:] == ["encoder.0", "head"]
    assert model.training and all(len(layer._forward_hooks) <= 1 for layer in model.modules())


def test_hooks_go_even_after_an_error(model):
    hooks = [len(layer._forward_hooks) for layer in model.modules()]
    with pytest.raises(LggError):
        layer_outputs(model, torch.zeros(1, 2, 32, 32))
    assert [len(layer._forward_hooks) for layer in model.modules()] == hooks and model.training


def test_in_place_layers_do_not_spoil_what_was_caught():
    model = nn.Module()
    model.first, model.second = nn.Conv2d(1, 2, 1), nn.ReLU(inplace=True)
    model.forward = lambda x: model.second(model.first(x))
    caught = layer_outputs(model, torch.randn(1, 1, 8, 8))
    assert caught["first"].min() < 0 and np.array_equal(caught["first"].clip(0), caught["second"])


def test_activation_viewer(model):
    viewer = ActivationViewer(model, torch.randn(2, 3, 32, 32), layer="encoder.0", width=64)
    assert (
        viewer.caption() == "input 1 of 2 · encoder.0 · 4 channels of 32 x 32"
        and viewer.render().shape == (68, 68)
    )
    before = viewer.picture.value
    viewer.slice_slider.value = 1
    assert viewer.picture.value != before
    viewer.layer.value = "bottom"
    assert (
        viewer.caption() == "input 2 of 2 · bottom · 16 channels of 8 x 8"
        and len(viewer.figure().axes) == 1
    )
    assert repr(viewer) == "ActivationViewer(UNet: 9 layers, 2 inputs)"
    viewer.close()
    single = ActivationViewer(model, torch.randn(3, 32, 32), width=64)
    assert single.caption().startswith("encoder.0") and single.slice_slider.layout.display == "none"
    single.close()
    with pytest.raises(LggError, match="no layer 'x'; this model has encoder.0"):
        ActivationViewer(model, torch.randn(3, 32, 32), layer="x")


@pytest.mark.parametrize(
    ("x", "channels", "words"),
    [
        (np.zeros((1, 3, 8, 8), np.float32), 4, "x is"),
        (torch.zeros(0, 3, 8, 8), 4, "x is"),
        (torch.zeros(1, 3, 8, 8), 0, "channels is 0"),
    ],
)
def test_input_that_cannot_be_shown_is_refused(x, channels, words):
    with pytest.raises(LggError, match=words):
        ActivationViewer(nn.Sequential(nn.Conv2d(3, 2, 1)), x, channels=channels)


@pytest.mark.parametrize("change", ["half", "double", "bfloat16"])
def test_other_number_formats_are_refused(model, change):
    with pytest.raises(LggError, match=r"weights of .* must be torch.float32: call .float\(\)"):
        layer_outputs(getattr(model, change)(), torch.zeros(1, 3, 32, 32))
    model.float()
