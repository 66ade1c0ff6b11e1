"""Batch norm, addition and ReLU as one operation: the form of the network that torch.compile trains fastest on a CPU.

In bf16, convolutions run at the speed of the arithmetic; the time left to save is spent reading and writing
activations. The network's own operations pass over each activation six times, or seven if a shortcut is added: for
batch norm's sums, its output, the addition, the ReLU, and then backward. Here there are four passes: forward and
backward, one for the sums and one for everything computed from them.

torch.compile fuses the operations. On the unchanged network that would not help: it computes batch norm's sums and
gradients in ways that cost more than fusion saves. Uncompiled, this code is slower than the network's own operations.

The variance is the mean square minus the squared mean, which takes one pass but loses as many digits as the square of
mean / deviation has. Compared with bf16's three digits that is nothing; fp32 would gain nothing and does not use it.
"""

import copy
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet.training.model import BatchNormReLU, Projection, ResNet


class NormReLU(torch.autograd.Function):
    """Compute ReLU(batch norm(x) + shortcut) and its gradients (Ioffe and Szegedy 2015, algorithm 1 and section 3).

    Maps x and shortcut (or None), both (batch, channels, height, width), to the output of the same shape, and to the
    mean and the variance of each channel of x over the batch, through which no gradient flows.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, shortcut: Tensor | None, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows = pixels(x).float()
        count = rows.shape[0] * rows.shape[1]
        mean = total(rows) / count
        variance = (total(rows.square()) / count - mean.square()).clamp(min=0)
        scale = (variance + eps).rsqrt()
        factor = scale * weight
        output = (rows - mean) * factor + bias
        if shortcut is not None:
            output = output + pixels(shortcut)
        output = as_images(output.relu().to(x.dtype), x)
        ctx.save_for_backward(x, output, mean, scale, factor)
        ctx.has_shortcut = shortcut is not None
        ctx.mark_non_differentiable(mean, variance)
        return output, mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, output, mean, scale, factor = ctx.saved_tensors
        passed = torch.where(pixels(output) > 0, pixels(gradients[0]), 0)  # the ReLU's gradient, and the shortcut's
        normal = (pixels(x).float() - mean) * scale
        to_bias = total(passed.float())
        to_weight = total(passed.float() * normal)
        count = normal.shape[0] * normal.shape[1]
        to_x = (passed.float() - (to_bias + normal * to_weight) / count) * factor
        to_shortcut = as_images(passed, x) if ctx.has_shortcut else None
        return as_images(to_x.to(x.dtype), x), to_shortcut, to_weight, to_bias, None


def pixels(images: Tensor) -> Tensor:
    """Return images (batch, channels, height, width) as rows (batch, height * width, channels)."""
    return images.permute(0, 2, 3, 1).flatten(1, 2)


def total(rows: Tensor) -> Tensor:
    """Return the sums (channels,) over rows (batch, height * width, channels).

    Sums image by image: above 4,096 terms torch.compile uses a slower, more careful summation.
    """
    return rows.sum(1).sum(0)


def as_images(rows: Tensor, like: Tensor) -> Tensor:
    """Return rows as images of the shape of `like`, in channels_last memory format."""
    batch, channels, height, width = like.shape
    return rows.view(batch, height, width, channels).permute(0, 3, 1, 2)


class FusedBatchNormReLU(BatchNormReLU):
    """Compute the same as BatchNormReLU in training mode, as one operation, and update its running statistics."""

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        output, mean, variance = NormReLU.apply(x, shortcut, self.weight, self.bias, self.eps)  # type: ignore[misc]
        with torch.no_grad():
            count = x.numel() // x.shape[1]
            self.running_mean.lerp_(mean, self.momentum)  # type: ignore[union-attr]
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)  # type: ignore[union-attr]
            self.num_batches_tracked += 1  # type: ignore[operator]
        return output


class DenseProjection(Projection):
    """Compute the same as Projection, but drop the pixels that its stride skips first, which halves its time."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        vertical, horizontal = self.stride
        read = x[:, :, ::vertical, ::horizontal].contiguous(memory_format=torch.channels_last)
        return F.conv2d(read, self.weight, self.bias)


FUSED: dict[type[nn.Module], type[nn.Module]] = {BatchNormReLU: FusedBatchNormReLU, Projection: DenseProjection}


def fuse(model: ResNet) -> ResNet:
    """Return a copy of the network that uses the operations above; both share their weights and statistics."""
    shared = {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    twin = copy.deepcopy(model, shared)  # type: ignore[arg-type]
    for module in twin.modules():
        module.__class__ = FUSED.get(type(module), type(module))
    return twin
