"""A grid sweep that can be repeated: Hydra's own, except that it looks into the run folders before and after.

Hydra composes each job of a sweep before it launches any, to find mistakes early. This sweeper uses that pass to learn
each job's run folder: complete runs are not launched again, and the summary at the end is read from the folders,
so it is right even if the processes that did the work died.
"""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, configure_log
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from resnet.config import flat_fields, identity
from resnet.errors import ConfigError, UserError, drop_output
from resnet.launch import plugins
from resnet.launch.compose import as_typed
from resnet.launch.jobs import ENDED_WELL, OTHER_CODE, Job, make_job, note_refusals
from resnet.launch.messages import launcher_failure
from resnet.launch.plan import print_plan
from resnet.launch.progress import listed
from resnet.launch.summary import summarize
from resnet.record.environment import program

log = logging.getLogger(__name__)

logging.getLogger("hydra_plugins.hydra_joblib_launcher._core").setLevel(logging.WARNING)  # it logs its constructor call


class ResumableSweeper(Sweeper):
    """Launch the runs of a grid that are not complete, then report on all of them.

    `params` is the grid of an experiment file; values on the command line replace it key by key.
    """

    incomplete = False  # a class attribute, because Hydra's instance cannot be reached after the sweep

    def __init__(self, params: Any):
        self.grid = grid_of(params)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.master_config, self.config_loader = config, hydra_context.config_loader
        self.job_launcher = Plugins.instance().instantiate_launcher(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> Any:
        """Run the grid that `arguments` span; `incomplete` then says whether any run is not complete."""
        hydra, root = self.master_config.hydra, Path(self.master_config.hydra.sweep.dir)  # fixes ${now:…} for all runs
        jobs = self._jobs(arguments)
        at_once = runs_at_once(hydra)
        if self.master_config.plan:
            return print_plan(jobs, root, at_once, elsewhere="array_parallelism" in hydra.launcher)
        to_do = [job for job in jobs if not job.complete]
        other = sum(job.complete and job.reason == OTHER_CODE for job in jobs)
        there = f"{len(jobs) - len(to_do)} already there" + f" ({other} {OTHER_CODE})" * bool(other)
        log.info(f"{len(jobs)} run{'s' * (len(jobs) != 1)}: {there}, {len(to_do)} to do")
        returns = []
        try:
            if to_do:
                with listed(jobs, at_once, root):
                    returns = self._launch(to_do)
        finally:  # also when a signal ends the sweep
            configure_log(hydra.hydra_logging, hydra.verbose)  # else it would still go to the last job's run.log
            summarize(jobs)
        # not as an exception: after one, Hydra would not call on_multirun_end
        type(self).incomplete = any(job.outcome()[0] not in ENDED_WELL for job in jobs)
        return returns

    def _launch(self, jobs: list[Job]) -> list[Any]:
        """Launch jobs; if the launcher itself fails, retry one by one the jobs that may be the cause.

        A run folder that cannot be made stops Hydra's own launcher; a killed worker stops a parallel launcher and
        everything that was running there. The jobs that had not started are then launched together again.
        """
        overrides = [[*job.overrides, *["resume=auto"] * job.begun()] for job in jobs]  # resume=never has taken effect
        try:
            returns = launched(self.job_launcher, overrides, self.master_config.fail_fast)
        except UserError:  # retrying one by one would not help; jobs of a cluster may be in the queue
            raise
        except BrokenPipeError:  # starting a process flushes what was printed, but its reader is gone
            drop_output()
            return self._launch([job for job in jobs if not job.ended()])
        except Exception as error:
            reason = launcher_failure(error)
            bug = None if isinstance(error, (OSError, BrokenExecutor)) else error  # the machine's, or a killed worker
        else:
            note_refusals(jobs, returns)
            return returns
        if len(jobs) == 1 or self.master_config.fail_fast:
            log.error(f"The launcher failed ({reason}).", exc_info=bug)
            if len(jobs) == 1:
                jobs[0].reason = reason
            return []
        left = [job for job in jobs if not job.ended()]
        suspects = [job for job in left if job.run.state() == "unfinished"] or left
        log.warning(
            f"The launcher failed ({reason}); retrying {len(suspects)} of {len(left)} runs one by one.", exc_info=bug
        )
        returns = [returned for job in suspects for returned in self._launch([job])]
        rest = [job for job in left if job not in suspects]
        return returns + (self._launch(rest) if rest else [])

    def _jobs(self, arguments: list[str]) -> list[Job]:
        """Compose the grid, in order, and return one job per run folder; raises what an invalid point raises."""
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper  # not before Hydra has loaded it

        parser = OverridesParser.create(config_loader=self.config_loader)
        overrides = parser.parse_overrides(self.grid + arguments)
        if any(override.key_or_group == "experiment" and override.is_sweep_override() for override in overrides):
            raise ConfigError("experiment: one at a time, as each has a grid of its own")
        check_values(overrides)
        code = program()["code"]
        jobs: dict[Path, Job] = {}
        for point in BasicSweeper.split_arguments(overrides, max_batch_size=None)[0]:
            job = make_job(point, self.config_loader.load_sweep_config(self.master_config, list(point)), code)
            check_same(jobs.setdefault(job.run.path, job), job)
        return list(jobs.values())


def grid_of(params: Any) -> list[str]:
    """Return `hydra.sweeper.params` as overrides; raises ConfigError if it is not a mapping."""
    if not isinstance(params or {}, Mapping):
        raise ConfigError(f"hydra.sweeper.params={params}: must hold values by key, e.g. {{seed: '0,1'}}")
    return [as_typed(f"{key}={'null' if values is None else values}") for key, values in (params or {}).items()]


def check_values(overrides: Sequence[Override]) -> None:
    """Refuse an empty sweep (a glob that matched nothing) and an interval, which a grid cannot enumerate."""
    for override in overrides:
        if override.is_interval_sweep():
            raise ConfigError(
                f"{override.input_line}: a grid needs a list of values; for an interval use hydra/sweeper=search"
            )
        if override.is_sweep_override() and not any(True for _ in override.sweep_iterator()):
            raise ConfigError(f"{override.input_line}: has no values, so there is nothing to run")


def check_same(one: Job, other: Job) -> None:
    """Raise ConfigError for two different points of a sweep in one folder; a point given twice is no error.

    They share it because the user set hydra.sweep.subdir, or because they differ only in keys outside a run's identity.
    """
    if (one.config.seed, identity(one.config)) != (other.config.seed, identity(other.config)):
        raise ConfigError(f"hydra.sweep.subdir: puts different runs into one folder, {one.run.path}; leave it out")
    for (key, _, value), (_, _, another) in zip(flat_fields(one.config), flat_fields(other.config)):
        if value != another:
            raise ConfigError(f"{key}={value},{another}: makes one run, not two; give each value a study of its own")


def launched(launcher: Launcher, jobs: Sequence[Sequence[str]], fail_fast: bool) -> list[JobReturn]:
    """Launch jobs, given by their overrides; with `fail_fast`, Hydra's own launcher stops at the first that fails."""
    from hydra._internal.core_plugins.basic_launcher import BasicLauncher  # not before Hydra has loaded it

    if not (fail_fast and isinstance(launcher, BasicLauncher)):
        return list(launcher.launch(jobs, initial_job_idx=0))
    returns: list[JobReturn] = []
    for number, overrides in enumerate(jobs):
        returns += launcher.launch([overrides], initial_job_idx=number)
        if returns[-1].status == JobStatus.FAILED:
            break
    return returns


def runs_at_once(hydra: DictConfig) -> int:
    """Return the largest number of runs that a launcher computes in parallel; raises ConfigError if that is 0."""
    if hydra.launcher.get("n_jobs") == 0:
        raise ConfigError("hydra.launcher.n_jobs=0: must be at least 1; -1 is one per core")
    at_once = hydra.launcher.get("array_parallelism") or hydra.launcher.get("n_jobs") or 1
    if at_once < 0:
        from joblib import effective_n_jobs  # which imports numpy

        return effective_n_jobs(at_once)
    return at_once


plugins.register(ResumableSweeper)
