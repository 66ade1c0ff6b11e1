"""What is measured, and how: in turns, round after round, as medians.

On a machine that is shared, ratios of what was measured in turns mean something, and single times do not.
"""

import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict

import torch

from resnet.config import steps_in_epoch
from resnet.errors import ConfigError
from resnet.launch.compose import compose_config
from resnet.prepare import network_of, training_work
from resnet.training.augment import Augmenter
from resnet.training.compiling import compile_network
from resnet.training.data import Dataset, Split, channel_statistics
from resnet.training.device import memory_format_of, resolve_compile, resolve_device, resolve_precision
from resnet.training.optim import make_schedule
from resnet.training.trainer import Normalize, Trainer, make_trainer

ROUNDS, STEPS = 9, 12  # each measured thing takes STEPS steps in each of ROUNDS rounds
LONG = 10**6  # steps of a training for which compiling pays
WARM = 0.5  # seconds for which a thing warms up, and is repeated in each round
PAUSE = 0.2  # seconds before each measurement, until the data workers of the one before are idle


class Bench:
    """A composed configuration, random images of CIFAR-10's shape, and the trainer that resnet.run would make of it."""

    def __init__(self, overrides: Sequence[str], images: int | None = None):
        self.overrides = overrides
        self.config = compose_config(overrides)
        if (data := self.config.data.name) != "cifar10":
            raise ConfigError(f"data={data}: here all images are random, of CIFAR-10's shape; leave it out")
        self.device = resolve_device(self.config.device)
        self.precision = resolve_precision(self.config.precision, self.device)
        self.batch_size = self.config.batch_size
        images = images or max(4096, STEPS * self.batch_size)  # an epoch has all the steps that are measured
        self.data = random_data(images).to(self.device)
        self.steps_per_epoch = steps_in_epoch(images, self.batch_size)
        self.network = network_of(self.config, len(self.data.classes), self.data.channels)

    def trainer(self) -> Trainer:
        """Return the trainer of a long training, compiled where that pays."""
        schedule = make_schedule(lr=self.config.optimizer.lr, total_steps=LONG, **asdict(self.config.schedule))
        normalize = Normalize(self.data.mean, self.data.std, memory_format_of(self.device))
        bf16, optimizer = self.precision == "bf16", asdict(self.config.optimizer)
        trainer = make_trainer(self.network, normalize, self.config.seed, bf16, optimizer, schedule)
        work = training_work(self.config, self.network, self.data.size, LONG)
        if resolve_compile(self.config.compile, self.device, bf16, work):
            trainer.compiled = compile_network(trainer, self.data.train, self.batch_size)
        return trainer

    def augmenter(self) -> Augmenter:
        """Return what augments the images, as the configuration says."""
        return Augmenter(self.data.train.images, self.data.mean, **asdict(self.config.augmentation))

    def device_name(self) -> str:
        """Return the device, a GPU by the name of its kind."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type

    def peak_memory(self) -> str:
        """Return the peak memory in MiB: the GPU's if the device is one, otherwise the process's."""
        if self.device.type == "cuda":
            return f"{torch.cuda.max_memory_allocated(self.device) / 2**20:.0f} MiB on the GPU"
        unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux KiB
        return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit:.0f} MiB"

    def synchronize(self) -> None:
        """Wait until a GPU has computed what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def random_data(images: int) -> Dataset:
    """Return a data set of CIFAR-10's shape, whose parts are all the same images."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (images, 32, 32, 3), dtype=torch.uint8, generator=generator)
    split = Split(pixels, torch.randint(0, 10, (images,), generator=generator))
    return Dataset("random", split, split, split, *channel_statistics(pixels), tuple(map(str, range(10))))


def warm_up(call: Callable[[], None], synchronize: Callable[[], None]) -> int:
    """Call once, which may take long, and then for WARM seconds; return how many calls filled them."""
    call()
    synchronize()
    started, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - started < WARM:
        call()
        synchronize()
        calls += 1
    return calls


def in_turns(things: dict[str, tuple[Callable[[], None], float]], synchronize: Callable[[], None]) -> dict[str, float]:
    """Return the median speed of each thing, a call and the number of images that it stands for, in images/s.

    Each warms up for WARM seconds. Calls that are shorter are then repeated to fill that time in every round.
    """
    speeds: dict[str, list[float]] = {name: [] for name in things}
    repeats = {name: warm_up(call, synchronize) for name, (call, _) in things.items()}
    for _ in range(ROUNDS):
        for name, (call, images) in things.items():
            time.sleep(PAUSE)
            started = time.perf_counter()
            for _ in range(repeats[name]):
                call()
            synchronize()
            speeds[name].append(images * repeats[name] / (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in speeds.items()}
