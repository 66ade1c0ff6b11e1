"""The training loop: an epoch of steps, an evaluation, and the two in turn until the training is over."""

import copy
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet.augment import Augmenter
from resnet.config import UserError, epochs_of
from resnet.data import Dataset, Split, training_batches
from resnet.fused import fused
from resnet.optim import Schedule, set_lr

log = logging.getLogger(__name__)

Batches = Iterable[tuple[Tensor, Tensor]]

EVALUATION_BATCH = 500  # images at a time; does not change the figures


class Diverged(UserError):
    """The loss of a step, counted from the first of the training, was infinite or not a number."""

    def __init__(self, step: int):
        super().__init__(f"the loss was not finite, first at step {step}")
        self.step = step


@dataclass(frozen=True)
class Figures:
    """Mean cross entropy and fraction of right answers."""

    loss: float
    accuracy: float


class Normalize(nn.Module):
    """Turn uint8 images (batch, height, width, channels) into float32 (batch, channels, height, width).

    Each channel comes out with mean 0 and deviation 1 over the training set. The order of the bytes stays, which makes
    the result what PyTorch calls channels_last: what convolutions are fastest in.
    """

    def __init__(self, mean: Tensor, std: Tensor):
        super().__init__()
        self.register_buffer("scale", 1 / std)
        self.register_buffer("shift", -mean / std)

    def forward(self, images: Tensor) -> Tensor:
        return torch.addcmul(self.shift, images.float(), self.scale).permute(0, 3, 1, 2)


@dataclass
class Trainer:
    """What takes a step: a network, its optimizer and schedule, and whether its convolutions compute in bf16."""

    model: nn.Module
    normalize: Normalize
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    bf16: bool
    compiled: Callable[[Tensor], Tensor] | None = None

    @property
    def network(self) -> Callable[[Tensor], Tensor]:
        """Return what computes the logits: compiled or not; evaluation is not worth compiling."""
        return self.compiled if self.compiled is not None and self.model.training else self.model

    def logits(self, images: Tensor) -> Tensor:
        """Return float32 (batch, classes) for uint8 images (batch, height, width, channels)."""
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.bf16):
            return self.network(self.normalize(images)).float()

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint has to hold: the schedule is a function of the step, and the data of the epoch."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state; raises ValueError, with nothing changed, for one of another network."""
        shapes, own = ({k: v.shape for k, v in m.items()} for m in (state["model"], self.model.state_dict()))
        if shapes != own:
            raise ValueError("it holds another network")
        self.optimizer.load_state_dict(state["optimizer"])
        self.model.load_state_dict(state["model"])

    def train_epoch(self, batches: Batches, first_step: int) -> Figures:
        """Take a step for each batch; return the running figures, in training mode, over the epoch.

        Nothing is read from the device before the last step. Raises Diverged if a loss was not finite.
        """
        self.model.train()
        losses, hits, sizes = [], [], []
        for step, (images, labels) in enumerate(batches, start=first_step):
            set_lr(self.optimizer, self.schedule(step))
            self.optimizer.zero_grad(set_to_none=True)
            logits = self.logits(images)
            loss = F.cross_entropy(logits, labels)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.detach())
            hits.append((logits.detach().argmax(dim=1) == labels).sum())
            sizes.append(len(labels))
        return running_figures(torch.stack(losses), torch.stack(hits), torch.tensor(sizes), first_step)

    @torch.inference_mode()
    def evaluate(self, split: Split) -> tuple[Figures, Tensor]:
        """Return the figures over a split in evaluation mode, and the logits (n, classes) on the CPU."""
        self.model.eval()
        logits = torch.cat([self.logits(images).cpu() for images in split.images.split(EVALUATION_BATCH)])
        labels = split.labels.cpu()
        hits = (logits.argmax(dim=1) == labels).double().mean()
        return Figures(F.cross_entropy(logits.double(), labels).item(), hits.item()), logits


def compile_network(trainer: Trainer, split: Split, batch_size: int) -> Callable[[Tensor], Tensor] | None:
    """Return the trainer's network compiled for batches of `batch_size`, the others going through the network as it is.

    Compiled here, with the trainer left as it was; others of the process compile again when they are next used.
    None, with a line that says why, where that fails.
    """
    log.info("compiling")
    # To compile, PyTorch imports a module that looks for CUDA on any device, and warns of an nvcc without a GPU.
    logging.getLogger("torch.utils.cpp_extension").addFilter(_not_about_missing_cuda)
    torch.compiler.reset()  # beyond the eighth network of a process, PyTorch would no longer compile
    started = time.perf_counter()
    cpu = split.images.device.type == "cpu"
    network = fused(trainer.model) if trainer.bf16 and cpu else trainer.model
    options: dict[str, Any] = {
        "cpp.threads": torch.get_num_threads(),  # in the key of PyTorch's cache, which has to tell them apart
        "cpp_wrapper": cpu,  # its kernels are called from C++ instead of Python
        "triton.cudagraphs": not cpu,  # on a GPU they are recorded, and launched as one
    }
    before = copy.deepcopy(trainer.model.state_dict())
    trainer.model.train()
    try:
        network = torch.compile(network, fullgraph=True, dynamic=False, options=options)
        replace(trainer, compiled=network).logits(split.images[:batch_size]).sum().backward()
    except RuntimeError as error:
        log.warning(f"compile: going on without, {' '.join(str(error).splitlines()[:2])}")
        return None
    finally:
        trainer.optimizer.zero_grad(set_to_none=True)
        trainer.model.load_state_dict(before)
    log.info(f"compiled in {time.perf_counter() - started:.0f} s")
    return lambda images: network(images) if len(images) == batch_size else trainer.model(images)


def _not_about_missing_cuda(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("No CUDA runtime is found")


def running_figures(losses: Tensor, hits: Tensor, sizes: Tensor, first_step: int) -> Figures:
    """Return an epoch's means from the figures of its steps, all (steps,); raises Diverged."""
    losses = losses.double().cpu()
    if not losses.isfinite().all():
        raise Diverged(first_step + int((~losses.isfinite()).nonzero()[0]))
    images = sizes.sum()
    return Figures((losses @ sizes.double() / images).item(), (hits.sum().cpu() / images).item())


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
    """Train to `total_steps` from where `epochs_done` epochs left off; yield the row of metrics.csv of each epoch.

    The last epoch ends early where the steps do. `watch` is given each epoch's batches, its number and its steps; it
    may pass the batches on, look at them, or stop.
    """
    steps_per_epoch = -(-len(data.train) // batch_size)
    for epoch in range(epochs_done + 1, epochs_of(total_steps, steps_per_epoch) + 1):
        first_step = (epoch - 1) * steps_per_epoch
        steps = min(steps_per_epoch, total_steps - first_step)
        batches = training_batches(data.train.labels, augmenter, batch_size, seed, epoch)
        started = time.perf_counter()
        train = trainer.train_epoch(watch(islice(batches, steps), epoch, steps), first_step)
        trained = time.perf_counter()
        val = trainer.evaluate(data.val)[0] if data.val is not None else None
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
