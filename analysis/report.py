"""Write a report of all runs in one HTML file: question, findings, tables, figures, and how to reproduce them."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.command import add_best, add_folders, exit_on_error, write_text
from analysis.page.report import render_report


@exit_on_error
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m analysis.report", description=__doc__)
    add_folders(parser)
    add = parser.add_argument
    add("--out", metavar="FILE", type=Path, default=Path("report.html"), help="output file (default: report.html)")
    add_best(parser)
    given = parser.parse_args(arguments)
    write_text(render_report(given.folders, given.best), given.out)
    print(given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
