"""Print a table per study, a row per configuration, sorted by depth.

Figures are those of the last epoch, averaged over the complete runs of a configuration. The column `seeds` counts the
other runs too, so that the table also shows how far a sweep is.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.command import add_folders, exit_on_error, write_text
from analysis.frames.configurations import summarize
from analysis.frames.published import add_published
from analysis.frames.study import load_studies
from analysis.page.inspections import inspection_grids, inspections_csv
from analysis.page.rendering import latex, markdown
from analysis.page.tables import to_csv, to_grids


def tabulate(folders: Sequence[str], form: str, published: bool) -> str:
    """Return the table of all runs in `folders`, `form` being markdown, csv or latex; raises RunsError.

    Inspections of untrained networks are a table of their own; a CSV has them only where nothing was trained.
    """
    studies = load_studies(folders)
    trained = [study for study in studies if len(study.runs)]
    inspected = [study for study in studies if len(study.inspections)]
    if form == "csv" and not trained:
        return inspections_csv(inspected)
    grids = []
    if trained:
        configurations = summarize(pd.concat([study.runs for study in trained], ignore_index=True))
        if published:
            configurations = add_published(configurations)
        if form == "csv":
            return to_csv(configurations, published)
        grids = to_grids(configurations, published)
    grids += [grid for study in inspected for grid in inspection_grids(study)]
    return "\n".join(map({"markdown": markdown, "latex": latex}[form], grids))


def compare_two(a: str, b: str, folders: Sequence[str]) -> str:
    """Return the comparison of two configurations as Markdown; raises RunsError."""
    from analysis.claims.compare import compare  # scipy takes as long to import as all the rest
    from analysis.page.comparison import comparison_grid

    return markdown(comparison_grid(compare(a, b, folders)))


@exit_on_error
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m analysis.table", description=__doc__)
    add_folders(parser)
    add = parser.add_argument
    add("--format", choices=("markdown", "csv", "latex"), default="markdown", help="output format (default: markdown)")
    add("--out", metavar="FILE", type=Path, help="output file (default: the terminal)")
    add("--published", action="store_true", help="add published figures of the same networks")
    add("--compare", nargs=2, metavar=("A", "B"), help="compare two configurations: folders, or how their names begin")
    given = parser.parse_args(arguments)
    if given.compare and (given.published or given.format != "markdown"):
        parser.error("--compare prints sentences: it goes without --format and --published")
    if given.compare:
        text = compare_two(given.compare[0], given.compare[1], given.folders)
    else:
        text = tabulate(given.folders, given.format, given.published)
    write_text(text, given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
