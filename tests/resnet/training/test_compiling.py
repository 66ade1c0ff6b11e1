"""A compiled network is used only where it computes what the network does."""

import pytest
import torch

from resnet.training.compiling import Unfaithful, check_faithful
from resnet.training.data import Split
from resnet.training.fused import fuse
from resnet.training.model import Network
from resnet.training.trainer import Normalize, Trainer, make_trainer

SGD = {"name": "sgd", "lr": 0.1, "weight_decay": 0.0, "momentum": 0.0, "nesterov": False}


@pytest.fixture
def batch() -> Split:
    generator = torch.manual_seed(0)
    images = torch.randint(0, 256, (32, 16, 16, 3), dtype=torch.uint8, generator=generator)
    return Split(images, torch.randint(0, 10, (32,), generator=generator))


def trainer(network: Network, bf16: bool) -> Trainer:
    normalize = Normalize(torch.full((3,), 128.0), torch.full((3,), 74.0))
    return make_trainer(network, normalize, 0, bf16, SGD, lambda step: 0.1)


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("shortcut, stages", [("projection", (2, 2)), ("pad", (9, 9)), ("none", (9, 9))])
def test_the_same_operations_in_another_order_are_the_same_network(batch, shortcut, stages, bf16):
    """Also where depth magnifies every rounding error, as in plain networks before training."""
    own = trainer(Network(stages, 8, shortcut), bf16)
    check_faithful(own, fuse(own.model), batch)


def pre_activation(model):
    """Return a forward pass of the same modules in another order."""

    def forward(images):
        features = model.stem(images)
        for block in model.blocks:
            shortcut = features if block.shortcut is None else block.shortcut(features)
            features = block.conv2(block.norm2(block.conv1(block.norm1(features)))) + shortcut
        return model.classifier(features.mean(dim=(2, 3)))

    return forward


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("other", [pre_activation, lambda model: lambda images: model(images) * 1.2])
def test_another_network_is_found_out(batch, other, bf16):
    own = trainer(Network((2,), 8, "pad"), bf16)
    with pytest.raises(Unfaithful, match="differ by"):
        check_faithful(own, other(own.model), batch)


def test_a_gradient_that_does_not_flow_is_found_out(batch):
    own = trainer(Network((2,), 8, "pad"), bf16=False)

    def half(images):
        logits = own.model(images)
        return logits.detach() + 0.5 * (logits - logits.detach())

    with pytest.raises(Unfaithful, match="gradient differ"):
        check_faithful(own, half, batch)
