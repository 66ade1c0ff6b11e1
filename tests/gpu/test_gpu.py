"""What holds on a CPU must hold on a GPU. `tests/gpu/check` runs these tests and measures speeds.

RESNET_TEST_DEVICE=cpu runs them without a GPU, to test the tests themselves.
"""

import os

import pytest
import torch

from resnet.training import trainer as trainer_module
from resnet.training.augment import Augmenter
from resnet.training.compiling import compile_network
from resnet.training.data import Split, training_batches
from resnet.training.device import be_reproducible, memory_format_of, resolve_device
from resnet.training.model import Network
from resnet.training.trainer import Metrics, Normalize, make_trainer
from tests.resnet.runs import assert_same, begun, only

DEVICE = os.environ.get("RESNET_TEST_DEVICE", "cuda")
pytestmark = pytest.mark.skipif(
    DEVICE == "cuda" and not torch.cuda.is_available(), reason="needs a GPU that PyTorch can use"
)
PRECISIONS = ["auto", "fp32"] if DEVICE != "cpu" else ["auto"]  # compiling for a CPU takes a minute
ONE_STAGE = (f"device={DEVICE}", "model.stages=[1]")
ADAM = {"name": "adam", "lr": 0.001, "weight_decay": 0.0, "momentum": 0.0, "nesterov": False}


@pytest.mark.parametrize("compiled", ["false", "true"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_two_runs_give_the_same_bytes(train, tmp_path, compiled, precision):
    for study in ("one", "two"):
        cache = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / study)}  # each run compiles from scratch
        train(*ONE_STAGE, f"compile={compiled}", f"precision={precision}", f"study={study}", env=cache)
    assert_same(*(only(tmp_path, f"runs/{study}/*/seed0") for study in ("one", "two")))


@pytest.mark.parametrize("compiled", ["false", "true"])
def test_a_killed_and_resumed_run_ends_with_the_same_bytes(train, tmp_path, compiled):
    own = (*ONE_STAGE, f"compile={compiled}")
    train(*own, "study=whole")
    killed = begun(tmp_path, *own, study="killed")
    train(*own, "study=killed")
    assert_same(killed, only(tmp_path, "runs/whole/*/seed0"))


def test_a_cpu_checkpoint_resumes_on_this_device(train, tmp_path):
    begun(tmp_path, "precision=fp32", study="moved")
    assert "resuming after epoch 1" in train("precision=fp32", "study=moved", f"device={DEVICE}").stdout


@pytest.fixture
def device() -> torch.device:
    be_reproducible()
    return resolve_device(DEVICE)


@pytest.fixture
def split() -> Split:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (256, 32, 32, 3), dtype=torch.uint8, generator=generator)
    return Split(pixels, torch.randint(0, 10, (256,), generator=generator))


def batches(split: Split, augmentation: tuple, epoch: int = 1):
    mean = torch.full((3,), 120.0, device=split.images.device)
    augmenter = Augmenter(split.images, mean, *augmentation)
    return training_batches(split.labels, augmenter, 64, 0, epoch)


@pytest.mark.parametrize("augmentation", [(True, 4, 0, False), (True, 4, 16, False)])
def test_augmented_batches_equal_those_of_a_cpu(device, split, augmentation):
    for (ours, labels), (theirs, _) in zip(batches(split.to(device), augmentation), batches(split, augmentation)):
        assert torch.equal(ours.cpu(), theirs) and labels.device == ours.device


def trainer_on(device: torch.device):
    statistics = torch.full((3,), 120.0, device=device), torch.full((3,), 60.0, device=device)
    normalize = Normalize(*statistics, memory_format_of(device))
    return make_trainer(Network((1, 1), 8, "projection"), normalize, 0, False, ADAM, lambda step: 0.001)


def test_training_steps_never_synchronize_with_the_gpu(device, split, monkeypatch):
    trainer, here = trainer_on(device), split.to(device)
    trainer.train_epoch(batches(here, (True, 4, 8, False)), 0)
    monkeypatch.setattr(trainer_module, "running_metrics", lambda *_: Metrics(0.0, 0.0))
    epoch = list(batches(here, (True, 4, 8, False)))
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        trainer.train_epoch(epoch, 0)
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.slow
def test_graphs_are_recorded_once(device, split, monkeypatch):
    from torch._dynamo.utils import counters

    trainer, here = trainer_on(device), split.to(device)
    trainer.compiled = compile_network(trainer, here, 64)
    assert trainer.compiled is not None
    counters.clear()
    for epoch in range(3):
        trainer.train_epoch(batches(here, (True, 4, 0, False), epoch), 0)
    assert not counters["inductor"]["cudagraph_skips"] and not counters["stats"]["unique_graphs"]
