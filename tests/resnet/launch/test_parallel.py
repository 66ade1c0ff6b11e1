"""Several runs at once on one machine: hydra/launcher=parallel, with the real joblib."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import joblib
import pytest
from hydra import compose, initialize_config_dir

from resnet.launch.compose import CONF, VERSION_BASE, compose_config
from resnet.launch.sweeper import runs_at_once
from resnet.record.folder import RecordError, RunFolder
from resnet.session import run_or_resume
from tests.conftest import hold, small
from tests.resnet import runs
from tests.resnet.runs import assert_as_if_undisturbed, owner, summary

pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason='needs pip install -e ".[parallel]"')
PARALLEL = ("-m", "hydra/launcher=parallel", "hydra.launcher.n_jobs=2")


def start(folder: Path, *overrides: str, epochs: int = 400, **environment: str) -> subprocess.Popen:
    """Start a sweep of long runs, two at a time; return when two have finished an epoch."""
    sweep = runs.start(folder, *PARALLEL, f"epochs.count={epochs}", *overrides, new_session=True, **environment)
    while len(list(folder.glob("runs/*/*/*/checkpoint.pt"))) < 2:
        assert sweep.poll() is None, sweep.stdout.read()
        time.sleep(0.02)
    return sweep


def orphans(folder: Path) -> list[int]:
    """Wait up to ten minutes for the processes in the folder to end; return those that have not."""
    deadline = time.monotonic() + 600
    while (found := processes(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def processes(folder: Path) -> list[int]:
    """Return the processes whose working directory is the folder."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and (process / "cwd").resolve() == folder.resolve():
                found.append(int(process.name))
        except OSError:  # has ended meanwhile, or is not ours to look at
            continue
    return found


@pytest.mark.slow
def test_a_parallel_sweep_leaves_the_same_files_as_a_serial_one(train, tmp_path):
    grid = ("seed=0,1", "model.shortcut=projection,none")
    done = train(*PARALLEL, *grid)
    assert_as_if_undisturbed(train, tmp_path, *grid)
    assert [outcome for _, outcome in summary(tmp_path)] == ["complete"] * 4
    (line,) = [line for line in done.stdout.splitlines() if "seed1: epoch 2/2" in line and "-none-" in line]
    assert line.startswith("blocks2-none-") and len(line) <= 80, "the lines of parallel runs name their run"
    places = re.findall(r"/seed\d: (\d) of 4(?: · about .+ left)?$", done.stdout, re.MULTILINE)
    assert sorted(places) == ["1", "2", "3", "4"]
    assert re.search(r": 4 of 4 · about .+ left$", done.stdout, re.MULTILINE)
    assert "Joblib.Parallel" not in done.stdout and "\t#0" not in done.stdout
    again = train(*PARALLEL, *grid)
    assert "4 runs: 4 already there, 0 to do" in again.stdout


@pytest.mark.slow
def test_a_failing_run_does_not_stop_the_others(train, tmp_path):
    done = train(*PARALLEL, "batch_size=5000,64", "epochs.count=1", code=1)
    assert "batch_size=5000: must be at most" in done.stdout
    assert sorted(outcome for _, outcome in summary(tmp_path)) == ["complete", "failed"]


@pytest.mark.slow
def test_the_runs_of_a_killed_worker_resume(tmp_path):
    """Even with resume=never, which has already taken effect by then."""
    sweep = start(tmp_path, "seed=0,1,2", "resume=never")
    os.kill(owner(tmp_path, 0), signal.SIGKILL)
    time.sleep(0.1)
    while "one by one" not in (line := sweep.stdout.readline()):
        assert line, "the sweep continues by itself"
    assert "2 of 3 runs" in line, "those in progress; the third had not started"
    while "resuming after epoch" not in (line := sweep.stdout.readline()):
        assert line and "starting" not in line
    sweep.terminate()
    assert sweep.wait() == 143
    assert not orphans(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("send, signum, code", [(os.kill, signal.SIGTERM, 143), (os.killpg, signal.SIGINT, 130)])
def test_a_signal_ends_the_sweep_and_all_of_its_workers(tmp_path, send, signum, code):
    sweep = start(tmp_path, "seed=0,1,2")
    send(sweep.pid, signum)  # to the sweep alone, as a supervisor does, or to all of its processes, as Ctrl-C does
    output = sweep.communicate(timeout=1800)[0]
    assert sweep.returncode == code and "Traceback" not in output, output
    assert summary(tmp_path) == [("seed0", "unfinished"), ("seed1", "unfinished"), ("seed2", "not started")]
    assert not orphans(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGHUP])
def test_the_workers_of_a_killed_sweep_finish_their_runs(tmp_path, signum):
    """They are held after an epoch until the kill; once done, they wait joblib's five minutes for more work."""
    small_ones = ("data.limit=20", "probe_every=0")
    sweep = start(tmp_path, "seed=0,1,2", *small_ones, epochs=40, **hold(tmp_path))
    workers: list[int] = []
    try:
        config = compose_config(small("epochs.count=40", *small_ones))
        runs = {path.parent.name: RunFolder(path.parent) for path in tmp_path.glob("runs/*/*/*/checkpoint.pt")}
        workers += [owner(tmp_path, seed) for seed in (0, 1)]
        sweep.send_signal(signum)
        sweep.wait()
        with pytest.raises(RecordError, match=f"in use by process {workers[0]}"):
            run_or_resume(runs["seed0"], config)
        end = time.monotonic() + 600
        while any(run.state() != "complete" for run in runs.values()):
            assert {*workers} <= {*processes(tmp_path)} and time.monotonic() < end
            time.sleep(0.05)
        assert runs.keys() == {"seed0", "seed1"} and not list(tmp_path.glob("runs/*/*/seed2"))
    finally:
        for worker in {*workers} & {*processes(tmp_path)}:
            os.kill(worker, signal.SIGKILL)


@pytest.mark.parametrize("given, runs", [([], 5), (["hydra.launcher.n_jobs=4"], 4)])
def test_without_a_gpu_there_is_one_run_per_core(monkeypatch, given, runs):
    monkeypatch.setattr("resnet.training.device.cpu_count", lambda: 5)
    with initialize_config_dir(str(CONF), **VERSION_BASE):
        composed = compose("config", ["hydra/launcher=parallel", "device=cpu", *given], return_hydra_config=True)
        assert runs_at_once(composed.hydra) == runs


@pytest.mark.slow
def test_each_run_has_its_share_of_the_cores_or_omp_num_threads(train, tmp_path):
    grid = ("seed=0,1", "epochs.count=1", "data.limit=20")
    train(*PARALLEL[:2], *grid, "study=given", env={"OMP_NUM_THREADS": "2"})
    train(*PARALLEL, *grid, "study=shared", env={"OMP_NUM_THREADS": None})
    for study, threads in (("given", 2), ("shared", max(joblib.cpu_count() // 2, 1))):
        results = [json.loads(path.read_text()) for path in tmp_path.glob(f"runs/{study}/*/*/result.json")]
        assert [result["machine"]["threads"] for result in results] == [threads, threads]
