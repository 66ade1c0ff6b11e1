"""A network and how it is trained: a step, an epoch of steps, an evaluation."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet.errors import Diverged
from resnet.training.data import Split
from resnet.training.model import Network, ResNet
from resnet.training.optim import Schedule, make_optimizer, set_lr

Batches = Iterable[tuple[Tensor, Tensor]]

EVALUATION_BATCH = 500  # images at a time; does not change the metrics


@dataclass(frozen=True)
class Metrics:
    """Mean cross entropy and fraction of correct predictions."""

    loss: float
    accuracy: float


class Normalize(nn.Module):
    """Turn uint8 images (batch, height, width, channels) into float32 (batch, channels, height, width).

    Each channel has zero mean and unit standard deviation over the training set. In channels_last, the memory format in
    which most convolutions are fastest, the layout in memory stays the same. The network must use the same format.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Tensor, std: Tensor, memory_format: torch.memory_format = torch.channels_last):
        super().__init__()
        self.memory_format = memory_format
        self.register_buffer("scale", 1 / std)
        self.register_buffer("shift", -mean / std)

    def forward(self, images: Tensor) -> Tensor:
        normal = torch.addcmul(self.shift, images.float(), self.scale).permute(0, 3, 1, 2)
        return normal if self.memory_format == torch.channels_last else normal.contiguous()


@dataclass
class Trainer:
    """All that a step needs: a network, its optimizer and schedule, and whether its convolutions compute in bf16.

    `compiled` replaces the network in training mode.
    """

    model: ResNet
    normalize: Normalize
    bf16: bool
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    compiled: Callable[[Tensor], Tensor] | None = None

    def logits(self, images: Tensor) -> Tensor:
        """Return float32 (batch, classes) for uint8 images (batch, height, width, channels)."""
        network = self.compiled if self.compiled is not None and self.model.training else self.model
        return forward(network, self.normalize, images, self.bf16)

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint; the schedule depends only on the step, the data only on the epoch."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state; raises ValueError, and changes nothing, if it is from another network."""
        shapes, own = ({k: v.shape for k, v in m.items()} for m in (state["model"], self.model.state_dict()))
        if shapes != own:
            raise ValueError("it holds another network")
        self.optimizer.load_state_dict(state["optimizer"])
        self.model.load_state_dict(state["model"])

    def train_epoch(self, batches: Batches, first_step: int) -> Metrics:
        """Take a step for each batch; return the running metrics, in training mode, over the epoch.

        Nothing is read from the device until the last step is taken. Raises Diverged if a loss was not finite.
        """
        self.model.train()
        losses, correct, sizes = [], [], []
        for step, (images, labels) in enumerate(batches, start=first_step):
            set_lr(self.optimizer, self.schedule(step))
            self.optimizer.zero_grad(set_to_none=True)
            logits = self.logits(images)
            loss = F.cross_entropy(logits, labels)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.detach())
            correct.append((logits.detach().argmax(dim=1) == labels).sum())
            sizes.append(len(labels))
        return running_metrics(torch.stack(losses), torch.stack(correct), torch.tensor(sizes), first_step)

    def evaluate(self, split: Split) -> tuple[Metrics, Tensor]:
        """Return the metrics over a split in evaluation mode, and the logits (n, classes) on the CPU."""
        return evaluate(self.model, self.normalize, split, self.bf16)


def make_trainer(
    network: Network, normalize: Normalize, seed: int, bf16: bool, optimizer: dict[str, Any], schedule: Schedule
) -> Trainer:
    """Return a trainer of a new network, on the device of `normalize`; the seed decides the initial weights.

    `optimizer` holds `make_optimizer`'s arguments. Raises RuntimeError if `network.cost` miscounts the parameters.
    """
    torch.manual_seed(seed)
    model = network.build()
    counted = sum(parameter.numel() for parameter in model.parameters())
    if counted != network.cost().parameters:
        raise RuntimeError(f"{network} has {counted:,} parameters, but its cost counts {network.cost().parameters:,}")
    model = model.to(normalize.scale.device, memory_format=normalize.memory_format)  # type: ignore[call-overload]
    return Trainer(model, normalize, bf16, make_optimizer(model.parameters(), **optimizer), schedule)


def forward(network: Callable[[Tensor], Tensor], normalize: Normalize, images: Tensor, bf16: bool) -> Tensor:
    """Return the float32 logits (batch, classes) of a network for uint8 images (batch, height, width, channels)."""
    with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
        return network(normalize(images)).float()


@torch.inference_mode()
def evaluate(model: ResNet, normalize: Normalize, split: Split, bf16: bool) -> tuple[Metrics, Tensor]:
    """Return the metrics of a network over a split in evaluation mode, and the logits (n, classes) on the CPU."""
    model.eval()
    batches = split.images.split(EVALUATION_BATCH)
    logits = torch.cat([forward(model, normalize, images, bf16) for images in batches]).cpu()  # the device is read once
    labels = split.labels.cpu()
    correct = (logits.argmax(dim=1) == labels).double().mean()
    return Metrics(F.cross_entropy(logits.double(), labels).item(), correct.item()), logits


def running_metrics(losses: Tensor, correct: Tensor, sizes: Tensor, first_step: int) -> Metrics:
    """Return an epoch's means from the metrics of its steps, all (steps,); raises Diverged if a loss is not finite."""
    losses = losses.cpu().double()  # not every GPU has float64
    if not losses.isfinite().all():
        raise Diverged("loss", first_step + int((~losses.isfinite()).nonzero()[0]))
    images = sizes.sum()
    return Metrics((losses @ sizes.double() / images).item(), correct.sum().item() / images.item())
