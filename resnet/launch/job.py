"""One job: what Hydra or a launcher calls with a composed configuration."""

import logging
import os
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from resnet.config import Config
from resnet.errors import ConfigError, RunFailed, UserError, reason_of
from resnet.launch.compose import checked, choices_of
from resnet.launch.messages import leave_out_hydras_line, quiet_hydra
from resnet.launch.progress import place_in_sweep
from resnet.record.folder import RunFolder
from resnet.session import run_or_resume
from resnet.signals import Interrupted, blocked_signals

log = logging.getLogger(__name__)


def run_composed(composed: DictConfig) -> float:
    """Run or resume one composed configuration; return its validation accuracy after the last epoch.

    Without held-out images, that is the test accuracy. Raises RunFailed after a failure, which is how Hydra's callbacks
    and sweepers learn of it, and ConfigError for an invalid request. Raises SystemExit with an exit code after a
    signal, and after a failure if `fail_fast` is set and nothing else would stop the sweep.
    """
    quiet_hydra()  # in a launcher's process, too
    try:
        return _run_checked(composed, HydraConfig.get())
    except UserError:
        leave_out_hydras_line()
        raise


def _run_checked(composed: DictConfig, hydra: Any) -> float:
    """Check what was composed, then run or resume it; see `run_composed`."""
    if hydra.mode == RunMode.RUN and "SlurmArray" in hydra.launcher._target_:
        raise ConfigError("hydra/launcher=slurm: add -m; without it the run would be trained here, not on the cluster")
    os.chdir(hydra.runtime.cwd)  # else hydra.job.chdir=true would look for the data in each run's folder
    config = checked(composed, hydra)
    if config.plan:
        raise ConfigError("plan: give it on the command line, as plan=true, and without another hydra/sweeper")
    folder = RunFolder(shortest(hydra.runtime.output_dir))
    try:
        if config.resume != "never":
            folder.check_owner(config)  # not logged: run.log is the other run's
        _run(folder, config, hydra)
    except UserError as failure:
        if hydra.mode == RunMode.MULTIRUN and config.fail_fast and not stops_by_itself(hydra.runtime.choices):
            raise SystemExit(failure.exit_code) from None
        raise
    return folder.accuracy()


def stops_by_itself(choices: Any) -> bool:
    """Return whether the sweep launches one run at a time, and so can stop after one that failed."""
    return choices["hydra/launcher"] == "basic" and choices["hydra/sweeper"] == "resumable"


def shortest(folder: str) -> Path:
    """Return a folder's path as people read it: relative to the working directory if it is inside."""
    relative = os.path.relpath(folder)
    return Path(folder if relative.startswith(os.pardir) else relative)


def _run(folder: RunFolder, config: Config, hydra: Any) -> None:
    """Run or resume and log the outcome; raises RunFailed, and SystemExit after a signal."""
    in_parallel = hydra.runtime.choices["hydra/launcher"] != "basic"
    try:
        if folder.state() != "complete" or config.resume == "never":
            with blocked_signals():
                progress = place_in_sweep(folder, config) if hydra.mode == RunMode.MULTIRUN else ""
            if progress:
                log.info(f"{folder.label}: " * in_parallel + progress)
        result = run_or_resume(folder, config, choices_of(hydra), in_parallel)
    except Interrupted as stop:
        command = "the same command" + " with resume=auto" * (config.resume == "never")
        epochs = len(folder.metrics())
        since = f"after epoch {epochs}" if epochs else "from the beginning"
        log.warning(f"{folder.path}: {stop}; {command} resumes {since}")
        raise SystemExit(128 + stop.signum) from None
    except (UserError, OSError) as error:
        log.error(f"{folder.path}: {error}")
        raise failure_of(error, getattr(error, "exit_code", 1)) from None
    except Exception as error:  # a bug: the traceback belongs in run.log, too
        log.exception(f"{folder.path}: failed")
        raise failure_of(error, 1) from None
    accuracy = f", test accuracy {result['test']['acc']:.2%}" if "test" in result else ""
    log.info(f"{folder.path}: complete{accuracy}")
    curves = folder.path / "curves.png"
    if hydra.mode == RunMode.RUN and curves.exists():  # a sweep ends with a table of its runs
        log.info(f"curves: {curves}")


def failure_of(error: Exception, exit_code: int) -> RunFailed:
    """Return the exception that tells Hydra of a failure, with the exit code of a single run."""
    failure = RunFailed(reason_of(error))
    failure.exit_code = exit_code
    return failure
