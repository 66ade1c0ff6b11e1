"""Measure what depth does to untrained networks: gradients by layer, how they shatter, and the sharpest curvature.

    python -m resnet.inspect model=resnet56                       one configuration, seeds 0, 1 and 2
    python -m resnet.inspect model=resnet20,resnet56 model.shortcut=pad,none
    python -m resnet.inspect experiment=initialization            the grid in conf/experiment/initialization.yaml

Overrides are those of resnet.run; several values of a key make a grid. Each network is a run of its own under
runs/inspection/ (or study=NAME), with a table per measurement: layers.csv, cosines.csv, curvature.csv. What is complete
is not measured again. In fp32, on real images of the data set; a network of 110 layers takes about two minutes on two
cores. `python -m analysis.report runs/inspection` shows them.
"""

import runpy
import sys

DEFAULTS = {"task": "inspect", "study": "inspection", "seed": "0,1,2"}


def main() -> None:
    """Run resnet.run as a sweep of inspections."""
    arguments = sys.argv[1:]
    if {"-h", "--help"} & set(arguments):
        return print(__doc__, end="")
    given = {argument.partition("=")[0].lstrip("+") for argument in arguments}
    defaults = {"task": "inspect"} if "experiment" in given else DEFAULTS
    added = [f"{key}={value}" for key, value in defaults.items() if key not in given]
    sys.argv[1:] = ["-m", *added, *(argument for argument in arguments if argument not in ("-m", "--multirun"))]
    runpy.run_module("resnet.run", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
