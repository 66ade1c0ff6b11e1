"""What a training shows: a progress bar, one line per epoch, and about how long it takes."""

import logging
import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from resnet.bar import BAR_OUTPUT
from resnet.duration import about
from resnet.signals import Interrupted
from resnet.training.trainer import Batches

log = logging.getLogger(__name__)

WARM = 3  # first steps, which may take longer than the others
LONG = 5.0  # seconds of steps after these, from which the rest is estimated; a shorter training needs no estimate

BAR = {"bar": False, "lines": True, "auto": None}  # tqdm's `disable`; None: unless standard error is a terminal


class Pace:
    """Estimate the time to the last epoch from the first steps; `steps` is how many are left, counting validation."""

    def __init__(self, steps: float, goal: str):
        self.steps, self.goal = steps, goal
        self.taken, self.since, self.said = 0, 0.0, False

    def note(self) -> str | None:
        """Count a step as it begins; return the estimate, once, as soon as there is one."""
        now = time.perf_counter()
        if self.taken == WARM:
            self.since = now
        measured = self.taken - WARM
        self.taken += 1
        if self.said or measured < 2 or now - self.since < LONG:
            return None
        self.said = True
        return f"about {about((now - self.since) / measured * (self.steps - measured - WARM))} to {self.goal}"


def watcher(
    epochs: int, disable_bar: bool | None, received: list[int], pace: Pace, label: str
) -> Callable[[Batches, int, int], Batches]:
    """Return a function that yields batches under a progress bar, and raises Interrupted once a signal is received."""

    def watch(batches: Batches, epoch: int, steps: int) -> Batches:
        name = f"epoch {epoch}/{epochs}"
        options: dict[str, Any] = {"leave": False, "disable": disable_bar, "unit": "step", "dynamic_ncols": True}
        for batch in tqdm(batches, name, steps, file=BAR_OUTPUT, **options):
            if received:
                raise Interrupted(received[0], epoch)
            if said := pace.note():
                with tqdm.external_write_mode(file=BAR_OUTPUT):
                    log.info(label + said)
            yield batch

    return watch


def progress_of(progress: str, in_parallel: bool) -> bool | None:
    """Return whether the bar is off; None means off unless standard error is a terminal."""
    if progress == "auto" and in_parallel:
        return True
    return BAR[progress]


def describe_epoch(row: dict[str, Any], epochs: int, brief: bool = False) -> str:
    """Return a line of an epoch's figures, at most 80 columns wide; `brief`: at most 40, with accuracies only."""
    parts = [f"epoch {row['epoch']:>{len(str(epochs))}}/{epochs}"]
    for part in ("train", "val"):
        if row[f"{part}_acc"] is not None:
            loss = "" if brief else f" {row[f'{part}_loss']:.4f}"
            parts.append(f"{part}{loss} {row[f'{part}_acc']:.2%}")
    if not brief:
        parts += [f"lr {row['lr']:.3g}", f"{row['train_seconds'] + row['val_seconds']:.1f} s"]
    return "  ".join(parts)
