"""Train one network, or a sweep of them: `python -m resnet.run model=blocks15`; `--help` shows the rest."""

import importlib
import sys

import hydra
from omegaconf import DictConfig

import resnet.launch.sweeper  # noqa: F401  registers the sweeper
from resnet.errors import exit_on_error
from resnet.launch.command_line import arrange, asks_for_plan
from resnet.launch.compose import CONF, VERSION_BASE
from resnet.launch.job import run_composed
from resnet.launch.messages import STOPPED, explain_training, quiet_hydra

for extra in ("resnet.launch.slurm.launcher", "resnet.launch.search"):  # each registers itself
    try:
        importlib.import_module(extra)
    except ModuleNotFoundError as missing:  # the plugin that it builds on is optional
        if not (missing.name or "").startswith("hydra_plugins"):
            raise


@hydra.main(**VERSION_BASE, config_path=str(CONF), config_name="config")
def main(composed: DictConfig) -> float:
    """Run or resume one composed configuration; see launch/job.py."""
    return run_composed(composed)


def cli() -> None:
    """Run the command line: a user's mistake ends in a line or two, a bug in its traceback."""
    quiet_hydra()
    with exit_on_error(explain_training, "stopped" if any(map(asks_for_plan, sys.argv[1:])) else STOPPED):
        sys.argv[1:] = arrange(sys.argv[1:])
        main()
        if resnet.launch.sweeper.ResumableSweeper.incomplete:
            sys.exit(1)


if __name__ == "__main__":
    cli()
