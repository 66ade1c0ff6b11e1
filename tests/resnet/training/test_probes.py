import copy

import pytest
import torch
import torch.nn.functional as F

from resnet.training.data import Split
from resnet.training.model import Network
from resnet.training.probes import PROBE_IMAGES, probe
from resnet.training.trainer import Normalize, Trainer, make_trainer


@pytest.fixture
def split():
    generator = torch.manual_seed(0)
    images = torch.randint(0, 256, (200, 8, 8, 1), dtype=torch.uint8, generator=generator)
    return Split(images, torch.randint(0, 10, (200,), generator=generator))


SGD = {"name": "sgd", "lr": 0.1, "weight_decay": 0.0, "momentum": 0.0, "nesterov": False}


def trainer(network: Network) -> Trainer:
    return make_trainer(
        network, Normalize(torch.tensor([128.0]), torch.tensor([74.0])), 0, False, SGD, lambda step: 0.1
    )


def look(trainer: Trainer, network: Network, split: Split, epoch: int) -> list[dict]:
    return probe(trainer.model, network, trainer.normalize, split, trainer.bf16, epoch)


def network(shortcut="projection", **options) -> Network:
    return Network((1, 2), 4, shortcut, channels=1, **options)


def test_every_convolution_has_a_row_in_the_order_of_the_network(split):
    rows = look(trainer(network()), network(), split, epoch=7)
    assert [(row["epoch"], row["layer"], row["name"], row["stage"]) for row in rows] == [
        (7, 1, "stem", 0),
        (7, 2, "blocks.0.conv1", 1),
        (7, 3, "blocks.0.conv2", 1),
        (7, 4, "blocks.1.conv1", 2),
        (7, 5, "blocks.1.conv2", 2),
        (7, 6, "blocks.1.shortcut.0", 2),
        (7, 7, "blocks.2.conv1", 2),
        (7, 8, "blocks.2.conv2", 2),
    ]
    assert [row["name"] for row in rows if row["response_std"] is None] == ["blocks.1.shortcut.0"]


def test_the_probed_values_are_those_of_the_network(split):
    probed = trainer(network("none"))
    norms = [module for module in probed.model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for number, norm in enumerate(norms, start=1):
        torch.nn.init.constant_(norm.weight, number)  # otherwise all layers' responses have a deviation of 1
    rows = {row["name"]: row for row in look(probed, network("none"), split, epoch=1)}
    model = copy.deepcopy(probed.model).train()
    images = probed.normalize(split.images[:PROBE_IMAGES])

    def normed(norm, x):
        return F.batch_norm(x, None, None, norm.weight, norm.bias, training=True)

    stem = normed(model.stem_norm, model.stem(images))
    block = model.blocks[0]
    first = normed(block.norm1, block.conv1(stem.relu()))
    second = normed(block.norm2, block.conv2(first.relu()))
    for name, response in (("stem", stem), ("blocks.0.conv1", first), ("blocks.0.conv2", second)):
        assert rows[name]["response_std"] == pytest.approx(response.std().item(), rel=1e-5)
    loss = F.cross_entropy(model(images), split.labels[:PROBE_IMAGES])
    gradient = torch.autograd.grad(loss, model.blocks[1].conv2.weight)[0]
    assert rows["blocks.1.conv2"]["grad_norm"] == pytest.approx(gradient.norm().item(), rel=1e-5)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_a_residual_ratio_is_the_norm_of_the_branch_over_that_of_its_shortcut(split, norm):
    described = network("pad", norm=norm)
    probed = trainer(described)
    rows = {row["name"]: row for row in look(probed, described, split, epoch=0)}
    model = copy.deepcopy(probed.model).train()
    x = model.stem_norm(model.stem(probed.normalize(split.images[:PROBE_IMAGES])))
    block = model.blocks[0]
    residual = block.conv2(block.norm1(block.conv1(x)))
    if norm == "batch":
        residual = F.batch_norm(residual, None, None, block.norm2.weight, block.norm2.bias, training=True)
    expected = (residual.norm() / x.norm()).item()
    assert rows["blocks.0.conv2"]["residual_ratio"] == pytest.approx(expected, rel=1e-5)
    weights = block.conv2.weight.norm().item()
    assert rows["blocks.0.conv2"]["weight_norm"] == pytest.approx(weights, rel=1e-5)
    assert [name for name, row in rows.items() if row["residual_ratio"] is not None] == [
        f"blocks.{number}.conv2" for number in range(3)
    ]


def test_a_plain_network_has_no_residual_ratio(split):
    rows = look(trainer(network("none")), network("none"), split, epoch=0)
    assert all(row["residual_ratio"] is None for row in rows)


def test_probing_changes_nothing(split):
    probed = trainer(network())
    before = copy.deepcopy(probed.model.state_dict())
    look(probed, network(), split, epoch=1)
    assert all(torch.equal(value, before[name]) for name, value in probed.model.state_dict().items())
    assert all(parameter.grad is None for parameter in probed.model.parameters())
    assert not any(module._forward_pre_hooks for module in probed.model.modules())
