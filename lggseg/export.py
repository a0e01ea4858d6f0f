"""Write trained networks as ONNX, for any program that runs such files, as the page "Try it" does.

A network becomes one file per member, with 8-bit weights unless --bits says otherwise. Its answer,
`probability`, comes with the activations of every level as further outputs, and its input `skips`
cuts skip connections: 1 keeps one, 0 puts zeros in its place.

  python -m lggseg.export phantom kaggle --out build/networks
  python -m lggseg.export runs/best.pt --out build/networks

Needs the package onnx: pip install onnx.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from .errors import LggError
from .files import atomic_write
from .model.checkpoint import quantise
from .model.device import check_float32
from .model.segmenter import Segmenter, load_checkpoint, load_pretrained
from .unet import UNet

if TYPE_CHECKING:
    import onnx

OPSET = 17  # version of ONNX's operators; every runtime since 2022 knows it
LICENCES = {"phantom": "MIT", "kaggle": "CC BY-NC-SA 4.0"}
INDEX = "networks.json"
FLOAT32 = 1  # ONNX's number for it


class GraphWriter:
    """Collects the nodes and weights of an ONNX graph, layer by layer, as a forward pass would go.

    Kernels are stored in `bits` a weight: 32, 16 or 8.
    """

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add one node and return the name of its output."""
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, values: torch.Tensor) -> str:
        """Add a tensor as it is and return its name."""
        from onnx import numpy_helper

        array = np.ascontiguousarray(values.detach().cpu().numpy())
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def kernel(self, name: str, values: torch.Tensor) -> str:
        """Add a kernel in its short form, and nodes that make floats of it; return their name.

        A runtime computes them once, when it loads the file.
        """
        stored = quantise(values.detach(), self.bits)
        if isinstance(stored, dict):  # 8 bits
            steps = self.constant(f"{name}_steps", stored["steps"])
            step = self.constant(f"{name}_step", stored["step"])
            floats = self.add("Cast", [steps], f"{name}_floats", to=FLOAT32)
            return self.add("Mul", [floats, step], name)
        if self.bits == 16:
            half = self.constant(f"{name}_half", stored)
            return self.add("Cast", [half], name, to=FLOAT32)
        return self.constant(name, stored)

    def block(
        self, name: str, block: nn.Module, image: str, order: torch.Tensor | None = None
    ) -> str:
        """Add a U-Net block: twice convolution, batch norm and ReLU.

        `order` sorts the input channels of the first convolution.
        """
        first, second = [layer for layer in block.children() if isinstance(layer, nn.Conv2d)]
        first_norm, second_norm = [
            layer for layer in block.children() if isinstance(layer, nn.BatchNorm2d)
        ]
        kernel, bias = fold_batch_norm(first, first_norm)
        if order is not None:
            kernel = kernel[:, order]
        middle = self.convolution(f"{name}_first", kernel, bias, image)
        middle = self.add("Relu", [middle], f"{name}_middle")
        kernel, bias = fold_batch_norm(second, second_norm)
        last = self.convolution(f"{name}_second", kernel, bias, middle)
        return self.add("Relu", [last], name)

    def convolution(self, name: str, kernel: torch.Tensor, bias: torch.Tensor, image: str) -> str:
        """Add a convolution that keeps height and width."""
        inputs = [image, self.kernel(f"{name}_kernel", kernel), self.constant(f"{name}_bias", bias)]
        margin = kernel.shape[-1] // 2
        return self.add("Conv", inputs, name, pads=[margin] * 4)

    def up_convolution(
        self, name: str, kernel: torch.Tensor, bias: torch.Tensor, image: str
    ) -> str:
        """Add an up-convolution, which doubles height and width."""
        inputs = [image, self.kernel(f"{name}_kernel", kernel), self.constant(f"{name}_bias", bias)]
        return self.add("ConvTranspose", inputs, name, strides=[2, 2])


def fold_batch_norm(
    convolution: nn.Conv2d, norm: nn.BatchNorm2d
) -> tuple[torch.Tensor, torch.Tensor]:
    """Kernel and bias of one convolution in place of `convolution` and then `norm` in eval mode.

    >>> convolution, norm = nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1, eps=0)
    >>> _ = nn.init.constant_(convolution.weight, 6)
    >>> _ = norm.running_mean.fill_(4), norm.running_var.fill_(9)
    >>> [values.item() for values in fold_batch_norm(convolution, norm)]
    [2.0, -1.3333333730697632]
    """
    assert norm.running_mean is not None and norm.running_var is not None  # as by default
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    kernel = convolution.weight * scale.view(-1, 1, 1, 1)
    bias = norm.bias - norm.running_mean * scale
    return kernel.detach(), bias.detach()


def level_names(depth: int) -> list[str]:
    """Names of the activations that `export_network` gives, in the order of the forward pass.

    >>> level_names(3)
    ['encoder_1', 'encoder_2', 'bottom', 'up_2', 'decoder_2', 'up_1', 'decoder_1']
    """
    names = [f"encoder_{level}" for level in range(1, depth)]
    names.append("bottom")
    for level in range(depth - 1, 0, -1):
        names += [f"up_{level}", f"decoder_{level}"]
    return names


def export_network(network: nn.Module, block: int = 1, bits: int = 8) -> "onnx.ModelProto":
    """The U-Net as an ONNX model.

    Parameters
    ----------
    network
        The U-Net, as it would answer in eval mode.
    block
        Side of the blocks of pixels that become channels on the way in and pixels again on the way
        out; the recipe tells it.
    bits
        Bits a weight of the kernels: 32, 16 or 8. Weights that were stored in 8 bits lose nothing
        by 8.

    Returns
    -------
    onnx.ModelProto
        Inputs are `image`, float32 (N, C, H, W) of z-scores, and `skips`, float32 (depth - 1,), the
        factor of each skip connection, the finest first. Outputs are `probability`, float32 (N, 1,
        H, W), and the activations named by `level_names`: `encoder_k` is what level k pushes,
        `up_k` is what is concatenated to it.

    Raises
    ------
    LggError
        For a network that is no U-Net with one output, or without the package onnx.
    """
    helper = onnx_or_error().helper
    network = check_exportable(network, block)
    writer = GraphWriter(bits)
    order = None
    image = "image"
    if block > 1:
        image = writer.add("SpaceToDepth", [image], "blocks", blocksize=block)
        # ONNX counts place in the block, then channel; pixel_unshuffle counts channel, then place.
        order = torch.arange(network.in_channels).view(-1, block**2).T.flatten()

    skips = len(network.encoder)
    factors = [f"skip_{level}" for level in range(1, skips + 1)]
    writer.nodes.append(helper.make_node("Split", ["skips"], factors, name="split_skips", axis=0))
    stack = []
    for level, encoder_block in enumerate(network.encoder, start=1):
        activation = writer.block(f"encoder_{level}", encoder_block, image, order)
        order = None
        stack.append(writer.add("Mul", [activation, f"skip_{level}"], f"pushed_{level}"))
        image = writer.add(
            "MaxPool", [activation], f"pooled_{level}", kernel_shape=[2, 2], strides=[2, 2]
        )
    image = writer.block("bottom", network.bottom, image, order)
    for level, up, decoder_block in zip(
        range(skips, 0, -1), network.up, network.decoder, strict=True
    ):
        kernel = up.get_parameter("weight")
        bias = up.get_parameter("bias")
        grown = writer.up_convolution(f"up_{level}", kernel, bias, image)
        joined = writer.add("Concat", [stack.pop(), grown], f"joined_{level}", axis=1)
        image = writer.block(f"decoder_{level}", decoder_block, joined)
    head = network.head
    logits = writer.convolution("logits", head.weight, head.get_parameter("bias"), image)
    if block > 1:
        logits = writer.add("DepthToSpace", [logits], "whole_logits", blocksize=block, mode="CRD")
    writer.add("Sigmoid", [logits], "probability")
    return as_model(writer, network, block)


def check_exportable(network: nn.Module, block: int) -> UNet:
    """The network itself; LggError unless it is a U-Net of float32 with one output channel."""
    if not isinstance(network, UNet) or network.head.out_channels != block**2:
        raise LggError(
            f"{type(network).__name__}: only a U-Net with one output channel can be exported as "
            "ONNX"
        )
    check_float32(network)
    return network


def as_model(writer: GraphWriter, network: UNet, block: int) -> "onnx.ModelProto":
    """The collected nodes as a checked model with named inputs and outputs."""
    import onnx
    from onnx import helper

    def described(name: str, *shape: int | str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    inputs = [
        described("image", "N", network.in_channels // block**2, "H", "W"),
        described("skips", len(network.encoder)),
    ]
    outputs = [described("probability", "N", 1, "H", "W")]
    for name, channels in zip(level_names(network.depth), level_channels(network), strict=True):
        outputs.append(described(name, "N", channels, f"{name}_height", f"{name}_width"))
    graph = helper.make_graph(writer.nodes, "unet", inputs, outputs, writer.weights)
    model = helper.make_model(
        graph, producer_name="lggseg", opset_imports=[helper.make_opsetid("", OPSET)]
    )
    model.ir_version = 8  # that of this opset; newer runtimes read it, too
    onnx.checker.check_model(model)
    return model


def level_channels(network: UNet) -> list[int]:
    """Channels of the activations named by `level_names`."""
    channels = [out_channels(block) for block in network.encoder]
    channels.append(out_channels(network.bottom))
    for up, block in zip(network.up, network.decoder, strict=True):
        channels += [out_channels(up), out_channels(block)]
    return channels


def out_channels(layers: nn.Module) -> int:
    """Channels that a block or an up-convolution gives: its last parameter has a value for each."""
    return len([*layers.parameters()][-1])


def export_segmenter(model: Segmenter, name: str, out: Path, bits: int = 8) -> dict:
    """Write `out`/NAME-1.onnx, NAME-2.onnx, ... and return what a program must know to use them.

    The dictionary holds name, licence, recipe, and for each member its file, size in bytes,
    channels taken, depth, number of weights, and the names and channels of its activations. Members
    may differ in all of these.
    """
    members = []
    networks = [check_exportable(network, model.recipe.block) for network in model.networks]
    for number, network in enumerate(networks, start=1):
        file = out / f"{name}-{number}.onnx"
        content = export_network(network, model.recipe.block, bits).SerializeToString()
        with atomic_write(file) as part:
            part.write_bytes(content)
        described = describe_network(network, model.recipe.block)
        members.append({"file": file.name, "bytes": len(content), **described})
    return {
        "name": name,
        "licence": LICENCES.get(name, ""),
        "recipe": asdict(model.recipe),
        "members": members,
    }


def describe_network(network: UNet, block: int) -> dict:
    """What a program must know of a network's file: channels, depth, weights, activations.

    >>> described = describe_network(UNet(3, 1, features=4, depth=2), block=1)
    >>> described["channels"], described["depth"], described["levels"][0]
    (3, 2, {'name': 'encoder_1', 'channels': 4})
    """
    levels = []
    names = level_names(network.depth)
    for level, channels in zip(names, level_channels(network), strict=True):
        levels.append({"name": level, "channels": channels})
    return {
        "channels": network.in_channels // block**2,
        "depth": network.depth,
        "weights": sum(values.numel() for values in network.parameters()),
        "levels": levels,
    }


def onnx_or_error():
    """The package onnx, which is optional."""
    try:
        import onnx
    except ImportError as error:
        raise LggError("writing ONNX needs the package onnx; pip install onnx") from error
    return onnx


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog="python -m lggseg.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "weights",
        nargs="+",
        metavar="NAME",
        help="trained network: phantom or kaggle, as they come with the package, or a checkpoint's "
        "path",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help=f"folder for the .onnx files and {INDEX}, which describes them; made where it lacks",
    )
    parser.add_argument(
        "--bits",
        type=int,
        choices=(8, 16, 32),
        default=8,
        help="bits a weight is stored in (default: %(default)s)",
    )
    return parser


def main(argv: list[str] | None = None) -> None:
    options = parser()
    args = options.parse_args(argv)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        entries = []
        for weights in args.weights:
            path = Path(weights)
            model = load_checkpoint(path) if path.suffix == ".pt" else load_pretrained(weights)
            entries.append(export_segmenter(model, path.stem, args.out, args.bits))
        with atomic_write(args.out / INDEX) as part:
            part.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    except (LggError, OSError) as error:
        options.exit(2, f"error: {error}\n")
    for entry in entries:
        size = sum(member["bytes"] for member in entry["members"])
        print(f"{entry['name']}: {len(entry['members'])} members, {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
