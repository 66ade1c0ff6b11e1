"""What depth does inside a network: how much gradient each layer gets, and how strongly each one responds.

Measured on one fixed batch and on a copy of the network, so that looking changes nothing: with probes or without,
a training goes the same way to the byte.
"""

import copy
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet.training.data import Split
from resnet.training.loop import Trainer
from resnet.training.model import Block

PROBE_IMAGES = 128  # the first of the training images, not augmented


def probe(trainer: Trainer, split: Split, epoch: int) -> list[dict[str, Any]]:
    """Return the rows of layers.csv for an epoch, a row a convolution in the order of the network.

    `grad_norm` is the Euclidean norm of the gradient of the loss by the convolution's weights. `response_std` is the
    standard deviation, over images, channels and positions, of a 3x3 layer's output after batch norm and before
    addition and nonlinearity (He et al. 2016, figure 7); none for 1x1 projections. `stage` 0 is the stem.
    """
    trainer = replace(trainer, model=copy.deepcopy(trainer.model).train(), compiled=None)
    layers = list(convolutions(trainer.model))
    responses: dict[str, Tensor] = {}
    for name, _, conv, norm in layers:
        if conv.kernel_size == (3, 3):
            norm.register_forward_hook(lambda _, __, output, name=name: responses.update({name: output.float().std()}))
    logits = trainer.logits(split.images[:PROBE_IMAGES])
    F.cross_entropy(logits, split.labels[:PROBE_IMAGES]).backward()
    norms = torch.stack([conv.weight.grad.norm() for _, _, conv, _ in layers]).tolist()
    deviations = dict(zip(responses, torch.stack(list(responses.values())).tolist()))
    return [
        {
            "epoch": epoch,
            "layer": number,
            "name": name,
            "stage": stage,
            "grad_norm": grad_norm,
            "response_std": deviations.get(name),
        }
        for number, ((name, stage, _, _), grad_norm) in enumerate(zip(layers, norms), start=1)
    ]


def convolutions(model: nn.Module) -> list[tuple[str, int, nn.Conv2d, nn.BatchNorm2d]]:
    """Return name, stage, convolution and the batch norm after it, of every convolution in the order of the network."""
    layers = [("stem", 0, model.stem, model.stem_norm)]
    stage, channels = 0, 0
    for number, block in enumerate(model.blocks):
        stage += block.conv1.out_channels != channels
        channels = block.conv1.out_channels
        layers += [(f"blocks.{number}.{name}", stage, conv, norm) for name, conv, norm in _of_block(block)]
    return layers


def _of_block(block: Block) -> list[tuple[str, nn.Conv2d, nn.BatchNorm2d]]:
    layers = [("conv1", block.conv1, block.norm1), ("conv2", block.conv2, block.norm2)]
    if isinstance(block.shortcut, nn.Sequential):
        layers.append(("shortcut", *block.shortcut))
    return layers
