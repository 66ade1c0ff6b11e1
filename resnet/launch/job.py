"""One job: what Hydra or a launcher calls with a composed configuration."""

import logging
import os
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from resnet.config import Config
from resnet.errors import ConfigError, UserError
from resnet.launch.compose import checked, choices_of
from resnet.launch.progress import place_in_sweep
from resnet.record.folder import RunFolder
from resnet.session import Place, run_or_resume
from resnet.signals import Interrupted, blocked_signals

log = logging.getLogger(__name__)


def run_composed(composed: DictConfig) -> float:
    """Run or resume one composed configuration; return its validation accuracy after the last epoch.

    Without held-out images that is the test accuracy; NaN where the run failed and others of its sweep may follow.
    Raises SystemExit with an exit code after a signal, and after a failure that nothing may follow.
    """
    hydra = HydraConfig.get()
    if hydra.mode == RunMode.RUN and "SlurmArray" in hydra.launcher._target_:
        raise ConfigError("hydra/launcher=slurm: add -m; without it the run would be trained here, not on the cluster")
    config = checked(composed, hydra)
    if config.plan:
        raise ConfigError("plan: give it on the command line, as plan=true")
    folder = RunFolder(shortest(hydra.runtime.output_dir))
    code = _run(folder, config, hydra)
    if code == 0:
        return folder.accuracy()
    if hydra.mode == RunMode.RUN or config.fail_fast:
        raise SystemExit(code)
    return float("nan")


def shortest(folder: str) -> Path:
    """Return a folder's path as people read it: relative to where they are, if it is below."""
    relative = os.path.relpath(folder)
    return Path(folder if relative.startswith(os.pardir) else relative)


def _run(folder: RunFolder, config: Config, hydra: Any) -> int:
    """Run or resume and log the outcome; return the exit code. Raises SystemExit after a signal."""
    place = Place(OmegaConf.select(hydra, "job.num", default=0), hydra.runtime.choices["hydra/launcher"] != "basic")
    try:
        with folder.lock():
            if folder.state() != "complete":
                with blocked_signals():
                    progress = place_in_sweep(folder)
                if progress:
                    log.info(f"{folder.label}: " * place.beside_others + progress)
            result = run_or_resume(folder, config, choices_of(hydra), place)
    except Interrupted as stop:
        command = "the same command" + " without resume=never" * ("resume=never" in hydra.overrides.task)
        epochs = len(folder.metrics())
        since = f"after epoch {epochs}" if epochs else "from the beginning"
        log.warning(f"{folder.path}: {stop}; {command} resumes {since}")
        raise SystemExit(128 + stop.signum) from None
    except (UserError, OSError) as error:
        log.error(f"{folder.path}: {error}")
        return getattr(error, "exit_code", 1)
    except Exception:  # a bug, or out of memory: the traceback belongs in run.log, too
        log.exception(f"{folder.path}: failed")
        return 1
    accuracy = f", test accuracy {result['test']['acc']:.2%}" if "test" in result else ""
    log.info(f"{folder.path}: complete{accuracy}")
    return 0
