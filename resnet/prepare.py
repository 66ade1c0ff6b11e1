"""What one training needs, made from its configuration: data, network, optimizer and schedule."""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from resnet.config import Config, epochs_of, steps_in_epoch, total_steps
from resnet.errors import ConfigError, naming_memory
from resnet.training.augment import Augmenter
from resnet.training.data import Dataset, load
from resnet.training.device import memory_format_of, resolve_device, resolve_precision, set_up_process
from resnet.training.model import Network
from resnet.training.optim import make_schedule
from resnet.training.trainer import Normalize, Trainer, make_trainer


@dataclass(frozen=True)
class Training:
    """Everything that one training needs; `schedule` holds the arguments of `make_schedule`."""

    config: Config
    data: Dataset
    network: Network
    trainer: Trainer
    augmenter: Augmenter
    steps_per_epoch: int
    steps: int
    epochs: int
    schedule: dict[str, Any]

    @property
    def conditions(self) -> dict[str, Any]:
        """How it is computed: the device, the precision, and whether the network is compiled."""
        precision, compiled = "bf16" if self.trainer.bf16 else "fp32", self.trainer.compiled is not None
        return {"device": self.data.mean.device.type, "precision": precision, "compiled": compiled}

    @cached_property
    def data_sha256(self) -> str:
        """The checksum of the data, which takes a second or more for each 500 MB."""
        return self.data.sha256()


def prepare(config: Config, in_parallel: bool = False) -> Training:
    """Return the training of a configuration, before its first step and not compiled.

    Raises ConfigError and DataError for what cannot be trained here.
    """
    device = resolve_device(config.device, in_parallel)
    precision = resolve_precision(config.precision, device)
    set_up_process()
    name = config.data.name
    with naming_memory(f"data.size={config.data.size}" if name == "folder" else f"data={name} (see data.limit)"):
        data = load(**asdict(config.data)).to(device)
        augmenter = Augmenter(data.train.images, data.mean, **asdict(config.augmentation))
    if config.task == "train":
        check_batches(config, len(data.train), data.size)
    steps_per_epoch = steps_in_epoch(len(data.train), config.batch_size)
    steps = total_steps(config.epochs, steps_per_epoch)
    network = network_of(config, len(data.classes), data.channels)
    schedule = {"lr": config.optimizer.lr, "total_steps": steps} | asdict(config.schedule)
    normalize, optimizer = Normalize(data.mean, data.std, memory_format_of(device)), asdict(config.optimizer)
    trainer = make_trainer(network, normalize, config.seed, precision == "bf16", optimizer, make_schedule(**schedule))
    return Training(
        config,
        data,
        network,
        trainer,
        augmenter,
        steps_per_epoch,
        steps,
        epochs_of(steps, steps_per_epoch),
        schedule,
    )


def network_of(config: Config, classes: int, channels: int) -> Network:
    """Return the network of a configuration: every key of `model` but its name is an argument."""
    arguments = asdict(config.model)
    del arguments["name"]
    return Network(**arguments, classes=classes, channels=channels)


def training_work(config: Config, network: Network, size: int, steps: int) -> int:
    """Return the multiply-adds of the forward passes of a training's steps, which decide whether compiling pays."""
    return steps * config.batch_size * network.cost(size).multiply_adds


def check_batches(config: Config, images: int, size: int) -> None:
    """Check the batch size against the number of training images and their side in pixels, `size`.

    Raises ConfigError if there are too few images for a batch, or if a batch cannot be trained on.
    Batch norm needs at least two values per channel to compute a variance.
    """
    batch_size, stages = config.batch_size, len(config.model.stages)
    if batch_size > images:
        raise ConfigError(f"batch_size={batch_size}: must be at most {images}, the number of training images")
    if config.model.norm == "batch" and size <= 2 ** (stages - 1) and (images - 1) % batch_size == 0:
        raise ConfigError(
            f"batch_size={batch_size}: leaves a last batch of one image, which the {stages} stages of "
            "model.stages reduce to one pixel, too little for batch norm; take another batch size, or fewer stages"
        )
