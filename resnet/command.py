"""What evaluate, predict and export share as commands: a first argument that is a run folder."""

import argparse
from pathlib import Path
from typing import NoReturn


class RunParser(argparse.ArgumentParser):
    """Read a command line whose first argument is a run folder; `description` is the module's docstring."""

    def __init__(self, module: str, description: str | None):
        layout = argparse.RawDescriptionHelpFormatter
        super().__init__(prog=f"python -m {module}", description=description, formatter_class=layout)
        folder = "runs/<study>/<model>-<shortcut>-<fingerprint>/seed<k>"
        self.add_argument("run", metavar="RUN", type=Path, help=f"the folder of a complete run: {folder}")

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; see --help\n")
