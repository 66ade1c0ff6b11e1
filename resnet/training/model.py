"""Residual networks for small images, of any depth, and their plain twins.

Written out in full because the network is what the project is about. Each block also counts its own
parameters and multiply-adds, so that a configuration's cost is known without building or running it.

The paper's family (`shortcut="pad"`, width 16, n blocks in each of three stages) has 6n+2 weighted layers:

    stages        layers   parameters
    [3, 3, 3]         20      269,722
    [5, 5, 5]         32      464,154
    [7, 7, 7]         44      658,586
    [9, 9, 9]         56      853,018
    [18, 18, 18]     110    1,727,962

The original project's pair (`shortcut="projection"`, width 32): [2, 2] with 170,410 and [5, 5, 5] with 1,860,522.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """Compute ReLU(F(x) + shortcut(x)), F being two 3x3 convolutions (He et al. 2016, equations 1 and 2, figure 2).

    Maps (batch, inputs, height, width) to (batch, outputs, height / stride, width / stride). The shortcut is the
    identity wherever the shape stays. Where it changes, `projection` is a strided 1x1 convolution with batch norm
    (option B), and `pad` takes every stride-th pixel and fills the new channels with zeros (option A). `none` leaves
    ReLU(F(x)): the plain twin.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: str):
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = conv3x3(outputs, outputs)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = make_shortcut(inputs, outputs, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        residual = F.relu(self.norm1(self.conv1(x)), inplace=True)
        residual = self.norm2(self.conv2(residual))
        if self.shortcut is not None:
            residual += self.shortcut(x)
        return F.relu(residual, inplace=True)


class Projection(nn.Conv2d):
    """Match a change of shape with a strided 1x1 convolution (option B)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__(inputs, outputs, kernel_size=1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.in_channels >= 16:
            return super().forward(x)
        # Of fewer channels than oneDNN takes at a time (8 with AVX2, 16 with AVX-512), its gradient for the weights of
        # a strided 1x1 convolution in fp32 writes past a buffer (its issue 6035). Without the pixels that the stride
        # skips it has no stride, and the output is the same.
        vertical, horizontal = self.stride
        return F.conv2d(x[:, :, ::vertical, ::horizontal], self.weight)


class Pad(nn.Module):
    """Match a change of shape without parameters: subsample, then append zero channels (option A)."""

    def __init__(self, new_channels: int, stride: int):
        super().__init__()
        self.new_channels, self.stride = new_channels, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """Return a 3x3 convolution that keeps the resolution but for its stride; batch norm follows, so no bias."""
    return nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False)


def make_shortcut(inputs: int, outputs: int, stride: int, shortcut: str) -> nn.Module | None:
    """Return what carries a block's input past its convolutions, or None for a plain block."""
    if shortcut == "none":
        return None
    if inputs == outputs and stride == 1:
        return nn.Identity()
    if shortcut == "pad":
        return Pad(outputs - inputs, stride)
    return nn.Sequential(Projection(inputs, outputs, stride), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    """Stack `stages[i]` blocks of `width * 2**i` channels, halving the resolution as each later stage begins.

    Maps images (batch, channels, height, width), normalised, to logits (batch, classes). Before the stages a 3x3
    convolution, after them global average pooling and one linear layer (He et al. 2016, section 4.2).
    """

    def __init__(
        self,
        stages: Sequence[int],
        width: int,
        shortcut: str,
        classes: int = 10,
        channels: int = 3,
    ):
        super().__init__()
        self.stem = conv3x3(channels, width)
        self.stem_norm = nn.BatchNorm2d(width)
        shapes = block_shapes(stages, width)
        self.blocks = nn.Sequential(*(Block(s.inputs, s.outputs, s.stride, shortcut) for s in shapes))
        self.classifier = nn.Linear(shapes[-1].outputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # He et al. 2015, "Delving Deep into Rectifiers", equation 14
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        features = F.relu(self.stem_norm(self.stem(images)), inplace=True)
        features = self.blocks(features)
        return self.classifier(features.mean(dim=(2, 3)))


@dataclass(frozen=True)
class BlockShape:
    """What a block of the network turns into what."""

    inputs: int
    outputs: int
    stride: int


def block_shapes(stages: Sequence[int], width: int) -> list[BlockShape]:
    """Return the shape of every block, in order."""
    shapes, inputs = [], width
    for stage, blocks in enumerate(stages):
        for block in range(blocks):
            outputs = width * 2**stage
            shapes.append(BlockShape(inputs, outputs, stride=2 if stage > 0 and block == 0 else 1))
            inputs = outputs
    return shapes


def depth(stages: Sequence[int]) -> int:
    """Return the number of weighted layers as the paper counts them: two a block, the stem, the classifier."""
    return 2 * sum(stages) + 2


@dataclass(frozen=True)
class Cost:
    """Trainable parameters, and multiply-adds of one image's forward pass."""

    parameters: int = 0
    multiply_adds: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.parameters + other.parameters, self.multiply_adds + other.multiply_adds)


def cost(
    stages: Sequence[int], width: int, shortcut: str, classes: int = 10, channels: int = 3, size: int = 32
) -> Cost:
    """Return the cost of a network on images of `size` x `size` pixels, without building it.

    Multiply-adds are those of convolutions and the linear layer, as papers count them.
    """
    total = _conv_cost(channels, width, 3, size)
    for shape in block_shapes(stages, width):
        size = (size - 1) // shape.stride + 1
        total += _conv_cost(shape.inputs, shape.outputs, 3, size)
        total += _conv_cost(shape.outputs, shape.outputs, 3, size)
        if shortcut == "projection" and shape.inputs != shape.outputs:
            total += _conv_cost(shape.inputs, shape.outputs, 1, size)
    features = width * 2 ** (len(stages) - 1)
    return total + Cost(features * classes + classes, features * classes)


def _conv_cost(inputs: int, outputs: int, kernel: int, size: int) -> Cost:
    """Return the cost of a convolution to `size` x `size` pixels and of the batch norm after it."""
    weights = inputs * outputs * kernel**2
    return Cost(weights + 2 * outputs, weights * size**2)
