"""A compiled network is used only if it works and computes what the network does."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from resnet.training.compiling import TRIED, Unfaithful, check_faithful, compile_network
from resnet.training.data import Split
from resnet.training.fused import fuse
from resnet.training.model import Network
from resnet.training.trainer import Normalize, Trainer, make_trainer

SGD = {"name": "sgd", "lr": 0.1, "weight_decay": 0.0, "momentum": 0.0, "nesterov": False}
ADAM, MOMENTUM = SGD | {"name": "adam"}, SGD | {"momentum": 0.9}


@pytest.fixture
def batch() -> Split:
    generator = torch.manual_seed(0)
    images = torch.randint(0, 256, (32, 16, 16, 3), dtype=torch.uint8, generator=generator)
    return Split(images, torch.randint(0, 10, (32,), generator=generator))


def trainer(network: Network, bf16: bool, optimizer: dict[str, Any] = SGD) -> Trainer:
    normalize = Normalize(torch.full((3,), 128.0), torch.full((3,), 74.0))
    return make_trainer(network, normalize, 0, bf16, optimizer, lambda step: 0.1)


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("shortcut, stages", [("projection", (2, 2)), ("pad", (9, 9)), ("none", (9, 9))])
def test_the_same_operations_in_another_order_are_the_same_network(batch, shortcut, stages, bf16):
    """Even where depth magnifies every rounding error, as in plain networks before training."""
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
def test_a_different_network_is_detected(batch, other, bf16):
    own = trainer(Network((2,), 8, "pad"), bf16)
    with pytest.raises(Unfaithful, match="differ by"):
        check_faithful(own, other(own.model), batch)


def test_a_gradient_that_flows_only_in_part_is_detected(batch):
    own = trainer(Network((2,), 8, "pad"), bf16=False)

    def half(images):
        logits = own.model(images)
        return logits.detach() + 0.5 * (logits - logits.detach())

    with pytest.raises(Unfaithful, match="gradient differ"):
        check_faithful(own, half, batch)


def compiler(monkeypatch, fail: Callable[[], None]) -> None:
    """Make torch.compile return the network itself, except that each forward and backward pass calls `fail`."""

    class Passing(torch.autograd.Function):
        @staticmethod
        def forward(context, images):
            return images.clone()

        @staticmethod
        def backward(context, gradient):
            fail()
            return gradient

    def compiled(network, **_):
        def forward(images):
            fail()
            return Passing.apply(network(images))

        return forward

    monkeypatch.setattr(torch, "compile", compiled)


def failing(nth: int, error: Exception) -> Callable[[], None]:
    calls = []

    def fail() -> None:
        calls.append(1)
        if len(calls) == nth:
            raise error

    return fail


def after_two_steps(own: Trainer, batch: Split) -> dict[str, Any]:
    own.train_epoch([(batch.images, batch.labels)] * 2, 0)
    return own.state()


def same(one, other) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


ERRORS = (RuntimeError("CppCompileError: g++"), PermissionError(13, "cache"), MemoryError())
CALLS = range(1, 2 * TRIED + 3)  # forward and backward, of the comparison and of each first step


@pytest.mark.parametrize("optimizer", [SGD, MOMENTUM, ADAM], ids=["sgd", "momentum", "adam"])
@pytest.mark.parametrize("nth, error", [(nth, ERRORS[nth % len(ERRORS)]) for nth in CALLS])
def test_any_failure_in_the_first_steps_leaves_the_network_unchanged(batch, monkeypatch, caplog, optimizer, nth, error):
    own, untouched = (trainer(Network((1,), 8, "pad"), False, optimizer) for _ in range(2))
    before = copy.deepcopy(own.state())
    compiler(monkeypatch, failing(nth, error))
    with caplog.at_level("INFO"):
        compiled = compile_network(own, batch, len(batch.labels))
    assert compiled is None and [record.levelname for record in caplog.records].count("WARNING") == 1
    assert "compile: continuing without it, " in caplog.text and own.compiled is None
    assert same(own.state(), before) and all(p.grad is None for p in own.model.parameters())
    assert same(after_two_steps(own, batch), after_two_steps(untouched, batch))


@pytest.mark.parametrize("optimizer", [MOMENTUM, ADAM], ids=["momentum", "adam"])
def test_trial_steps_are_undone(batch, monkeypatch, optimizer):
    own, untouched = (trainer(Network((1,), 8, "pad"), False, optimizer) for _ in range(2))
    calls: list[int] = []
    compiler(monkeypatch, lambda: calls.append(1))
    own.compiled = compile_network(own, batch, len(batch.labels))
    assert own.compiled is not None and len(calls) == 2 + 2 * TRIED
    assert same(after_two_steps(own, batch), after_two_steps(untouched, batch))
    assert len(calls) == 2 + 2 * TRIED + 4, "the compiled network takes them"


def test_a_training_that_diverges_is_still_compiled(batch, monkeypatch, caplog):
    own = trainer(Network((1,), 8, "pad"), bf16=False)
    own.schedule = lambda step: 1e30
    compiler(monkeypatch, lambda: None)
    assert compile_network(own, batch, len(batch.labels)) is not None and not caplog.records
