"""The training loop: an epoch of steps and an evaluation, in turn, until the training is over."""

import math
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from resnet.config import epochs_of, steps_in_epoch
from resnet.errors import Diverged
from resnet.training.augment import Augmenter
from resnet.training.data import Dataset, training_batches
from resnet.training.trainer import Batches, Trainer


def fit(
    trainer: Trainer,
    data: Dataset,
    augmenter: Augmenter,
    batch_size: int,
    seed: int,
    total_steps: int,
    epochs_done: int = 0,
    watch: Callable[[Batches, int, int], Batches] = lambda batches, epoch, steps: batches,
) -> Iterator[dict[str, Any]]:
    """Train from the end of epoch `epochs_done` to step `total_steps`; yield each epoch's row of metrics.csv.

    The last epoch ends early if the steps run out. `watch` gets each epoch's batches, its number and its steps; it may
    pass the batches on, look at them, or stop. Raises Diverged if a loss of the epoch is not finite.
    """
    steps_per_epoch = steps_in_epoch(len(data.train), batch_size)
    for epoch in range(epochs_done + 1, epochs_of(total_steps, steps_per_epoch) + 1):
        first_step = (epoch - 1) * steps_per_epoch
        steps = min(steps_per_epoch, total_steps - first_step)
        batches = training_batches(data.train.labels, augmenter, batch_size, seed, epoch)
        started = time.perf_counter()
        train = trainer.train_epoch(watch(islice(batches, steps), epoch, steps), first_step)
        trained = time.perf_counter()
        val = trainer.evaluate(data.val)[0] if data.val is not None else None
        if val is not None and not math.isfinite(val.loss):
            raise Diverged("validation loss", first_step + steps)
        yield {
            "epoch": epoch,
            "lr": trainer.schedule(first_step + steps - 1),
            "train_loss": train.loss,
            "train_acc": train.accuracy,
            "val_loss": val.loss if val else None,
            "val_acc": val.accuracy if val else None,
            "train_seconds": round(trained - started, 3),
            "val_seconds": round(time.perf_counter() - trained, 3),
            "images_per_second": round(min(steps * batch_size, len(data.train)) / (trained - started), 1),
        }
