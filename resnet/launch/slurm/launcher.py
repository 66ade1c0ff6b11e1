"""The launcher: submit the jobs of a sweep, wait for them, and record those that died."""

import logging
import os
import pickle
import shutil
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher
from omegaconf import DictConfig

from resnet.errors import ConfigError, RunFailed, explain_os_error
from resnet.launch import plugins
from resnet.launch.slurm.queue import NAME, OVER, Queued, SlurmError, call, queued_runs, wait_for_queue
from resnet.launch.slurm.submit import submit
from resnet.record.folder import RunFolder

log = logging.getLogger(__name__)

POLL, SLOWEST_POLL = 1, 30  # seconds between looks at the queue, at first and after half an hour
PATIENCE = 10  # seconds for another host's file to become visible here, and for a preempted job to be requeued
CANCELLING = 60  # seconds for cancelled jobs to end


class SlurmArray(SlurmLauncher):
    """Run the jobs of a sweep on the cluster; a job that dies leaves a failure.json in its run folder."""

    def setup(self, **context: Any) -> None:
        """Take what Hydra passes; raises ConfigError for values that cannot work, and if there is no Slurm."""
        super().setup(**context)
        check_params(self.params)
        if shutil.which("sbatch") is None:
            raise ConfigError("hydra/launcher=slurm: there is no Slurm on this machine, sbatch is not found")
        self.sweep_dir = Path(str(context["config"].hydra.sweep.dir))
        self.fail_fast = context["config"].fail_fast
        self.reasons: dict[Path, str] = {}  # why jobs ended, if they left no record in their run folders

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Run the jobs to their end; return the validation accuracy of each, for sweepers that search."""
        folders, composed = [], {}
        for number, overrides in enumerate(job_overrides, initial_job_idx):
            config = self._compose(overrides, number)
            folders.append(self.sweep_dir / str(config.hydra.sweep.subdir))
            begun_before = RunFolder(folders[-1]).begun_at()
            composed[folders[-1]] = pickle.dumps((config, begun_before))  # which takes a tenth of the memory
        ends = {folder: RunFolder(folder).ended_at() for folder in composed}
        try:
            jobs = {folder: job for folder, job in queued_runs(self.sweep_dir).items() if folder in composed}
            if jobs:
                log.info(f"Slurm: {len(jobs)} of the runs are in the queue already")
                ends |= dict.fromkeys(jobs)  # None: an end from before this command counts, too
            if new := {folder: pickled for folder, pickled in composed.items() if folder not in jobs}:
                assert self.hydra_context is not None
                jobs |= submit(new, self.params, self.sweep_dir, self.hydra_context)
            self._wait(jobs, ends)
        except (SlurmError, OSError) as error:  # the queued jobs are not to blame
            _, reason = explain_os_error(error) or (1, error)
            raise SlurmError(f"{reason}; jobs of this sweep that are in the queue stay there") from None
        except BaseException:  # also Ctrl-C and SIGTERM
            self._cancel(composed)
            raise
        return [
            _job_return(overrides, RunFolder(folder), self.reasons.get(folder, ""))
            for folder, overrides in zip(folders, job_overrides)
        ]

    def _compose(self, overrides: Sequence[str], number: int) -> DictConfig:
        """Return the whole configuration of a job."""
        assert self.hydra_context is not None and self.config is not None
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        config.hydra.job.num = number
        return config

    def _wait(self, jobs: dict[Path, str], ends: Mapping[Path, int | None]) -> None:
        """Wait until each job has left the queue and its run folder says how the run ended.

        `ends` holds when each run had ended before. If that stays the same, the job died, and its death is recorded.
        """
        waiting, missing, started, said = dict(jobs), {}, time.monotonic(), ""
        while waiting:
            queue, now = wait_for_queue(), time.monotonic()
            for folder, job in list(waiting.items()):
                if job in queue and queue[job].state not in OVER:
                    missing.pop(folder, None)
                elif RunFolder(folder).ended_at() not in (None, ends[folder]):
                    del waiting[folder]
                elif now - missing.setdefault(folder, now) > PATIENCE:
                    del waiting[folder]
                    self._record_death(folder, job, queue[job].state if job in queue else "unknown")
                if self.fail_fast and folder not in waiting:
                    if folder in self.reasons or RunFolder(folder).state() != "complete":
                        return self._cancel(waiting)
            progress = f"Slurm: {len(jobs) - len(waiting)} of {len(jobs)} jobs ended{_rest(queue, waiting.values())}"
            if progress != said:
                log.info(said := progress)
            if waiting:
                time.sleep(min(SLOWEST_POLL, POLL + (now - started) / 60))

    def _record_death(self, folder: Path, job: str, state: str) -> None:
        """Write failure.json for a run whose job died; a job that ended by itself has logged why.

        A complete run that was to start over, and is still in the folder, stays: log and summary report the death.
        """
        from submitit.core.utils import JobPaths

        paths = JobPaths(self.params["submitit_folder"], job)
        by_itself = paths.result_pickle.exists()
        reason = _why_unsuccessful(paths.result_pickle) if by_itself else f"its Slurm job {job} died, state {state}"
        if by_itself or RunFolder(folder).state() == "complete":  # a complete run here is the one to be replaced
            self.reasons[folder] = reason
            log.warning(f"{folder}: {reason}; see {os.path.relpath(paths.stdout)}")
            return
        output = paths.stdout.read_text(errors="replace") if paths.stdout.exists() else ""
        folder.mkdir(parents=True, exist_ok=True)
        RunFolder(folder).fail("failed", reason, "".join(output.splitlines(keepends=True)[-40:]))

    def _cancel(self, folders: Collection[Path]) -> None:
        """Cancel the jobs of runs, and wait for them to end; a second signal ends the wait."""
        try:
            jobs = [job for folder, job in queued_runs(self.sweep_dir).items() if folder in folders]
            if jobs:
                log.warning(f"Slurm: cancelling {len(jobs)} jobs")
                call("scancel", *jobs)
            deadline = time.monotonic() + CANCELLING
            while set(jobs) & set(queued_runs(self.sweep_dir).values()) and time.monotonic() < deadline:
                time.sleep(POLL)
        except SlurmError as error:
            log.error(f"{error}; jobs may be left in the queue")


def check_params(params: Mapping[str, Any]) -> None:
    """Raise ConfigError for values that Slurm would accept but a sweep cannot work with."""
    name = params["name"]
    if not NAME.fullmatch(name):
        raise ConfigError(f"hydra.launcher.name={name}: only letters, digits, '.', '_' and '-' are allowed")
    for key in ("nodes", "tasks_per_node"):
        if params[key] != 1:
            raise ConfigError(f"hydra.launcher.{key}={params[key]}: must be 1, as a run is one process")
    for key in ("timeout_min", "array_parallelism"):
        if params[key] < 1:
            raise ConfigError(f"hydra.launcher.{key}={params[key]}: must be at least 1")


def _rest(queue: Mapping[str, Queued], jobs: Iterable[str]) -> str:
    """Return how many of the jobs run, and why the others are pending."""
    left = [queue[job] for job in jobs if job in queue]
    running = sum(job.state == "RUNNING" for job in left)
    reasons = sorted({job.reason for job in left if job.state == "PENDING"})
    return f", {running} running" + (f", others pending: {', '.join(reasons)}" if reasons else "")


def _why_unsuccessful(result: Path) -> str:
    """Return the message of a job's exception, from what submitit kept of it."""
    with suppress(Exception):
        outcome, trace = pickle.loads(result.read_bytes())
        if outcome == "error":
            last = trace.strip().splitlines()[-1]
            return last.partition("Unsuccessful: ")[2] or last
    return "not complete"


def _job_return(overrides: Sequence[str], run: RunFolder, reason: str) -> JobReturn:
    """Return what Hydra's own launcher would return for a job; `reason` is why it failed, if its run does not say."""
    if run.state() == "complete" and not reason:
        return JobReturn(overrides=overrides, status=JobStatus.COMPLETED, _return_value=run.accuracy())
    failure = RunFailed(reason or run.failure().get("error", ""))
    return JobReturn(overrides=overrides, status=JobStatus.FAILED, _return_value=failure)


plugins.register(SlurmArray)
