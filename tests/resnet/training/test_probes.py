import copy

import pytest
import torch
import torch.nn.functional as F

from resnet.training.data import Split
from resnet.training.loop import Normalize, Trainer
from resnet.training.model import ResNet
from resnet.training.probes import PROBE_IMAGES, probe


@pytest.fixture
def split():
    generator = torch.manual_seed(0)
    images = torch.randint(0, 256, (200, 8, 8, 1), dtype=torch.uint8, generator=generator)
    return Split(images, torch.randint(0, 10, (200,), generator=generator))


def trainer(shortcut="projection") -> Trainer:
    torch.manual_seed(0)
    model = ResNet([1, 2], 4, shortcut, channels=1)
    return Trainer(model, Normalize(torch.tensor([128.0]), torch.tensor([74.0])), None, lambda step: 0.1, bf16=False)


def test_every_convolution_has_a_row_in_the_order_of_the_network(split):
    rows = probe(trainer(), split, epoch=7)
    assert [(row["epoch"], row["layer"], row["name"], row["stage"]) for row in rows] == [
        (7, 1, "stem", 0),
        (7, 2, "blocks.0.conv1", 1),
        (7, 3, "blocks.0.conv2", 1),
        (7, 4, "blocks.1.conv1", 2),
        (7, 5, "blocks.1.conv2", 2),
        (7, 6, "blocks.1.shortcut", 2),
        (7, 7, "blocks.2.conv1", 2),
        (7, 8, "blocks.2.conv2", 2),
    ]
    assert [row["name"] for row in rows if row["response_std"] is None] == ["blocks.1.shortcut"]


def test_figures_are_those_of_the_network(split):
    probed = trainer("none")
    norms = [module for module in probed.model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for number, norm in enumerate(norms, start=1):
        torch.nn.init.constant_(norm.weight, number)  # else the responses of all layers have a deviation of 1
    rows = {row["name"]: row for row in probe(probed, split, epoch=1)}
    model = copy.deepcopy(probed.model).train()
    images = probed.normalize(split.images[:PROBE_IMAGES])
    stem = model.stem_norm(model.stem(images))
    block = model.blocks[0]
    first = block.norm1(block.conv1(stem.relu()))
    second = block.norm2(block.conv2(first.relu()))
    for name, response in (("stem", stem), ("blocks.0.conv1", first), ("blocks.0.conv2", second)):
        assert rows[name]["response_std"] == pytest.approx(response.std().item(), rel=1e-5)
    loss = F.cross_entropy(model(images), split.labels[:PROBE_IMAGES])
    gradient = torch.autograd.grad(loss, model.blocks[1].conv2.weight)[0]
    assert rows["blocks.1.conv2"]["grad_norm"] == pytest.approx(gradient.norm().item(), rel=1e-5)


def test_looking_changes_nothing(split):
    probed = trainer()
    before = copy.deepcopy(probed.model.state_dict())
    probe(probed, split, epoch=1)
    assert all(torch.equal(value, before[name]) for name, value in probed.model.state_dict().items())
    assert all(parameter.grad is None for parameter in probed.model.parameters())
    assert not probed.model.stem_norm._forward_hooks
