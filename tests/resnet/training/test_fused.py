"""Fused operations compute what the network's own do; a network is compiled if that pays or is asked for."""

import copy

import pytest
import torch
import torch.nn.functional as F

from resnet.training.compiling import NEGLIGIBLE, relative
from resnet.training.device import resolve_compile
from resnet.training.fused import FusedBatchNormReLU, fuse
from resnet.training.model import Network


@pytest.mark.parametrize("shortcut", ["projection", "pad", "none"])
def test_a_fused_network_computes_what_the_original_does(shortcut):
    torch.manual_seed(0)
    model = Network((2, 1), 8, shortcut).build().to(memory_format=torch.channels_last).train()
    twin = copy.deepcopy(model)
    images, labels = torch.randn(8, 3, 16, 16), torch.randint(10, (8,))
    expected, logits = model(images), fuse(twin)(images)
    torch.testing.assert_close(logits, expected)
    for output in (expected, logits):
        F.cross_entropy(output, labels).backward()
    for (name, one), other in zip(model.named_parameters(), twin.parameters()):
        error = relative(other.grad, one.grad)  # up to a hundredth: rounding can decide the sign of a ReLU's input
        assert error < NEGLIGIBLE["gradient"], f"{name}: {error}"
    for one, other in zip(model.buffers(), twin.buffers()):
        torch.testing.assert_close(other, one)


def test_gradients_match_finite_differences():
    """Tests the formulas themselves, on so few numbers that fp32 is exact enough, away from the ReLU's kink."""
    torch.manual_seed(0)
    norm = FusedBatchNormReLU(2)
    torch.nn.init.uniform_(norm.weight, 0.5, 2)
    x, shortcut, direction = torch.randn(4, 2, 2, 2), torch.randn(4, 2, 2, 2), torch.randn(4, 2, 2, 2)
    for tensor in (x, shortcut):
        tensor.requires_grad_()
    (norm(x, shortcut) * direction).sum().backward()
    for tensor in (x, shortcut, norm.weight, norm.bias):
        step = 1e-2 * torch.randn_like(tensor)
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                tensor += sign * step
                output = F.relu(F.batch_norm(x, None, None, norm.weight, norm.bias, True) + shortcut)
                values.append((output * direction).sum())
                tensor -= sign * step
        expected = (values[0] - values[1]).item() / 2
        assert (tensor.grad * step).sum().item() == pytest.approx(expected, rel=0.02, abs=1e-3)


def test_a_constant_channel_stays_finite():
    norm = FusedBatchNormReLU(1)
    x = torch.full((4, 1, 8, 8), 1234.5, requires_grad=True)
    output = norm(x)
    output.sum().backward()
    assert output.isfinite().all() and x.grad.isfinite().all() and norm.running_var.isfinite().all()


@pytest.mark.parametrize(
    "wanted, device, bf16, epochs, compiles",
    [
        (None, "cpu", True, 20, True),  # the default: if it pays
        (None, "cpu", True, 5, False),
        (None, "cpu", False, 20, False),
        (None, "cuda", True, 20, False),
        (True, "cpu", False, 1, True),
        (False, "cpu", True, 20, False),
    ],
)
def test_a_network_is_compiled_if_that_pays_or_is_asked_for(wanted, device, bf16, epochs, compiles):
    multiply_adds = epochs * 45_000 * Network((2, 2), 32, "projection").cost().multiply_adds
    assert resolve_compile(wanted, torch.device(device), bf16, multiply_adds) is compiles


def test_fusing_leaves_the_network_unchanged():
    model = Network((1, 1), 4, "projection").build()
    kinds = [type(module) for module in model.modules()]
    twin = fuse(model)
    assert [type(module) for module in model.modules()] == kinds
    assert all(a is b for a, b in zip(model.parameters(), twin.parameters()))
