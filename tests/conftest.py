"""What the tests share: real processes, small real data, and CIFAR-10 if it is there."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

os.environ.pop("RESNET_RUNS", None)  # no test may see the user's runs
SMALL = {"data": "digits", "model.stages": "[1,1]", "model.width": "8", "epochs.count": "2", "device": "cpu"}


@pytest.fixture
def command(tmp_path):
    """Return a function that runs `python -m MODULE ARGUMENT...` in an empty folder and checks its exit code."""

    def run(module: str, *arguments: str, code: int | None = 0, **options) -> subprocess.CompletedProcess:
        environment = one_thread() | options.pop("env", {})
        environment = {name: value for name, value in environment.items() if value is not None}
        done = subprocess.run(
            (sys.executable, "-m", module, *arguments),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=1800,  # keeps a hung command from waiting forever; ample even on a slow machine
            **options,
        )
        if code is not None:
            assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def one_thread() -> dict[str, str]:
    """Return the environment without the user's data and trackers, and with one thread.

    Small networks are no faster on two threads; on a busy machine they are forty times slower.
    """
    kept = {
        name: value for name, value in os.environ.items() if name != "RESNET_DATA" and not name.startswith("WANDB_")
    }
    return kept | {"OMP_NUM_THREADS": "1"}


def imported(done: subprocess.CompletedProcess) -> set[str]:
    """Return the modules imported by a command that ran with PYTHONPROFILEIMPORTTIME=1."""
    return {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def hold(folder: Path, ending: str = "checkpoint.pt") -> dict[str, str]:
    """Return the environment that makes a process pause after it writes a file whose path ends in `ending`.

    It continues when a signal arrives, or when the test removes the file `hold` from the folder.
    """
    (folder / "hold").write_text(ending)
    path = [str(Path(__file__).with_name("hold")), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"HOLD": str(folder / "hold"), "PYTHONPATH": os.pathsep.join(path)}


def heed_interrupts() -> None:
    """Restore default handlers in a child: shells make background jobs ignore SIGINT, and nohup ignores SIGHUP."""
    for signum in (signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)


def small(*overrides: str) -> list[str]:
    """Return the arguments for a very small network on digits, except where the overrides differ."""
    given = {override.split("=")[0] for override in overrides}
    return [*overrides, *(f"{key}={value}" for key, value in SMALL.items() if key not in given)]


@pytest.fixture
def train(command):
    """Return a function that trains a very small network on digits: `train("-m", "seed=0,1")`."""
    return lambda *overrides, **options: command("resnet.run", *small(*overrides), **options)


@pytest.fixture(scope="session")
def cifar10() -> Path:
    """Return the folder of the real CIFAR-10, named by RESNET_DATA; skip the test if there is none."""
    root = Path(os.environ.get("RESNET_DATA", ""))
    if not (root / "cifar-10-batches-py").is_dir():
        pytest.skip("needs CIFAR-10: set RESNET_DATA to the folder that holds cifar-10-batches-py")
    return root.resolve()
