"""What evaluate, predict and export share as commands: they begin with a run, and answer a mistake in a line or two."""

import argparse
import functools
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from resnet.config import UserError

Main = Callable[[Sequence[str] | None], int]


class Parser(argparse.ArgumentParser):
    """Read a command line whose first argument is a run folder; `description` is the module's docstring."""

    def __init__(self, module: str, description: str | None):
        layout = argparse.RawDescriptionHelpFormatter
        super().__init__(prog=f"python -m {module}", description=description, formatter_class=layout)
        folder = "runs/<study>/<model>-<shortcut>-<fingerprint>/seed<k>"
        self.add_argument("run", metavar="RUN", type=Path, help=f"the folder of a complete run: {folder}")

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; --help tells more\n")


def answered(main: Main) -> Main:
    """Have a `main` return an exit code whatever happens, short of a mistake of ours."""

    @functools.wraps(main)
    def run(arguments: Sequence[str] | None = None) -> int:
        try:
            code = main(arguments)
            sys.stdout.flush()
            return code
        except UserError as error:
            code, text = error.exit_code, str(error)
        except BrokenPipeError:  # who read the output, `head` for one, has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        except OSError as error:
            code, text = 1, f"{error.filename}: {error.strerror}" if error.filename else str(error)
        except KeyboardInterrupt:
            code, text = 130, "stopped"
        print(f"error: {text}", file=sys.stderr)
        return code

    return run
