"""What the commands share: which runs they read, where they write, and their exit codes."""

import argparse
import functools
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from analysis.frames.find import BadRequest, RunsError

Main = Callable[..., int]  # takes the arguments, by default those of the command line


def add_folders(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names the runs to read."""
    parser.add_argument(
        "folders",
        nargs="*",
        metavar="FOLDER",
        help="a folder of studies, a study, a configuration or a run (default: your own runs in runs/ or $RESNET_RUNS, "
        "or those in its folder reference if you have none)",
    )


def add_best(parser: argparse.ArgumentParser) -> None:
    """Add the option that has validation choose the value of an axis."""
    parser.add_argument(
        "--best",
        metavar="AXIS",
        action="append",
        default=[],
        help="keep only the value of this axis with the best validation accuracy, for each combination of the others",
    )


def exit_on_error(main: Main) -> Main:
    """Turn the errors that a user can cause in `main` into one line on stderr and an exit code."""

    @functools.wraps(main)
    def run(arguments: Sequence[str] | None = None) -> int:
        try:
            if isinstance(sys.stdout, io.TextIOWrapper):  # names of folders and classes may be in any script
                sys.stdout.reconfigure(errors="backslashreplace")
            code = main(arguments)
            if sys.stdout is not None:  # None if it was closed
                sys.stdout.flush()
            return code
        except RunsError as error:
            print(error, file=sys.stderr)
            return error.exit_code
        except OSError as error:
            if error.filename is not None:
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python would try again on exit
            if isinstance(error, BrokenPipeError):  # the reader, such as `head`, has closed the pipe
                return 141
            print(f"the output cannot be written: {error.strerror}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            return 130

    return run


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Write a file; raises BadRequest if that fails."""
    try:
        yield
    except OSError as error:
        raise BadRequest(f"{file}: cannot be written, {error.strerror}") from None


def write_text(text: str, file: Path | None) -> None:
    """Write a text to a file, or to stdout without one; raises BadRequest."""
    if file is None:
        print(text, end="")
    else:
        with writing(file):
            file.write_text(text, encoding="utf-8", errors="backslashreplace")
