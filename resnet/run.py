"""Train one network, or a sweep of them: `python -m resnet.run model=blocks15`; `--help` shows the rest."""

import importlib
import sys

import hydra
from omegaconf import DictConfig

import resnet.launch.sweeper  # noqa: F401  registers the sweeper
from resnet.errors import exit_on_error
from resnet.launch.compose import CONF
from resnet.launch.job import run_composed
from resnet.launch.messages import explain_training, quiet_hydra, stopped

for extra in ("resnet.launch.slurm.launcher", "resnet.launch.search"):  # each registers itself
    try:
        importlib.import_module(extra)
    except ModuleNotFoundError as missing:  # the plugin that it builds on is an extra
        if not (missing.name or "").startswith("hydra_plugins"):
            raise


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def main(composed: DictConfig) -> float:
    """Run or resume one composed configuration; see launch/job.py."""
    return run_composed(composed)


def cli() -> None:
    """Run the command line: a user's mistake ends in a line or two, a bug in its traceback."""
    if any(word.startswith("plan=") and word.lower() != "plan=false" for word in sys.argv[1:]):
        sys.argv.append("-m")  # Hydra makes the folder of a single run before it asks us
    # Hydra wants -m before the values that it applies to; people type it anywhere.
    sys.argv[1:] = sorted(sys.argv[1:], key=lambda word: word not in ("-m", "--multirun"))
    quiet_hydra()
    with exit_on_error(explain_training, stopped()):
        main()


if __name__ == "__main__":
    cli()
