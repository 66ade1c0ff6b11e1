"""What table, plots and report share as commands: which runs they take, and how they end."""

import argparse
import functools
import os
import sys
from collections.abc import Callable, Sequence

from analysis.frames.find import RunsError

Main = Callable[[Sequence[str] | None], int]


def add_folders(parser: argparse.ArgumentParser) -> None:
    """Add the argument that says which runs are meant."""
    parser.add_argument(
        "folders",
        nargs="*",
        metavar="FOLDER",
        help="all runs, a study, a configuration or a run (default: your own ones in runs; those in runs/reference "
        "if there are no others)",
    )


def answered(main: Main) -> Main:
    """Have a `main` return an exit code whatever happens, short of a mistake of ours."""

    @functools.wraps(main)
    def run(arguments: Sequence[str] | None = None) -> int:
        try:
            code = main(arguments)
            sys.stdout.flush()
            return code
        except RunsError as error:
            print(error, file=sys.stderr)
            return error.exit_code
        except BrokenPipeError:  # who read the output, `head` for one, has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            return 130

    return run
