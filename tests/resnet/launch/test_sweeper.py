"""Sweeps: independence of their jobs, resuming, summaries, and launchers that fail."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import RunMode
from omegaconf import OmegaConf

from resnet.config import Config, run_name
from resnet.errors import ConfigError
from resnet.launch.compose import CONF, VERSION_BASE, as_typed
from resnet.launch.jobs import Job, axes_of, name_of
from resnet.launch.summary import summarize
from resnet.launch.sweeper import ResumableSweeper, runs_at_once
from resnet.record.folder import RunFolder
from tests.conftest import hold, imported, one_thread, small
from tests.resnet.conftest import edit
from tests.resnet.runs import assert_same, only, read, reasons, start, summary, wait_for

REFERENCE = CONF.parent / "runs" / "reference"


@pytest.mark.slow
def test_a_job_of_a_sweep_has_the_same_result_as_a_single_run(train, tmp_path):
    train("-m", "augmentation=trivial,none", "precision=auto,fp32", "seed=1,0", "epochs.count=1")
    train("augmentation=none", "precision=fp32", "seed=0", "epochs.count=1", "study=alone")
    (alone,) = tmp_path.glob("runs/alone/*/seed0")
    after_others = tmp_path / "runs" / "default" / alone.relative_to(tmp_path / "runs" / "alone")
    assert_same(after_others, alone, "layers.csv", "samples.png")


def test_a_killed_sweep_resumes_and_does_not_repeat_complete_runs(train, tmp_path):
    sweep = start(tmp_path, "-m", "seed=0,1,2", **hold(tmp_path, "seed1/checkpoint.pt"))
    wait_for(tmp_path, "runs/*/*/seed1/checkpoint.pt", sweep)
    sweep.send_signal(signal.SIGKILL)
    sweep.wait()
    assert not list(tmp_path.glob("runs/*/*/seed1/result.json"))
    done = train("-m", "seed=0,1,2")
    assert "3 runs: 1 already there, 2 to do" in done.stdout and "seed1: resuming after epoch" in done.stdout
    assert summary(tmp_path) == [("seed0", "already there"), ("seed1", "complete"), ("seed2", "complete")]


WAIT_FOR_A_SIGNAL = """
import pathlib, signal, sys, time

pathlib.Path("importing").touch()
while not signal.sigpending():
    time.sleep(0.01)
del sys.path[0], sys.modules["torch"]
import torch
"""


def test_a_signal_while_pytorch_is_imported_stops_a_sweep_with_a_summary(tmp_path):
    (tmp_path / "torch.py").write_text(WAIT_FOR_A_SIGNAL)
    sweep = start(tmp_path, "-m", "seed=0,1")
    wait_for(tmp_path, "importing", sweep)
    sweep.send_signal(signal.SIGTERM)
    assert sweep.wait() == 143
    assert summary(tmp_path) == [("seed0", "not started"), ("seed1", "not started")]


def test_a_signal_before_the_first_step_stops_a_sweep_with_a_summary(tmp_path):
    sweep = start(tmp_path, "-m", "seed=0,1", "epochs.count=500", **hold(tmp_path, "seed0/config.yaml"))
    wait_for(tmp_path, "runs/*/*/seed0/config.yaml", sweep)
    sweep.send_signal(signal.SIGINT)
    assert sweep.wait() == 130
    assert summary(tmp_path) == [("seed0", "unfinished"), ("seed1", "not started")]


@pytest.mark.slow
def test_a_repeated_sweep_says_which_runs_other_code_computed_and_imports_no_pytorch(train, tmp_path):
    train("-m", "seed=0,1", "epochs.count=1")
    edit(only(tmp_path, "runs/*/*/seed0"), code="0" * 64)
    done = train("-m", "seed=0,1", "epochs.count=1", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert "2 runs: 2 already there (1 computed by other code), 0 to do" in done.stdout
    assert reasons(tmp_path) == [("already there", "computed by other code"), ("already there", "")]
    assert "hydra" in imported(done) and not imported(done) & {"torch", "numpy", "pandas", "sklearn"}


@pytest.mark.slow
def test_a_sweep_says_why_a_run_was_refused_and_its_folder_keeps_the_earlier_failure(train, tmp_path):
    import torch

    train("-m", "seed=0", "epochs.count=1")
    (run,) = tmp_path.glob("runs/*/*/seed0")
    (run / "result.json").unlink()
    checkpoint = torch.load(run / "checkpoint.pt", weights_only=True)
    torch.save(checkpoint | {"precision": "other"}, run / "checkpoint.pt")
    RunFolder(run).fail("failed", "the disk was full", "")
    refused = train("-m", "seed=0", "epochs.count=1", code=1)
    assert "begun in other" in refused.stdout
    ((outcome, reason),) = reasons(tmp_path)
    assert outcome == "failed" and reason.startswith("begun in other")
    assert RunFolder(run).failure()["error"] == "the disk was full"


@pytest.mark.slow
def test_a_folder_named_by_the_time_is_the_same_for_the_whole_sweep(train, tmp_path):
    done = train("-m", "seed=0,1,2", "epochs.count=1", "data.limit=20", "hydra.sweep.dir=many/${now:%H%M%S%f}")
    assert "not started" not in done.stdout and len(list(tmp_path.glob("many/*"))) == 1
    assert len(list(tmp_path.glob("many/*/*/*/*/result.json"))) == 3


@pytest.mark.slow
def test_a_run_whose_configuration_changed_during_the_sweep_is_refused(tmp_path):
    """Hydra reads the files again for each run."""
    own = tmp_path / "mine" / "optimizer" / "own.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("defaults: [adam, _self_]\nlr: 0.01\n")
    changing = ("--config-dir", "mine", "optimizer=own", "seed=0,1", "epochs.count=1", "data.limit=20")
    sweep = start(tmp_path, "-m", *changing, **hold(tmp_path, "seed0/result.json"))
    wait_for(tmp_path, "runs/*/*/seed0/result.json", sweep)
    own.write_text("defaults: [adam, _self_]\nlr: 0.02\n")
    (tmp_path / "hold").unlink()
    assert sweep.wait() == 1
    assert summary(tmp_path) == [("seed0", "complete"), ("seed1", "failed")]
    assert len(list(tmp_path.glob("runs/*/*/*/metrics.csv"))) == 1


def diagonal(overrides: list[Override], max_batch_size: None) -> list[list[list[str]]]:
    """Return just enough points of a grid to use each value, where Hydra returns all combinations."""
    values: dict[str, list[str]] = {}
    for override in overrides:  # the last one for a key counts
        several = override.is_sweep_override()
        own = override.sweep_string_iterator() if several else [override.get_value_element_as_str()]
        values[override.get_key_element()] = list(own)
    points = range(max(map(len, values.values())))
    return [[[f"{key}={own[point % len(own)]}" for key, own in values.items()] for point in points]]


def jobs_of(words: list[str], params: dict[str, str] | None = None) -> list[Job]:
    """Return the jobs of a sweep over the grid `params`, or over that of the experiment that `words` name."""
    with initialize_config_dir(str(CONF), **VERSION_BASE):
        loader = GlobalHydra.instance().config_loader()
        composed = loader.load_configuration("config", words, RunMode.MULTIRUN)
        sweeper = ResumableSweeper(params or composed.hydra.sweeper.params)
        sweeper.config_loader, sweeper.master_config = loader, composed
        return sweeper._jobs(words)


RECOMPUTED = {  # the overrides that repeat the reference runs, for one seed
    "depth_short": [[]],
    "seed_table": [[]],
    "depth": [
        ["model.shortcut=pad", "optimizer.lr=1.0"],
        ["model=resnet8", "model.shortcut=none", "optimizer.lr=1.0"],
        ["model=resnet14,resnet20", "model.shortcut=none", "optimizer.lr=0.1"],
        ["model=resnet32,resnet56", "model.shortcut=none", "optimizer.lr=0.03"],
    ],
    "depth_or_width": [["optimizer.lr=1.0"]],
}


@pytest.mark.parametrize("experiment", RECOMPUTED)
def test_an_experiments_grid_covers_its_reference_runs(experiment):
    words = [f"experiment={experiment}", "seed=0"]
    jobs = [job for own in RECOMPUTED[experiment] for job in jobs_of([*words, *own])]
    assert {job.config.study for job in jobs} == {experiment}
    committed = {path.parent.name for path in REFERENCE.glob(f"{experiment}/*/seed*")}
    assert committed and committed <= {job.run.path.parent.name for job in jobs}


EXPERIMENTS = {path.stem: path.read_text(encoding="utf-8") for path in (CONF / "experiment").glob("*.yaml")}


def suggested(name: str) -> Iterator[str]:
    """Yield the arguments in an experiment's comments, where `;` separates commands.

    An experiment that a comment only names gets a rate, so that it composes.
    """
    for entry in re.findall("^# .*", re.sub(r"\n# {3,}", " ", EXPERIMENTS[name]), re.MULTILINE):
        for part in re.split("; |(?=experiment=)", entry):
            words = re.findall(r"[\w.]+=[^\s')]*[^\s').,:;]", part)
            if words and words[0].startswith("experiment="):
                yield " ".join(words if words[1:] else [*words, "optimizer.lr=0.1"])
            elif words:
                yield " ".join([f"experiment={name}", *words])


@pytest.mark.parametrize("typed", sorted({typed for name in EXPERIMENTS for typed in suggested(name)}))
def test_arguments_suggested_by_an_experiments_comments_are_accepted(typed, monkeypatch):
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper  # not before Hydra has loaded it

    monkeypatch.setattr(BasicSweeper, "split_arguments", diagonal)
    jobs, given = jobs_of(typed.split()), dict(word.split("=", 1) for word in typed.split())
    assert jobs and {job.config.study for job in jobs} == {given.get("study", given["experiment"])}


def test_no_comment_of_an_experiment_that_holds_arguments_is_overlooked():
    with_arguments = {name for name, text in EXPERIMENTS.items() if re.search(r"^#.*\w=\w", text, re.MULTILINE)}
    assert with_arguments == {name for name in EXPERIMENTS if list(suggested(name))}


def test_the_quickstart_compares_two_depths_with_several_seeds():
    jobs = jobs_of(["experiment=quickstart"])
    assert {job.config.data.name for job in jobs} == {"digits"}, "which needs no download"
    assert len({tuple(job.config.model.stages) for job in jobs}) == 2 <= len({job.config.seed for job in jobs})


def test_values_are_shown_without_the_quotes_that_keep_them_text():
    jobs = jobs_of([as_typed("study=1.10,1.11"), "seed=0"])
    assert [name_of(job, axes_of(jobs)) for job in jobs] == [["1.10"], ["1.11"]]


def test_long_numbers_are_shown_by_as_many_figures_as_tell_them_apart():
    jobs = jobs_of(["optimizer.lr=0.0123456789,0.0123456,0.5", "seed=0"])
    assert [name_of(job, axes_of(jobs)) for job in jobs] == [["0.0123457"], ["0.0123456"], ["0.5"]]
    assert [name_of(job, axes_of(jobs[1:])) for job in jobs[1:]] == [["0.01235"], ["0.5"]]


def test_the_command_line_wins_over_an_experiments_grid():
    jobs = jobs_of(["seed=7", "study=mine"], {"seed": "0,1,2", "model": "blocks3,blocks4"})
    assert [job.run.path.parts[:2] for job in jobs] == [("runs", "mine")] * 2
    assert [(job.run.path.parent.name.split("-")[0], job.run.path.name) for job in jobs] == [
        ("blocks3", "seed7"),
        ("blocks4", "seed7"),
    ]


def done(path: Path, study: str, seed: int) -> Job:
    return Job([f"seed={seed}"], RunFolder(path), True, None, None, "", Config(study=study, seed=seed))


def listed_in(folder: Path) -> list[str]:
    return [row["run"] for row in read(folder / "sweep.csv")]


def test_each_study_of_a_sweep_has_a_summary_of_its_own_runs_and_the_command_to_type_next(tmp_path, caplog):
    name = run_name(Config())
    jobs = [done(tmp_path / study / name / f"seed{seed}", study, seed) for study in "ab" for seed in (0, 1)]
    refused = replace(done(tmp_path / "c" / name / "seed0", "c", 0), complete=False, reason="refused")
    with caplog.at_level("INFO"):
        summarize([*jobs, refused])
    nexts = [f"next: python -m analysis.table {tmp_path / study}" for study in "ab"]
    assert caplog.messages[-2:] == nexts and caplog.text.count("next: ") == 2, "c has no runs to show"
    for study in "ab":
        assert listed_in(tmp_path / study) == [str(job.run.path) for job in jobs if job.config.study == study]


@pytest.mark.parametrize(
    "subdir, folder",
    [("flat{seed}", "."), ("{study}/s{seed}", "{study}"), ("x/{seed}/y/z", "x"), ("x/{study}-{seed}", "x")],
)
def test_a_summary_of_runs_in_explicit_folders_is_in_the_innermost_folder_that_holds_them(tmp_path, subdir, folder):
    at = tmp_path / "runs"
    jobs = [done(at / subdir.format(study="a", seed=seed), "a", seed) for seed in (0, 1)]
    summarize(jobs)
    assert listed_in(at / folder.format(study="a")) == [str(job.run.path) for job in jobs]
    assert len(list(tmp_path.rglob("sweep.csv"))) == 1


def test_a_summary_that_cannot_be_written_is_reported(tmp_path, caplog):
    name = run_name(Config())
    (tmp_path / "sweep.csv").mkdir()
    summarize([done(tmp_path / name / "seed0", "a", 0)])
    assert f"{tmp_path / 'sweep.csv'}: cannot be written" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.csv"]


@pytest.mark.parametrize(
    "config, outcome", [(Config(), ("complete", "")), (Config(batch_size=32), ("failed", "in use by process 1"))]
)
def test_a_run_that_was_in_use_has_the_outcome_of_the_process_that_used_it(tmp_path, config, outcome):
    run = RunFolder(tmp_path)
    run.begin(Config(), {})
    job = Job([], run, False, run.begun_at(), run.ended_at(), "in use by process 1", config)
    assert job.outcome() == ("failed", "in use by process 1")
    run.complete({"status": "complete"}, {})
    assert job.outcome() == outcome


def sweeper_of(launch, fail_fast: bool = False) -> ResumableSweeper:
    sweeper = ResumableSweeper(None)
    sweeper.job_launcher, sweeper.master_config = SimpleNamespace(launch=launch), SimpleNamespace(fail_fast=fail_fast)
    return sweeper


def jobs_in(folder: Path, *names: str) -> list[Job]:
    for name in names:
        (folder / name).mkdir()
    return [Job([name], RunFolder(folder / name), False, None, None, "", Config()) for name in names]


@pytest.mark.parametrize("fail_fast", [False, True])
def test_jobs_are_retried_after_the_launcher_failed(tmp_path, fail_fast):
    """As a parallel one does, with all jobs in progress, when one of them kills its worker."""
    jobs, launched = jobs_in(tmp_path, "first", "deadly", "last"), []

    def launch(overrides, initial_job_idx):
        launched.append(overrides)
        for name, *_ in overrides:
            run = RunFolder(tmp_path / name)
            run.begin(Config(), {})
            if name == "deadly":
                raise RuntimeError("a worker was killed")
            run.complete({"status": "complete"}, {})
        return [JobReturn(status=JobStatus.COMPLETED, _return_value=1.0)] * len(overrides)

    sweeper_of(launch, fail_fast)._launch(jobs)
    again = [] if fail_fast else [[["deadly", "resume=auto"]], [["last"]]]
    assert launched == [[["first"], ["deadly"], ["last"]], *again], (
        "all together, then one by one, without starting over"
    )
    assert [job.overrides for job in jobs] == launched[0], "resume is no axis of the summary"
    outcomes = [job.outcome() for job in jobs]
    if fail_fast:
        assert outcomes == [("complete", ""), ("unfinished", ""), ("not started", "")]
    else:
        assert outcomes == [("complete", ""), ("failed", "RuntimeError: a worker was killed"), ("complete", "")]


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


def test_no_runs_at_once_are_refused():
    with pytest.raises(ConfigError, match="^hydra.launcher.n_jobs=0: must be at least 1"):
        runs_at_once(OmegaConf.create({"launcher": {"n_jobs": 0}}))


@pytest.mark.slow
def test_memory_does_not_grow_from_job_to_job(tmp_path):
    sweep, resident = start(tmp_path, "-m", "seed=range(20)", "epochs.count=1", "data.limit=20"), {}
    while sweep.poll() is None:
        done = len(list(tmp_path.glob("runs/*/*/*/result.json")))
        status = Path(f"/proc/{sweep.pid}/status").read_text()
        if done not in resident and (match := re.search(r"VmRSS:\s+(\d+) kB", status)):
            resident[done] = int(match[1]) / 1024
        time.sleep(0.02)
    assert sweep.returncode == 0
    after = [resident[done] for done in sorted(resident) if done >= 3]  # late imports are in memory by then
    first, last = median(after[:5]), median(after[-5:])  # memory is freed as a job ends and the next one starts
    assert last - first < 0.03 * first, f"MiB after each job: {after}"
