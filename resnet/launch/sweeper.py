"""A grid sweep that can be issued again: Hydra's own, except that it looks at the run folders first and last.

Hydra composes each job of a sweep before it launches any, to find mistakes early. This sweeper uses that pass
to learn each job's folder: complete runs are not launched again, and the summary at the end is read from
the folders, so that it is right whatever became of the processes that did the work.
"""

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import configure_log
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from resnet.errors import UserError
from resnet.launch.compose import to_config
from resnet.launch.messages import unwritable
from resnet.record.files import format_rows
from resnet.record.folder import RunFolder

log = logging.getLogger(__name__)


@dataclass
class Job:
    """A point of the grid: its overrides, its folder, and how that was found.

    `complete` means that there is nothing to do, `begun_before` and `ended_before` are what the folder answered to
    `begun_at` and `ended_at`, and `obstacle` is what keeps the folder from being used, where something does.
    """

    overrides: Sequence[str]
    study: str
    run: RunFolder
    complete: bool
    begun_before: int | None
    ended_before: int | None
    obstacle: str

    def begun(self) -> bool:
        """Return whether this sweep began the run, which an earlier one may have begun before it."""
        return self.run.begun_at() not in (None, self.begun_before)

    def ended(self) -> bool:
        """Return whether this sweep brought the run to an end, be it a failure."""
        return self.run.ended_at() not in (None, self.ended_before)

    def outcome(self) -> tuple[str, str]:
        """Return what became of the job, in a word, and the reason where there is one to give."""
        state = self.run.state()
        if self.obstacle:
            return "failed", self.obstacle
        if state == "complete":
            return ("complete" if self.ended() else "already there"), ""
        return state, self.run.failure().get("error", "")


class ResumableSweeper(Sweeper):
    """Launch what a grid's run folders lack, then say how each of its runs stands.

    `params` are the grid that an experiment file spans; the command line's values replace its own key by key.
    """

    def __init__(self, params: dict[str, str] | None):
        self.params = params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config, self.config_loader = config, hydra_context.config_loader
        self.launcher = Plugins.instance().instantiate_launcher(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> Any:
        """Run the grid that `arguments` span; raises SystemExit(1) where a run of it is not complete."""
        jobs = self._jobs(arguments)
        to_do = [job for job in jobs if not job.complete]
        log.info(f"{len(jobs)} run{'s' * (len(jobs) != 1)}: {len(jobs) - len(to_do)} already there, {len(to_do)} to do")
        returns = []
        try:
            if to_do:
                returns = self._launch(to_do)
        finally:  # also when a signal ends the sweep
            configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)  # out of the last job's run.log
            summarize(jobs)
        if any(job.outcome()[0] not in ("complete", "already there") for job in jobs):
            raise SystemExit(1)
        return returns

    def _launch(self, jobs: list[Job]) -> list[Any]:
        """Launch jobs; where the launcher itself fails, give each that may have been the reason a turn of its own.

        A folder that cannot be made stops Hydra's own launcher; a worker that was killed, a parallel one and all that
        was under way there. The rest, which had not begun, is then launched together again.
        """
        overrides = [job.overrides for job in jobs]
        try:
            if hasattr(self.launcher, "launch_into"):
                return self.launcher.launch_into([job.run.path for job in jobs], overrides)
            return list(self.launcher.launch(overrides, initial_job_idx=0))
        except UserError:  # nothing was launched, nor would one by one
            raise
        except Exception as error:
            reason = unwritable(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        reason = " ".join(reason.split())
        if len(jobs) == 1 or self.config.fail_fast:
            log.error(f"The launcher failed ({reason}).")
            if len(jobs) == 1:
                jobs[0].obstacle = reason
            return []
        left = [job for job in jobs if not job.ended()]
        suspects = [job for job in left if job.run.state() == "unfinished"] or left
        log.warning(f"The launcher failed ({reason}); going on with {len(suspects)} of {len(left)} runs one by one.")
        for job in suspects:
            if job.begun():  # resume=never has been done
                job.overrides = [*job.overrides, "resume=auto"]
        returns = [returned for job in suspects for returned in self._launch([job])]
        rest = [job for job in left if job not in suspects]
        return returns + (self._launch(rest) if rest else [])

    def _jobs(self, arguments: list[str]) -> list[Job]:
        """Compose every point of the grid, in order, each folder once; raises what a wrong point raises."""
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper  # not before Hydra has loaded it

        parser = OverridesParser.create(config_loader=self.config_loader)
        overrides = parser.parse_overrides([f"{key}={values}" for key, values in self.params.items()] + arguments)
        jobs: dict[Path, Job] = {}
        for point in BasicSweeper.split_arguments(overrides, max_batch_size=None)[0]:
            config = self.config_loader.load_sweep_config(self.config, list(point))
            run = RunFolder(Path(config.hydra.sweep.dir) / config.hydra.sweep.subdir)
            over = config.resume == "never"
            obstacle = "" if over else run.config_conflict(to_config(config))
            complete = run.state() == "complete" and not obstacle and not over
            jobs.setdefault(run.path, Job(point, config.study, run, complete, run.begun_at(), run.ended_at(), obstacle))
        return list(jobs.values())


def summarize(jobs: list[Job]) -> None:
    """Log a line per run and write the same to sweep.csv in the folder of each study."""
    log.info("")
    outcomes = [(job, *job.outcome()) for job in jobs]
    for job, outcome, reason in outcomes:
        log.info(f"{outcome:<14} {job.run.path}" + (f"  ({reason.splitlines()[0]})" if reason else ""))
    for study in {job.study for job in jobs}:
        rows = [(outcome, job.run.path, reason) for job, outcome, reason in outcomes if job.study == study]
        write_summary(next(job.run.path.parents[1] for job in jobs if job.study == study), rows)


def write_summary(study_folder: Path, rows: list[tuple[str, Path, str]]) -> None:
    """Write sweep.csv, a row per run of that sweep of the study which ended last; others may end with it."""
    temporary = study_folder / f".sweep.csv.{os.getpid()}"
    try:
        study_folder.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(format_rows([("outcome", "run", "reason"), *rows]))
        os.replace(temporary, study_folder / "sweep.csv")
    except OSError as error:
        log.warning(unwritable(error))
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def register() -> None:
    """Make the sweeper known to Hydra, which takes plugins from a package called `hydra_plugins` alone.

    A package of that name would have to be installed; an alias of this module in its place serves a bare checkout too.
    """
    plugins = Plugins.instance()  # imports the package, if some plugin has been installed
    parent = sys.modules.setdefault("hydra_plugins", ModuleType("hydra_plugins"))
    parent.resnet = sys.modules["hydra_plugins.resnet"] = sys.modules[__name__]
    ResumableSweeper.__module__ = "hydra_plugins.resnet"
    plugins.register(ResumableSweeper)


register()
