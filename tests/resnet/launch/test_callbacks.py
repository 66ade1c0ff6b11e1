"""What Hydra's callbacks and other sweepers see of a run that fails."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import hydra
import pytest
from hydra.core.utils import JobReturn, JobStatus

from resnet.config import Config
from resnet.errors import ConfigError, Diverged, RunFailed
from resnet.launch.job import failure_of
from resnet.launch.sweeper import Job, ResumableSweeper
from resnet.record.folder import RunFolder
from tests.conftest import one_thread, small

NOTES = """
import json
from hydra.experimental.callback import Callback

class Notes(Callback):
    def note(self, what, job_return=None):
        seen = [what] if job_return is None else [what, job_return.status.name, str(job_return._return_value)]
        with open("notes.jsonl", "a") as file:
            file.write(json.dumps(seen) + chr(10))
    def on_job_end(self, config, job_return, **_): self.note("job", job_return)
    def on_run_end(self, config, job_return, **_): self.note("run", job_return)
    def on_multirun_end(self, config, **_): self.note("multirun")
"""
WRONG = "batch_size=5000: must be at most 1293, the number of training images"


@pytest.fixture
def noted(train, tmp_path):
    """Return a function that trains with a callback that notes what it is told."""
    (tmp_path / "notes.py").write_text(NOTES)
    return lambda *overrides, code: train(*overrides, "+hydra.callbacks.notes._target_=notes.Notes", code=code)


def notes(folder: Path) -> list[list[str]]:
    """Return what the callback noted in a folder."""
    return list(map(json.loads, (folder / "notes.jsonl").read_text().splitlines()))


def begun(folder: Path) -> set[Path]:
    """Return the run folders that hold any trace of a started run, such as failure.json."""
    files = (path for path in folder.glob("runs/*/*/*/*") if path.name not in (".hydra", ".lock", "run.log"))
    return {path.parent for path in files}


def test_callbacks_learn_of_a_request_that_does_not_fit_the_data(noted, tmp_path):
    done = noted("batch_size=5000", code=2)
    assert notes(tmp_path) == [["job", "FAILED", WRONG], ["run", "FAILED", WRONG]]
    assert done.stdout.endswith(f"{WRONG}\n") and done.stdout.count("\n") == 1, "only our own line"
    assert "Error" not in done.stderr and "Traceback" not in done.stderr, "Hydra 1.4 warns about the callback above"
    assert not begun(tmp_path)


def test_callbacks_learn_of_each_run_of_a_sweep_and_of_its_end(noted, tmp_path):
    noted("-m", "batch_size=64,5000", "epochs.count=1", code=1)
    (good, bad, end) = notes(tmp_path)
    assert good[:2] == ["job", "COMPLETED"] and 0 < float(good[2]) < 1
    assert (bad, end) == (["job", "FAILED", WRONG], ["multirun"])
    assert len(begun(tmp_path)) == 1, "not the folder of the refused run"


def test_callbacks_learn_of_a_sweep_that_stops_at_its_first_failure(noted, tmp_path):
    noted("-m", "batch_size=5000,64", "fail_fast=true", code=1)
    assert notes(tmp_path) == [["job", "FAILED", WRONG], ["multirun"]]
    assert not begun(tmp_path), "the second run did not start either"


def test_from_hydra_1_4_on_callbacks_learn_of_a_parallel_sweep_that_stops_at_its_first_failure(noted, tmp_path):
    """A worker's exit ends the sweep; Hydra before 1.4 then calls no callback."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    parallel = ("hydra/launcher=parallel", "hydra.launcher.n_jobs=1", "fail_fast=true")
    noted("-m", "batch_size=64,5000,32", "epochs.count=1", *parallel, code=2)
    told = [] if hydra.__version__.startswith("1.3.") else [["job", "FAILED"], ["multirun"]]
    assert [note[:2] for note in notes(tmp_path)] == [["job", "COMPLETED"], *told]
    assert len(begun(tmp_path)) == 1


def test_a_bug_is_reported_as_hydra_does(tmp_path):
    """With Hydra's own line and a traceback."""
    code = "import resnet.launch.job as job, resnet.run as run; job.checked = lambda *_: 1 / 0; run.cli()"
    command = (sys.executable, "-c", code, *small())
    done = subprocess.run(command, cwd=tmp_path, env=one_thread(), capture_output=True, text=True)
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr and "Traceback" in done.stderr
    assert "Error executing job with overrides" in done.stderr


@pytest.mark.parametrize("error", [ConfigError("no such device"), Diverged("loss", 3), MemoryError("all of it")])
def test_a_failure_survives_pickling_by_a_worker(error):
    failure = pickle.loads(pickle.dumps(failure_of(error, 2)))
    assert isinstance(failure, RunFailed) and str(error) in str(failure) and failure.exit_code == 2


def sweeper_of(launch) -> ResumableSweeper:
    sweeper = ResumableSweeper(None)
    sweeper.job_launcher, sweeper.master_config = SimpleNamespace(launch=launch), SimpleNamespace(fail_fast=False)
    return sweeper


def jobs_in(folder: Path, *names: str) -> list[Job]:
    for name in names:
        (folder / name).mkdir()
    return [Job([name], RunFolder(folder / name), False, None, None, "", Config()) for name in names]


@pytest.mark.slow
def test_a_sweep_goes_on_when_its_reader_is_gone(tmp_path):
    """As in `| head -1`."""
    read, write = os.pipe()
    os.close(read)
    command = (sys.executable, "-m", "resnet.run", "-m", *small("seed=0,1", "epochs.count=1", "data.limit=20"))
    subprocess.run(command, cwd=tmp_path, env=one_thread(), stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert len(list(tmp_path.glob("runs/*/*/*/result.json"))) == 2


def test_no_run_is_lost_when_the_reader_is_gone(tmp_path, monkeypatch):
    """With `| head -1`: starting the next process flushes what was printed, which fails."""
    dropped, jobs = [], jobs_in(tmp_path, "first", "second")
    monkeypatch.setattr("resnet.launch.sweeper.drop_output", lambda: dropped.append(True))

    def launch(overrides, initial_job_idx):
        if not dropped:
            jobs[0].run.complete({"status": "complete"}, {})
            raise BrokenPipeError(32, "Broken pipe")
        assert overrides == [["second"]], "a finished run is not started again"
        jobs[1].run.complete({"status": "complete"}, {})
        return [JobReturn(status=JobStatus.COMPLETED, _return_value=0.5)]

    sweeper_of(launch)._launch(jobs)
    assert [job.outcome() for job in jobs] == [("complete", "")] * 2 and dropped == [True]


@pytest.mark.parametrize(
    "error, reason",
    [
        (ZeroDivisionError("a bug"), "ZeroDivisionError: a bug"),
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
        (OSError(24, "Too many open files"), "OSError: [Errno 24] Too many open files"),
        (PermissionError(13, "Permission denied", "runs/x"), "runs/x: cannot be written: Permission denied"),
    ],
)
def test_a_launchers_failure_is_blamed_on_a_file_only_if_it_is_and_a_bug_has_its_traceback(
    tmp_path, caplog, error, reason
):
    def launch(overrides, initial_job_idx):
        raise error

    jobs = jobs_in(tmp_path, "only")
    sweeper_of(launch)._launch(jobs)
    assert jobs[0].outcome() == ("failed", reason)
    assert ("Traceback" in caplog.text) == isinstance(error, ZeroDivisionError)
