"""Estimate how long runs take on this machine, from finished runs or else from a few timed steps."""

import json
import logging
import os
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import yaml
from joblib import cpu_count

from resnet.config import Config, epochs_of, steps_in_epoch, total_steps
from resnet.errors import Diverged, naming_memory
from resnet.launch.jobs import sizes_of
from resnet.prepare import network_of, training_work
from resnet.record.environment import machine
from resnet.training.augment import Augmenter
from resnet.training.data import channel_statistics, training_batches
from resnet.training.device import memory_format_of, resolve_compile, resolve_device, resolve_precision
from resnet.training.model import Network
from resnet.training.trainer import Normalize, make_trainer

log = logging.getLogger(__name__)

CLOSE = 1.5  # a finished run's speed counts for networks whose multiply-adds are within this factor of its own
ROUNDS, ENOUGH = 5, 1.0  # how many times two steps are timed, and the seconds after which fewer are enough


@dataclass(frozen=True)
class Work:
    """What a training computes: its network, its image size, and how many images go through the network.

    `multiply_adds` is for one image's forward pass. `images` counts an image in a step three times, since its backward
    pass costs two forward passes, and an image in an evaluation once.
    """

    network: Network
    size: int
    multiply_adds: int
    images: float
    steps: int

    @property
    def total(self) -> float:
        """The multiply-adds of the whole training."""
        return self.multiply_adds * self.images


def work_of(config: Config) -> Work:
    """Return what a configuration will compute, without reading its data."""
    facts, train, val = sizes_of(config)
    network, each = network_of(config, facts.classes, facts.channels), steps_in_epoch(train, config.batch_size)
    steps = total_steps(config.epochs, each)
    images = 3 * train * steps / each + val * epochs_of(steps, each)
    return Work(network, facts.size, network.cost(facts.size).multiply_adds, images, steps)


def conditions_of(config: Config, work: Work, device: torch.device) -> tuple[str, bool]:
    """Return the precision in which a configuration's training computes here, and whether it is compiled."""
    precision = resolve_precision(config.precision, device)
    decisive = training_work(config, work.network, work.size, work.steps)
    return precision, resolve_compile(config.compile, device, precision == "bf16", decisive)


def rate_of(result: dict[str, Any]) -> float:
    """Return the seconds per forward-pass multiply-add of a finished run that trained whole epochs."""
    data = result["data"]
    images = result["epochs"] * (3 * data["train_images"] + data["val_images"])
    return result["wall_seconds"] / (result["multiply_adds"] * images)


class Estimator:
    """Estimate how long runs take here; `root` is where to look for finished runs.

    `threads` is the number of threads of each run; this process uses as many from now on.
    """

    def __init__(self, root: Path, threads: int):
        torch.set_num_threads(threads)  # `machine` reports this number, too
        self.root = root
        self.timed: dict[str, float] = {}
        self.by_runs = self.by_steps = 0  # configurations estimated by finished runs, and by timed steps

    def seconds(self, config: Config) -> float | None:
        """Return the seconds of a whole run; None for a task that trains nothing."""
        if config.task != "train":
            return None
        work, device = work_of(config), resolve_device(config.device)
        precision, compiled = conditions_of(config, work, device)
        finished, here = self.finished, machine(device)
        known = [
            rate_of(run)
            for run in finished
            if run["machine"] == here and is_alike(run, config, work, precision, compiled)
        ]
        self.by_runs, self.by_steps = self.by_runs + bool(known), self.by_steps + (not known)
        return (statistics.median(known) if known else self._timed(config, work)) * work.total

    @cached_property
    def finished(self) -> list[dict[str, Any]]:
        """Return the results of finished runs."""
        found = []
        for path in (path for depth in (3, 4) for path in self.root.glob("*/" * depth + "result.json")):
            try:
                result = json.loads(path.read_text(encoding="utf-8"))
                if result["machine"] and rate_of(result) > 0:
                    found.append(result | {"path": path})
            except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
                continue  # damaged, an inspection, or by an older version
        return found

    def _timed(self, config: Config, work: Work) -> float:
        how = [config.batch_size, config.device, config.precision, asdict(config.augmentation)]
        key = json.dumps([work.network.as_dict(), work.size, *how])
        if key not in self.timed:
            if not self.timed:
                log.info(
                    "timing a few steps of each network whose speed no finished run shows; this may take minutes\n"
                )
            with naming_memory(f"batch_size={config.batch_size}", f"model.width={config.model.width}"):
                self.timed[key] = time_steps(config, work) / (3 * work.multiply_adds)
        return self.timed[key]


def is_alike(run: dict[str, Any], config: Config, work: Work, precision: str, compiled: bool) -> bool:
    """Return whether a finished run shows a configuration's speed: computed the same way, of about the same size."""
    try:
        if (run["precision"], run.get("compiled", False), run["data"]["size"]) != (precision, compiled, work.size):
            return False
        if not 1 / CLOSE <= run["multiply_adds"] / work.multiply_adds <= CLOSE:
            return False
        theirs, ours = ({k: v for k, v in n.items() if k != "stages"} for n in (run["network"], work.network.as_dict()))
        if any(ours[key] != value for key, value in theirs.items() if key in ours):
            return False
        written = yaml.safe_load((run["path"].parent / "config.yaml").read_text(encoding="utf-8"))
        augmented = written["augmentation"].items() <= asdict(config.augmentation).items()
        whole = written["epochs"]["count"] is not None  # a length in steps may end within an epoch: see `rate_of`
        return augmented and whole and written["batch_size"] == config.batch_size
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return False


def time_steps(config: Config, work: Work) -> float:
    """Return a training's seconds per image, measured on steps with random images."""
    device = resolve_device(config.device)
    bf16 = resolve_precision(config.precision, device) == "bf16"
    shape = (2 * config.batch_size, work.size, work.size, work.network.channels)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.manual_seed(0)).to(device)
    labels = torch.arange(len(images), device=device) % work.network.classes
    mean, std = (statistic.to(device) for statistic in channel_statistics(images.cpu()))
    normalize = Normalize(mean, std, memory_format_of(device))
    trainer = make_trainer(work.network, normalize, 0, bf16, asdict(config.optimizer), lambda step: 0.0)
    augmenter = Augmenter(images, mean, **asdict(config.augmentation))

    def two_steps() -> None:
        with suppress(Diverged):  # an untrained network without norms may diverge; the time stays the same
            trainer.train_epoch(training_batches(labels, augmenter, config.batch_size, 0, 1), first_step=0)

    return statistics.median(times_of(two_steps)) / len(images)


def times_of(call: Callable[[], None]) -> Sequence[float]:
    """Return the seconds of each call, after a warm-up call."""
    call()
    times: list[float] = []
    while len(times) < ROUNDS and sum(times) < ENOUGH:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return times


def threads_of(at_once: int) -> int:
    """Return the number of threads that each of `at_once` parallel runs has."""
    own = at_once == 1 or os.environ.get("OMP_NUM_THREADS")
    return torch.get_num_threads() if own else max(cpu_count() // at_once, 1)
