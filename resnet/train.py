"""One training: from the last checkpoint in a run's folder, epoch by epoch, to the result."""

import logging
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from resnet.config import Config, epochs_of, total_steps
from resnet.display import Pace, describe_epoch, progress_of, watcher
from resnet.errors import ConfigError
from resnet.record.environment import environment
from resnet.record.folder import RunFolder
from resnet.record.result import make_result, predictions
from resnet.record.trackers import Tracker, one_line
from resnet.resuming import resume
from resnet.signals import Interrupted, Terminated, collected_signals
from resnet.training.augment import Augmenter
from resnet.training.compiling import compile_network
from resnet.training.data import Dataset, load, training_batches
from resnet.training.device import memory_format_of, resolve_compile, resolve_device, resolve_precision, set_up_process
from resnet.training.loop import fit
from resnet.training.model import Network
from resnet.training.optim import make_schedule
from resnet.training.probes import probe
from resnet.training.trainer import Diverged, Normalize, Trainer, make_trainer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    """All that takes part in one training.

    `schedule` are the arguments of `make_schedule`; `conditions` say in which precision it is computed, and whether
    compiled.
    """

    config: Config
    data: Dataset
    network: Network
    trainer: Trainer
    augmenter: Augmenter
    steps: int
    epochs: int
    schedule: dict[str, Any]
    conditions: dict[str, Any]

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.data.train) // self.config.batch_size)


def train(folder: RunFolder, training: Training, tracker: Tracker, beside_others: bool) -> dict[str, Any]:
    """Train to the last epoch, read the test set once, write everything down; return what went into result.json."""
    here = environment(training.data.mean.device)  # now, as the checkout may be another one when the training ends
    done = resume(folder, training, here)
    tracker.start(asdict(training.config), folder.metrics())
    if done == 0:
        write_start(folder, training)
    with collected_signals() as received:
        run_epochs(folder, training, tracker, here["code"], done, beside_others, received)
        if received:  # in the last epoch: the next run of a sweep must not begin
            raise Interrupted(received[0], training.epochs)
    return finish(folder, training, tracker, here)


def prepare(config: Config, beside_others: bool = False) -> Training:
    """Return what trains a configuration, at its start and not compiled.

    Raises ConfigError and DataError for what cannot be trained here.
    """
    device = resolve_device(config.device, beside_others)
    precision = resolve_precision(config.precision, device)
    set_up_process()
    data = load(**asdict(config.data)).to(device)
    check_batches(config.batch_size, data, len(config.model.stages))
    steps_per_epoch = -(-len(data.train) // config.batch_size)
    steps = total_steps(config.epochs, steps_per_epoch)
    network = network_of(config, len(data.classes), data.channels)
    schedule = {"lr": config.optimizer.lr, "total_steps": steps} | asdict(config.schedule)
    normalize, optimizer = Normalize(data.mean, data.std, memory_format_of(device)), asdict(config.optimizer)
    trainer = make_trainer(network, normalize, config.seed, precision == "bf16", optimizer, make_schedule(**schedule))
    augmenter = Augmenter(data.train.images, data.mean, **asdict(config.augmentation))
    epochs, conditions = epochs_of(steps, steps_per_epoch), {"precision": precision, "compiled": False}
    return Training(config, data, network, trainer, augmenter, steps, epochs, schedule, conditions)


def announce(folder: RunFolder, training: Training, beside_others: bool) -> None:
    """Say where the run is written, and what is computed how: before the first step, which may take its time."""
    network, device = training.network, training.data.mean.device
    parameters, threads = network.cost().parameters, torch.get_num_threads()
    how = f"{training.conditions['precision']} on {device}"
    parts = [f"{network.depth} layers", f"{parameters:,} parameters", how]
    if device.type == "cpu":
        parts.append(f"{threads} thread{'s' * (threads != 1)}")
    log.info(f"{folder.path}{': ' if beside_others else chr(10)}{', '.join(parts)}")


def compile_where_it_pays(folder: RunFolder, training: Training) -> Training:
    """Return the training with its network compiled, if it is to be: as an earlier process began, if one did."""
    config, trainer, data = training.config, training.trainer, training.data
    wanted = folder.begun_compiled() if config.compile is None else config.compile
    work = training.steps * config.batch_size * training.network.cost(data.size).multiply_adds
    if not resolve_compile(wanted, data.mean.device, trainer.bf16, work):
        return training
    try:
        trainer.compiled = compile_network(trainer, data.train, config.batch_size)
    except (KeyboardInterrupt, Terminated):
        log.warning(f"{folder.path}: stopped while compiling, before the first step")
        raise
    return replace(training, conditions=training.conditions | {"compiled": trainer.compiled is not None})


def network_of(config: Config, classes: int, channels: int) -> Network:
    """Return the network of a configuration: every key of `model` but its name is an argument."""
    arguments = asdict(config.model)
    del arguments["name"]
    return Network(**arguments, classes=classes, channels=channels)


def check_batches(batch_size: int, data: Dataset, stages: int) -> None:
    """Hold the batch size to the data; raises ConfigError where there is no such batch, or one that cannot be trained.

    Batch norm takes a deviation over the images and pixels of a channel, of which there must be two.
    """
    images = len(data.train)
    if batch_size > images:
        raise ConfigError(f"batch_size={batch_size}: must be at most {images}, the number of training images")
    if data.size <= 2 ** (stages - 1) and (images - 1) % batch_size == 0:
        raise ConfigError(
            f"batch_size={batch_size}: leaves a last batch of one image, of which the {stages} stages of "
            "model.stages make one pixel, too little for batch norm; take another size, or fewer stages"
        )


def write_start(folder: RunFolder, training: Training) -> None:
    """Write what is known before the first step: the images as the network sees them, and a look inside it."""
    config, data = training.config, training.data

    def samples() -> bytes:
        from resnet.record import pictures

        batches = training_batches(data.train.labels, training.augmenter, config.batch_size, config.seed, epoch=1)
        return pictures.draw_samples(*next(batches), data.classes)

    write_picture(folder, "samples.png", samples)
    if config.probe_every:
        folder.write_layers(look_inside(training, epoch=0))


def write_picture(folder: RunFolder, name: str, draw: Callable[[], bytes]) -> None:
    """Write a picture, or say why there is none: whatever a user's matplotlib does, the run does not depend on it."""
    try:
        folder.write(name, draw())
    except Exception as error:
        log.warning(f"{folder.path}: continuing without {name}, {one_line(error)}")


def look_inside(training: Training, epoch: int) -> list[dict[str, Any]]:
    """Return the rows of layers.csv after an epoch."""
    trainer = training.trainer
    return probe(trainer.model, training.network, trainer.normalize, training.data.train, trainer.bf16, epoch)


def run_epochs(
    folder: RunFolder,
    training: Training,
    tracker: Tracker,
    code: str,
    done: int,
    beside_others: bool,
    received: list[int],
) -> None:
    """Train the epochs that are left, and write each down as it ends; raises Interrupted where a signal came."""
    config, trainer, data = training.config, training.trainer, training.data
    left = training.steps - done * training.steps_per_epoch
    looks = 1 + (len(data.val) / len(data.train) / 3 if data.val is not None else 0)  # forward only: a third of a step
    pace = Pace(left * looks, f"epoch {training.epochs}")
    label = f"{folder.label}: " if beside_others else ""
    watch = watcher(training.epochs, progress_of(config.progress, beside_others), received, pace, label)
    computes = {"code": code, "data": data.sha256(), "schedule": training.schedule}
    fixed = (config.batch_size, config.seed, training.steps, done, watch)
    for row in fit(trainer, data, training.augmenter, *fixed):
        epoch = row["epoch"]
        probed = config.probe_every and epoch % config.probe_every == 0
        layers = look_inside(training, epoch) if probed else []
        folder.finish_epoch(row, layers, {"epoch": epoch} | training.conditions | computes | trainer.state())
        tracker.log(row)
        log.info(label + describe_epoch(row, training.epochs, brief=beside_others))


def finish(folder: RunFolder, training: Training, tracker: Tracker, here: dict[str, Any]) -> dict[str, Any]:
    """Read the test set, and write the result of a training that is over; raises Diverged."""
    trainer, data, config = training.trainer, training.data, training.config
    figures, logits = trainer.evaluate(data.test)
    if not math.isfinite(figures.loss):
        raise Diverged("test loss", training.steps)
    predicted = logits.argmax(dim=1)
    rows = folder.metrics()

    def curves() -> bytes:
        from resnet.record import pictures

        return pictures.draw_curves(rows, str(folder.path))

    write_picture(folder, "curves.png", curves)
    folder.write("predictions.npy", predictions(predicted, data.test.labels))
    result = make_result(config.model.name, training.network, config.seed, rows, data, figures, predicted)
    result |= training.conditions | {"device": data.mean.device.type} | here
    tracker.summarize(result)
    folder.complete(result, trainer.model.state_dict())
    return result
