"""Sweeps on a cluster: hydra/launcher=slurm, with a real Slurm whose only node is this machine."""

import errno
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from resnet.errors import ConfigError
from resnet.launch.slurm import job, queue
from resnet.launch.slurm.job import SIGNALS, RunJob, Unsuccessful, still_wanted
from resnet.record.folder import RecordError, RunFolder
from tests.conftest import heed_interrupts, hold, one_thread, small
from tests.resnet.launch.cluster import slurm, wait_until, why_no_slurm
from tests.resnet.runs import assert_as_if_undisturbed, owner, summary

pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason='needs pip install -e ".[slurm]"')
OURS = "defaults: [slurm]\narray_parallelism: 3\nsetup: [touch prepared]\n"
SLURM = ("-m", "hydra/launcher=slurm", "hydra.launcher.cpus_per_task=1")

MARKED = "+hydra.callbacks.mark._target_=marks.Mark"
CALLBACK = """
from pathlib import Path
from hydra.experimental.callback import Callback
class Mark(Callback):
    def on_job_end(self, config, job_return, **kwargs):
        Path(config.hydra.runtime.output_dir, "job.txt").write_text(config.hydra.job.id)
"""


def on_a_cluster(test):
    """Mark a test as slow and as needing Slurm; together, these tests take minutes."""
    return pytest.mark.slow(pytest.mark.slurm(test))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Start a Slurm that runs four jobs at once; yield the environment that its commands need."""
    with a_cluster(tmp_path_factory.mktemp("slurm"), cpus=4) as environment:
        yield environment


def a_cluster(folder: Path, **options):
    if reason := why_no_slurm():
        pytest.skip(reason)
    return slurm(folder, **options)


class Sweep:
    """A sweep started in a folder, on a cluster."""

    def __init__(self, folder: Path, cluster: dict[str, str], *overrides: str):
        self.folder, self.environment = folder, one_thread() | cluster
        arguments = sorted([*SLURM, *small(*overrides)], key=lambda word: word[0] != "-")  # options first
        command = (sys.executable, "-m", "resnet.run", *arguments)
        self.output = folder / f"sweep{len(list(folder.glob('sweep*')))}.log"
        options = {"cwd": folder, "env": self.environment, "preexec_fn": heed_interrupts}
        with open(self.output, "w") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, **options)

    def ask(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def wait_for(self, true: Callable[[], bool], what: str) -> None:
        """Wait until `true()` holds; the sweep must not end before that."""

        def reached() -> bool:
            ended = self.process.poll() is not None
            now = true()
            assert now or not ended, self.output.read_text()
            return now

        wait_until(reached, what)

    def wait_for_files(self, count: int, name: str = "checkpoint.pt") -> None:
        """Wait until `count` runs have the file `name`."""
        self.wait_for(lambda: len(list(self.folder.glob(f"runs/*/*/*/{name}"))) >= count, f"{count} {name}")

    def go_on(self) -> None:
        """Let the runs that are held continue."""
        (self.folder / "hold").unlink()

    def jobs(self) -> list[str]:
        return self.ask("squeue", "--noheader", "--array", "--format=%i").split()

    def end(self) -> str:
        """Wait for the sweep to end; return what it printed."""
        self.process.wait(timeout=1800)
        return self.output.read_text()

    def arrays(self) -> list[Path]:
        return list(self.folder.glob("runs/.slurm/*/*_submission.sh"))

    def submitted(self) -> list[Path]:
        return list(self.folder.glob("runs/.slurm/*/*_submitted.pkl"))

    def logs(self) -> str:
        return "".join(path.read_text() for path in sorted(self.folder.glob("runs/.slurm/*/*_log.out")))


@on_a_cluster
def test_an_array_leaves_the_same_files_as_a_serial_sweep(cluster, train, tmp_path):
    (tmp_path / "conf" / "hydra" / "launcher").mkdir(parents=True)  # for the cluster's own settings
    (tmp_path / "conf" / "hydra" / "launcher" / "ours.yaml").write_text(OURS)
    grid = ("seed=0,1,2", "model.shortcut=projection,none")
    (tmp_path / "marks.py").write_text(CALLBACK)
    sweep = Sweep(tmp_path, cluster, "--config-dir=conf", *grid, "hydra/launcher=ours", MARKED)
    assert "6 runs: 0 already there, 6 to do" in sweep.end() and sweep.process.returncode == 0
    for run in tmp_path.glob("runs/default/*/*"):
        assert "complete, test accuracy" in (run / "run.log").read_text()
        assert yaml.safe_load((run / ".hydra" / "config.yaml").read_text())["seed"] == int(run.name[-1])
        assert re.fullmatch(r"\d+_\d", (run / "job.txt").read_text()), "written by the job's callback"
    assert [outcome for _, outcome in summary(tmp_path)] == ["complete"] * 6
    (array,) = sweep.arrays()
    assert "#SBATCH --array=0-5%3" in array.read_text() and (tmp_path / "prepared").exists()
    assert re.search(r": 6 of 6( · about \d+ s left)?$", sweep.logs(), re.MULTILINE), "a job logs its place"
    assert_as_if_undisturbed(train, tmp_path, *grid)
    again = train(*SLURM, *grid, env=cluster)
    assert "6 runs: 6 already there, 0 to do" in again.stdout and sweep.arrays() == [array]


@on_a_cluster
def test_a_dead_job_is_a_failed_run(cluster, train, tmp_path):
    sweep = Sweep(tmp_path, cluster | hold(tmp_path), "seed=0,1")
    sweep.wait_for_files(2)
    os.kill(owner(tmp_path, 0), signal.SIGKILL)
    sweep.go_on()
    output = sweep.end()
    assert sweep.process.returncode == 1 and "Traceback" not in output, output
    assert summary(tmp_path) == [("seed0", "failed"), ("seed1", "complete")]
    (failure,) = tmp_path.glob("runs/*/*/seed0/failure.json")
    assert re.match(r"its Slurm job \d+_0 died, state FAILED", json.loads(failure.read_text())["error"])
    again = train(*SLURM, "seed=0,1", env=cluster)
    assert "2 runs: 1 already there, 1 to do" in again.stdout and "resuming after epoch" in sweep.logs()
    assert summary(tmp_path) == [("seed0", "complete"), ("seed1", "already there")]
    assert_as_if_undisturbed(train, tmp_path, "seed=0,1")


@on_a_cluster
def test_a_requeued_run_resumes(cluster, train, tmp_path):
    """Even with resume=never, which a job obeys once, and with a sweeper other than this project's."""
    sweep = Sweep(tmp_path, cluster | hold(tmp_path), "seed=0", "resume=never", "hydra/sweeper=basic")
    sweep.wait_for_files(1)
    first = Path(f"/proc/{owner(tmp_path, 0)}")
    sweep.ask("scontrol", "requeue", *sweep.jobs())
    sweep.wait_for(lambda: not first.exists(), "the run's first process to end")
    sweep.go_on()
    output = sweep.end()
    assert sweep.process.returncode == 0, output
    assert "resuming after epoch" in sweep.logs()
    assert_as_if_undisturbed(train, tmp_path, "seed=0")


@on_a_cluster
@pytest.mark.parametrize("user_signal", [True, False])
def test_a_preempted_run_stops_and_resumes(user_signal, tmp_path, tmp_path_factory):
    with a_cluster(tmp_path_factory.mktemp("slurm"), cpus=2, user_signal=user_signal) as cluster:
        sweep = Sweep(tmp_path, cluster | hold(tmp_path), "seed=0,1")
        sweep.wait_for_files(2)
        sweep.ask("sbatch", "--partition=high", "--ntasks=2", "--output=/dev/null", "--wrap=sleep 1")
        sweep.wait_for(lambda: sweep.logs().count("stopped by SIGTERM") == 2, "both to stop")
        sweep.go_on()
        output = sweep.end()
    logs = sweep.logs()
    assert sweep.process.returncode == 0 and "Traceback" not in logs, output + logs
    assert logs.count("stopped by SIGTERM") == 2 and logs.count("resuming after epoch") == 2


@pytest.mark.parametrize("state, wanted", [("RUNNING", True), ("SIGNALING", True), ("COMPLETING", False)])
def test_a_job_knows_whether_it_is_still_wanted(state, wanted, tmp_path, monkeypatch):
    """From what squeue says, here a fake one: a real Slurm shows SIGNALING too briefly to test."""
    (tmp_path / "squeue").write_text(f"#!/bin/sh\necho {state}\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    assert still_wanted() is wanted


def test_without_an_answer_from_slurm_a_command_ends_and_one_that_waits_asks_again(tmp_path, monkeypatch, caplog):
    from resnet.launch.slurm.launcher import SlurmArray

    answer = f"[ -e {tmp_path}/up ] || {{ echo no controller >&2; exit 1; }}\necho '7|N/A|COMPLETED|None|x'\n"
    (tmp_path / "squeue").write_text(f"#!/bin/sh\n{answer}")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    launcher = SlurmArray.__new__(SlurmArray)
    launcher.sweep_dir, launcher.fail_fast = tmp_path, False
    with pytest.raises(queue.SlurmError, match="^no controller; jobs of this sweep that are in the queue stay there$"):
        launcher.launch([], 0)
    monkeypatch.setattr(queue, "time", SimpleNamespace(sleep=lambda seconds: (tmp_path / "up").touch()))
    (tmp_path / "result.json").touch()  # as the job leaves it
    launcher._wait({tmp_path: "7"}, {tmp_path: None})
    assert "no controller; waiting" in caplog.messages
    assert queue.read_queue() == {"7": queue.Queued("x", "COMPLETED", "None")}


@pytest.fixture
def signals():
    """Restore the signal handlers."""
    before = {number: signal.getsignal(number) for number in (*SIGNALS, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_job_says_why_its_run_was_refused(tmp_path, monkeypatch, signals):
    def refuse(job: RunJob, config: object) -> None:
        raise RecordError("config.yaml is not this run's")

    monkeypatch.setattr(RunJob, "_run", refuse)
    with pytest.raises(Unsuccessful, match="config.yaml is not this run's"):
        RunJob(10, 120, 1, None)(str(tmp_path), pickle.dumps((SimpleNamespace(resume="auto"), None)))


@pytest.mark.parametrize("began_since", [True, False])
def test_a_job_told_to_start_over_does_so_once_however_often_it_is_requeued(
    began_since, tmp_path, monkeypatch, signals
):
    (tmp_path / "config.yaml").write_text("")
    seen: list[str] = []
    monkeypatch.setattr(RunJob, "_run", lambda job, config: seen.append(config.resume))
    submitted = None if began_since else RunFolder(tmp_path).begun_at()
    RunJob(10, 120, 1, None)(str(tmp_path), pickle.dumps((SimpleNamespace(resume="never"), submitted)))
    assert seen == ["auto" if began_since else "never"]


@pytest.mark.parametrize("began", [True, False])
def test_a_job_stopped_before_a_new_epoch_made_no_progress_and_leaves_the_complete_run(
    began, copied_run, monkeypatch, signals
):
    run, before = RunFolder(copied_run), (copied_run / "result.json").read_bytes()
    submitted = None if began else run.begun_at()

    def stop(job: RunJob, config: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    monkeypatch.setattr(RunJob, "_run", stop)
    monkeypatch.setattr(job, "still_wanted", lambda: True)
    monkeypatch.setattr(job.RunJob, "_time_limit", lambda self: 0)
    with pytest.raises(Unsuccessful, match="no epoch ended within hydra.launcher.timeout_min=10"):
        RunJob(10, 120, 1, None)(str(run.path), pickle.dumps((SimpleNamespace(resume="never"), submitted)))
    assert (run.path / "result.json").read_bytes() == before and run.state() == "complete" and not run.failure()


def test_a_job_that_slurm_does_not_requeue_says_so(tmp_path, monkeypatch):
    (tmp_path / "scontrol").write_text("#!/bin/sh\necho requeueing is disabled >&2\nexit 1\n")
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    with pytest.raises(
        Unsuccessful, match="did not requeue it, requeueing is disabled; the same command resumes it .add"
    ):
        RunJob(10, 120, 1, None)._requeue(RunFolder(tmp_path), progress=True)


def test_a_job_requeued_too_often_is_a_failed_run(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    with pytest.raises(Unsuccessful, match="hydra.launcher.max_num_timeout=1 is the limit"):
        RunJob(10, 120, 1, None)._requeue(RunFolder(tmp_path), progress=True)
    assert RunFolder(tmp_path).state() == "failed"


def test_a_complete_run_stays_if_the_job_that_would_start_it_over_dies_first(copied_run, tmp_path):
    from resnet.launch.slurm.launcher import SlurmArray

    before, launcher = (copied_run / "result.json").read_bytes(), SlurmArray.__new__(SlurmArray)
    launcher.params, launcher.reasons = {"submitit_folder": tmp_path}, {}
    launcher._record_death(copied_run, "7_0", "NODE_FAIL")
    assert launcher.reasons == {copied_run: "its Slurm job 7_0 died, state NODE_FAIL"}
    assert (copied_run / "result.json").read_bytes() == before and not (copied_run / "failure.json").exists()


@on_a_cluster
def test_a_complete_run_stays_until_a_job_starts_it_over(cluster, train, tmp_path):
    train("-m", "seed=0")
    (result,) = tmp_path.glob("runs/*/*/seed0/result.json")
    content, ended = result.read_bytes(), RunFolder(result.parent).ended_at()
    refused = Sweep(tmp_path, cluster, "seed=0", "resume=never", "hydra.launcher.partition=nowhere")
    output = refused.end()
    assert "error: sbatch: invalid partition specified: nowhere" in output and "Traceback" not in output
    assert refused.process.returncode == 1
    assert result.read_bytes() == content and not (result.parent / ".archive").exists()
    sweep = Sweep(tmp_path, cluster, "seed=0", "resume=never")
    output = sweep.end()
    assert "1 to do" in output and sweep.process.returncode == 0, output
    assert RunFolder(result.parent).ended_at() > ended and (result.parent / ".archive" / "1" / "result.json").exists()


@on_a_cluster
def test_a_run_that_reaches_its_time_limit_resumes(cluster, tmp_path):
    """The test lowers the limit; Slurm, which checks once a minute, then signals the job."""
    job = ("hydra.launcher.timeout_min=10", "hydra.launcher.signal_delay_s=110", "hydra.launcher.cpus_per_task=2")
    started = time.monotonic()
    sweep = Sweep(tmp_path, cluster | hold(tmp_path), "seed=0", *job)
    sweep.wait_for_files(1)
    (job,) = sweep.jobs()
    limit = 3 + int(time.monotonic() - started) // 60  # at least two minutes are left, however busy the machine is
    sweep.ask("scontrol", "update", f"JobId={job}", f"TimeLimit={limit}")
    sweep.wait_for(lambda: "stopped by SIGTERM" in sweep.logs(), "the run to stop")
    sweep.ask("scontrol", "update", f"JobId={job}", "TimeLimit=10")
    sweep.go_on()
    output = sweep.end()
    assert sweep.process.returncode == 0, output
    assert "stopped by SIGTERM" in sweep.logs() and "resuming after epoch" in sweep.logs()
    (result,) = tmp_path.glob("runs/*/*/*/result.json")
    assert json.loads(result.read_text())["machine"]["threads"] == 2, "one per core of the job"


@on_a_cluster
def test_a_time_limit_shorter_than_an_epoch_is_a_failure(cluster, tmp_path):
    sweep = Sweep(tmp_path, cluster | hold(tmp_path, "samples.png"), "seed=0", "hydra.launcher.timeout_min=3")
    sweep.wait_for_files(1, "samples.png")
    sweep.ask("scancel", "--signal=USR2", *sweep.jobs())
    assert "no epoch ended within hydra.launcher.timeout_min=3; give it more" in sweep.end()
    assert sweep.process.returncode == 1 and summary(tmp_path) == [("seed0", "failed")]


@on_a_cluster
def test_a_repeated_command_finds_the_jobs_of_a_killed_client(tmp_path, tmp_path_factory):
    """Of the three jobs, up to two run at once. They are in two arrays: this cluster allows no array of three."""
    with a_cluster(tmp_path_factory.mktemp("slurm"), cpus=2, max_array_size=2) as cluster:
        gone = Sweep(tmp_path, cluster | hold(tmp_path), "seed=0,1,2")
        gone.wait_for(lambda: len(gone.submitted()) == 3, "both arrays to be submitted")
        gone.wait_for_files(1)
        gone.process.kill()
        again = Sweep(tmp_path, cluster, "seed=0,1,2")
        again.wait_for(lambda: "3 of the runs are in the queue already" in again.output.read_text(), "it to find them")
        again.go_on()
        output = again.end()
    assert again.process.returncode == 0, output
    assert len(again.arrays()) == 2 and len(again.submitted()) == 3


@on_a_cluster
@pytest.mark.parametrize("signum, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_client_cancels_its_jobs(cluster, tmp_path, signum, code):
    sweep = Sweep(tmp_path, cluster, "seed=0", "epochs.count=100000")
    sweep.wait_for_files(1)
    sweep.process.send_signal(signum)
    output = sweep.end()
    assert sweep.process.returncode == code and "Traceback" not in output, output
    assert not sweep.jobs() and summary(tmp_path) == [("seed0", "unfinished")]


@on_a_cluster
def test_with_fail_fast_a_failing_run_cancels_the_others(cluster, tmp_path):
    sweep = Sweep(tmp_path, cluster, "seed=0", "batch_size=64,5000", "epochs.count=100000", "fail_fast=true")
    output = sweep.end()
    assert sweep.process.returncode == 1 and "batch_size=5000: must be at most" in output, output
    (_, cancelled), (_, failing) = summary(tmp_path)
    assert not sweep.jobs() and cancelled in ("not started", "unfinished") and failing == "failed"


@on_a_cluster
def test_a_refusal_by_sbatch_leaves_queued_jobs_alone(cluster, train, tmp_path):
    first = Sweep(tmp_path, cluster, "seed=0", "epochs.count=100000")
    first.wait_for_files(1)
    jobs = first.jobs()
    more = ("seed=0,1", "epochs.count=100000", "hydra.launcher.partition=other")
    done = train(*SLURM, *more, env=cluster, code=1)
    assert "1 of the runs are in the queue already" in done.stdout
    assert "jobs of this sweep that are in the queue stay there" in done.stderr.splitlines()[-1]
    assert first.jobs() == jobs and len(jobs) == 1 and first.process.poll() is None
    first.process.send_signal(signal.SIGTERM)
    first.end()
    assert not first.jobs()


def test_the_launcher_is_refused_without_multirun(train, tmp_path):
    done = train("hydra/launcher=slurm", code=2)
    assert done.stderr.splitlines()[-1].startswith("error: hydra/launcher=slurm: add -m;")
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("runs/*/*/*/config.yaml"))


def test_a_launcher_value_that_cannot_work_is_refused_before_anything_is_written(train, tmp_path):
    done = train(*SLURM, "seed=0,1", "hydra.launcher.name='my sweep'", code=2)
    said = "error: hydra.launcher.name=my sweep: only letters, digits, '.', '_' and '-' are allowed\n"
    assert done.stderr == said and not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "key, value, said",
    [
        ("name", "a/b", "only letters, digits, '.', '_' and '-' are allowed"),
        ("nodes", 2, "must be 1, as a run is one process"),
        ("tasks_per_node", 2, "must be 1, as a run is one process"),
        ("timeout_min", 0, "must be at least 1"),
        ("array_parallelism", 0, "must be at least 1"),
    ],
)
def test_launcher_values_that_cannot_work_are_refused(key, value, said):
    from resnet.launch.slurm.launcher import check_params

    fine = {"name": "a", "nodes": 1, "tasks_per_node": 1, "timeout_min": 1, "array_parallelism": 1}
    check_params(fine)
    with pytest.raises(ConfigError) as refused:
        check_params(fine | {key: value})
    assert str(refused.value) == f"hydra.launcher.{key}={value}: {said}"


def test_missing_slurm_is_reported_in_one_line(train):
    done = train(*SLURM, "seed=0,1", env={"PATH": ""}, code=2)
    assert done.stderr == "error: hydra/launcher=slurm: there is no Slurm on this machine, sbatch is not found\n"


def test_an_error_while_it_waits_leaves_the_jobs_in_the_queue(tmp_path, monkeypatch):
    from resnet.launch.slurm.launcher import SlurmArray

    def no_disk(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    launcher, cancelled = SlurmArray.__new__(SlurmArray), []
    launcher.sweep_dir = tmp_path
    monkeypatch.setattr(launcher, "_cancel", cancelled.append)
    monkeypatch.setattr("resnet.launch.slurm.launcher.queued_runs", lambda _: {})
    monkeypatch.setattr(launcher, "_wait", no_disk)
    with pytest.raises(queue.SlurmError, match="Input/output error; jobs of this sweep that are in the queue stay"):
        launcher.launch([], 0)
    assert not cancelled


def test_a_submission_that_fails_before_sbatch_is_not_blamed_on_it(tmp_path, monkeypatch):
    from resnet.launch.slurm.submit import submit

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("resnet.launch.slurm.submit.max_array_size", lambda: 1001)
    monkeypatch.setattr("resnet.launch.slurm.submit.make_executor", lambda *_: SimpleNamespace(map_array=full))
    params = {"timeout_min": 1, "signal_delay_s": 1, "max_num_timeout": 1, "name": "a", "array_parallelism": 1}
    with pytest.raises(queue.SlurmError, match="^not submitted, .*No space left on device"):
        submit({tmp_path / "a": b""}, params, tmp_path, SimpleNamespace())
