"""The real training path against the usual loop, against computation alone, and against the machine's limit."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import count, islice
from typing import Any

import torch
import torch.nn.functional as F

from resnet.benchmark.bench import STEPS, Bench, in_turns
from resnet.benchmark.tutorial import tutorial_loop
from resnet.training.data import training_batches


def speed(overrides: Sequence[str]) -> list[dict[str, Any]]:
    """Compare the real training path with the usual loop, with computation alone, and with the limit."""
    bench = Bench(overrides)
    name, where = bench.config.model.name, f"{bench.precision} on {bench.device_name()}"
    print(f"{name}, batch {bench.batch_size}, {where}")
    print("fixed costs: " + ", ".join(f"{what} {seconds:.1f} s" for what, seconds in fixed_costs(bench).items()))
    images = STEPS * bench.batch_size
    things = {"tutorial": (tutorial_loop(bench), images), "ours": (our_loop(bench), images)}
    things |= {"compute only": (compute_only(bench), images), "limit": limit(bench)}
    speeds = in_turns(things, bench.synchronize)
    print(f"peak memory: {bench.peak_memory()}\n")
    return [
        {"model": name, "precision": bench.precision, "what": what, "images/s": round(value)}
        | {"ours / it": round(speeds["ours"] / value, 3)}
        for what, value in speeds.items()
    ]


def fixed_costs(bench: Bench) -> dict[str, float]:
    """Return a run's one-time costs in seconds, which do not depend on its length."""

    def seconds(call: Callable[[], Any]) -> float:
        started = time.perf_counter()
        call()
        return time.perf_counter() - started

    def python(*arguments: str) -> None:
        subprocess.run((sys.executable, *arguments), stdout=subprocess.DEVNULL, check=True)

    return {
        "imports": seconds(lambda: python("-c", "import resnet.train")),
        "start and composition": seconds(lambda: python("-m", "resnet.run", "--cfg", "job", *bench.overrides)),
        "network and optimizer, compiled where that pays": seconds(bench.trainer),
    }


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
    network = trainer.compiled or trainer.model

    def steps() -> None:
        for _ in range(STEPS):
            trainer.optimizer.zero_grad(set_to_none=True)
            with torch.autocast(bench.device.type, torch.bfloat16, enabled=trainer.bf16):
                logits = network(images).float()
            F.cross_entropy(logits, labels).backward()
            trainer.optimizer.step()

    return steps


def limit(bench: Bench) -> tuple[Callable[[], Any], float]:
    """Return a large matrix multiplication in the training's precision, and how many images' arithmetic it is."""
    size = 2048 if bench.device.type == "cpu" else 8192
    dtype = torch.bfloat16 if bench.precision == "bf16" else torch.float32
    a = torch.randn(size, size, device=bench.device).to(dtype)
    multiply_adds = bench.network.cost().multiply_adds * 3  # forward, and backward to weights and to inputs
    return lambda: torch.mm(a, a), size**3 / multiply_adds
