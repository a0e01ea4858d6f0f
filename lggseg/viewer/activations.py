"""What each layer of a network makes of its input, channel by channel."""

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import numpy as np
import torch
from torch import nn

from ..errors import LggError
from ..model.device import check_float32
from .base import Viewer, row
from .overlay import channel_tiles


@torch.inference_mode()
def layer_outputs(model: nn.Module, x: torch.Tensor) -> dict[str, np.ndarray]:
    """What each named layer of a network returns for an input.

    The outputs are caught by forward hooks, which are removed again even after an error. They run
    after the hooks that the model has, so an up-convolution of the U-Net shows what its own hook
    made of it.

    Parameters
    ----------
    model : nn.Module
        In float32. It is run in evaluation mode, and left in the mode that it was in.
    x : float (N, C, H, W)

    Returns
    -------
    dict
        Name of the layer -> float32 (N, C, h, w), in the order in which they run. Layers inside an
        `nn.Sequential` are left out; of a layer that runs several times, the last output counts.
    """
    check_float32(model)
    inside_sequential: set[int] = set()
    for part in model.modules():
        if isinstance(part, nn.Sequential):
            inside_sequential.update(id(layer) for layer in part.modules() if layer is not part)
    caught: dict[str, np.ndarray] = {}
    hooks = []
    for name, layer in model.named_modules():
        if name and id(layer) not in inside_sequential:
            hooks.append(layer.register_forward_hook(_catcher(caught, name)))
    was_training = model.training
    try:
        model.eval()(x)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return {name: value for name, value in caught.items() if value.ndim == 4}


def _catcher(caught: dict[str, np.ndarray], name: str) -> Callable[..., None]:
    """A forward hook that keeps a layer's output under its name."""

    def catch(_layer: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        caught.pop(name, None)  # so that the last run decides the layer's place in the order
        caught[name] = output.float().cpu().numpy().copy()  # an in-place ReLU may change it

    return catch


class ActivationViewer(Viewer):
    """The channels of one layer as grey tiles.

    Parameters
    ----------
    model : nn.Module
        In float32.
    x : float tensor (N, C, H, W) or (C, H, W)
        The inputs.
    layer : str, optional
        Name of the layer to show first; the first one if not given.
    channels : int
        Show at most so many; each has its own grey scale.
    width : int
        Of the picture, in CSS pixels.

    Attributes
    ----------
    layer : Dropdown
        Chooses the layer by name.
    slice_slider : IntSlider
        Chooses one of the N inputs.
    values : dict
        The outputs of all layers for the present input, as `layer_outputs` returns them.

    Raises
    ------
    LggError
        If `x` is no such tensor, there is no such layer, or an option is out of its range.
    """

    def __init__(
        self,
        model: nn.Module,
        x: torch.Tensor,
        *,
        layer: str | None = None,
        channels: int = 64,
        width: int = 448,
    ):
        if not isinstance(x, torch.Tensor) or x.ndim not in (3, 4) or 0 in x.shape:
            raise LggError(
                f"x is {getattr(x, 'shape', type(x).__name__)}; it must be a tensor (N,C,H,W) or "
                "(C,H,W): torch.from_numpy(array)"
            )
        if channels < 1:
            raise LggError(f"channels is {channels}; show at least 1")
        if x.ndim == 3:
            x = x[None]
        self.model = model
        self.x = x
        self.channels = channels
        self.values = layer_outputs(model, x[:1])
        names = list(self.values)
        if layer is not None and layer not in names:
            raise LggError(f"no layer {layer!r}; this model has {', '.join(names)}")
        super().__init__(width)
        self.layer = widgets.Dropdown(
            options=names,
            value=layer or names[0],
            description="layer",
            layout=widgets.Layout(flex="0 1 260px", min_width="0"),
        )
        self.slice_slider = widgets.IntSlider(
            0,
            0,
            len(x) - 1,
            description="input",
            readout=False,
            layout=widgets.Layout(flex="1 1 200px", min_width="0"),
        )
        if len(x) == 1:
            self.slice_slider.layout.display = "none"
        top = row(self.layer, self.slice_slider)
        self.parts = (self.layer, self.slice_slider, self.title, self.picture, top)
        self.children = [self.title, top, self.picture]
        self.layer.observe(self._redraw, "value")
        self.slice_slider.observe(self._run, "value")
        self._redraw()

    def _run(self, change: Any) -> None:
        """Run the model on the input that the slider chose."""
        self.values = layer_outputs(self.model, self.x[change["new"]][None])
        self._redraw()

    def render(self) -> np.ndarray:
        """The tiles, uint8 (height, width)."""
        output = self.values[self.layer.value]
        return channel_tiles(output[0, : self.channels], self.width)

    def caption(self) -> str:
        """Layer, number of channels and their size; and which input if there are several."""
        count, height, width = self.values[self.layer.value].shape[1:]
        shown = f"{count} channels"
        if count > self.channels:
            shown = f"{self.channels} of {count} channels"
        words = [self.layer.value, f"{shown} of {height} x {width}"]
        if len(self.x) > 1:
            words.insert(0, f"input {self.slice_slider.value + 1} of {len(self.x)}")
        return " · ".join(words)

    def __repr__(self) -> str:
        name = type(self.model).__name__
        return f"ActivationViewer({name}: {len(self.values)} layers, {len(self.x)} inputs)"
