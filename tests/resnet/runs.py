"""What the tests of runs share: their tables, processes that are watched and killed, and a small configuration."""

import csv
import subprocess
import sys
import time
from pathlib import Path

from resnet.config import Augmentation, Config, Data, Epochs, Model, Optimizer, Schedule
from tests.conftest import heed_interrupts, hold, one_thread, small

SCHEDULES = {
    "constant": {},
    "multistep": {"milestones": [0.3]},
    "cosine": {"warmup": 0.2},
    "onecycle": {},
}
OPTIMIZERS = {"adam": {}, "adamw": {"weight_decay": 0.01}, "sgd": {"momentum": 0.9, "nesterov": True}}


class Harmful:
    """An object that creates a file when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


def configuration(optimizer="adam", schedule="onecycle", precision="auto") -> Config:
    return Config(
        data=Data("digits", val_fraction=0.25, limit=8),
        model=Model("blocks2", [1, 1], 4),
        optimizer=Optimizer(optimizer, lr=0.01, **OPTIMIZERS[optimizer]),
        schedule=Schedule(schedule, **SCHEDULES[schedule]),
        epochs=Epochs(3),
        augmentation=Augmentation(crop_padding=1),
        batch_size=32,
        precision=precision,
        device="cpu",
        progress="lines",
        probe_every=2,
    )


def read(table: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with open(table, newline="") as file:
        return list(csv.DictReader(file))


def without_times(run: Path) -> list[str]:
    """Return the lines of metrics.csv without the columns that hold times."""
    return [",".join(line.split(",")[:6]) for line in (run / "metrics.csv").read_text().splitlines()]


def assert_same(one: Path, other: Path, *files: str) -> None:
    """Check that two runs left the same weights, the same of these files, and the same metrics apart from times."""
    assert without_times(one) == without_times(other)
    for name in ("weights.safetensors", *files):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def assert_as_if_undisturbed(train, folder: Path, *overrides: str) -> None:
    """Run the same sweep serially and compare the files."""
    train("-m", *overrides, "study=serial")
    serial = list(folder.glob("runs/serial/*/*"))
    for run in serial:
        other = folder / "runs" / "default" / run.relative_to(folder / "runs" / "serial")
        assert_same(other, run, "layers.csv", "samples.png")
    assert len(serial) == len(list(folder.glob("runs/default/*/*")))


def summary(folder: Path) -> list[tuple[str, str]]:
    """Return the seed and the outcome of each run in the default study's sweep.csv."""
    return [(Path(row["run"]).name, row["outcome"]) for row in read(folder / "runs" / "default" / "sweep.csv")]


def reasons(folder: Path) -> list[tuple[str, str]]:
    """Return the outcome of each run in the default study's sweep.csv, and the reason."""
    return [(row["outcome"], row["reason"]) for row in read(folder / "runs" / "default" / "sweep.csv")]


def only(folder: Path, pattern: str = "runs/*/*/seed*") -> Path:
    (run,) = folder.glob(pattern)
    return run


def owner(folder: Path, seed: int) -> int:
    """Return the process that holds a run's lock."""
    return int((only(folder, f"runs/*/*/seed{seed}") / ".lock").read_text().split()[1])


def start(folder: Path, *overrides: str, new_session: bool = False, **environment: str) -> subprocess.Popen:
    """Start a run, or with `-m` a sweep, as a process that can be watched and killed."""
    return subprocess.Popen(
        (sys.executable, "-m", "resnet.run", *small(*overrides)),
        cwd=folder, env=one_thread() | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=heed_interrupts, start_new_session=new_session,
    )  # fmt: skip


def wait_for(folder: Path, pattern: str, process: subprocess.Popen) -> None:
    """Wait until files match the pattern; the process must not end before that."""
    while not list(folder.glob(pattern)):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)


def begun(folder: Path, *overrides: str, study: str = "default", **environment: str) -> Path:
    """Return the folder of a run that was killed after its first epoch."""
    process = start(folder, *overrides, f"study={study}", **environment, **hold(folder))
    wait_for(folder, f"runs/{study}/*/*/checkpoint.pt", process)
    process.kill()
    process.wait()
    (folder / "hold").unlink()
    return only(folder, f"runs/{study}/*/*")
