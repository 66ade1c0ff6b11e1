"""What the commands evaluate, predict, export and lesion share: their first argument is a run folder."""

import argparse
from pathlib import Path
from typing import NoReturn


class RunParser(argparse.ArgumentParser):
    """Read a command line whose first argument is a run folder; `description` is the module's docstring."""

    def __init__(self, module: str, description: str | None, several: bool = False):
        layout = argparse.RawDescriptionHelpFormatter
        super().__init__(prog=f"python -m {module}", description=description, formatter_class=layout)
        folder = "runs/<study>/<model>-<shortcut>-<fingerprint>/seed<k>"
        nargs = "+" if several else None
        self.add_argument("run", metavar="RUN", nargs=nargs, type=Path, help=f"the folder of a complete run: {folder}")

    def add_data_root(self) -> None:
        """Add an option that says where the data set is."""
        where = "where the data set is, or will be downloaded to (default: $RESNET_DATA, else where it was, or "
        where += "data if it is not there; for data=folder: where the pictures were)"
        self.add_argument("--data-root", metavar="DIR", help=where)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; see --help\n")
