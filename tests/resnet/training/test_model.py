import json
import os
import subprocess
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from resnet.training.model import BLOCKS, NORMS, Block, Cost, Network, Pad, Shape
from resnet.training.trainer import Normalize, make_trainer

PAPER = {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962}
NETWORKS = [((2, 2), 32, "projection"), ((5, 5, 5), 32, "projection"), ((3, 3, 3), 16, "pad"), ((1, 2, 3), 8, "none")]


@pytest.mark.parametrize("layers", PAPER)
def test_the_papers_networks_have_the_papers_parameters(layers):
    n = (layers - 2) // 6
    networks = {shortcut: Network((n, n, n), 16, shortcut) for shortcut in ("pad", "none", "projection")}
    assert {network.depth for network in networks.values()} == {layers}
    counted = {shortcut: network.cost().parameters for shortcut, network in networks.items()}
    assert counted == {"pad": PAPER[layers], "none": PAPER[layers], "projection": PAPER[layers] + 2752}


def test_the_originals_networks_have_the_originals_cost():
    shallow, deep = (Network(stages, 32, "projection").cost() for stages in ((2, 2), (5, 5, 5)))
    assert (shallow.parameters, deep.parameters) == (170_410, 1_860_522)
    assert (round(shallow.multiply_adds / 1e6, 2), round(deep.multiply_adds / 1e6, 2)) == (72.19, 275.61)


@pytest.mark.parametrize("stages, width, shortcut", NETWORKS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("classes, channels, size", [(10, 3, 32), (100, 1, 9)])
def test_cost_is_what_pytorch_counts(stages, width, shortcut, block, norm, classes, channels, size):
    network = Network(stages, width, shortcut, block, norm, classes=classes, channels=channels)
    model = network.build()
    with FlopCounterMode(display=False) as counter:
        logits = model(torch.zeros(2, channels, size, size))
    computed = network.cost(size)
    assert logits.shape == (2, classes)
    assert computed.parameters == sum(p.numel() for p in model.parameters())
    assert computed.multiply_adds == counter.get_total_flops() // 2 // 2  # two images; a multiply-add is two operations


def test_a_block_without_residual_passes_its_input_on():
    block = Block(Shape(4, 4, 1), "projection", "batch", zero_init=True)
    x = torch.randn(2, 4, 5, 5)
    assert torch.equal(block(x), x.relu())


def test_a_plain_block_without_residual_passes_nothing_on():
    block = Block(Shape(4, 4, 1), "none", "batch", zero_init=False)
    torch.nn.init.zeros_(block.norm2.weight)
    assert not block(torch.randn(2, 4, 5, 5)).any()


PROJECTION = """
import torch
from resnet.training.model import Projection, Shape

for inputs in 2, 4, 8, 16:
    own = Projection(Shape(inputs, 8, stride=2), bias=False)
    exact = torch.nn.Conv2d(inputs, 8, kernel_size=1, stride=2, bias=False, dtype=torch.float64)
    exact.load_state_dict(own.state_dict())
    images = torch.randn(128, inputs, 8, 8).to(memory_format=torch.channels_last)
    direction = torch.randn(128, 8, 4, 4).to(memory_format=torch.channels_last)
    for _ in range(10):
        results = []
        for conv in own, exact:
            x = images.to(conv.weight).requires_grad_()
            output = conv(x)
            results.append((output, *torch.autograd.grad(output, (x, conv.weight), direction.to(output))))
        for mine, expected in zip(*results):
            torch.testing.assert_close(mine.double(), expected, rtol=1e-4, atol=1e-4)
"""


@pytest.mark.parametrize("most", ["AVX2", "AVX512_CORE"])
def test_a_projection_is_a_strided_convolution_on_any_cpu(most):
    """In a separate process limited to such a CPU's instructions, where a strided Conv2d of few channels crashes."""
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": most}
    done = subprocess.run((sys.executable, "-c", PROJECTION), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_pad_takes_every_second_pixel_and_appends_zero_channels():
    x = torch.randn(2, 3, 6, 6)
    y = Pad(Shape(3, 6, stride=2))(x)
    assert torch.equal(y[:, :3], x[:, :, ::2, ::2])
    assert y.shape == (2, 6, 3, 3) and not y[:, 3:].any()


def test_initial_weights_have_the_deviation_of_he_et_al():
    torch.manual_seed(0)
    model = Network((1, 1, 1), 64, "projection").build()
    block = model.blocks[1]  # from 64 channels to 128
    for conv, fan_out in ((model.stem, 64 * 9), (block.conv1, 128 * 9), (block.shortcut[0], 128)):
        assert conv.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)


def test_without_a_norm_a_layer_is_a_convolution_with_a_bias_and_a_relu():
    model = Network((1, 1), 4, "projection", norm="none").build()
    block, images = model.blocks[1], torch.randn(2, 4, 8, 8)
    residual = block.conv2(block.conv1(images).relu())
    expected = (residual + block.shortcut(images)).relu()
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    assert torch.allclose(block(images), expected)
    convolutions = [module for module in model.modules() if isinstance(module, torch.nn.Conv2d)]
    assert len(convolutions) == 6 and not any(conv.bias.any() for conv in convolutions), "biases start at 0"


def test_with_zero_init_the_network_starts_as_its_shortcuts():
    model = Network((2, 1), 4, "pad", zero_init=True).build()
    images = torch.randn(2, 3, 8, 8)
    features = model.stem_norm(model.stem(images))
    expected = model.classifier(Pad(Shape(4, 8, 2))(features).mean(dim=(2, 3)))
    assert torch.allclose(model(images), expected)


@pytest.mark.parametrize("network", [Network((1, 2), 4, s, norm=n) for s in ("projection", "pad") for n in NORMS])
def test_every_convolution_of_the_module_is_a_layer_of_the_description(network):
    model = network.build()
    convolutions = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Conv2d)]
    assert [layer.name for layer in network.layers()] == convolutions
    assert all(model.get_submodule(layer.norm) is not None for layer in network.layers() if layer.norm)


def test_a_description_survives_json():
    network = Network((1, 2), 4, "pad", norm="none", classes=100)
    assert Network(**json.loads(json.dumps(network.as_dict()))) == network


def test_a_network_that_miscounts_its_parameters_is_refused(monkeypatch):
    monkeypatch.setattr(Network, "cost", lambda network, size=32: Cost(1, 1))
    normalize = Normalize(torch.tensor([128.0]), torch.tensor([74.0]))
    with pytest.raises(RuntimeError, match="parameters, but its cost counts 1"):
        make_trainer(Network((1,), 4, "pad", channels=1), normalize, 0, False, {}, lambda step: 0.1)
