"""The benchmark runs and prints what it promises; no test checks how fast anything is."""

import csv
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from resnet.benchmark import bench as bench_module
from resnet.benchmark.__main__ import main
from resnet.benchmark.bench import STEPS, Bench, in_turns
from resnet.launch.messages import explain_hydra
from tests.conftest import heed_interrupts, one_thread
from tests.resnet.conftest import exit_code


@pytest.mark.slow
def test_it_measures_the_four_speeds_side_by_side(command, tmp_path):
    done = command("resnet.benchmark", "model.stages=[1]", "model.width=8", "batch_size=16", "device=cpu")
    assert "imports" in done.stdout and "start and composition" in done.stdout and "peak memory" in done.stdout
    with open(tmp_path / "benchmark-speed.csv", newline="") as file:
        rows = {row["what"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["tutorial", "ours", "compute only", "limit"]
    ours = int(rows["ours"]["images/s"])
    for row in rows.values():
        other = int(row["images/s"])
        rounding = ours / other * (0.5 / ours + 0.5 / other) + 0.0005
        assert float(row["ours / it"]) == pytest.approx(ours / other, abs=1.1 * rounding)


@pytest.mark.slow
@pytest.mark.parametrize("signum, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_when_stopped_it_says_so_without_a_traceback(tmp_path, signum, code):
    """Ctrl-C reaches the tutorial's processes too, SIGTERM only the main process."""
    command = (sys.executable, "-m", "resnet.benchmark", "model.stages=[1]", "model.width=8", "device=cpu")
    command += ("compile=false",)  # compiling would start more processes
    options = {"cwd": tmp_path, "text": True, "env": one_thread(), "preexec_fn": heed_interrupts}
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True, **options) as benchmark:
        while processes(benchmark.pid) < 5:  # the benchmark, multiprocessing's tracker, the tutorial, its two workers
            time.sleep(0.2)
            assert benchmark.poll() is None
        (os.killpg if signum == signal.SIGINT else os.kill)(benchmark.pid, signum)
        said = benchmark.communicate(timeout=1800)[1]
    assert "stopped" in said.splitlines() and "Traceback" not in said, said  # libraries may warn as they end
    assert benchmark.returncode == code


def processes(group: int) -> int:
    """Return the number of processes in a process group."""
    done = subprocess.run(("ps", "-A", "-o", "pgid="), capture_output=True, text=True, check=True)
    return done.stdout.split().count(str(group))


def test_help_names_the_sections(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["resnet.benchmark", "--help"])
    main()
    page = capsys.readouterr().out
    assert all(f"resnet.benchmark {name} " in page for name in ("harness", "scaling", "seeds", "sweep", "plan"))


def test_an_epoch_has_all_the_steps_that_are_measured():
    assert Bench(["batch_size=512"]).steps_per_epoch == STEPS


@pytest.mark.parametrize(
    "argument, answer",
    [
        ("fast", "fast: must be one of speed, "),
        ("batch_size=0", "batch_size=0: must lie"),
        ("model=blocks3,blocks4", "model=blocks3,blocks4: give one value"),
        ("data=digits", "data=digits: here all images are random"),
    ],
)
def test_a_wrong_argument_gets_a_one_line_error(monkeypatch, capsys, argument, answer):
    monkeypatch.setattr(sys, "argv", ["resnet.benchmark", argument])
    monkeypatch.setattr("resnet.benchmark.__main__.set_up_process", lambda: None)
    assert exit_code(lambda _: main(), explain=explain_hydra) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {answer}")


@pytest.mark.slow
def test_hydras_own_errors_are_explained_by_the_command(command):
    done = command("resnet.benchmark", "model=none", code=2)
    assert done.stderr.splitlines()[-1].startswith("error: model=none: ") and "Traceback" not in done.stderr


def test_on_a_gpu_it_names_the_card_and_counts_that_cards_memory(monkeypatch):
    bench = Bench(["device=cpu"])
    bench.device = torch.device("cuda", 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"NVIDIA L4 {device.index}")
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3 * 2**30 if device.index == 1 else 0)
    assert bench.device_name() == "NVIDIA L4 1" and bench.peak_memory() == "3072 MiB on the GPU"


@pytest.mark.parametrize("first, each", [(5.0, 0.01), (0.01, 0.01), (0.4, 0.4), (9.0, 2.0)])
def test_it_warms_up_for_half_a_second_and_measures_for_at_least_a_second(monkeypatch, first, each):
    """However long the first call takes, which loads libraries and chooses kernels."""
    now, calls = [0.0], []

    def call() -> None:
        now[0] += each if calls else first
        calls.append(now[0])

    monkeypatch.setattr(bench_module.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(bench_module.time, "sleep", lambda seconds: None)
    speeds = in_turns({"it": (call, 10)}, lambda: None)
    assert speeds["it"] == pytest.approx(10 / each)
    measured = now[0] - first - 0.5
    assert measured >= 1 and len(calls) * each >= 1.5
