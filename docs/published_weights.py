"""Measure our network's test error with weights that others published: `python docs/published_weights.py FILE...`

The files are `pretrained_models/resnet{20,32,44,56}-*.th` of github.com/akamaster/pytorch_resnet_cifar10. Its network
differs from ours with `shortcut=pad` only in the order of channels: when a stage doubles them, it puts half of the zero
channels before the old ones and half after; ours puts all of them after. CIFAR-10 is read from $RESNET_DATA, by default
`data`.
"""

import os
import sys
from collections.abc import Mapping

import torch
from torch import Tensor

from resnet.training.data import load
from resnet.training.model import Network, ResNet
from resnet.training.trainer import Normalize, evaluate

MEAN, STD = (255 * torch.tensor(rgb) for rgb in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))  # theirs: ImageNet's
WIDTH = 16


def channel_orders() -> dict[int, Tensor]:
    """Return, by their number, which of their channels each of ours is."""
    orders = {count: torch.arange(count) for count in (3, 10, WIDTH)}  # images, classes, the first stage
    for count in (2 * WIDTH, 4 * WIDTH):
        old = orders[count // 2] + count // 4
        new = torch.tensor([place for place in range(count) if place not in old])
        orders[count] = torch.cat([old, new])
    return orders


def load_weights(model: ResNet, theirs: Mapping[str, Tensor]) -> None:
    """Load their weights and statistics, which come in the order of the network, into one of ours."""
    names = [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]  # newer than theirs
    orders, converted = channel_orders(), {}
    for name, tensor in zip(names, theirs.values(), strict=True):
        for axis in range(min(tensor.dim(), 2)):
            tensor = tensor.index_select(axis, orders[tensor.shape[axis]])
        converted[name] = tensor
    model.load_state_dict(converted, strict=False)


def main() -> None:
    """Print the depth and the test error for each file."""
    if not sys.argv[1:]:
        sys.exit(__doc__)
    test = load("cifar10", os.environ.get("RESNET_DATA", "data"), 0, None).test
    for file in sys.argv[1:]:
        theirs = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
        convolutions = sum(tensor.dim() == 4 for tensor in theirs.values())
        network = Network(((convolutions - 1) // 6,) * 3, WIDTH, "pad")
        model = network.build()
        load_weights(model, theirs)
        metrics, _ = evaluate(model, Normalize(MEAN, STD), test, bf16=False)
        print(f"{network.depth} layers: {100 * (1 - metrics.accuracy):.2f} % test error")


if __name__ == "__main__":
    main()
