"""The path of a batch on a GPU, with fake tensors that only claim to be there: none may be on another device."""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from resnet.inspection import cosines, curvature
from resnet.training import trainer as trainer_module
from resnet.training.augment import Augmenter
from resnet.training.data import Split, training_batches
from resnet.training.model import Network, ResNet
from resnet.training.optim import make_schedule
from resnet.training.probes import watch
from resnet.training.trainer import Normalize, forward, make_trainer

pytestmark = pytest.mark.filterwarnings("ignore:CUDA is not available")  # autocast's warning
GPU = torch.device("cuda", 0)
OPTIMIZERS = [
    {"name": "adam", "lr": 0.1, "weight_decay": 0.0, "momentum": 0.0, "nesterov": False},
    {"name": "sgd", "lr": 0.1, "weight_decay": 1e-4, "momentum": 0.9, "nesterov": True},
]


@pytest.fixture
def fake(monkeypatch):
    """Make every tensor a fake one, which has a shape, a type and a device but no content."""

    def to(model, device, memory_format):
        """Move a network as Module.to does; that fails for fake tensors that have been written to."""
        for module in model.modules():
            for name, weight in module._parameters.items():
                layout = {"memory_format": memory_format} if weight is not None and weight.dim() == 4 else {}
                module._parameters[name] = None if weight is None else nn.Parameter(weight.data.to(device, **layout))
            for name, buffer in module._buffers.items():
                module._buffers[name] = buffer.to(device)
        return model

    def backward(loss):
        """Give a gradient to every weight the loss depends on; the real one needs a real GPU even for fake tensors."""
        waiting, seen = [loss.grad_fn], set()
        while waiting:
            node = waiting.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            if hasattr(node, "variable"):
                node.variable.grad = torch.zeros_like(node.variable)
            waiting += [following for following, _ in node.next_functions]

    monkeypatch.setattr(ResNet, "to", to)
    monkeypatch.setattr(torch.Tensor, "backward", backward)
    with FakeTensorMode(allow_non_fake_inputs=False):
        yield


def images(count: int) -> Split:
    pixels = torch.zeros(count, 16, 16, 3, dtype=torch.uint8, device=GPU)
    return Split(pixels, torch.zeros(count, dtype=torch.int64, device=GPU))


def trainer_on_gpu(layout=torch.channels_last, shortcut="projection", bf16=True, optimizer=OPTIMIZERS[0]):
    normalize = Normalize(torch.zeros(3, device=GPU), torch.ones(3, device=GPU), layout)
    schedule = make_schedule("constant", 0.1, 10)
    trainer = make_trainer(Network((1, 1), 8, shortcut), normalize, 0, bf16, optimizer, schedule)
    if optimizer["name"] == "sgd":  # its fused step takes no fake tensors
        trainer.optimizer.param_groups[0]["fused"] = False
    return trainer


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer["name"])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("shortcut", ["projection", "pad", "none"])
def test_an_epoch_and_a_forward_pass_stay_on_the_gpu(fake, monkeypatch, optimizer, layout, shortcut):
    read = {}

    def metrics(losses, correct, sizes, first_step):
        read.update(losses=losses, correct=correct)
        return trainer_module.Metrics(0.0, 0.0)

    monkeypatch.setattr(trainer_module, "running_metrics", metrics)
    trainer = trainer_on_gpu(layout, shortcut, layout is torch.channels_last, optimizer)
    split = images(10)
    augmenter = Augmenter(split.images, torch.zeros(3, device=GPU), True, 4, 8, False)
    trainer.train_epoch(training_batches(split.labels, augmenter, 4, 0, epoch=1), 0)
    assert read["losses"].device == read["correct"].device == GPU and len(read["losses"]) == 3, "read once, at the end"
    assert all(p.device == p.grad.device == GPU for p in trainer.model.parameters())
    logits = forward(trainer.model, trainer.normalize, split.images, trainer.bf16)
    assert logits.device == GPU and logits.shape == (10, 10) and logits.dtype == torch.float32


def test_a_network_for_a_gpu_without_bf16_sees_contiguous_images(fake):
    trainer = trainer_on_gpu(torch.contiguous_format, bf16=False)
    assert trainer.normalize(images(4).images).is_contiguous() and trainer.model.stem.weight.is_contiguous()
    fast = trainer_on_gpu()
    assert fast.normalize(images(4).images).is_contiguous(memory_format=torch.channels_last)


def test_what_probes_record_stays_on_the_gpu(fake):
    trainer = trainer_on_gpu()
    seen: dict = {}
    watch(trainer.model.blocks[0].norm2, seen)
    forward(trainer.model, trainer.normalize, images(4).images, True).sum().backward()
    assert {name: value.device for name, value in seen.items()} == {"response_std": GPU, "residual_ratio": GPU}


def test_trivial_augmentation_reads_nothing_from_the_gpu(fake, monkeypatch):
    given = []
    monkeypatch.setattr("resnet.training.augment.trivial_augment", lambda batch, seeds: given.append(seeds) or batch)
    split = images(10)
    augmenter = Augmenter(split.images, torch.zeros(3, device=GPU), False, 0, 0, True)
    index, draws = torch.zeros(4, dtype=torch.int64, device=GPU), torch.zeros(4, 6, dtype=torch.int64, device=GPU)
    assert augmenter.batch(index, draws, [1, 2, 3, 4]).device == GPU and given == [[1, 2, 3, 4]]
    with pytest.raises(Exception, match="_local_scalar_dense"):
        augmenter.batch(index, draws)


def test_an_inspection_stays_on_the_gpu(fake, monkeypatch):
    given = {}
    monkeypatch.setattr(curvature, "hessian", lambda *_: None)
    monkeypatch.setattr(
        curvature, "largest_eigenvalue", lambda multiply, start, watch: given.update(start=start) or (1, 1, 1)
    )
    trainer, split = trainer_on_gpu(bf16=False), images(4)
    normal = trainer.normalize(split.images)
    curvature.measure_curvature(trainer.model, normal, split.labels, seed=0)
    points = cosines.line(normal[0], normal[1])
    assert points.device == given["start"].device == GPU and points.shape == (cosines.POINTS, 3, 16, 16)
    assert cosines.pairwise_cosines(points.flatten(1)).device.type == "cpu", "which has float64"
