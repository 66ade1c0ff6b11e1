"""Whole runs, most of them in separate processes: what they write, and that stopping them loses nothing."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from resnet.config import run_name
from resnet.errors import Diverged
from resnet.launch.compose import compose_config
from resnet.record.environment import git_state
from resnet.record.folder import RunFolder
from resnet.signals import Terminated, collected_signals, pending_signals, raise_on_signals
from resnet.training.model import Network
from tests.conftest import heed_interrupts, hold, imported, one_thread, small
from tests.resnet.conftest import edit
from tests.resnet.runs import assert_same, begun, only, read, start, wait_for

CONTRACT = set(
    "config.yaml metrics.csv layers.csv checkpoint.pt weights.safetensors result.json curves.png samples.png "
    "predictions.npy starts.jsonl run.log .hydra .lock".split()
)

COMPILER = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")  # the one that PyTorch uses
needs_a_compiler = pytest.mark.skipif(not shutil.which(shlex.split(COMPILER)[0]), reason="needs a C++ compiler")


def test_a_run_leaves_what_the_contract_says(train, tmp_path):
    done = train("seed=3", "study=mine", env={"PYTHONPROFILEIMPORTTIME": "1"})
    run = only(tmp_path)
    name = run_name(compose_config(small("study=mine")))
    assert run.relative_to(tmp_path).as_posix() == f"runs/mine/{name}/seed3" and name.startswith("blocks2-projection-")
    assert {p.name for p in run.iterdir()} == CONTRACT
    config = yaml.safe_load((run / "config.yaml").read_text())
    network = {"stages": [1, 1], "width": 8, "shortcut": "projection", "block": "basic", "norm": "batch"}
    network |= {"zero_init": False}
    assert config["model"] == {"name": "blocks2"} | network
    assert config["identity"]["model"] == {"stages": [1, 1], "width": 8}
    assert config["choices"]["model"] == "blocks4" and config["choices"]["data"] == "digits"
    rows = read(run / "metrics.csv")
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert (
        list(rows[0])
        == "epoch lr train_loss train_acc val_loss val_acc train_seconds val_seconds images_per_second".split()
    )
    result = json.loads((run / "result.json").read_text())
    assert result["status"] == "complete" and result["seed"] == 3 and result["depth"] == 6
    assert result["network"] == network | {"classes": 10, "channels": 1}
    cost = Network(**result["network"]).cost(size=8)
    assert (result["parameters"], result["multiply_adds"]) == (cost.parameters, cost.multiply_adds)
    assert result["final"]["val_acc"] == float(rows[-1]["val_acc"])
    assert result["best"]["val_acc"] == max(float(row["val_acc"]) for row in rows)
    taken = sum(float(row["train_seconds"]) + float(row["val_seconds"]) for row in rows)
    assert result["wall_seconds"] == pytest.approx(taken) and taken > 0  # the time left is estimated from it
    confusion = torch.tensor(result["test"]["confusion"])
    assert confusion.sum() == result["test"]["images"] == 360
    assert confusion.diagonal().sum() / 360 == pytest.approx(result["test"]["acc"])
    labels, predicted = np.load(run / "predictions.npy")
    assert (labels == predicted).mean() == pytest.approx(result["test"]["acc"])
    assert [[((labels == a) & (predicted == b)).sum() for b in range(10)] for a in range(10)] == confusion.tolist()
    (start,) = map(json.loads, (run / "starts.jsonl").read_text().splitlines())
    assert start["epoch"] == 0 and start["code"] == result["code"] and start["data"] == result["data"]["sha256"]
    weights, state = load_file(run / "weights.safetensors"), torch.load(run / "checkpoint.pt", weights_only=True)
    built = Network(**result["network"]).build().state_dict()
    assert weights.keys() == state["model"].keys() == built.keys() and state["epoch"] == 2
    assert all(torch.equal(weights[name], state["model"][name]) for name in weights)
    assert list(result["test"]["per_class_acc"]) == [str(digit) for digit in range(10)]
    assert result["git"] == git_state()
    assert result["versions"]["torch"] == torch.__version__.split("+")[0] and result["machine"]["threads"] >= 1
    assert "epoch 2/2  train " in done.stdout and "epoch 2/2  train " in (run / "run.log").read_text()
    assert re.search(r", fp32|, bf16", done.stdout) and ", 1 thread\n" in done.stdout
    assert done.stdout.splitlines()[-1] == f"curves: {run.relative_to(tmp_path)}/curves.png"
    assert "torch" in imported(done) and not imported(done) & {"tensorboard", "torch.utils.tensorboard", "wandb"}


def test_the_same_command_again_does_nothing(train, copied_run, tmp_path):
    before = {p: p.stat().st_mtime_ns for p in copied_run.iterdir() if p.name not in ("run.log", ".hydra", ".lock")}
    done = train("epochs.count=3", "study=mine")
    run = copied_run.relative_to(tmp_path)
    assert done.stdout.splitlines()[0] == f"{run}: already there"
    assert re.fullmatch(rf"{run}: complete, test accuracy \d+\.\d\d%", done.stdout.splitlines()[1])
    assert all(p.stat().st_mtime_ns == written for p, written in before.items())
    edit(copied_run, code="another")
    assert "already there, computed by other code" in train("epochs.count=3", "study=mine").stdout


def test_probes_do_not_touch_the_training(train, tmp_path, digits_run):
    layers = read(digits_run / "layers.csv")
    assert [(row["epoch"], row["layer"]) for row in layers] == [(e, str(n)) for e in "0123" for n in range(1, 7)]
    train("epochs.count=3", "probe_every=0")
    assert_same(only(tmp_path), digits_run)
    assert not (only(tmp_path) / "layers.csv").exists()


def test_without_validation_nothing_is_held_out(train_here):
    run = train_here("data.val_fraction=0", "epochs.count=1")
    assert read(run / "metrics.csv")[0]["val_acc"] == ""
    result = json.loads((run / "result.json").read_text())
    assert result["best"] is None and result["data"]["train_images"] == 1437


def test_training_can_end_at_a_step_within_an_epoch(train_here, capsys):
    schedule = ("schedule=multistep", "schedule.milestones=[0.85]")
    run = train_here("epochs.count=null", "epochs.steps=25", *schedule, "progress=bar")
    shown = capsys.readouterr().err
    assert "| 0/21 [" in shown and "| 0/4 [" in shown
    assert [row["lr"] for row in read(run / "metrics.csv")] == ["0.001", "0.0001"]  # 21 steps, then 4


def test_a_run_that_diverges_says_where_and_is_not_tried_again(train, tmp_path):
    overrides = ("optimizer=sgd", "optimizer.lr=100", "optimizer.weight_decay=10", "precision=fp32", "epochs.count=20")
    done = train(*overrides, code=1)
    failure = json.loads((only(tmp_path) / "failure.json").read_text())
    assert (
        failure["status"] == "diverged"
        and failure["error"] == f"the loss was not finite, first at step {failure['step']}"
    )
    epoch = len(read(only(tmp_path) / "metrics.csv")) + 1
    assert failure["epoch"] == epoch and 21 * (epoch - 1) <= failure["step"] < 21 * epoch
    assert "Traceback" not in done.stdout + done.stderr
    assert "diverged before" in train(*overrides, code=1).stdout


def test_a_killed_run_ends_with_the_same_bytes(train, tmp_path, digits_run):
    """For kills at every moment see test_kill_points.py."""
    killed = begun(tmp_path, "epochs.count=3")
    assert "resuming after epoch 1" in train("epochs.count=3").stdout
    assert_same(killed, digits_run, "config.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("signum, code, resume", [(signal.SIGTERM, 143, "auto"), (signal.SIGINT, 130, "never")])
def test_a_signal_stops_a_sweep_cleanly(tmp_path, signum, code, resume):
    process = start(tmp_path, "-m", "seed=0,1", "epochs.count=500", f"resume={resume}")
    wait_for(tmp_path, "runs/*/*/seed0/checkpoint.pt", process)
    process.send_signal(signum)
    output = process.communicate()[0]
    assert process.returncode == code, output
    assert f"stopped by {signal.Signals(signum).name} in epoch" in output
    again = {"auto": "the same command", "never": "the same command with resume=auto"}[resume]
    assert f"{again} resumes after epoch" in output
    assert re.search(r"stopped at \d+/500", output) and "not started" in output and "Traceback" not in output


LOSE_A_SIGNAL = """
import os, sys, weakref
import resnet.training.data, resnet.run

signum = int(sys.argv.pop(1))

class Thing: pass

def kill(reference):
    os.kill(os.getpid(), signum)
    for _ in range(1000): pass  # the exception is raised here, where Python can only print it

def load(load=resnet.training.data.load, **settings):
    thing = Thing()
    reference = weakref.ref(thing, kill)
    del thing
    return load(**settings)

resnet.training.data.load = load
resnet.run.cli()
"""


@pytest.mark.slow
@pytest.mark.parametrize("signum, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_whose_exception_is_lost_still_stops_a_run(tmp_path, signum, code):
    """This once happened in the middle of compiling, in the callback of a weak reference."""
    command = (sys.executable, "-c", LOSE_A_SIGNAL, str(int(signum)), *small("epochs.count=500"))
    options = {"capture_output": True, "text": True, "preexec_fn": heed_interrupts}
    done = subprocess.run(command, cwd=tmp_path, env=one_thread(), timeout=1800, **options)
    assert "Exception ignored in" in done.stderr
    assert done.returncode == code, done.stdout + done.stderr
    assert f"stopped by {signal.Signals(signum).name} in epoch 1" in done.stdout


def test_a_signal_that_the_shell_ignores_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with collected_signals() as received:
            os.kill(os.getpid(), signal.SIGINT)
        assert received == [] and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_second_signal_is_not_collected():
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        raise_on_signals()
        with pytest.raises(Terminated), collected_signals() as received:
            os.kill(os.getpid(), signal.SIGTERM)
            first = list(received)
            os.kill(os.getpid(), signal.SIGTERM)
        assert first == [signal.SIGTERM]
    finally:
        pending_signals.clear()
        for signum, handler in before.items():
            signal.signal(signum, handler)


def test_two_processes_do_not_share_a_folder(tmp_path):
    first = start(tmp_path, "epochs.count=500", **hold(tmp_path))
    wait_for(tmp_path, "runs/*/*/seed0/metrics.csv", first)
    second = start(tmp_path, "epochs.count=500")
    output = second.communicate()[0]
    first.kill()
    first.wait()
    assert second.returncode == 1 and f"in use by process {first.pid} on {os.uname().nodename}" in output


@pytest.mark.slow
def test_a_run_records_every_process_that_computed_it(train, tmp_path):
    run = begun(tmp_path, OMP_NUM_THREADS="2")
    epoch = torch.load(run / "checkpoint.pt", weights_only=True)["epoch"]
    train()
    starts = list(map(json.loads, (run / "starts.jsonl").read_text().splitlines()))
    assert [(start["epoch"], start["machine"]["threads"]) for start in starts] == [(0, 2), (epoch, 1)]
    assert json.loads((run / "result.json").read_text())["machine"]["threads"] == 1


def test_weights_that_explode_in_the_last_step_are_divergence(train_here, tmp_path):
    """A training loss is computed before its step, so only the validation sees what the last step did."""
    explosive = ("optimizer=sgd", "optimizer.lr=100", "model.norm=none", "precision=fp32")
    with pytest.raises(Diverged, match="loss was not finite"):
        train_here(*explosive, "epochs.count=null", "epochs.steps=3")
    run = RunFolder(only(tmp_path))
    assert run.state() == "diverged" and "loss was not finite" in run.failure()["error"]


@needs_a_compiler
@pytest.mark.slow
def test_a_compiled_run_ends_with_the_same_bytes_after_a_kill(train, tmp_path):
    """Nine networks in one process, of which PyTorch by default compiles eight; then the last one again, killed."""
    overrides = ("compile=true", "precision=auto", "epochs.count=3", "model.stages=[1]")
    done = train(*overrides, "-m", f"seed={','.join(map(str, range(9)))}", "study=whole")
    assert done.stdout.count("compiled in ") == 9
    killed = begun(tmp_path, *overrides, "seed=8", study="killed")
    assert "resuming after epoch" in train(*overrides, "seed=8", "study=killed").stdout
    assert_same(killed, only(tmp_path, "runs/whole/*/seed8"))
    assert json.loads((killed / "result.json").read_text())["compiled"] is True


@pytest.mark.slow
def test_without_a_compiler_it_says_so_and_continues(train, tmp_path):
    caches = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = train("compile=true", env=caches | {"CXX": "/nowhere/c++"})
    (answer,) = [line for line in done.stdout.splitlines() if line.startswith("compile: continuing without it, ")]
    assert "compiler" in answer.lower() and "Traceback" not in done.stdout + done.stderr
    assert json.loads((only(tmp_path) / "result.json").read_text())["compiled"] is False


@needs_a_compiler
@pytest.mark.slow
def test_compiling_for_a_cpu_does_not_mention_cuda(train):
    """PyTorch itself does if it finds CUDA's compiler, or is told that there is one, but no GPU."""
    done = train("compile=true", "epochs.count=1", env={"CUDA_HOME": "/nowhere", "CUDA_VISIBLE_DEVICES": ""})
    assert "compiled in " in done.stdout and "CUDA" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_network_learns_cifar10(command, tmp_path, cifar10):
    """A fifth of an epoch of the real thing: chance is 10 %."""
    command("resnet.run", "model=blocks4", "data.limit=1000", "epochs.count=1", f"data.root={cifar10}")
    row = read(only(tmp_path) / "metrics.csv")[0]
    assert float(row["train_acc"]) > 0.25 and float(row["train_loss"]) < 2.1
