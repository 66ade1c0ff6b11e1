"""One training: from the last checkpoint in a run's folder, epoch by epoch, to the result."""

import logging
import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch

from resnet.display import Pace, describe_epoch, progress_of, watcher
from resnet.errors import Diverged
from resnet.prepare import Training, training_work
from resnet.record.environment import environment
from resnet.record.folder import RunFolder
from resnet.record.result import make_result, predictions
from resnet.record.trackers import Tracker, one_line
from resnet.resuming import resume
from resnet.signals import Interrupted, Terminated, collected_signals
from resnet.training.compiling import compile_network
from resnet.training.data import training_batches
from resnet.training.device import resolve_compile
from resnet.training.loop import fit
from resnet.training.probes import probe

log = logging.getLogger(__name__)


def train(folder: RunFolder, training: Training, tracker: Tracker, in_parallel: bool) -> dict[str, Any]:
    """Train to the last epoch, read the test set once, write everything down; return what went into result.json."""
    here = environment(training.data.mean.device)  # now, because the checkout may change before the training ends
    done = resume(folder, training, here)
    tracker.start(asdict(training.config), folder.metrics())
    if done == 0:
        write_start(folder, training)
    with collected_signals() as received:
        run_epochs(folder, training, tracker, here["code"], done, in_parallel, received)
        if received:  # in the last epoch: the next run of a sweep must not begin
            raise Interrupted(received[0], training.epochs)
    return finish(folder, training, tracker, here)


def announce(folder: RunFolder, training: Training, in_parallel: bool) -> None:
    """Log the run folder, the network and how it is computed, before the first step, which may take a while."""
    network, device = training.network, training.data.mean.device
    parameters, threads = network.cost().parameters, torch.get_num_threads()
    how = f"{training.conditions['precision']} on {device}"
    parts = [f"{network.depth} layers", f"{parameters:,} parameters", how]
    if device.type == "cpu":
        parts.append(f"{threads} thread{'s' * (threads != 1)}")
    log.info(f"{folder.path}{': ' if in_parallel else chr(10)}{', '.join(parts)}")


def compile_where_it_pays(folder: RunFolder, training: Training) -> None:
    """Compile the network as `compile` says; by default as a resumed run began, else if it pays."""
    config, trainer, data = training.config, training.trainer, training.data
    resumes = config.compile is None and config.resume != "never"
    wanted = folder.begun_compiled() if resumes else config.compile
    work = training_work(config, training.network, data.size, training.steps)
    if not resolve_compile(wanted, data.mean.device, trainer.bf16, work):
        return
    try:
        trainer.compiled = compile_network(trainer, data.train, config.batch_size)
    except (KeyboardInterrupt, Terminated):
        log.warning(f"{folder.path}: stopped while compiling, before the first step")
        raise


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
    """Write a picture, or log why there is none: the run does not depend on the user's matplotlib."""
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
    in_parallel: bool,
    received: list[int],
) -> None:
    """Train the epochs that are left, and write each down as it ends; raises Interrupted after a signal."""
    config, trainer, data = training.config, training.trainer, training.data
    left = training.steps - done * training.steps_per_epoch
    validation = len(data.val) / len(data.train) / 3 if data.val is not None else 0  # forward only: a third of a step
    pace = Pace(left * (1 + validation), f"epoch {training.epochs}")
    label = f"{folder.label}: " if in_parallel else ""
    watch = watcher(training.epochs, progress_of(config.progress, in_parallel), received, pace, label)
    computes = {"code": code, "data": training.data_sha256, "schedule": training.schedule}
    fixed = (config.batch_size, config.seed, training.steps, done, watch)
    for row in fit(trainer, data, training.augmenter, *fixed):
        epoch = row["epoch"]
        probed = config.probe_every and epoch % config.probe_every == 0
        layers = look_inside(training, epoch) if probed else []
        folder.finish_epoch(row, layers, {"epoch": epoch} | training.conditions | computes | trainer.state())
        tracker.log(row)
        log.info(label + describe_epoch(row, training.epochs, brief=in_parallel))


def finish(folder: RunFolder, training: Training, tracker: Tracker, here: dict[str, Any]) -> dict[str, Any]:
    """Evaluate on the test set, and write the result of a finished training; raises Diverged."""
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
    folder.write("predictions.npy", predictions(predicted, data.test.labels, len(data.classes)))
    of_run = (config.model.name, training.network, config.seed, rows, data, training.data_sha256)
    result = make_result(*of_run, figures, predicted)
    result |= training.conditions | here
    tracker.summarize(result)
    folder.complete(result, trainer.model.state_dict())
    return result
