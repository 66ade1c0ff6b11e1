"""Runs in a broken environment: directories, disks, memory. Most tests start real processes.

For wrong requests see launch/test_answers.py and test_config.py; for wrong data, training/test_data.py; for corrupt run
directories, record/test_folder.py.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from resnet.config import run_name
from resnet.errors import OutOfMemory, explain_os_error, naming_memory
from resnet.launch.compose import compose_config
from resnet.launch.messages import explain_hydra
from tests.conftest import small
from tests.resnet.runs import reasons


@pytest.fixture
def small_disk(tmp_path):
    """Return a function that mounts a disk on `runs/`, with options: mount("size=64k"), mount("ro")."""
    runs = tmp_path / "runs"

    def mount(options: str) -> None:
        command = ("mount", "-t", "tmpfs", "-o", options, "tmpfs", runs)
        if subprocess.run(command, capture_output=True).returncode:
            assert "GITHUB_ACTIONS" not in os.environ, "the workflow's container must be allowed to mount"
            pytest.skip("needs permission to mount a file system")

    runs.mkdir()
    yield mount
    subprocess.run(("umount", runs), capture_output=True)


def output(done: subprocess.CompletedProcess) -> str:
    """Check that a command printed no traceback; return what it printed."""
    assert "Traceback" not in done.stdout + done.stderr and "Logging error" not in done.stderr
    return done.stdout + done.stderr


def test_a_read_only_disk_is_reported_in_one_line(train, small_disk):
    small_disk("ro")
    assert output(train(code=1)) == "error: runs/default: cannot be written: Read-only file system\n"
    swept = output(train("-m", "seed=0,1", code=1))
    assert swept.count("(runs/default: cannot be written: Read-only file system)\n") == 2, "one line per run"


def test_a_disk_without_space_for_the_run_directory_is_reported_in_one_line(train, small_disk):
    small_disk("size=4k")
    assert output(train(code=1)) == "error: runs: cannot be written: No space left on device\n"


@pytest.mark.slow
def test_a_full_disk_fails_the_run_which_resumes_once_there_is_space(train, tmp_path, small_disk):
    small_disk("size=72k")
    full = train(code=1)
    assert "/seed0: [Errno 28] No space left on device: 'runs/default/blocks2-" in output(full)
    (run,) = tmp_path.glob("runs/default/*/seed0")
    assert not list(run.glob(".*.new")), "a temporary file would block the resume"
    small_disk("remount,size=10m")
    output(train())
    assert [line[:2] for line in (run / "metrics.csv").read_text().splitlines()] == ["ep", "1,", "2,"]


def test_a_file_in_place_of_runs_fails_run_and_sweep_and_is_kept(train, tmp_path):
    (tmp_path / "runs").write_text("not a folder")
    alone = output(train(code=1))
    assert alone.startswith("error: ") and alone.endswith("cannot be written: Not a directory\n")
    assert alone.count("\n") == 1
    swept = output(train("-m", "seed=0,1", code=1))
    assert "(runs: cannot be written: it is not a directory, nor a link to one)" in swept
    assert (tmp_path / "runs").read_text() == "not a folder"


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return the empty directory for the runs of the very small network."""
    path = tmp_path / "runs" / "default" / run_name(compose_config(small()))
    path.mkdir(parents=True)
    return path


@pytest.mark.slow
def test_a_link_is_a_run_directory_if_it_points_to_a_directory(train, tmp_path, folder):
    (folder / "seed0").symlink_to(tmp_path / "nowhere")
    (folder / "seed1").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    reason = f"{(folder / 'seed0').relative_to(tmp_path)}: cannot be written: it is not a directory, nor a link to one"
    assert output(train(code=1)) == f"error: {reason}\n"
    output(train("-m", "seed=0,1", code=1))
    assert reasons(tmp_path) == [("failed", reason), ("complete", "")], "the rest of the sweep runs"
    assert (tmp_path / "elsewhere" / "result.json").exists() and not (tmp_path / "nowhere").exists()


@pytest.mark.slow
def test_a_configuration_that_cannot_be_read_is_reported_and_the_others_run(train, tmp_path, folder):
    (folder / "seed0" / "config.yaml").mkdir(parents=True)
    assert "config.yaml cannot be read: Is a directory\n" in output(train(code=1))
    output(train("-m", "seed=0,1", code=1))
    (refused, reason), other = reasons(tmp_path)
    assert refused == "failed" and reason.endswith("config.yaml cannot be read: Is a directory")
    assert other == ("complete", "")


def test_a_corrupt_result_is_reported_and_kept(train, copied_run):
    (copied_run / "result.json").write_bytes(b"[]")
    for sweep in ([], ["-m"]):
        said = output(train(*sweep, "epochs.count=3", "study=mine", "seed=0", code=1))
        assert "result.json is damaged" in said and "move it away and repeat the command that wrote it" in said
    assert (copied_run / "result.json").read_bytes() == b"[]"


OUT_OF_MEMORY = """
import resnet.run, resnet.training.trainer, torch
init = resnet.training.trainer.Trainer.__init__
def greedy(self, model, *others, **more):
    torch.empty(2**50) if model.classifier.in_features == 32 else init(self, model, *others, **more)
resnet.training.trainer.Trainer.__init__ = greedy
resnet.run.cli()
"""


@pytest.mark.slow
def test_out_of_memory_in_one_job_leaves_the_others_alone(tmp_path):
    sweep = ("-m", *small("model.width=16,8", "seed=0", "epochs.count=1"))
    command = (sys.executable, "-c", OUT_OF_MEMORY, *sweep)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    (failed, reason), complete = reasons(tmp_path)
    assert done.returncode == 1 and failed == "failed" and complete == ("complete", "")
    assert "batch_size=64" in reason and "model.width=16" in reason and reason in output(done)
    (failure,) = tmp_path.glob("runs/*/*/*/failure.json")
    assert "in greedy" in json.loads(failure.read_text())["traceback"], "says where, for those who want to know"
    assert "Traceback" not in (failure.parent / "run.log").read_text()


@pytest.mark.slow
def test_out_of_memory_in_a_plan_gets_a_one_line_error(tmp_path):
    command = (sys.executable, "-c", OUT_OF_MEMORY, *small("model.width=16", "plan=true"))
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "out of memory: batch_size=64 with model.width=16 " in output(done)


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to")])
def test_out_of_memory_is_recognized_on_any_device(error):
    with (
        pytest.raises(OutOfMemory, match="batch_size=8 with model.width=4 .* one of them"),
        naming_memory("batch_size=8", "model.width=4"),
    ):
        raise error
    assert explain_os_error(error) == explain_os_error(MemoryError()), "outside a training"
    with pytest.raises(RuntimeError, match="a bug"), naming_memory("batch_size=8"):
        raise RuntimeError("a bug")
    assert explain_os_error(RuntimeError("a bug")) is None
    assert explain_hydra(error) == explain_os_error(error) and explain_hydra(RuntimeError("a bug")) is None
