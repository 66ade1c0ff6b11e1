"""Shattered gradients: how quickly input gradients decorrelate along the line between two images.

In a deep network without shortcuts, neighbouring inputs get gradients that have nothing to do with each other
(Balduzzi et al. 2017, "The Shattered Gradients Problem"). The cosine between them says how far a step can be trusted.
"""

import copy
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import update_bn

from resnet.training.model import ResNet

PAIRS, POINTS = 8, 41  # lines between two images, and points on each


def measure_cosines(model: ResNet, images: Tensor) -> list[dict[str, Any]]:
    """Return the rows of cosines.csv: the mean cosine between the input gradients of two points, by their distance.

    `images` are normalised, float32 (n, channels, height, width), n at least 2. Distances are fractions of the distance
    between the two images. The gradient is the first logit's; before training, any other would do as well. Batch norm
    uses the statistics of all the images, so the points on a line do not affect each other's gradients.
    """
    model, pairs = with_statistics(model, images), min(PAIRS, len(images) // 2)
    totals = torch.zeros(POINTS - 1, dtype=torch.float64)
    for first, second in zip(images[:pairs], images[pairs : 2 * pairs]):
        cosines = pairwise_cosines(input_gradients(model, line(first, second)))
        totals += torch.stack([cosines.diagonal(lag).mean() for lag in range(1, POINTS)])
    return [
        {"distance": lag / (POINTS - 1), "cosine": total / pairs} for lag, total in enumerate(totals.tolist(), start=1)
    ]


def with_statistics(model: ResNet, images: Tensor) -> ResNet:
    """Return a copy of the network in evaluation mode whose batch norms have the statistics of these images."""
    model = copy.deepcopy(model)
    update_bn([images], model)
    return model.eval()


def line(first: Tensor, second: Tensor) -> Tensor:
    """Return evenly spaced points from one image to another, both included."""
    steps = torch.linspace(0, 1, POINTS, device=first.device).view(-1, 1, 1, 1)
    return first + steps * (second - first)


def input_gradients(model: ResNet, points: Tensor) -> Tensor:
    """Return the gradient of each point's first logit with respect to the point, (points, values per point)."""
    points = points.detach().requires_grad_()
    (gradients,) = torch.autograd.grad(model(points)[:, 0].sum(), points)
    return gradients.flatten(1)


def pairwise_cosines(vectors: Tensor) -> Tensor:
    """Return the cosine of every pair of vectors, computed in float64 on the CPU: not every GPU supports it."""
    directions = torch.nn.functional.normalize(vectors.cpu().double(), dim=1)
    return directions @ directions.T
