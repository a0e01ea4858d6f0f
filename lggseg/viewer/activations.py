"""What each layer of a network makes of its input, channel by channel."""

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
    """What each named layer returns for `x` float (N,C,H,W): name -> float32 (N,C,h,w), in the order of the pass.

    Caught by forward hooks, which are removed again even after an error. Ours come after those the
    model has, so an up-convolution of the U-Net shows what its own hook made of it. Layers inside
    an nn.Sequential are left out, and of a layer that runs several times the last result counts.
    """
    check_float32(model)
    inner = {id(layer) for part in model.modules() if isinstance(part, nn.Sequential) for layer in part.modules()
             if layer is not part}
    caught, hooks, training = {}, [], model.training
    for name, layer in model.named_modules():
        if name and id(layer) not in inner:
            hooks.append(layer.register_forward_hook(_catcher(caught, name)))
    try:
        model.eval()(x)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return {name: value for name, value in caught.items() if value.ndim == 4}


def _catcher(caught: dict, name: str):
    def catch(_layer, _inputs, output: torch.Tensor) -> None:
        caught.pop(name, None)
        caught[name] = output.float().cpu().numpy().copy()  # a copy: an in-place ReLU may follow
    return catch


class ActivationViewer(Viewer):
    """The channels of one layer as grey tiles, for input `x` float (N,C,H,W) or (C,H,W).

    `.layer` chooses the layer by name, `.slice_slider` which of the N inputs (0 .. N-1); at most `channels` channels
    are shown, each with its own grey scale. `.values` holds the present input's activations, by layer.
    """

    def __init__(self, model: nn.Module, x: torch.Tensor, *, layer: str | None = None, channels: int = 64,
                 width: int = 448):
        if not isinstance(x, torch.Tensor) or x.ndim not in (3, 4) or 0 in x.shape:
            raise LggError(f"x is {getattr(x, 'shape', type(x).__name__)}; it must be a tensor (N,C,H,W) or (C,H,W): "
                           "torch.from_numpy(array)")
        if channels < 1:
            raise LggError(f"channels is {channels}; show at least 1")
        self.model, self.x, self.channels = model, x if x.ndim == 4 else x[None], channels
        self.values = layer_outputs(model, self.x[:1])
        if layer not in (None, *self.values):
            raise LggError(f"no layer {layer!r}; this model has {', '.join(self.values)}")
        super().__init__(width)
        self.layer = widgets.Dropdown(options=list(self.values), value=layer or next(iter(self.values)),
                                      description="layer", layout=widgets.Layout(flex="0 1 260px", min_width="0"))
        self.slice_slider = widgets.IntSlider(0, 0, len(self.x) - 1, description="input", readout=False,
                                              layout=widgets.Layout(flex="1 1 200px", min_width="0"))
        self.slice_slider.layout.display = "none" if len(self.x) == 1 else ""
        top = row(self.layer, self.slice_slider)
        self.parts = (self.layer, self.slice_slider, self.title, self.picture, top)
        self.children = [self.title, top, self.picture]
        self.layer.observe(self._redraw, "value")
        self.slice_slider.observe(self._run, "value")
        self._redraw()

    def _run(self, change) -> None:
        self.values = layer_outputs(self.model, self.x[change["new"]][None])
        self._redraw()

    def render(self) -> np.ndarray:
        """The tiles, uint8 (H,W)."""
        return channel_tiles(self.values[self.layer.value][0, :self.channels], self.width)

    def caption(self) -> str:
        """Which input if there are several (from 1), layer, number of channels and their size."""
        count, height, width = self.values[self.layer.value].shape[1:]
        shown = f"{count} channels" if count <= self.channels else f"{self.channels} of {count} channels"
        which = f"input {self.slice_slider.value + 1} of {len(self.x)} · " if len(self.x) > 1 else ""
        return f"{which}{self.layer.value} · {shown} of {height} x {width}"

    def __repr__(self) -> str:
        return f"ActivationViewer({type(self.model).__name__}: {len(self.values)} layers, {len(self.x)} inputs)"
