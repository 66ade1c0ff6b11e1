"""One training: from the last checkpoint in a run's folder, epoch by epoch, to the result."""

import logging
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

import torch
from tqdm import tqdm

from resnet.bar import BAR_OUTPUT
from resnet.config import Config, epochs_of, total_steps
from resnet.errors import ConfigError
from resnet.record.environment import environment
from resnet.record.folder import RecordError, RunFolder
from resnet.record.result import make_result, predictions
from resnet.record.trackers import Tracker, one_line
from resnet.signals import Interrupted, collected_signals
from resnet.training.augment import Augmenter
from resnet.training.compiling import compile_network
from resnet.training.data import Dataset, load, training_batches
from resnet.training.device import memory_format_of, resolve_compile, resolve_device, resolve_precision, set_up_process
from resnet.training.loop import fit
from resnet.training.model import Network
from resnet.training.optim import make_schedule
from resnet.training.probes import probe
from resnet.training.trainer import Batches, Diverged, Normalize, Trainer, make_trainer

log = logging.getLogger(__name__)

BAR = {"bar": False, "lines": True, "auto": None}  # tqdm's `disable`; None is: unless standard error is a terminal


@dataclass(frozen=True)
class Training:
    """All that takes part in one training; `conditions` say in which precision it is computed, and whether compiled."""

    config: Config
    data: Dataset
    network: Network
    trainer: Trainer
    augmenter: Augmenter
    steps: int
    epochs: int
    conditions: dict[str, Any]


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


def prepare(config: Config, beside_others: bool = False, compiled: bool | None = None) -> Training:
    """Return what trains a configuration, at its start; `compiled` is how an earlier process began, if one did.

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
    schedule = make_schedule(lr=config.optimizer.lr, total_steps=steps, **asdict(config.schedule))
    normalize = Normalize(data.mean, data.std, memory_format_of(device))
    trainer = make_trainer(network, normalize, config.seed, precision == "bf16", asdict(config.optimizer), schedule)
    wanted = compiled if config.compile is None else config.compile
    work = steps * config.batch_size * network.cost(data.size).multiply_adds
    if resolve_compile(wanted, device, trainer.bf16, work):
        trainer.compiled = compile_network(trainer, data.train, config.batch_size)
    augmenter = Augmenter(data.train.images, data.mean, **asdict(config.augmentation))
    conditions = {"precision": precision, "compiled": trainer.compiled is not None}
    return Training(config, data, network, trainer, augmenter, steps, epochs_of(steps, steps_per_epoch), conditions)


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


def resume(folder: RunFolder, training: Training, here: dict[str, Any]) -> int:
    """Go back to the last whole checkpoint, note this start, and say so; return the number of epochs done."""
    computes = {"code": here["code"], "data": training.data.sha256()}
    changed: list[str] = []

    def restore(checkpoint: dict[str, Any]) -> None:
        check_conditions(checkpoint, training.conditions)
        training.trainer.restore(checkpoint)
        changed[:] = [name for name, now in computes.items() if checkpoint.get(name, now) != now]

    done = folder.resume(restore)
    device = training.data.mean.device
    time = datetime.now(timezone.utc).isoformat(timespec="seconds")
    folder.start({"time": time, "epoch": done, "device": device.type} | training.conditions | here | computes)
    how = f"{training.conditions['precision']} on {device}"
    if device.type == "cpu":
        threads = torch.get_num_threads()
        how += f" with {threads} thread{'s' * (threads != 1)}"
    start = f"resuming after epoch {done} of {training.epochs}" if done else f"starting, to epoch {training.epochs}"
    log.info(f"{folder.path}: {start}, in {how}")
    if changed:
        log.warning(f"{folder.path}: the {' and the '.join(changed)} changed since epoch {done}; figures mix both")
    return done


def check_conditions(checkpoint: dict[str, Any], conditions: dict[str, Any]) -> None:
    """Raise RecordError for a checkpoint that was computed in another precision, or compiled where this is not."""
    precision, compiled = checkpoint["precision"], checkpoint.get("compiled", False)
    if precision != conditions["precision"]:
        raise RecordError(
            f"begun in {precision}, but this machine would continue in {conditions['precision']}; "
            f"precision={conditions['precision']} trains in a folder of its own, resume=never starts this one over"
        )
    if compiled != conditions["compiled"]:
        raise RecordError(
            f"begun {'compiled' if compiled else 'without compiling'}, and cannot continue otherwise; without a value "
            "for compile, and with a compiler if it was compiled, it resumes; resume=never starts this one over"
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
    watch = watcher(training.epochs, progress_of(config.progress, beside_others), received)
    computes = {"code": code, "data": data.sha256()}
    fixed = (config.batch_size, config.seed, training.steps, done, watch)
    for row in fit(trainer, data, training.augmenter, *fixed):
        epoch = row["epoch"]
        probed = config.probe_every and epoch % config.probe_every == 0
        layers = look_inside(training, epoch) if probed else []
        folder.finish_epoch(row, layers, {"epoch": epoch} | training.conditions | computes | trainer.state())
        tracker.log(row)
        log.info(f"{folder.path}: " * beside_others + describe_epoch(row, training.epochs))


def watcher(epochs: int, disable_bar: bool | None, received: list[int]) -> Callable[[Batches, int, int], Batches]:
    """Return what passes batches on while it shows a progress bar, and stops where a signal was received."""

    def watch(batches: Batches, epoch: int, steps: int) -> Batches:
        label = f"epoch {epoch}/{epochs}"
        options: dict[str, Any] = {"leave": False, "disable": disable_bar, "unit": "step", "dynamic_ncols": True}
        for batch in tqdm(batches, label, steps, file=BAR_OUTPUT, **options):
            if received:
                raise Interrupted(received[0], epoch)
            yield batch

    return watch


def progress_of(progress: str, beside_others: bool) -> bool | None:
    """Return whether the bar is off; None is: off unless standard error is a terminal."""
    if progress == "auto" and beside_others:
        return True
    return BAR[progress]


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


def describe_epoch(row: dict[str, Any], epochs: int) -> str:
    """Return a line about an epoch's figures."""
    parts = [f"epoch {row['epoch']:>{len(str(epochs))}}/{epochs}"]
    for part in ("train", "val"):
        if row[f"{part}_acc"] is not None:
            parts.append(f"{part} loss {row[f'{part}_loss']:.4f} acc {row[f'{part}_acc']:6.2%}")
    parts.append(f"lr {row['lr']:.3g}")
    parts.append(f"{row['train_seconds'] + row['val_seconds']:.1f} s")
    parts.append(f"{row['images_per_second']:.0f} images/s")
    return "  ".join(parts)
