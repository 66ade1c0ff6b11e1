"""A search for the best validation accuracy, `hydra/sweeper=search`: Optuna's sweeper, with runs as in any sweep.

Optuna proposes a run after it has seen the earlier ones, so there is no grid to look at beforehand. Its proposals
depend only on its seed and on those runs' accuracies: a repeated search asks for the same runs, and those that are
complete answer without being trained again.
"""

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_optuna_sweeper.optuna_sweeper import OptunaSweeper
from omegaconf import DictConfig

from resnet.errors import ConfigError, RunFailed, UserError
from resnet.launch import plugins
from resnet.launch.compose import config_error_in
from resnet.launch.jobs import ENDED_WELL, Job, by_folder, make_job, note_refusals
from resnet.launch.messages import launcher_failure, leave_out_hydras_line
from resnet.launch.progress import VARIABLE
from resnet.launch.summary import summarize
from resnet.launch.sweeper import ResumableSweeper, grid_of
from resnet.record.environment import program

log = logging.getLogger(__name__)

RESULTS = "optimization_results.yaml"

for chatty in ("alembic", "hydra_plugins.hydra_optuna_sweeper"):  # the summary reports the search like any sweep
    logging.getLogger(chatty).setLevel(logging.WARNING)


class Search(OptunaSweeper):
    """Optuna's sweeper; this class sits between it and the launcher, to know the runs and their outcomes."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        import optuna  # takes a second to import, so only a search does it

        optuna.logging.set_verbosity(logging.WARNING)
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.master, self.loader = config, hydra_context.config_loader
        assert self.sweeper.launcher is not None
        self.real_launcher: Any = self.sweeper.launcher
        self.sweeper.launcher = self  # type: ignore[assignment]
        self.jobs: dict[Path, Job] = {}
        self.tried = 0

    def sweep(self, arguments: list[str]) -> None:
        """Search; raises ConfigError for what cannot be searched. The search is `incomplete` if no run is complete."""
        if self.master.plan:
            trials = self.master.hydra.sweeper.n_trials
            raise ConfigError(
                f"plan=true: a search chooses its {trials} runs as it goes; plan a run with fixed values instead"
            )
        if self.master.resume == "never":
            raise ConfigError(
                "resume=never: a search that is repeated would train all of its runs again; give a new study"
            )
        space = [*grid_of(self.sweeper.params), *arguments]
        check_seeds(space)
        check_space(space)
        check_study(self.master.hydra.sweeper)
        os.environ.pop(VARIABLE, None)  # set by a sweep that this search is part of
        try:
            self.sweeper.sweep(arguments)
        except ValueError as error:  # from Optuna, asked for the best run when none is complete
            complete = any(job.run.state() == "complete" for job in self.jobs.values())
            if complete or not self.jobs or config_error_in(error):
                raise
        finally:
            if self.jobs:
                summarize(list(self.jobs.values()))
        if not any(job.outcome()[0] in ENDED_WELL for job in self.jobs.values()):
            ResumableSweeper.incomplete = True
            return
        self._keep_results()

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Launch the runs that Optuna proposes and that are not complete.

        Values that do not go together make a proposal a failed run; before any valid proposal, their error is raised.
        """
        answers: list[Job | JobReturn] = []
        for overrides in job_overrides:
            try:
                answer: Job | JobReturn = self._job(overrides)
            except Exception as error:
                refused = config_error_in(error)
                if refused is None or not self.jobs:
                    raise
                answer = failed(str(refused))
            self.tried += 1
            log.info(f"{self.tried} of {self.sweeper.n_trials}: {' '.join(overrides)}")
            if isinstance(answer, JobReturn):
                log.error(answer._return_value)
            elif answer.complete:
                log.info(f"{answer.run.path}: already there" + f", {answer.reason}" * bool(answer.reason))
                answer = completed(answer)
            answers.append(answer)
        to_do = {job.run.path: job for job in answers if isinstance(job, Job)}  # a run may be proposed twice
        launched = dict(zip(to_do, self._launch(list(to_do.values()), initial_job_idx)))
        return [launched[answer.run.path] if isinstance(answer, Job) else answer for answer in answers]

    def _job(self, overrides: Sequence[str]) -> Job:
        """Return the job of a proposal; raises ConfigError, or an exception caused by one."""
        job = make_job(overrides, self.loader.load_sweep_config(self.master, list(overrides)), program()["code"])
        if job.config.task != "train":
            raise ConfigError(f"task={job.config.task}: has no accuracy to search for")
        if not job.config.data.val_fraction:
            raise ConfigError(
                "data.val_fraction=0: a search looks for the highest validation accuracy, so hold out some images"
            )
        self.jobs.setdefault(job.run.path, job)
        return job

    def _launch(self, jobs: list[Job], number: int) -> Sequence[JobReturn]:
        """Launch jobs; if the launcher itself fails, as when a worker is killed, incomplete jobs count as failed."""
        if not jobs:
            return []
        try:
            returns = self.real_launcher.launch([job.overrides for job in jobs], initial_job_idx=number)
        except (UserError, BrokenPipeError):
            raise
        except Exception as error:
            reason = launcher_failure(error)
            log.error(f"The launcher failed ({reason}).")
            returns = [completed(job) if job.run.state() == "complete" else failed(reason) for job in jobs]
        note_refusals([self.jobs[job.run.path] for job in jobs], returns)
        return returns

    def _keep_results(self) -> None:
        """Move the results file, which Optuna writes to the same place for every sweep, to the study's folder."""
        studies = list(by_folder(list(self.jobs.values())))
        if len(studies) == 1:
            with suppress(OSError):
                os.replace(Path(self.master.hydra.sweep.dir) / RESULTS, studies[0] / RESULTS)


def completed(job: Job) -> JobReturn:
    """Return what a launcher returns for a complete job."""
    return JobReturn(status=JobStatus.COMPLETED, _return_value=job.run.accuracy())


def failed(reason: str) -> JobReturn:
    """Return what a launcher returns for a job that failed."""
    leave_out_hydras_line()
    return JobReturn(status=JobStatus.FAILED, _return_value=RunFailed(reason))


def check_seeds(space: Sequence[str]) -> None:
    """Refuse to search over seeds, because the luckiest would win."""
    seeds = [override.partition("=")[2] for override in space if override.startswith("seed=")][-1:] or ["0"]
    if not seeds[0].isdigit():
        raise ConfigError(f"seed={seeds[0]}: a search takes one seed, among several the luckiest would win; add seed=0")


def check_space(space: Sequence[str]) -> None:
    """Refuse values that nothing can be drawn from, such as an interval that ends before it begins."""
    from hydra_plugins.hydra_optuna_sweeper._impl import create_optuna_distribution_from_override

    for override in OverridesParser.create().parse_overrides(list(space)):
        try:
            create_optuna_distribution_from_override(override)
        except (ValueError, AssertionError, NotImplementedError) as error:
            raise ConfigError(f"{override.input_line}: cannot be searched: {str(error) or 'give its values'}") from None


def check_study(sweeper: DictConfig) -> None:
    """Refuse fewer than one trial or one run at a time, and a direction other than maximize and minimize."""
    for key in ("n_trials", "n_jobs"):
        if sweeper[key] < 1:
            raise ConfigError(f"hydra.sweeper.{key}={sweeper[key]}: must be at least 1")
    direction = getattr(sweeper.direction, "name", sweeper.direction)
    if direction not in ("maximize", "minimize"):
        raise ConfigError(f"hydra.sweeper.direction={direction}: must be one of maximize, minimize")


plugins.register(Search)
