"""How fast training is: against the usual loop, against computation alone, against the machine's limit.

    python -m resnet.benchmark speed model=blocks15       the four speeds, as images/s and ratios
    python -m resnet.benchmark harness model=blocks4      what recording, checkpoint and probes cost of an epoch
    python -m resnet.benchmark scaling                    how cost grows with depth, data and epochs
    python -m resnet.benchmark seeds                      four seeds of one small run: how many processes and threads

Overrides are those of resnet.run. What is compared is measured in turns, round after round, and reported as
medians: on a machine that is shared, ratios mean something and single times do not. The images are random.
"""

import atexit
import csv
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count, islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir

from resnet.augment import Augmenter
from resnet.config import as_plain
from resnet.data import Dataset, Split, channel_statistics, training_batches
from resnet.device import be_reproducible, keep_freed_memory, resolve_device, resolve_precision
from resnet.model import ResNet, cost
from resnet.optim import make_optimizer
from resnet.probes import probe
from resnet.record import RunFolder
from resnet.run import CONF, make_trainer
from resnet.train import Trainer, fit

ROUNDS, STEPS = 9, 12  # each measured thing takes STEPS steps in each of ROUNDS rounds
CIFAR = 45_000  # training images of CIFAR-10 after the split


class Bench:
    """A composed configuration, random images of CIFAR-10's shape, and the trainer that resnet.run would make of it."""

    def __init__(self, overrides: Sequence[str], images: int = 4096):
        self.overrides = overrides
        with initialize_config_dir(str(CONF), version_base="1.3"):
            self.config = as_plain(compose("config", list(overrides)))
        self.device = resolve_device(self.config["device"])
        self.precision = resolve_precision(self.config["precision"], self.device)
        self.batch_size, self.images = self.config["batch_size"], images
        self.data = random_data(images).to(self.device)
        self.steps_per_epoch = -(-images // self.batch_size)
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


def tutorial_loop(bench: Bench) -> Callable[[], None]:
    """Return STEPS steps of the usual loop, taken by a process of its own: nothing done here for speed reaches it."""
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
    """Train as most tutorials do, STEPS steps at each word: PIL transforms in two workers, fp32, `item()` each step."""
    from PIL import Image
    from torch.utils.data import DataLoader
    from torchvision import transforms

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
    model = ResNet(**bench.network).to(bench.device)
    optimizer = make_optimizer(model.parameters(), **bench.config["optimizer"])
    with suppress(EOFError):
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


def our_loop(bench: Bench) -> Callable[[], None]:
    """Return STEPS steps of what resnet.run does, the beginning and end of an epoch included."""
    trainer, augmenter, epochs = bench.trainer(), bench.augmenter(), count(1)

    def steps() -> None:
        batches = training_batches(bench.data.train.labels, augmenter, bench.batch_size, 0, next(epochs))
        trainer.train_epoch(islice(batches, STEPS), first_step=0)

    return steps


def compute_only(bench: Bench) -> Callable[[], None]:
    """Return STEPS times forward, backward and optimizer step on one batch that is in place already."""
    trainer = bench.trainer()
    images = trainer.normalize(bench.data.train.images[: bench.batch_size])
    labels = bench.data.train.labels[: bench.batch_size]
    trainer.model.train()

    def steps() -> None:
        for _ in range(STEPS):
            trainer.optimizer.zero_grad(set_to_none=True)
            with torch.autocast(bench.device.type, torch.bfloat16, enabled=trainer.bf16):
                logits = trainer.network(images).float()
            F.cross_entropy(logits, labels).backward()
            trainer.optimizer.step()

    return steps


def limit(bench: Bench) -> tuple[Callable[[], None], float]:
    """Return a large matrix multiplication in the training's precision, and how many images' arithmetic it is."""
    size = 2048 if bench.device.type == "cpu" else 8192
    dtype = torch.bfloat16 if bench.precision == "bf16" else torch.float32
    a = torch.randn(size, size, device=bench.device).to(dtype)
    multiply_adds = cost(**bench.network).multiply_adds * 3  # forward, and backward to weights and to inputs
    return lambda: torch.mm(a, a), size**3 / multiply_adds


def in_turns(things: dict[str, tuple[Callable[[], None], float]], synchronize: Callable[[], None]) -> dict[str, float]:
    """Return the median speed of each thing, a call and the number of images that it stands for, in images/s."""
    speeds: dict[str, list[float]] = {name: [] for name in things}
    for round_ in range(ROUNDS + 1):
        for name, (call, images) in things.items():
            started = time.perf_counter()
            call()
            synchronize()
            if round_ > 0:  # the first warms up
                speeds[name].append(images / (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in speeds.items()}


def speed(overrides: Sequence[str]) -> list[dict[str, Any]]:
    """Compare the real training path with the usual loop, with computation alone, and with the limit."""
    started = time.perf_counter()
    bench = Bench(overrides)
    set_up = time.perf_counter() - started
    images = STEPS * bench.batch_size
    things = {"tutorial": (tutorial_loop(bench), images), "ours": (our_loop(bench), images)}
    things |= {"compute only": (compute_only(bench), images), "limit": limit(bench)}
    speeds = in_turns(things, bench.synchronize)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    name, where = bench.config["model"]["name"], f"{bench.precision} on {bench.device.type}"
    print(f"{name}, batch {bench.batch_size}, {where}: peak memory {memory:.0f} MiB, set-up {set_up:.1f} s\n")
    return [
        {"model": name, "precision": bench.precision, "what": what, "images/s": round(value)}
        | {"ours / it": round(speeds["ours"] / value, 3)}
        for what, value in speeds.items()
    ]


def harness(overrides: Sequence[str]) -> list[dict[str, Any]]:
    """Measure what an epoch costs beside its steps, as a part of a CIFAR-10 epoch at this machine's speed."""
    bench = Bench(overrides)
    trainer = bench.trainer()
    epoch_seconds = CIFAR / in_turns({"ours": (our_loop(bench), STEPS * bench.batch_size)}, bench.synchronize)["ours"]
    row = next(fit(trainer, bench.data, bench.augmenter(), bench.batch_size, 0, total_steps=2))
    with tempfile.TemporaryDirectory(dir=".") as folder:
        run, epochs = RunFolder(Path(folder)), count(1)
        layers = probe(trainer, bench.data.train, 1)
        things = {
            "rows and checkpoint": lambda: run.finish_epoch(row | {"epoch": next(epochs)}, layers, trainer.state()),
            "probes": lambda: probe(trainer, bench.data.train, 1),
        }
        speeds = in_turns({name: (call, 1) for name, call in things.items()}, bench.synchronize)
    seconds = {name: 1 / value for name, value in speeds.items()}
    seconds["together"] = sum(seconds.values())
    return [
        {"what": name, "seconds": round(value, 3), "of an epoch": f"{value / epoch_seconds:.2%}"}
        for name, value in seconds.items()
    ]


def scaling(overrides: Sequence[str]) -> list[dict[str, Any]]:
    """Measure how long trainings take that are once, twice and four times as deep, as large, as long."""
    cases = {"blocks": [1, 2, 4], "images": [512, 1024, 2048], "epochs": [1, 2, 4]}
    rows = []
    for what, sizes in cases.items():
        seconds = []
        for size in sizes:
            stages = f"model.stages=[{size if what == 'blocks' else 1}]"
            bench = Bench([stages, *overrides], images=size if what == "images" else 512)
            steps = bench.steps_per_epoch * (size if what == "epochs" else 2)
            times = []
            for _ in range(3):
                started = time.perf_counter()
                for _ in fit(bench.trainer(), bench.data, bench.augmenter(), bench.batch_size, 0, steps):
                    pass
                times.append(time.perf_counter() - started)
            seconds.append(statistics.median(times))
        for size, value in zip(sizes, seconds):
            rows.append({"what": what, "size": size, "seconds": round(value, 2), "ratio": round(value / seconds[0], 2)})
    return rows


def seeds(overrides: Sequence[str]) -> list[dict[str, Any]]:
    """Measure four seeds of one small run as so many processes at once, each with so many threads."""
    cores = os.cpu_count() or 1
    base = [sys.executable, "-m", "resnet.run", "data=digits", "device=cpu", "epochs.count=10", *overrides]
    rows = []
    for processes, threads in ((1, cores), (1, 1), (cores, 1), (cores, cores)):
        with tempfile.TemporaryDirectory() as folder:
            environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
            started = time.perf_counter()
            shares = [",".join(map(str, range(4)[first::processes])) for first in range(processes)]
            running = [
                subprocess.Popen([*base[:3], "-m", f"seed={share}", *base[3:]], cwd=folder, env=environment, stdout=-3)
                for share in shares
            ]
            if any([process.wait() for process in running]):
                raise SystemExit("a run failed")
            seconds = time.perf_counter() - started
        rows.append({"processes": processes, "threads each": threads, "seconds": round(seconds, 1)})
    return [row | {"speed": round(rows[0]["seconds"] / row["seconds"], 2)} for row in rows]


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print rows as markdown."""
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(map(str, row.values())) + " |")


def main() -> None:
    sections = {"speed": speed, "harness": harness, "scaling": scaling, "seeds": seeds}
    section, *overrides = sys.argv[1:] or [""]
    if section not in sections:
        sys.exit(f"error: {section or 'no section'}: the first argument must be one of {', '.join(sections)}")
    be_reproducible()
    keep_freed_memory()
    rows = sections[section](overrides)
    print_table(rows)
    with open(f"benchmark-{section}.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
