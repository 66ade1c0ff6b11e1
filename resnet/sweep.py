"""A grid sweep that can be issued again: Hydra's own, except that it looks at the run folders first and last.

Hydra composes each job of a sweep before it launches any, to find mistakes early. This sweeper uses that pass
to learn each job's folder: complete runs are not launched again, and the summary at the end is read from
the folders, so that it is right whatever became of the processes that did the work.
"""

import csv
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from resnet.record import RunFolder

log = logging.getLogger(__name__)


@dataclass
class Job:
    """A point of the grid: its overrides, its folder, and whether it was complete before the sweep began."""

    overrides: Sequence[str]
    study: str
    run: RunFolder
    already_there: bool

    def outcome(self) -> tuple[str, str]:
        """Return what became of the job, in a word, and the reason where there is one to give."""
        state = self.run.state()
        if state == "complete":
            return ("already there" if self.already_there else "complete"), ""
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
        to_do = [job for job in jobs if not job.already_there]
        log.info(f"{len(jobs)} runs: {len(jobs) - len(to_do)} already there, {len(to_do)} to do")
        returns = []
        try:
            if to_do:
                returns = self.launcher.launch([job.overrides for job in to_do], initial_job_idx=0)
        except Exception:  # a launcher that lost a worker: what the others did is on disk
            log.exception("The launcher failed; the same command again goes on with what is missing.")
        finally:  # also when a signal ends the sweep
            summarize(jobs)
        if any(job.run.state() != "complete" for job in jobs):
            raise SystemExit(1)
        return returns

    def _jobs(self, arguments: list[str]) -> list[Job]:
        """Compose every point of the grid, in order, each folder once; raises what a wrong point raises."""
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper  # not before Hydra has loaded it

        parser = OverridesParser.create(config_loader=self.config_loader)
        overrides = parser.parse_overrides([f"{key}={values}" for key, values in self.params.items()] + arguments)
        jobs: dict[Path, Job] = {}
        for point in BasicSweeper.split_arguments(overrides, max_batch_size=None)[0]:
            config = self.config_loader.load_sweep_config(self.config, list(point))
            run = RunFolder(Path(config.hydra.sweep.dir) / config.hydra.sweep.subdir)
            complete = run.state() == "complete" and config.resume != "never"
            jobs.setdefault(run.path, Job(point, config.study, run, complete))
        return list(jobs.values())


def summarize(jobs: list[Job]) -> None:
    """Log a line per run and write the same to sweep.csv in the folder of each study."""
    log.info("")
    outcomes = [(job, *job.outcome()) for job in jobs]
    for job, outcome, reason in outcomes:
        log.info(f"{outcome:<14} {job.run.path}" + (f"  ({reason})" if reason else ""))
    for study in {job.study for job in jobs}:
        rows = [(outcome, job.run.path, reason) for job, outcome, reason in outcomes if job.study == study]
        write_summary(next(job.run.path.parents[1] for job in jobs if job.study == study), rows)


def write_summary(study_folder: Path, rows: list[tuple[str, Path, str]]) -> None:
    """Write sweep.csv, a row per run of the sweep that was last issued for the study."""
    study_folder.mkdir(parents=True, exist_ok=True)
    with open(study_folder / "sweep.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("outcome", "run", "reason"))
        writer.writerows(rows)


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
