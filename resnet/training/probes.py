"""What depth does inside a network: the gradient and weights of each layer, and how strongly each one responds.

Measured on one fixed batch and on a copy of the network, so that probing changes nothing: with or without probes, a
training computes the same bytes.
"""

import copy
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from resnet.training.data import Split
from resnet.training.model import AddReLU, Network, ResNet
from resnet.training.trainer import Normalize, forward

PROBE_IMAGES = 128  # the first training images, not augmented


def probe(
    model: ResNet, network: Network, normalize: Normalize, split: Split, bf16: bool, epoch: int
) -> list[dict[str, Any]]:
    """Return the rows of layers.csv after an epoch, one row per convolution in network order.

    `grad_norm` and `weight_norm` are the Euclidean norms of the gradient of the convolution's weights and of the
    weights. `response_std` is the standard deviation, over images, channels and positions, of a 3x3 layer's output
    after batch norm and before addition and nonlinearity (He et al. 2016, figure 7); None for 1x1 projections.
    `residual_ratio` is the norm of a residual branch's response divided by that of its shortcut's output, in the row of
    the branch's last layer. `stage` 0 is the stem.
    """
    model = copy.deepcopy(model).train()
    layers = network.layers()
    responses: dict[str, dict[str, Tensor]] = {}
    for layer in layers:
        if layer.branch != "shortcut":
            watch(model.get_submodule(layer.norm), responses.setdefault(layer.name, {}))
    logits = forward(model, normalize, split.images[:PROBE_IMAGES], bf16)
    F.cross_entropy(logits, split.labels[:PROBE_IMAGES]).backward()
    rows = []
    for number, layer in enumerate(layers, start=1):
        weight = model.get_parameter(f"{layer.name}.weight")
        assert weight.grad is not None
        seen = {name: float(value) for name, value in responses.get(layer.name, {}).items()}
        rows.append(
            {
                "epoch": epoch,
                "layer": number,
                "name": layer.name,
                "stage": layer.stage,
                "grad_norm": float(weight.grad.norm()),
                "weight_norm": float(weight.detach().norm()),
                "response_std": seen.get("response_std"),
                "residual_ratio": seen.get("residual_ratio"),
            }
        )
    return rows


def watch(norm: nn.Module, found: dict[str, Tensor]) -> None:
    """Make a layer's norm record in `found` how strongly the layer responds, also relative to the shortcut."""

    def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        response = inputs[0].detach().float()
        found["response_std"] = response.std()
        if len(inputs) > 1 and inputs[1] is not None:
            found["residual_ratio"] = response.norm() / inputs[1].detach().float().norm()

    next(module for module in norm.modules() if isinstance(module, AddReLU)).register_forward_pre_hook(note)
