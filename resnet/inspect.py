"""Measure what depth does to untrained networks: gradients by layer, how they shatter, and the sharpest curvature.

    python -m resnet.inspect model=resnet56                       one configuration, seeds 0, 1 and 2
    python -m resnet.inspect model=resnet20,resnet56 model.shortcut=pad,none
    python -m resnet.inspect experiment=initialization            the grid in conf/experiment/initialization.yaml

Overrides are those of resnet.run; several values of a key make a grid. Each network is a run of its own under
runs/inspection/ (or study=NAME), with a table per measurement: layers.csv, cosines.csv, curvature.csv. Complete runs
are not measured again. Measurements are in fp32, on real images of the data set; a network of 110 layers takes about
two minutes on two cores. `python -m analysis.report runs/inspection` shows the results.
"""

import runpy
import sys
from collections.abc import Sequence

from resnet.errors import ConfigError, exit_on_error
from resnet.launch.command_line import SETTINGS, named_in, split_options

DEFAULTS = {"task": "inspect", "study": "inspection", "seed": "0,1,2"}


def main() -> None:
    """Run resnet.run as a sweep of inspections."""
    arguments = sys.argv[1:]
    if {"-h", "--help"} & set(arguments):
        return print(__doc__, end="")
    with exit_on_error():
        sys.argv[1:] = inspecting(arguments)
    runpy.run_module("resnet.run", run_name="__main__", alter_sys=True)


def inspecting(words: Sequence[str]) -> list[str]:
    """Return the arguments that make resnet.run inspect; with an option such as --cfg, one run instead of a sweep.

    Raises ConfigError for another task, and for an unknown option.
    """
    options, overrides = split_options(words)
    given = {key: value for key, _, value in (override.lstrip("+").partition("=") for override in overrides)}
    if given.get("task", "inspect") != "inspect":
        raise ConfigError(f"task={given['task']}: must be inspect here; python -m resnet.run trains")
    defaults = {"task": "inspect"} if "experiment" in given else DEFAULTS
    asked = named_in(options) - SETTINGS
    if not asked:
        options = ["-m", *options]
    elif "multirun" not in asked:
        defaults = defaults | {"seed": "0"}
    return [*options, *(f"{key}={value}" for key, value in defaults.items() if key not in given), *overrides]


if __name__ == "__main__":
    main()
