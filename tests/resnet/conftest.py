"""Fixtures and helpers: a finished run on digits, a run with a network for colour photographs, a folder of pictures."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from resnet.errors import Explain, exit_on_error, explain_os_error
from resnet.launch.compose import compose_config
from resnet.record.folder import RunFolder
from resnet.session import run_or_resume
from resnet.signals import STOPS
from resnet.training.model import Network
from tests.conftest import small

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory) -> Path:
    """Return the folder of a complete run on digits, shared by all tests: do not change it.

    It trains on one thread; several would get in each other's way on so small a network.
    """
    folder = tmp_path_factory.mktemp("digits")
    command = [sys.executable, "-m", "resnet.run", *small("epochs.count=3")]
    subprocess.run(command, cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, capture_output=True)
    (run,) = folder.glob("runs/*/*/seed0")
    return run


@pytest.fixture
def train_here(tmp_path):
    """Return a function that trains a very small network on digits in this process, and returns its run's folder."""

    def run(*overrides: str) -> Path:
        folder = tmp_path / "runs" / "mine" / "here" / "seed0"
        folder.mkdir(parents=True)
        run_or_resume(RunFolder(folder), compose_config(small(*overrides)))
        return folder

    return run


@pytest.fixture
def copied_run(digits_run, tmp_path) -> Path:
    """Return a copy of the `digits_run` folder, for tests that damage it."""
    return Path(shutil.copytree(digits_run, tmp_path / "runs" / "mine" / digits_run.parent.name / "seed0"))


@pytest.fixture
def photo_run(copied_run) -> Path:
    """Return a folder like that of a run on 32x32 photographs, but with random weights instead of trained ones."""
    data = {"name": "cifar10", "size": 32, "mean": [125.3, 123.0, 113.9], "std": [63.0, 62.1, 66.7], "sha256": ""}
    test = {"acc": 0.1, "loss": 2.3, "per_class_acc": dict.fromkeys(CLASSES, 0.1)}
    network = Network((1, 1), 8, "pad")
    edit(copied_run, data=data, network=network.as_dict(), test=test)
    torch.manual_seed(0)
    weights = network.build().state_dict()
    for name, weight in weights.items():
        if name.endswith("running_mean"):  # not zero, as after training
            weight.normal_()
    save_file(weights, copied_run / "weights.safetensors")
    return copied_run


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Return a folder of 20 training and 10 test pictures of two classes, in various sizes and formats."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 10), ("test", 5)):
        for name, value in (("dark", 40), ("light", 200)):
            folder = tmp_path / "pics" / part / name
            folder.mkdir(parents=True)
            for n in range(count):
                pixels = rng.integers(value - 30, value + 30, (20 + n, 24, 3)).astype("uint8")
                Image.fromarray(pixels).save(folder / f"{n}.{('png', 'jpg')[n % 2]}")
            (folder / "notes.txt").write_text("no picture")
    return tmp_path / "pics"


def edit(run: Path, **changes) -> None:
    """Replace keys of a run's result.json."""
    result = json.loads((run / "result.json").read_text())
    (run / "result.json").write_text(json.dumps(result | changes))


def exit_code(main: Callable[[Sequence[str]], int], *arguments: str, explain: Explain = explain_os_error) -> int:
    """Call a command's `main` in this process and return its exit code; restore the signal handlers."""
    before = {signum: signal.getsignal(signum) for signum in STOPS}
    try:
        with exit_on_error(explain):
            return main(arguments)
    except SystemExit as stop:
        assert isinstance(stop.code, int)
        return stop.code
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
