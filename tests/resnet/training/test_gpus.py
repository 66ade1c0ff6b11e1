"""Which GPU a run gets, tested on simulated ones: it is all arithmetic and locks."""

import os
import subprocess
import sys
from functools import cache
from types import SimpleNamespace

import pytest
import torch

from resnet.errors import ConfigError
from resnet.inspection.cosines import POINTS, measure_cosines
from resnet.training import gpus
from resnet.training.data import Split
from resnet.training.device import (
    memory_format_of,
    resolve_compile,
    resolve_device,
    resolve_precision,
    runs_at_once,
)
from resnet.training.gpus import has_kernels
from resnet.training.model import Network
from resnet.training.probes import probe
from resnet.training.trainer import Normalize, forward, make_trainer

WHEEL = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]


@pytest.mark.parametrize(
    "capability, kernels, works",
    [
        ((7, 0), WHEEL, False),  # V100
        ((6, 1), WHEEL, False),  # GTX 10xx
        ((7, 5), WHEEL, True),
        ((8, 9), WHEEL, True),  # through sm_86
        ((8, 0), ["sm_86"], False),
        ((9, 0), ["sm_90a"], True),
        ((10, 3), ["sm_100a"], False),
        ((12, 1), ["sm_80", "compute_90"], True),
        ((8, 0), ["compute_90"], False),
        ((9, 4), ["gfx942"], True),
        ((7, 0), [], True),
    ],
)
def test_a_card_needs_kernels(capability, kernels, works):
    assert has_kernels(capability, kernels) is works


@pytest.fixture
def cards(monkeypatch, tmp_path):
    """Return a function that simulates cards of these capabilities; its result's `current` is the one PyTorch uses."""
    current = SimpleNamespace(current=None)

    def make_up(*capabilities: tuple[int, int]) -> SimpleNamespace:
        made_up = {
            "is_available": lambda: bool(capabilities),
            "device_count": lambda: len(capabilities),
            "get_device_capability": lambda gpu: capabilities[gpu],
            "get_device_name": lambda gpu: "Tesla V100",
            "get_arch_list": lambda: WHEEL,
            "get_device_properties": lambda gpu: SimpleNamespace(uuid=f"card-{gpu}"),
            "set_device": lambda device: setattr(current, "current", device.index),
        }
        for name, function in made_up.items():
            monkeypatch.setattr(torch.cuda, name, function)
        return current

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(gpus, "slot", None)
    yield make_up


def test_a_serial_sweep_stays_on_one_card(cards):
    current = cards((8, 0), (8, 0))
    assert [resolve_device("auto") for _ in range(3)] == [torch.device("cuda", 0)] * 3 and current.current == 0
    assert resolve_device("cpu") == torch.device("cpu")


def test_a_card_without_kernels_is_skipped(cards):
    current = cards((7, 0), (9, 0))
    assert resolve_device("cuda") == torch.device("cuda", 1) and current.current == 1


def test_if_no_card_has_kernels_auto_takes_the_cpu_and_says_why(cards, caplog):
    cards((7, 0))
    assert resolve_device("auto") == torch.device("cpu")
    reason = "this PyTorch has no kernels for the Tesla V100 (compute capability 7.0), only for sm_75 "
    assert f"device=auto: the CPU, because {reason}" in caplog.text
    with pytest.raises(ConfigError, match="^device=cuda: this PyTorch has no kernels for the Tesla V100"):
        resolve_device("cuda")


def test_a_card_that_pytorch_cannot_use_is_reported(cards, caplog, monkeypatch, tmp_path):
    cards()
    (tmp_path / "gpus" / "0000:01:00.0").mkdir(parents=True)
    monkeypatch.setattr(gpus, "DRIVER", tmp_path)
    monkeypatch.setattr(torch.version, "cuda", "13.0")

    def init() -> None:
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040).\nPlease update.")

    monkeypatch.setattr(torch.cuda, "init", init)
    assert resolve_device("auto") == torch.device("cpu")
    assert "there is a GPU that PyTorch cannot use: The NVIDIA driver on your system is too old" in caplog.text


def test_without_any_card_auto_takes_the_cpu_without_a_word(cards, caplog, monkeypatch, tmp_path):
    cards()
    monkeypatch.setattr(gpus, "DRIVER", tmp_path)
    assert resolve_device("auto") == torch.device("cpu") and not caplog.records
    with pytest.raises(ConfigError, match="PyTorch finds no GPU here"):
        resolve_device("cuda")


HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""


def test_parallel_runs_take_the_first_free_card_and_then_share(cards, tmp_path):
    cards((8, 0), (8, 0))
    holders = []

    def taken_by_another(gpu: int, number: int) -> None:
        path = tmp_path / f"resnet-gpu-{os.getuid()}-card-{gpu}-{number}"
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        holders.append(subprocess.Popen((sys.executable, "-c", HOLDER, str(path)), **options))
        holders[-1].stdout.readline()

    def mine() -> int | None:
        return resolve_device("auto", in_parallel=True).index

    assert mine() == 0 and mine() == 0, "asking again first releases its own card"
    taken_by_another(1, 0)
    assert mine() == 0
    gpus.take_slot([1])
    taken_by_another(0, 0)
    assert mine() == 0 and gpus.slot is not None, "both cards have a run: this is the first card's second"
    for holder in holders:
        holder.communicate()
    assert mine() == 0


def test_there_is_one_run_at_once_per_usable_card_or_on_the_cpu_per_core(cards, monkeypatch):
    cards((8, 0), (7, 0), (9, 0))
    monkeypatch.setattr("resnet.training.device.cpu_count", lambda: 5)
    assert (runs_at_once(), runs_at_once("cuda"), runs_at_once("cpu")) == (2, 2, 5)


def test_apples_gpu_is_refused_where_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="device=mps"):
        resolve_device("mps")
    with pytest.raises(ConfigError, match="does not work on device=mps"):
        resolve_compile(True, torch.device("mps"), False, 0)


class OnApple(torch.Tensor):
    """A tensor on a device without float64; what is computed from it stays there until `cpu` fetches it."""

    @classmethod
    def __torch_function__(cls, function, types, arguments=(), options=None):
        found = super().__torch_function__(function, types, arguments, options)
        for each in found if isinstance(found, tuple) else (found,):
            if isinstance(each, cls) and each.dtype == torch.float64:
                raise TypeError("the MPS framework doesn't support float64")
        return found

    def cpu(self):
        return self.as_subclass(torch.Tensor)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_training_and_measuring_never_need_float64_on_apples_gpu(monkeypatch, optimizer):
    monkeypatch.setattr(torch.backends.mps, "is_available", cache(lambda: True))  # cached, as PyTorch's own is
    assert resolve_device("mps") == torch.device("mps") and resolve_precision("auto", torch.device("mps")) == "fp32"
    with pytest.raises(ConfigError, match="precision=bf16: this mps has no native bf16"):
        resolve_precision("bf16", torch.device("mps"))
    assert memory_format_of(torch.device("mps")) == torch.contiguous_format
    assert memory_format_of(torch.device("cpu")) == torch.channels_last
    arguments = {"name": optimizer, "lr": 0.01, "weight_decay": 0.0, "momentum": 0.0, "nesterov": False}
    normalize, network = Normalize(torch.full((3,), 128.0), torch.full((3,), 74.0)), Network((1,), 8, "pad")
    trainer = make_trainer(network, normalize, 0, False, arguments, lambda step: 0.01)
    images = torch.randint(0, 256, (20, 8, 8, 3), dtype=torch.uint8, generator=torch.manual_seed(0))
    labels = torch.arange(20) % 10
    there = Split(images.as_subclass(OnApple), labels.as_subclass(OnApple))
    assert isinstance(forward(trainer.model, normalize, there.images, False), OnApple)
    trained = trainer.train_epoch([(there.images, there.labels)] * 2, 0)
    figures, logits = trainer.evaluate(there)
    assert trained.loss > 0 and type(logits) is torch.Tensor
    assert figures == trainer.evaluate(Split(images, labels))[0]
    assert len(measure_cosines(trainer.model, normalize(there.images[:16]))) == POINTS - 1
    assert len(probe(trainer.model, network, normalize, there, False, 1)) == len(network.layers())
