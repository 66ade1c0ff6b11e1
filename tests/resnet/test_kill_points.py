"""Kill a run at every change on the disk and at every step, then resume it: it must end with the same bytes.

The kills are simulated in this process by an exception that the run does not catch, so the disk is left as SIGKILL
would leave it. For real kills see test_run.py and tests/soak.py.
"""

import builtins
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import resnet.training.data
import resnet.training.trainer
from resnet.config import Config
from resnet.record.folder import RunFolder
from resnet.session import run_or_resume
from resnet.signals import Interrupted
from resnet.training.device import resolve_precision
from tests.resnet.runs import configuration, without_times


class Killed(BaseException):
    """Simulates SIGKILL."""


class Moments:
    """Count the moments at which a run may be killed, and kill it at the `last`."""

    def __init__(self, last: int | None = None):
        self.seen, self.last = 0, last

    def __call__(self) -> None:
        self.seen += 1
        if self.seen == self.last:
            raise Killed


def before(moment, function):
    """Return the function with a moment before it, at which the run may be killed."""

    def wrapped(*arguments, **options):
        moment()
        return function(*arguments, **options)

    return wrapped


def torn(moment):
    """Return an `open` whose files are written in two halves, with a moment between them."""

    def wrapped(path, mode):
        moment()
        file = builtins.open(path, mode)  # noqa: SIM115  closed by the caller's with
        whole = file.write

        class Torn:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                file.close()

            def write(self, content):
                whole(content[: len(content) // 2])
                file.flush()
                moment()
                whole(content[len(content) // 2 :])

            flush, fileno = file.flush, file.fileno

        return Torn()

    return wrapped


def attempt(folder: Path, config: Config, last: int | None = None) -> int:
    """Run, or resume, until the end or the `last` moment; return the number of moments reached."""
    moments = Moments(last)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("resnet.record.pictures.draw_samples", lambda *_: b"samples")
        patch.setattr("resnet.record.pictures.draw_curves", lambda *_: b"curves")
        patch.setattr("resnet.record.environment.git_state", dict)
        patch.setattr("resnet.record.files.open", torn(moments), raising=False)
        patch.setattr(resnet.training.trainer, "set_lr", before(moments, resnet.training.trainer.set_lr))
        patch.setattr(os, "fsync", lambda _: moments())  # no sync: SIGKILL loses nothing that was written
        for place, name in ((os, "replace"), (Path, "unlink"), (Path, "rename")):
            patch.setattr(place, name, before(moments, getattr(place, name)))
        folder.mkdir(exist_ok=True)
        try:
            run_or_resume(RunFolder(folder), config)
        except Killed:
            pass
    return moments.seen


@pytest.fixture(autouse=True, scope="module")
def cheap():
    """Compute on one thread, which is fastest for so little work, and read the images once."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("resnet.training.data._digits", cache(resnet.training.data._digits))
        yield
    torch.set_num_threads(threads)


def left_in(folder: Path) -> dict:
    """Return what a run leaves, except for times; check that its recorded starts can be read."""
    assert RunFolder(folder).starts()
    result = json.loads((folder / "result.json").read_text())
    del result["wall_seconds"]
    left = {name: (folder / name).read_bytes() for name in ("weights.safetensors", "layers.csv", "config.yaml")}
    return left | {"metrics": without_times(folder), "result": result, "names": {p.name for p in folder.iterdir()}}


@pytest.mark.slow
def test_a_run_killed_at_any_moment_ends_with_the_same_bytes(tmp_path):
    config = configuration()
    moments = attempt(tmp_path / "whole", config)
    whole = left_in(tmp_path / "whole")
    assert len(whole["metrics"]) == 4 and moments > 60
    for last in range(1, moments + 1):
        folder = tmp_path / str(last)
        attempt(folder, config, last)
        attempt(folder, config)
        assert left_in(folder) == whole, f"killed at moment {last} of {moments}"


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_with_the_same_bytes(tmp_path):
    config = configuration(precision="fp32")
    attempt(tmp_path / "whole", config)
    folder, last = tmp_path / "stopped", 1
    while attempt(folder, config, last) == last:
        last += 1
    assert last > 20 and left_in(folder) == left_in(tmp_path / "whole")


@pytest.mark.slow
def test_a_run_killed_while_starting_over_ends_with_the_same_bytes(tmp_path):
    config = configuration()
    attempt(tmp_path / "whole", config)
    whole = left_in(tmp_path / "whole")
    for last in range(1, 15):
        folder = tmp_path / str(last)
        shutil.copytree(tmp_path / "whole", folder)
        attempt(folder, replace(config, resume="never"), last)
        assert last == 1 or RunFolder(folder).state() != "complete", "half archived"
        attempt(folder, config)
        left = left_in(folder)
        assert all(left[part] == whole[part] for part in ("weights.safetensors", "metrics"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return a function that returns what a configuration leaves when it is not killed."""
    ends = {}

    def of(*choices: str) -> dict:
        if choices not in ends:
            folder = tmp_path_factory.mktemp("whole")
            attempt(folder, configuration(*choices))
            ends[choices] = left_in(folder)
        return ends[choices]

    return of


PAIRS = [("adam", "onecycle"), ("adamw", "multistep"), ("sgd", "cosine"), ("sgd", "constant")]
PRECISIONS = sorted({"fp32", resolve_precision("auto", torch.device("cpu"))})
MOMENTS = st.integers(1, 70).map(lambda n: 71 - n)  # hypothesis starts with the simplest, here a late one


@pytest.mark.parametrize(
    "choices",
    [
        pytest.param((*pair, precision), marks=[pytest.mark.slow] * (precision != "fp32" and pair != PAIRS[0]))
        for pair, precision in product(PAIRS, PRECISIONS)
    ],
    ids="-".join,
)
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(MOMENTS, min_size=1, max_size=3))
def test_any_configuration_killed_anywhere_ends_with_the_same_bytes(tmp_path_factory, whole, choices, stops):
    folder = tmp_path_factory.mktemp("stopped")
    seen = [attempt(folder, configuration(*choices), last) for last in stops]
    assert seen[0] == stops[0], "the run was killed"
    attempt(folder, configuration(*choices))
    assert left_in(folder) == whole(*choices)


@pytest.mark.slow
def test_the_soak_kills_real_processes(tmp_path):
    soak = Path(__file__).parents[1] / "soak.py"
    command = (sys.executable, soak, "--rounds", "1", "--epochs", "3")
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0 and "1 of 1 killed runs ended with the bytes" in done.stdout, done.stdout + done.stderr


def test_the_test_set_is_read_once_at_the_end(tmp_path, monkeypatch):
    seen, evaluate = [], resnet.training.trainer.Trainer.evaluate

    def noted(trainer, split):
        seen.append(len(split))
        return evaluate(trainer, split)

    monkeypatch.setattr(resnet.training.trainer.Trainer, "evaluate", noted)
    attempt(tmp_path, configuration())
    validation = len(left_in(tmp_path)["metrics"]) - 1
    assert seen[-1] == 360 and len(seen) == validation + 1 and 360 not in seen[:-1]


def test_a_signal_in_the_last_validation_is_not_lost(tmp_path, monkeypatch):
    """The run stops short of its result, so a sweep does not start the next one."""
    evaluate, calls = resnet.training.trainer.Trainer.evaluate, []

    def signalled(trainer, split):
        calls.append(split)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return evaluate(trainer, split)

    monkeypatch.setattr(resnet.training.trainer.Trainer, "evaluate", signalled)
    config = configuration()
    with pytest.raises(Interrupted, match="stopped by SIGTERM in epoch 3"):
        run_or_resume(RunFolder(tmp_path), config)
    assert RunFolder(tmp_path).state() == "unfinished" and len(RunFolder(tmp_path).metrics()) == 3
    run_or_resume(RunFolder(tmp_path), config)
    assert RunFolder(tmp_path).state() == "complete"
