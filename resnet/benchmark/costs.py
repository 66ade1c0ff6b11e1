"""What costs time besides a training's steps, and how the time of a training grows."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import torch

from resnet.benchmark.bench import STEPS, Bench, in_turns
from resnet.benchmark.speed import our_loop
from resnet.config import run_name
from resnet.launch.compose import compose_config
from resnet.launch.estimate import Estimator, threads_of
from resnet.record.folder import RunFolder
from resnet.training.loop import fit
from resnet.training.probes import probe

CIFAR = 45_000  # training images of CIFAR-10 after the split


def harness(overrides: Sequence[str]) -> list[dict[str, Any]]:
    """Measure what an epoch costs besides its steps, as a part of a CIFAR-10 epoch at this machine's speed."""
    bench = Bench(overrides)
    trainer = bench.trainer()
    epoch_seconds = CIFAR / in_turns({"ours": (our_loop(bench), STEPS * bench.batch_size)}, bench.synchronize)["ours"]
    row = next(fit(trainer, bench.data, bench.augmenter(), bench.batch_size, 0, total_steps=2))
    with tempfile.TemporaryDirectory(dir=".") as folder:
        run, epochs = RunFolder(Path(folder)), count(1)
        look = (trainer.model, bench.network, trainer.normalize, bench.data.train, trainer.bf16, 1)
        layers = probe(*look)
        things = {
            "rows and checkpoint": lambda: run.finish_epoch(row | {"epoch": next(epochs)}, layers, trainer.state()),
            "probes": lambda: probe(*look),
        }
        speeds = in_turns({name: (call, 1) for name, call in things.items()}, bench.synchronize)
    seconds = {name: 1 / value for name, value in speeds.items()}
    seconds["together"] = sum(seconds.values())
    return [
        {"what": name, "seconds": round(value, 3), "of an epoch": f"{value / epoch_seconds:.2%}"}
        for name, value in seconds.items()
    ]


def scaling(overrides: Sequence[str]) -> list[dict[str, Any]]:
    """Measure how the time of a training grows with one, two and four times the depth, data and epochs."""
    cases = {"blocks": [1, 2, 4], "images": [512, 1024, 2048], "epochs": [1, 2, 4]}
    rows = []
    for what, sizes in cases.items():
        seconds = []
        for size in sizes:
            stages = f"model.stages=[{size if what == 'blocks' else 1}]"
            # a training this short is not compiled, but Bench.trainer is that of a long one
            bench = Bench([stages, "compile=false", *overrides], images=size if what == "images" else 512)
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
    """Measure four seeds of one small run, by the numbers of parallel processes and of their threads."""
    cores = min(os.cpu_count() or 1, 4)  # a process each is all that four seeds can use
    rows = []
    for processes, threads in ((1, cores), (1, 1), (cores, 1), (cores, cores)):
        with tempfile.TemporaryDirectory() as folder:
            shares = [",".join(map(str, range(4)[first::processes])) for first in range(processes)]
            commands = [digits(f"seed={share}", "epochs.count=10", *overrides) for share in shares]
            value = seconds(commands, folder, threads)
        rows.append({"processes": processes, "threads each": threads, "seconds": round(value, 1)})
    return [row | {"speed": round(rows[0]["seconds"] / row["seconds"], 2)} for row in rows]


def sweep(overrides: Sequence[str]) -> list[dict[str, Any]]:
    """Measure how long a repeated sweep takes when all of its runs are complete."""
    jobs, times = 20, {1: [], 20: []}
    with tempfile.TemporaryDirectory() as folder:

        def issue(runs: int) -> float:
            return seconds([digits(f"seed=range({runs})", "epochs.count=1", "model.width=8", *overrides)], folder, 1)

        issue(jobs)
        for _ in range(5):
            for runs in times:
                times[runs].append(issue(runs))
    one, all_ = (statistics.median(times[runs]) for runs in (1, jobs))
    return [
        {"what": "a sweep of one complete run", "seconds": round(one, 3)},
        {"what": "each further run, its composition included", "seconds": round((all_ - one) / (jobs - 1), 3)},
    ]


def plan(overrides: Sequence[str]) -> list[dict[str, Any]]:
    """Measure how far off `plan=true` is, on a sweep of mixed depths that nothing is known of beforehand."""
    grid = ("epochs.count=4", "seed=0", *overrides)
    depths = [f"model.stages=[{n},{n},{n}]" for n in (1, 2, 3, 5)]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        estimator = Estimator(Path(folder), threads_of(1))
        configs = [compose_config(["data=digits", "device=cpu", *grid, depth]) for depth in depths]
        planned = [estimator.seconds(config) or 0.0 for config in configs]
        threads = torch.get_num_threads()
        seconds(
            [[*digits(*grid), "model.stages=" + ",".join(depth.split("=")[1] for depth in depths)]], folder, threads
        )
        results = [next(Path(folder).glob(f"runs/*/{run_name(config)}/*/result.json")) for config in configs]
        taken = [RunFolder(path.parent).result()["wall_seconds"] for path in results]
    for config, guess, true in zip(configs + [None], [*planned, sum(planned)], [*taken, sum(taken)]):
        name = config.model.name if config else "together"
        rows.append({"what": name, "planned s": round(guess, 1), "taken s": round(true, 1)})
    return [row | {"off by": f"{row['planned s'] / row['taken s'] - 1:+.0%}"} for row in rows]


def digits(*overrides: str) -> list[str]:
    """Return the command of a sweep of small runs."""
    return [sys.executable, "-m", "resnet.run", "-m", "data=digits", "device=cpu", "runs_dir=runs", *overrides]


def seconds(commands: Sequence[Sequence[str]], folder: str, threads: int) -> float:
    """Return the seconds that commands take if started together, with `threads` threads each; raises SystemExit."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    started = time.perf_counter()
    running = [
        subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL) for command in commands
    ]
    if any([process.wait() for process in running]):
        raise SystemExit("error: a run failed")
    return time.perf_counter() - started
