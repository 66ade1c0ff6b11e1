"""What is measured, and how: in turns, round after round, as medians.

On a machine that is shared, ratios of what was measured in turns mean something, and single times do not.
"""

import statistics
import time
from collections.abc import Callable, Sequence

import torch
from hydra import compose, initialize_config_dir

from resnet.config import ConfigError, as_plain, check
from resnet.run import CONF, make_trainer
from resnet.training.augment import Augmenter
from resnet.training.data import Dataset, Split, channel_statistics
from resnet.training.device import resolve_device, resolve_precision
from resnet.training.loop import Trainer

ROUNDS, STEPS = 9, 12  # each measured thing takes STEPS steps in each of ROUNDS rounds
PAUSE = 0.2  # seconds before each, in which data workers of the one before it come to rest


class Bench:
    """A composed configuration, random images of CIFAR-10's shape, and the trainer that resnet.run would make of it."""

    def __init__(self, overrides: Sequence[str], images: int | None = None):
        self.overrides = overrides
        with initialize_config_dir(str(CONF), version_base="1.3"):
            self.config = as_plain(compose("config", list(overrides)))
        check(self.config)
        if (data := self.config["data"]["name"]) != "cifar10":
            raise ConfigError(f"data={data}: here all images are random, of CIFAR-10's shape; leave it out")
        self.device = resolve_device(self.config["device"])
        self.precision = resolve_precision(self.config["precision"], self.device)
        self.batch_size = self.config["batch_size"]
        self.images = images or max(4096, STEPS * self.batch_size)  # an epoch has all the steps that are measured
        self.data = random_data(self.images).to(self.device)
        self.steps_per_epoch = -(-self.images // self.batch_size)
        self.network = {key: self.config["model"][key] for key in ("stages", "width", "shortcut")}

    def trainer(self) -> Trainer:
        return make_trainer(self.config, self.data, self.precision == "bf16", 10**6, self.steps_per_epoch)

    def augmenter(self) -> Augmenter:
        return Augmenter(self.data.train.images, self.data.mean, **self.config["augmentation"])

    def synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def random_data(images: int) -> Dataset:
    """Return a data set of CIFAR-10's shape, whose parts are all the same images."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (images, 32, 32, 3), dtype=torch.uint8, generator=generator)
    split = Split(pixels, torch.randint(0, 10, (images,), generator=generator))
    return Dataset("random", split, split, split, *channel_statistics(pixels), tuple(map(str, range(10))))


def in_turns(things: dict[str, tuple[Callable[[], None], float]], synchronize: Callable[[], None]) -> dict[str, float]:
    """Return the median speed of each thing, a call and the number of images that it stands for, in images/s."""
    speeds: dict[str, list[float]] = {name: [] for name in things}
    for round_ in range(ROUNDS + 1):
        for name, (call, images) in things.items():
            time.sleep(PAUSE)
            started = time.perf_counter()
            call()
            synchronize()
            if round_ > 0:  # the first warms up
                speeds[name].append(images / (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in speeds.items()}
