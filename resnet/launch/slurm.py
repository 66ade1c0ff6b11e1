"""Sweeps on a Slurm cluster, `hydra/launcher=slurm`: hydra-submitit-launcher, and what a sweep of days needs besides.

A run is a job, an element of one array. Which element is which run is written down before the array is submitted, under
the name that it has in the queue: a command that is issued again finds there what is waiting or running. What became of
a job is read from its run's folder; the queue only tells when to look.
"""

import hashlib
import logging
import math
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher
from omegaconf import OmegaConf

import resnet.launch.sweeper
from resnet.errors import ConfigError
from resnet.launch.slurm_job import RunJob
from resnet.launch.slurm_queue import OVER, Queued, SlurmError, ask, read_queue, read_queue_patiently
from resnet.record.files import write_whole
from resnet.record.folder import RunFolder

log = logging.getLogger(__name__)

POLL, SLOWEST_POLL = 1, 30  # seconds from one look at the queue to the next, at first and after half an hour
PATIENCE = 10  # seconds for a file of another host to be seen here, and for a preempted job to be queued again
CANCELLING = 60  # seconds for cancelled jobs to end
NAME = re.compile(r"[A-Za-z0-9_.-]+")  # that Slurm shows as it is, and that is a file's name


class SlurmArray(SlurmLauncher):
    """Have Slurm do the jobs of a sweep; wait for them, and leave none without a word in its run's folder."""

    def setup(self, **context: Any) -> None:
        """Take what Hydra gives; raises ConfigError for keys that cannot work, and where there is no Slurm."""
        super().setup(**context)
        self._check()
        if shutil.which("sbatch") is None:
            raise ConfigError("hydra/launcher=slurm: there is no Slurm on this machine, sbatch is not found")
        self.sweep_dir = Path(str(self.config.hydra.sweep.dir))
        self.arrays = self.sweep_dir / ".slurm"

    def _check(self) -> None:
        """Raise ConfigError for what Slurm would take and a sweep cannot do with."""
        name = self.params["name"]
        if not NAME.fullmatch(name):
            raise ConfigError(f"hydra.launcher.name={name}: takes letters, digits, and any of . _ - only")
        for key in ("nodes", "tasks_per_node"):
            if self.params[key] != 1:
                raise ConfigError(f"hydra.launcher.{key}={self.params[key]}: must be 1, as a run is one process")
        for key in ("timeout_min", "array_parallelism"):
            if self.params[key] < 1:
                raise ConfigError(f"hydra.launcher.{key}={self.params[key]}: must be at least 1")

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Bring jobs to their end; return the validation accuracy of each, for sweepers that search."""
        configs = [self.hydra_context.config_loader.load_sweep_config(self.config, list(o)) for o in job_overrides]
        return self.launch_into([self.sweep_dir / str(c.hydra.sweep.subdir) for c in configs], job_overrides)

    def launch_into(self, folders: Sequence[Path], job_overrides: Sequence[Sequence[str]]) -> list[JobReturn]:
        """Launch jobs whose folders are known already, which saves composing each of them again."""
        todo = dict(zip(folders, job_overrides))
        ends: dict[Path, int | None] = {folder: RunFolder(folder).ended_at() for folder in todo}
        try:
            jobs = {folder: job for folder, job in self.queued().items() if folder in todo}
            if jobs:
                log.info(f"Slurm: {len(jobs)} of the runs are in the queue already")
                ends |= dict.fromkeys(jobs)  # their ends are news, whenever they came
            jobs |= self.submit({folder: todo[folder] for folder in todo if folder not in jobs})
            self.wait(jobs, ends)
        except SlurmError as error:  # what is in the queue has done nothing wrong
            raise SlurmError(f"{error}; jobs of this sweep that are in the queue stay there") from None
        except BaseException:  # also Ctrl-C and SIGTERM
            self.cancel(todo)
            raise
        return [_returned(overrides, RunFolder(folder)) for folder, overrides in todo.items()]

    def queued(self) -> dict[Path, str]:
        """Return the runs that wait or run on the cluster, and their jobs, whatever command submitted them."""
        folders, found = {}, {}
        for job, (name, state, _) in read_queue().items():
            if name not in folders:
                written = self.arrays / f"{name}.txt"
                known = NAME.fullmatch(name) and written.exists()
                folders[name] = written.read_text(encoding="utf-8").splitlines() if known else []
            if folders[name] and state not in OVER:
                found[self.sweep_dir / folders[name][int(job.partition("_")[2] or 0)]] = job
        return found

    def submit(self, todo: dict[Path, Sequence[str]]) -> dict[Path, str]:
        """Submit an array of jobs, several where the cluster takes none so large; return each folder's job."""
        if not todo:
            return {}
        if self.config.resume == "never":  # by the jobs it would be done again whenever one is queued again
            for run in map(RunFolder, filter(Path.exists, todo)):
                with run.lock():
                    run.archive()
        longest = int(re.search(r"MaxArraySize\s*=\s*(\d+)", ask("scontrol", "show", "config"))[1])
        folders, submitted = list(todo), {}
        parts = [folders[start : start + longest] for start in range(0, len(folders), longest)]
        for part in parts:
            executor = self._executor(self._write_down(part), math.ceil(self.params["array_parallelism"] / len(parts)))
            run_job = RunJob(*(self.params[key] for key in ("timeout_min", "signal_delay_s", "max_num_timeout")))
            overrides = [self._single_run(folder, todo[folder]) for folder in part]
            try:
                jobs = executor.map_array(run_job, list(map(str, part)), overrides)
            except Exception as error:  # submitit's own, with sbatch's answer in the middle of a page
                said = re.findall(r"sbatch: error: (.+)", str(error))
                raise SlurmError(f"sbatch: {'; '.join(said) or error}") from None
            log.info(f"Slurm: submitted {len(part)} jobs, {jobs[0].job_id.split('_')[0]} in the queue")
            submitted |= {folder: job.job_id for folder, job in zip(part, jobs)}
        return submitted

    def _write_down(self, folders: Sequence[Path]) -> str:
        """Write which element of an array is which run; return the array's name."""
        text = "".join(f"{folder.relative_to(self.sweep_dir)}\n" for folder in folders)
        digest = hashlib.sha256(f"{self.sweep_dir.resolve()}\n{text}".encode()).hexdigest()[:8]
        name = f"{self.params['name']}-{digest}"
        self.arrays.mkdir(parents=True, exist_ok=True)
        write_whole(self.arrays / f"{name}.txt", text.encode())
        return name

    def _single_run(self, folder: Path, overrides: Sequence[str]) -> list[str]:
        """Return the arguments of resnet.run for one job: the run by itself, in the folder that it has in the sweep."""
        settings = self.config.hydra
        hydra = [o for o in settings.overrides.hydra if not re.match(r"[+~]*hydra[./](launcher|sweep|mode)", o)]
        own = [f"--config-dir={s.path}" for s in settings.runtime.config_sources if s.provider == "command-line"]
        quoted = str(folder).replace("'", r"\'")
        alone = ["hydra/launcher=basic", "hydra.mode=RUN", f"hydra.run.dir='{quoted}'", "resume=auto"]
        return [*own, *overrides, *hydra, *alone]

    def _executor(self, name: str, parallelism: int) -> Any:
        """Return what submits: submitit, given this launcher's keys under the names that it has for them."""
        import submitit

        params = {key: value for key, value in self.params.items() if key not in ("submitit_folder", "max_num_timeout")}
        threads = params["cpus_per_task"] or 1
        # Since Slurm 22.05 srun gives a job's command one core unless told in this way.
        setup = [f"export OMP_NUM_THREADS={threads} SRUN_CPUS_PER_TASK={threads}", *(params["setup"] or [])]
        params |= {"name": name, "array_parallelism": parallelism, "setup": setup}
        # Until Python can answer, a signal would end the job for good; Slurm sends a second one, or queues it again.
        python = f"""sh -c 'trap "" TERM USR2; exec "$0" "$@"' {shlex.quote(sys.executable)}"""
        executor = submitit.AutoExecutor(self.params["submitit_folder"], cluster="slurm", slurm_python=python)
        general = set(OmegaConf.structured(BaseQueueConf))
        executor.update_parameters(**{k if k in general else f"slurm_{k}": v for k, v in params.items()})
        return executor

    def wait(self, jobs: dict[Path, str], ends: dict[Path, int | None]) -> None:
        """Wait until each job has left the queue and its run's folder says what came of it.

        `ends` says when each run had ended before. One that has not since had a job that died: that is written down.
        """
        waiting, missing, started, told = dict(jobs), {}, time.monotonic(), ""
        while waiting:
            queue, now = read_queue_patiently(), time.monotonic()
            for folder, job in list(waiting.items()):
                if job in queue and queue[job].state not in OVER:
                    missing.pop(folder, None)
                elif RunFolder(folder).ended_at() not in (None, ends[folder]):
                    del waiting[folder]
                elif now - missing.setdefault(folder, now) > PATIENCE:
                    del waiting[folder]
                    self._bury(folder, job, queue[job].state if job in queue else "not known any more")
                if folder not in waiting and self.config.fail_fast and RunFolder(folder).state() != "complete":
                    return self.cancel(waiting)
            tell = f"Slurm: {len(jobs) - len(waiting)} of {len(jobs)} jobs ended{_standing(queue, waiting.values())}"
            if tell != told:
                log.info(told := tell)
            if waiting:
                time.sleep(min(SLOWEST_POLL, POLL + (now - started) / 60))

    def _bury(self, folder: Path, job: str, state: str) -> None:
        """Write a dead job's failure into its run's folder, unless it ended by itself and has said why."""
        from submitit.core.utils import JobPaths

        paths = JobPaths(self.params["submitit_folder"], job)
        output = paths.stdout.read_text(errors="replace") if paths.stdout.exists() else ""
        if paths.result_pickle.exists():
            log.warning(f"{folder}: not complete, see {os.path.relpath(paths.stdout)}")
            return
        folder.mkdir(parents=True, exist_ok=True)
        reason = f"its Slurm job {job} ended before it did, state {state}"
        RunFolder(folder).fail("failed", reason, "".join(output.splitlines(keepends=True)[-40:]))

    def cancel(self, folders: Iterable[Path]) -> None:
        """Cancel the jobs of runs, and wait for them to end; a second signal does not wait."""
        try:
            jobs = [job for folder, job in self.queued().items() if folder in set(folders)]
            if jobs:
                log.warning(f"Slurm: cancelling {len(jobs)} jobs")
                ask("scancel", *jobs)
            deadline = time.monotonic() + CANCELLING
            while set(jobs) & set(self.queued().values()) and time.monotonic() < deadline:
                time.sleep(POLL)
        except SlurmError as error:
            log.error(f"{error}; jobs may be left in the queue")


def _standing(queue: dict[str, Queued], jobs: Iterable[str]) -> str:
    """Return how many of the jobs run, and why the others wait."""
    running = sum(queue[job].state == "RUNNING" for job in jobs if job in queue)
    reasons = sorted({queue[job].reason for job in jobs if job in queue and queue[job].state == "PENDING"})
    return f", {running} running" + (f", others wait: {', '.join(reasons)}" if reasons else "")


def _returned(overrides: Sequence[str], run: RunFolder) -> JobReturn:
    """Return what a job that Hydra launched itself would have."""
    job = JobReturn(overrides=overrides, status=JobStatus.COMPLETED)
    job.return_value = run.accuracy() if run.state() == "complete" else float("nan")
    return job


# Under the name that Hydra takes this project's plugins from, see sweep.py.
resnet.launch.sweeper.SlurmArray = SlurmArray
SlurmArray.__module__ = "hydra_plugins.resnet"
Plugins.instance().register(SlurmArray)
