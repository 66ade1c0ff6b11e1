"""Measure how fast training is, against the usual loop, computation alone and the machine's limit.

    python -m resnet.benchmark model=blocks15             the four speeds, as images/s and ratios
    python -m resnet.benchmark harness model=blocks4      what recording, checkpoints and probes take of an epoch
    python -m resnet.benchmark scaling                    how cost grows with depth, data and epochs
    python -m resnet.benchmark seeds                      four seeds of a small run, by number of processes and threads
    python -m resnet.benchmark sweep                      what a complete run costs in a repeated sweep
    python -m resnet.benchmark plan                       how far off plan=true is, on a sweep of mixed depths

Overrides are those of resnet.run. The images are random, except for `seeds`, `sweep` and `plan`, which train
on digits.
"""

import sys
from pathlib import Path
from typing import Any

from resnet.benchmark.costs import harness, plan, scaling, seeds, sweep
from resnet.benchmark.speed import speed
from resnet.errors import ConfigError, exit_on_error
from resnet.launch.messages import explain_hydra, quiet_hydra
from resnet.record.files import format_table
from resnet.training.device import set_up_process


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print rows as markdown."""
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(map(str, row.values())) + " |")


def main() -> None:
    """Measure what the first argument names, by default `speed`; print the result and write it to a CSV file."""
    sections = {"speed": speed, "harness": harness, "scaling": scaling, "seeds": seeds, "sweep": sweep, "plan": plan}
    arguments = sys.argv[1:]
    if {"-h", "--help"} & set(arguments):
        return print(__doc__, end="")
    section = arguments.pop(0) if arguments and "=" not in arguments[0] else "speed"
    if section not in sections:
        raise ConfigError(f"{section}: must be one of {', '.join(sections)}, or key=value; see --help")
    set_up_process()
    rows = sections[section](arguments)
    print_table(rows)
    Path(f"benchmark-{section}.csv").write_bytes(format_table(rows))


if __name__ == "__main__":
    quiet_hydra()
    with exit_on_error(explain_hydra):
        main()
