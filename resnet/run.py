"""Train one network, or a sweep of them: `python -m resnet.run model=blocks15`; `--help` tells the rest."""

import logging
import os
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

import resnet.launch.sweeper  # noqa: F401  registers the sweeper
from resnet.errors import ConfigError, UserError, exit_on_error
from resnet.launch.compose import CONF, checked, choices_of
from resnet.launch.messages import explain_training, quiet_hydra, stopped
from resnet.record.folder import RunFolder
from resnet.session import Place, run_or_resume
from resnet.signals import Interrupted

try:
    import resnet.launch.slurm  # noqa: F401  registers the launcher
except ModuleNotFoundError as missing:  # hydra-submitit-launcher is an extra
    if not (missing.name or "").startswith("hydra_plugins"):
        raise

log = logging.getLogger(__name__)


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def main(composed: DictConfig) -> float:
    """Run or resume one configuration; return its validation accuracy after the last epoch.

    The test accuracy where no images are held out. NaN where the run failed and others of its sweep may follow.
    """
    job = HydraConfig.get()
    if job.mode == RunMode.RUN and "SlurmArray" in job.launcher._target_:
        raise ConfigError("hydra/launcher=slurm: add -m; without it the run would be trained here, not on the cluster")
    config = checked(composed, job)
    folder = RunFolder(Path(os.path.relpath(job.runtime.output_dir)))
    place = Place(OmegaConf.select(job, "job.num", default=0), job.runtime.choices["hydra/launcher"] != "basic")
    try:
        with folder.lock():
            result = run_or_resume(folder, config, choices_of(job), place)
    except Interrupted as stop:
        again = "the same command" + " without resume=never" * ("resume=never" in job.overrides.task)
        epochs = len(folder.metrics())
        since = f"after epoch {epochs}" if epochs else "from the beginning"
        log.warning(f"{folder.path}: {stop}; {again} resumes {since}")
        raise SystemExit(128 + stop.signum) from None
    except (UserError, OSError) as error:
        log.error(f"{folder.path}: {error}")
        code = getattr(error, "exit_code", 1)
    except Exception:  # a bug, or memory that ran out: with its traceback, in run.log too
        log.exception(f"{folder.path}: failed")
        code = 1
    else:
        log.info(f"{folder.path}: complete, test accuracy {result['test']['acc']:.2%}")
        return folder.accuracy()
    if job.mode == RunMode.RUN or config.fail_fast:
        raise SystemExit(code)
    return float("nan")


def cli() -> None:
    """Run the command line: a user's mistake is answered in a line or two, a bug keeps its traceback."""
    # Hydra wants -m before the values that it is for; people type it anywhere.
    sys.argv[1:] = sorted(sys.argv[1:], key=lambda word: word not in ("-m", "--multirun"))
    quiet_hydra()
    with exit_on_error(explain_training, stopped()):
        main()


if __name__ == "__main__":
    cli()
