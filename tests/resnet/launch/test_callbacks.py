"""What Hydra's callbacks and other sweepers see of a run that fails."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import hydra
import pytest

from resnet.errors import ConfigError, Diverged, RunFailed
from resnet.launch.job import failure_of
from tests.conftest import one_thread, small
from tests.resnet.runs import reasons

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


def with_traces(folder: Path) -> set[Path]:
    """Return the run folders that hold any trace of a started run, such as failure.json."""
    files = (path for path in folder.glob("runs/*/*/*/*") if path.name not in (".hydra", ".lock", "run.log"))
    return {path.parent for path in files}


def test_callbacks_learn_of_a_request_that_does_not_fit_the_data(noted, tmp_path):
    done = noted("batch_size=5000", code=2)
    assert notes(tmp_path) == [["job", "FAILED", WRONG], ["run", "FAILED", WRONG]]
    assert done.stdout.endswith(f"{WRONG}\n") and done.stdout.count("\n") == 1, "only our own line"
    assert "Error" not in done.stderr and "Traceback" not in done.stderr, "Hydra 1.4 warns about the callback above"
    assert not with_traces(tmp_path)


@pytest.mark.slow
def test_callbacks_learn_of_each_run_of_a_sweep_that_goes_on_after_a_failure_and_of_its_end(noted, tmp_path):
    noted("-m", "batch_size=5000,64", "epochs.count=1", code=1)
    (bad, good, end) = notes(tmp_path)
    assert good[:2] == ["job", "COMPLETED"] and 0 < float(good[2]) < 1
    assert (bad, end) == (["job", "FAILED", WRONG], ["multirun"])
    assert len(with_traces(tmp_path)) == 1, "not the folder of the refused run"
    assert reasons(tmp_path) == [("failed", WRONG), ("complete", "")]


def test_callbacks_learn_of_a_sweep_that_stops_at_its_first_failure(noted, tmp_path):
    noted("-m", "batch_size=5000,64", "fail_fast=true", code=1)
    assert notes(tmp_path) == [["job", "FAILED", WRONG], ["multirun"]]
    assert not with_traces(tmp_path), "the second run did not start either"


@pytest.mark.slow
def test_from_hydra_1_4_on_callbacks_learn_of_a_parallel_sweep_that_stops_at_its_first_failure(noted, tmp_path):
    """A worker's exit ends the sweep; Hydra before 1.4 then calls no callback."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    parallel = ("hydra/launcher=parallel", "hydra.launcher.n_jobs=1", "fail_fast=true")
    noted("-m", "batch_size=64,5000,32", "epochs.count=1", *parallel, code=2)
    told = [] if hydra.__version__.startswith("1.3.") else [["job", "FAILED"], ["multirun"]]
    assert [note[:2] for note in notes(tmp_path)] == [["job", "COMPLETED"], *told]
    assert len(with_traces(tmp_path)) == 1


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
