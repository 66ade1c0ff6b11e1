"""The usual training loop, written for comparison: what most tutorials show, and what it costs."""

import atexit
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count, islice
from multiprocessing.connection import Connection
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms

from resnet.benchmark.bench import STEPS, Bench
from resnet.training.optim import make_optimizer


def tutorial_loop(bench: Bench) -> Callable[[], None]:
    """Return STEPS steps of the usual loop, taken by a separate process, out of reach of our own speed settings."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=tutorial_process, args=(there, bench.overrides), daemon=False)
    process.start()
    atexit.register(process.join)
    atexit.register(here.close)  # at which the process ends

    def steps() -> None:
        here.send("steps")
        here.recv()

    return steps


def tutorial_process(connection: Connection, overrides: Sequence[str]) -> None:
    """Train as most tutorials do, STEPS steps per request: PIL transforms in two workers, fp32, `item()` each step."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C stops the main process, which closes the connection
    bench = Bench(overrides)
    transform = transforms.Compose(
        [
            transforms.RandomHorizontalFlip(),
            transforms.RandomCrop(32, padding=4),
            transforms.ToTensor(),
            transforms.Normalize((bench.data.mean / 255).tolist(), (bench.data.std / 255).tolist()),
        ]
    )
    pictures = [Image.fromarray(pixels) for pixels in bench.data.train.images.cpu().numpy()]
    dataset = Pictures(pictures, bench.data.train.labels.tolist(), transform)
    loader = DataLoader(dataset, bench.batch_size, shuffle=True, num_workers=2, persistent_workers=True)
    batches = (batch for _ in count() for batch in loader)
    model = bench.network.build().to(bench.device)
    optimizer = make_optimizer(model.parameters(), **asdict(bench.config.optimizer))
    with suppress(EOFError, BrokenPipeError):
        while connection.recv():
            for images, labels in islice(batches, STEPS):
                images, labels = images.to(bench.device), labels.to(bench.device)
                optimizer.zero_grad()
                loss = F.cross_entropy(model(images), labels)
                loss.backward()
                optimizer.step()
                loss.item()
            connection.send("done")


@dataclass
class Pictures(torch.utils.data.Dataset):
    """PIL images with their labels, transformed one by one."""

    pictures: list[Any]
    labels: list[int]
    transform: Callable[[Any], torch.Tensor]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.pictures[index]), self.labels[index]
