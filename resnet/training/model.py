"""Residual networks for small images, of any depth, and their plain counterparts.

Written out in full because the network is what the project is about. `Network` describes one: it builds the module,
counts parameters and multiply-adds without building it, and names its layers. A block class counts its own cost.

The paper's family (`shortcut="pad"`, width 16, n blocks in each of three stages) has 6n+2 weighted layers:

    stages        layers   parameters
    (3, 3, 3)         20      269,722
    (5, 5, 5)         32      464,154
    (7, 7, 7)         44      658,586
    (9, 9, 9)         56      853,018
    (18, 18, 18)     110    1,727,962

The original project's pair (`shortcut="projection"`, width 32): (2, 2) with 170,410 and (5, 5, 5) with 1,860,522.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Cost:
    """Trainable parameters, and multiply-adds of one image's forward pass."""

    parameters: int = 0
    multiply_adds: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.parameters + other.parameters, self.multiply_adds + other.multiply_adds)


@dataclass(frozen=True)
class Layer:
    """A convolution of a network: its module's name, the name of the norm after it, and its position.

    `stage` counts from 1; 0 is the stem. `branch` is "residual", "shortcut" or, for the stem, "".
    """

    name: str
    norm: str
    stage: int
    branch: str


@dataclass(frozen=True)
class Network:
    """Describe a network: `stages[i]` blocks of `width * 2**i` channels; each later stage halves the resolution.

    `block` is a key of BLOCKS; `shortcut`, `norm` and `zero_init` are its arguments; `classes` and `channels` are those
    of the images. A 3x3 convolution comes before the stages, global average pooling and one linear layer come after
    them (He et al. 2016, section 4.2).
    """

    stages: tuple[int, ...]
    width: int
    shortcut: str
    block: str = "basic"
    norm: str = "batch"
    zero_init: bool = False
    classes: int = 10
    channels: int = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(self.stages))  # a list if it comes from JSON or YAML

    @property
    def depth(self) -> int:
        """Return the number of weighted layers as the paper counts them: without projection shortcuts."""
        return sum(layer.branch != "shortcut" for layer in self.layers()) + 1  # the classifier

    @property
    def features(self) -> int:
        """Return the number of channels that the classifier reads."""
        return self.width * 2 ** (len(self.stages) - 1)

    def as_dict(self) -> dict[str, Any]:
        """Return the description as a dictionary fit for JSON; `Network(**description)` restores it."""
        return asdict(self) | {"stages": list(self.stages)}

    def build(self) -> "ResNet":
        """Return the network with new random weights."""
        return ResNet(self)

    def shapes(self) -> Iterator[tuple[int, "Shape"]]:
        """Yield the stage (from 1) and the shape of each block, in network order."""
        inputs = self.width
        for stage, blocks in enumerate(self.stages, start=1):
            outputs = self.width * 2 ** (stage - 1)
            for block in range(blocks):
                yield stage, Shape(inputs, outputs, stride=2 if stage > 1 and block == 0 else 1)
                inputs = outputs

    def cost(self, size: int = 32) -> Cost:
        """Return the cost on images of `size` x `size` pixels, without building the network.

        Multiply-adds are those of convolutions and the linear layer, as papers count them.
        """
        total = conv_cost(self.channels, self.width, 3, size, self.norm)
        for _, shape in self.shapes():
            total += BLOCKS[self.block].cost(shape, size, self.shortcut, self.norm)
            size = shape.size_after(size)
        return total + Cost(self.features * self.classes + self.classes, self.features * self.classes)

    def layers(self) -> list[Layer]:
        """Return every convolution in network order, a block's shortcut after its residual branch."""
        layers = [Layer("stem", "stem_norm", 0, "")]
        for number, (stage, shape) in enumerate(self.shapes()):
            layers += BLOCKS[self.block].layers(f"blocks.{number}.", stage, shape, self.shortcut, self.norm)
        return layers


@dataclass(frozen=True)
class Shape:
    """A block's input and output channels, and its stride."""

    inputs: int
    outputs: int
    stride: int

    @property
    def changes(self) -> bool:
        return self.inputs != self.outputs or self.stride != 1

    def size_after(self, size: int) -> int:
        """Return the side length of the output for an input of `size` x `size` pixels."""
        return (size - 1) // self.stride + 1


class AddReLU(nn.Module):
    """Compute ReLU(x + shortcut), in place; the shortcut may be None."""

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        if shortcut is not None:
            x += shortcut
        return F.relu(x, inplace=True)


class BatchNormReLU(nn.BatchNorm2d):
    """Compute ReLU(batch norm(x) + shortcut); the shortcut may be None."""

    def __init__(self, channels: int):
        super().__init__(channels)
        self.add_relu = AddReLU()

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:  # type: ignore[override]
        return self.add_relu(super().forward(x), shortcut)


# The end of a layer: maps x and a shortcut (or None) to ReLU(norm(x) + shortcut).
NORMS: dict[str, Callable[[int], nn.Module]] = {"batch": BatchNormReLU, "none": lambda channels: AddReLU()}


class Block(nn.Module):
    """Compute ReLU(F(x) + shortcut(x)), F being two 3x3 convolutions (He et al. 2016, equations 1 and 2, figure 2).

    Maps (batch, inputs, height, width) to (batch, outputs, height / stride, width / stride). The shortcut is the
    identity if the shape stays the same. If it changes, `projection` is a strided 1x1 convolution with batch norm
    (option B), and `pad` takes every stride-th pixel and fills the new channels with zeros (option A). `none` leaves
    ReLU(F(x)): a plain block. With `norm="none"` convolutions have a bias instead of a norm. `zero_init` starts the
    scale of the last norm at 0, so F is 0 at first (Goyal et al. 2017, section 5.1).
    """

    def __init__(self, shape: Shape, shortcut: str, norm: str, zero_init: bool):
        super().__init__()
        self.conv1 = conv3x3(shape.inputs, shape.outputs, norm, shape.stride)
        self.norm1 = NORMS[norm](shape.outputs)
        self.conv2 = conv3x3(shape.outputs, shape.outputs, norm)
        self.norm2 = NORMS[norm](shape.outputs)
        self.shortcut = make_shortcut(shape, shortcut, norm)
        if zero_init:
            nn.init.zeros_(self.norm2.weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        residual = self.norm1(self.conv1(x))
        shortcut = None if self.shortcut is None else self.shortcut(x)
        return self.norm2(self.conv2(residual), shortcut)

    @staticmethod
    def cost(shape: Shape, size: int, shortcut: str, norm: str) -> Cost:
        """Return the cost of a block on an input of `size` x `size` pixels."""
        size = shape.size_after(size)
        cost = conv_cost(shape.inputs, shape.outputs, 3, size, norm)
        cost += conv_cost(shape.outputs, shape.outputs, 3, size, norm)
        if shortcut == "projection" and shape.changes:
            cost += conv_cost(shape.inputs, shape.outputs, 1, size, norm)
        return cost

    @staticmethod
    def layers(prefix: str, stage: int, shape: Shape, shortcut: str, norm: str) -> list[Layer]:
        """Return a block's convolutions; their names start with `prefix`."""
        layers = [
            Layer(f"{prefix}conv1", f"{prefix}norm1", stage, "residual"),
            Layer(f"{prefix}conv2", f"{prefix}norm2", stage, "residual"),
        ]
        if shortcut == "projection" and shape.changes:
            names = (f"{prefix}shortcut.0", f"{prefix}shortcut.1") if norm == "batch" else (f"{prefix}shortcut", "")
            layers.append(Layer(*names, stage, "shortcut"))
        return layers


BLOCKS: dict[str, type[Block]] = {"basic": Block}


class Projection(nn.Conv2d):
    """Match a change of shape with a strided 1x1 convolution (option B)."""

    def __init__(self, shape: Shape, bias: bool):
        super().__init__(shape.inputs, shape.outputs, kernel_size=1, stride=shape.stride, bias=bias)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        if self.in_channels >= 16:
            return super().forward(x)
        # With fewer channels than oneDNN processes at a time (8 with AVX2, 16 with AVX-512), its weight gradient of a
        # strided 1x1 convolution in fp32 writes past a buffer (oneDNN issue 6035). Dropping the skipped pixels first
        # makes the stride unnecessary, and the output is the same.
        vertical, horizontal = self.stride
        return F.conv2d(x[:, :, ::vertical, ::horizontal], self.weight, self.bias)


class Pad(nn.Module):
    """Match a change of shape without parameters: subsample, then append zero channels (option A)."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.new_channels, self.stride = shape.outputs - shape.inputs, shape.stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))


def conv3x3(inputs: int, outputs: int, norm: str, stride: int = 1) -> nn.Conv2d:
    """Return a 3x3 convolution that keeps the resolution apart from its stride, with a bias if no norm follows."""
    return nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=norm == "none")


def make_shortcut(shape: Shape, shortcut: str, norm: str) -> nn.Module | None:
    """Return the module that carries a block's input past its convolutions, or None for a plain block."""
    if shortcut == "none":
        return None
    if not shape.changes:
        return nn.Identity()
    if shortcut == "pad":
        return Pad(shape)
    if norm == "none":
        return Projection(shape, bias=True)
    return nn.Sequential(Projection(shape, bias=False), nn.BatchNorm2d(shape.outputs))


class ResNet(nn.Module):
    """Map normalised images (batch, channels, height, width) to logits (batch, classes), as `network` describes."""

    def __init__(self, network: Network):
        super().__init__()
        self.stem = conv3x3(network.channels, network.width, network.norm)
        self.stem_norm = NORMS[network.norm](network.width)
        block, arguments = BLOCKS[network.block], (network.shortcut, network.norm, network.zero_init)
        self.blocks = nn.Sequential(*(block(shape, *arguments) for _, shape in network.shapes()))
        self.classifier = nn.Linear(network.features, network.classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # He et al. 2015, "Delving Deep into Rectifiers", equation 14
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        features = self.blocks(self.stem_norm(self.stem(images)))
        return self.classifier(features.mean(dim=(2, 3)))


def conv_cost(inputs: int, outputs: int, kernel: int, size: int, norm: str) -> Cost:
    """Return the cost of a convolution with `size` x `size` output pixels, including its norm or bias."""
    weights = inputs * outputs * kernel**2
    return Cost(weights + (2 if norm == "batch" else 1) * outputs, weights * size**2)
