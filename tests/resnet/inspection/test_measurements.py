"""Each measurement is checked independently: by handwritten networks, exact Hessians, finite differences, theory."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from resnet.inspection.cosines import input_gradients, measure_cosines, pairwise_cosines, with_statistics
from resnet.inspection.curvature import hessian, largest_eigenvalue, measure_curvature
from resnet.inspection.lesions import lesions, measure_lesions
from resnet.training.data import Split
from resnet.training.model import Network
from resnet.training.probes import probe
from resnet.training.trainer import Normalize, evaluate

NORMALIZE = Normalize(torch.full((3,), 128.0), torch.full((3,), 74.0))


def images(n: int, size: int = 8) -> Split:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (n, size, size, 3), dtype=torch.uint8, generator=generator)
    return Split(pixels, torch.randint(0, 10, (n,), generator=generator))


def built(network: Network):
    torch.manual_seed(0)
    return network.build()


def test_gradient_norms_match_a_network_written_out_by_hand():
    network = Network((1, 1), 4, "pad")
    model, split = built(network), images(32)
    rows = {row["name"]: row for row in probe(model, network, NORMALIZE, split, bf16=False, epoch=0)}
    weights = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}

    def layer(x, conv, norm, stride=1, shortcut=None):
        x = F.conv2d(x, weights[f"{conv}.weight"], stride=stride, padding=1)
        mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
        scale, shift = (weights[f"{norm}.{name}"].view(1, -1, 1, 1) for name in ("weight", "bias"))
        x = (x - mean) / (variance + 1e-5).sqrt() * scale + shift
        return (x if shortcut is None else x + shortcut).clamp(min=0)

    x = layer(NORMALIZE(split.images), "stem", "stem_norm")
    x = layer(layer(x, "blocks.0.conv1", "blocks.0.norm1"), "blocks.0.conv2", "blocks.0.norm2", shortcut=x)
    padded = torch.cat([x[:, :, ::2, ::2], torch.zeros(32, 4, 4, 4)], dim=1)
    x = layer(x, "blocks.1.conv1", "blocks.1.norm1", stride=2)
    x = layer(x, "blocks.1.conv2", "blocks.1.norm2", shortcut=padded)
    logits = x.mean((2, 3)) @ weights["classifier.weight"].T + weights["classifier.bias"]
    loss = -logits.log_softmax(1)[torch.arange(32), split.labels].mean()
    for name, row in rows.items():
        (gradient,) = torch.autograd.grad(loss, weights[f"{name}.weight"], retain_graph=True)
        assert row["grad_norm"] == pytest.approx(gradient.norm().item(), rel=1e-4), name


def test_gradients_grow_through_plain_layers_as_mean_field_theory_predicts():
    """By sqrt(pi / (pi - 1)) = 1.21 per layer towards the input, far from both ends (Yang et al. 2019)."""
    network = Network((20,), 48, "none")
    norms = [row["grad_norm"] for row in probe(built(network), network, NORMALIZE, images(64, 10), False, 0)]
    growth = (norms[8] / norms[32]) ** (1 / 24)
    assert growth == pytest.approx(math.sqrt(math.pi / (math.pi - 1)), rel=0.03)


@pytest.mark.parametrize("shortcut, norm", [("pad", "batch"), ("none", "batch"), ("pad", "none")])
def test_curvature_matches_the_exact_hessian(shortcut, norm):
    network = Network((1,), 2, shortcut, norm=norm, channels=3)
    model, split = built(network).double().train(), images(16)
    x = NORMALIZE(split.images).double()
    names, values = zip(*model.named_parameters())

    def loss(flat):
        parts = flat.split([value.numel() for value in values])
        parameters = {name: part.view_as(value) for name, part, value in zip(names, parts, values)}
        return F.cross_entropy(torch.func.functional_call(model, parameters, x), split.labels)

    exact = torch.autograd.functional.hessian(loss, torch.cat([value.detach().flatten() for value in values]))
    vector = torch.randn(len(exact), dtype=torch.float64)
    assert torch.allclose(hessian(model, x, split.labels)(vector), exact @ vector)
    (row,) = measure_curvature(model.float(), x.float(), split.labels, seed=0)
    assert row["converged"] and row["residual"] <= 0.01
    assert row["eigenvalue"] == pytest.approx(torch.linalg.eigvalsh(exact)[-1].item(), rel=1e-3)


def test_the_largest_eigenvalue_is_the_algebraically_largest():
    basis, _ = torch.linalg.qr(torch.randn(60, 60, generator=torch.Generator().manual_seed(0)))
    matrix = basis @ torch.diag(torch.cat([torch.tensor([-50.0, 7.0]), torch.linspace(-1, 1, 58)])) @ basis.T
    value, residual, iterations = largest_eigenvalue(lambda vector: matrix @ vector, torch.ones(60))
    assert value == pytest.approx(7, rel=1e-4) and residual <= 0.01 and iterations < 24


def test_an_eigenvalue_that_does_not_converge_has_a_large_residual():
    """The spectrum has no gap at its top and is mostly negative, as in plain networks."""
    matrix = torch.linspace(-100, 1, 5000)
    _, residual, iterations = largest_eigenvalue(lambda vector: matrix * vector, torch.ones(5000))
    assert iterations == 24 and residual > 0.01


def test_an_eigenvalue_that_overflows_is_nan():
    value, residual, iterations = largest_eigenvalue(lambda vector: 1e38 * vector * vector.numel(), torch.ones(60))
    assert math.isnan(value) and math.isnan(residual) and iterations == 1


def test_input_gradients_match_finite_differences():
    model = with_statistics(built(Network((1, 1), 4, "pad")), NORMALIZE(images(32).images)).double()
    points = NORMALIZE(images(3).images).double()
    gradients = input_gradients(model, points).view_as(points)
    step = 1e-6 * torch.randn_like(points)
    with torch.no_grad():
        change = (model(points + step)[:, 0] - model(points - step)[:, 0]) / 2
    assert torch.allclose((gradients * step).sum((1, 2, 3)), change, rtol=1e-4)


def test_all_points_of_a_linear_network_have_the_same_gradient():
    """No ReLU gets a negative input, so the network is linear and all cosines are 1."""
    model = built(Network((1,), 4, "pad", norm="none"))
    for parameter in model.parameters():
        parameter.data.abs_()
    rows = measure_cosines(model, NORMALIZE(images(16).images) + 2)
    assert [row["cosine"] for row in rows] == pytest.approx([1.0] * 40, abs=1e-5)
    few = measure_cosines(model, NORMALIZE(images(12).images) + 2)  # enough for six pairs only
    assert [row["cosine"] for row in few] == pytest.approx([1.0] * 40, abs=1e-5)
    assert [row["distance"] for row in rows] == pytest.approx(np.linspace(0.025, 1, 40))


def test_cosines_of_a_plain_network_fall_faster_than_those_of_a_residual_one():
    first = {}
    for shortcut in ("none", "pad"):
        model = built(Network((9,), 8, shortcut))
        first[shortcut] = measure_cosines(model, NORMALIZE(images(64).images))[0]["cosine"]
    assert first["none"] < 0.6 < first["pad"]


def test_pairwise_cosines_match_those_by_hand():
    vectors = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, -2.0]])
    expected = torch.tensor([[1, 0.5**0.5, 0], [0.5**0.5, 1, -(0.5**0.5)], [0, -(0.5**0.5), 1]]).double()
    assert torch.allclose(pairwise_cosines(vectors), expected)


def rebuilt(model, network: Network, kept: list[int]):
    """Return a network of the kept blocks alone, in the given order and with their weights."""
    stages = [0] * len(network.stages)
    for number in kept:
        stages[list(network.shapes())[number][0] - 1] += 1
    smaller = Network(tuple(stages), network.width, network.shortcut).build()
    names = {f"blocks.{old}.": f"blocks.{new}." for new, old in enumerate(kept)}
    state = {}
    for name, value in model.state_dict().items():
        prefix = ".".join(name.split(".")[:2]) + "."
        if not name.startswith("blocks."):
            state[name] = value
        elif prefix in names:
            state[names[prefix] + name[len(prefix) :]] = value
    smaller.load_state_dict(state)
    return smaller


@pytest.mark.parametrize("shortcut", ["projection", "pad", "none"])
def test_lesions_match_rebuilt_networks(shortcut):
    network = Network((2, 3), 4, shortcut)
    model, split = trained_like(network), images(200)
    found = {(row["lesion"], row["block"]): row for row in measure_lesions(model, network, NORMALIZE, split, False)}
    kept = {1: [0, 2, 3, 4], 3: [0, 1, 2, 4], 4: [0, 1, 2, 3]}  # by the removed block, which keeps the shape
    for number, blocks in kept.items():
        figures, _ = evaluate(rebuilt(model, network, blocks), NORMALIZE, split, bf16=False)
        assert found["remove", number]["loss"] == pytest.approx(figures.loss, rel=1e-6)
    swapped, _ = evaluate(rebuilt(model, network, [0, 1, 2, 4, 3]), NORMALIZE, split, bf16=False)
    assert found["swap", 3]["loss"] == pytest.approx(swapped.loss, rel=1e-6)
    whole, _ = evaluate(model, NORMALIZE, split, bf16=False)
    assert (found["none", None]["loss"], found["none", None]["accuracy"]) == (whole.loss, whole.accuracy)
    removed = [block for lesion, block in found if lesion == "remove"]
    assert removed == ([0, 1, 3, 4] if shortcut == "none" else [0, 1, 2, 3, 4])
    assert [block for lesion, block in found if lesion == "swap"] == [0, 3]


def test_removing_a_block_that_changes_the_shape_leaves_its_shortcut():
    network = Network((1, 1), 4, "projection")
    model = trained_like(network)
    changed = {block: lesion for name, block, lesion in lesions(model, network) if name == "remove"}
    x = torch.randn(2, 4, 8, 8)
    assert torch.equal(changed[1].blocks[1](x), model.blocks[1].shortcut(x).relu())


def test_lesions_leave_the_network_unchanged():
    network = Network((2, 1), 4, "pad")
    model = trained_like(network)
    before, kinds = copy.deepcopy(model.state_dict()), [type(block) for block in model.blocks]
    measure_lesions(model, network, NORMALIZE, images(20), bf16=False)
    assert [type(block) for block in model.blocks] == kinds
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def trained_like(network: Network):
    """Return a network whose batch norm statistics differ from a new one's, as after training."""
    model = built(network)
    for name, buffer in model.named_buffers():
        if "running" in name:
            torch.nn.init.uniform_(buffer, 0.5, 1.5)
    return model.eval()
