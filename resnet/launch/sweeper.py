"""A grid sweep that can be repeated: Hydra's own, except that it looks into the run directories first and last.

Hydra composes each job of a sweep before it launches any, to find mistakes early. This sweeper uses that pass to learn
each job's run directory: complete runs are not launched again, and the summary at the end is read from the directories,
so that it is right whatever became of the processes that did the work.
"""

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus, configure_log
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from resnet.errors import ConfigError, UserError, drop_output
from resnet.launch import plugins
from resnet.launch.compose import as_typed, to_config
from resnet.launch.messages import unwritable
from resnet.record.environment import code_checksum
from resnet.record.files import format_rows
from resnet.record.folder import RecordError, RunFolder

log = logging.getLogger(__name__)

OTHER_CODE = "computed by other code"


@dataclass
class Job:
    """A point of the grid: its overrides, its run directory, and what was found there before the sweep.

    `complete` means that there is nothing to do; `begun_before` and `ended_before` are the directory's `begun_at` and
    `ended_at`. `reason` is why it cannot be used or, if it is complete, what to know about it.
    """

    overrides: Sequence[str]
    study: str
    run: RunFolder
    complete: bool
    begun_before: int | None
    ended_before: int | None
    reason: str

    def begun(self) -> bool:
        """Return whether this sweep began the run from its start."""
        return self.run.begun_at() not in (None, self.begun_before)

    def ended(self) -> bool:
        """Return whether the run was completed, or failed, in this sweep."""
        return self.run.ended_at() not in (None, self.ended_before)

    def outcome(self) -> tuple[str, str]:
        """Return what became of the job, in a word or two, and the reason where there is one."""
        if self.complete:
            return "already there", self.reason
        if self.reason:
            return "failed", self.reason
        state = self.run.state()
        if state == "complete":  # without a new end: another process did it meanwhile
            return ("complete" if self.ended() else "already there"), ""
        return state, self.run.failure().get("error", "")


class ResumableSweeper(Sweeper):
    """Launch the runs of a grid that are not complete, then report on all of them.

    `params` is the grid of an experiment file; values on the command line replace it key by key.
    """

    incomplete = False  # of the class: what Hydra makes of it is out of reach when it has done

    def __init__(self, params: dict[str, str] | None):
        self.params = params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.master_config, self.config_loader = config, hydra_context.config_loader
        self.job_launcher = Plugins.instance().instantiate_launcher(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> Any:
        """Run the grid that `arguments` span; `incomplete` then says whether a run of it is not complete."""
        jobs = self._jobs(arguments)
        to_do = [job for job in jobs if not job.complete]
        other = sum(job.complete and job.reason == OTHER_CODE for job in jobs)
        there = f"{len(jobs) - len(to_do)} already there" + f" ({other} {OTHER_CODE})" * bool(other)
        log.info(f"{len(jobs)} run{'s' * (len(jobs) != 1)}: {there}, {len(to_do)} to do")
        returns = []
        try:
            if to_do:
                returns = self._launch(to_do)
        finally:  # also when a signal ends the sweep
            hydra = self.master_config.hydra
            configure_log(hydra.hydra_logging, hydra.verbose)  # no longer into the last job's run.log
            summarize(jobs)
        # not as an exception: after one, Hydra would not call on_multirun_end
        type(self).incomplete = any(job.outcome()[0] not in ("complete", "already there") for job in jobs)
        return returns

    def _launch(self, jobs: list[Job]) -> list[Any]:
        """Launch jobs; where the launcher itself fails, retry each job that may be the cause by itself.

        A run directory that cannot be made stops Hydra's own launcher; a worker that is killed stops a parallel one,
        and all that was running there. The jobs that had not begun are then launched together again.
        """
        try:
            returns = list(self.job_launcher.launch([job.overrides for job in jobs], initial_job_idx=0))
        except UserError:  # nothing was launched, nor would be one by one
            raise
        except BrokenPipeError:  # raised where a process is started, and what was printed cannot be flushed
            drop_output()
            return self._launch([job for job in jobs if not job.ended()])
        except Exception as error:
            about_a_folder = isinstance(error, OSError) and error.filename
            reason = unwritable(error) if about_a_folder else f"{type(error).__name__}: {error}"  # type: ignore[arg-type]
        else:
            for job, returned in zip(jobs, returns):
                if returned.status == JobStatus.FAILED and job.run.state() not in ("failed", "diverged"):
                    job.reason = str(returned._return_value)  # refused before anything was begun
            return returns
        reason = " ".join(reason.split())
        if len(jobs) == 1 or self.master_config.fail_fast:
            log.error(f"The launcher failed ({reason}).")
            if len(jobs) == 1:
                jobs[0].reason = reason
            return []
        left = [job for job in jobs if not job.ended()]
        suspects = [job for job in left if job.run.state() == "unfinished"] or left
        log.warning(f"The launcher failed ({reason}); retrying {len(suspects)} of {len(left)} runs one by one.")
        for job in suspects:
            if job.begun():  # resume=never has had its effect
                job.overrides = [*job.overrides, "resume=auto"]
        returns = [returned for job in suspects for returned in self._launch([job])]
        rest = [job for job in left if job not in suspects]
        return returns + (self._launch(rest) if rest else [])

    def _jobs(self, arguments: list[str]) -> list[Job]:
        """Compose every point of the grid, in order; raises what a wrong point raises. A run directory counts once."""
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper  # not before Hydra has loaded it

        parser = OverridesParser.create(config_loader=self.config_loader)
        grid = [as_typed(f"{key}={values}") for key, values in self.params.items()]
        overrides = parser.parse_overrides(grid + arguments)
        if any(override.key_or_group == "experiment" and override.is_sweep_override() for override in overrides):
            raise ConfigError("experiment: one at a time, as each has a grid of its own")
        code = code_checksum()
        jobs: dict[Path, Job] = {}
        for point in BasicSweeper.split_arguments(overrides, max_batch_size=None)[0]:
            job = make_job(point, self.config_loader.load_sweep_config(self.master_config, list(point)), code)
            jobs.setdefault(job.run.path, job)
        return list(jobs.values())


def make_job(overrides: Sequence[str], composed: DictConfig, code: str) -> Job:
    """Return the job of a composed configuration; `code` is the checksum that a run of today would record."""
    run = RunFolder(Path(composed.hydra.sweep.dir) / composed.hydra.sweep.subdir)
    config = to_config(composed)
    complete, reason = False, ""
    if config.resume != "never":
        reason = run.config_conflict(config)
        complete = run.state() == "complete" and not reason
    if complete:
        try:
            reason = OTHER_CODE if run.result().get("code") != code else ""
        except RecordError as error:  # launched, the run says the same
            complete, reason = False, str(error)
    return Job(overrides, config.study, run, complete, run.begun_at(), run.ended_at(), reason)


def summarize(jobs: list[Job]) -> None:
    """Log a line per run, write the same to sweep.csv in each study's directory, and log what to type next."""
    log.info("")
    outcomes = [(job, *job.outcome()) for job in jobs]
    for job, outcome, reason in outcomes:
        log.info(f"{outcome:<14} {job.run.path}" + (f"  ({reason.splitlines()[0]})" if reason else ""))
    for study, directory in {job.study: job.run.path.parents[1] for job in jobs}.items():
        rows = [(outcome, job.run.path, reason) for job, outcome, reason in outcomes if job.study == study]
        write_summary(directory, rows)
        if any(outcome in ("complete", "already there") for outcome, *_ in rows):
            log.info(f"next: python -m analysis.table {directory}")


def write_summary(directory: Path, rows: list[tuple[str, Path, str]]) -> None:
    """Write sweep.csv, a row per run of the study's latest sweep to end; another sweep may end at the same time."""
    temporary = directory / f".sweep.csv.{os.getpid()}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(format_rows([("outcome", "run", "reason"), *rows]))
        os.replace(temporary, directory / "sweep.csv")
    except OSError as error:
        log.warning(unwritable(error))
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


plugins.register(ResumableSweeper)
