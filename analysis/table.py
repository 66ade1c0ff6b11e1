"""Print a table per study: its axes first, then what was measured, a row per configuration.

Figures are those of the last epoch, averaged over the complete runs of a configuration. The column `seeds` counts the
other runs too, so that the table also shows how far a sweep is. On a terminal, it prints the columns that fit,
then the conclusions in a sentence or two; a file or a pipe gets the whole table.
"""

import argparse
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from analysis.command import add_best, add_folders, exit_on_error, write_text
from analysis.frames.study import Study, load_studies, those_that_can
from analysis.page.columns import named_columns
from analysis.page.inspections import inspection_grids, inspections_csv
from analysis.page.pivot import pivot
from analysis.page.rendering import Grid, latex, markdown
from analysis.page.tables import Layout, to_csv, to_grid

BETWEEN_WORDS: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
BULLET: dict[str, Any] = BETWEEN_WORDS | {"initial_indent": "- ", "subsequent_indent": "  "}


def tabulate(studies: Sequence[Study], form: str, layout: Layout, axes: Sequence[str] = ()) -> str:
    """Return the tables of all studies as markdown, csv or latex (`form`), by two axes if named; raises RunsError.

    Inspections of untrained networks have a table of their own; a CSV has them only if nothing was trained.
    """
    trained = [study for study in studies if len(study.runs)]
    inspected = [study for study in studies if len(study.inspections)]
    if form == "csv":
        return to_csv(trained, layout.published) if trained else inspections_csv(inspected)

    def grid(study: Study) -> Grid:
        return pivot(study, *axes, *layout.columns[:1]) if axes else to_grid(study, layout)

    grids = [*map(grid, trained), *(grid for study in inspected for grid in inspection_grids(study, layout.width))]
    return "\n".join(map({"markdown": markdown, "latex": latex}[form], grids))


def with_names(studies: Sequence[Study], layout: Layout, axes: Sequence[str]) -> list[Study]:
    """Return the studies that have the columns and axes that were named; raises BadRequest if none does."""

    def checked(study: Study) -> Study:
        named_columns(study, [] if axes else [*layout.columns, *filter(None, [layout.sort])])
        for name in axes:
            study.axis(name)
        return study

    return those_that_can(checked, studies)


def compare_two(a: str, b: str, studies: Sequence[Study]) -> str:
    """Return the comparison of two configurations as Markdown; raises RunsError."""
    from analysis.claims.compare import compare  # scipy takes as long to import as all the rest
    from analysis.page.comparison import comparison_grid

    return markdown(comparison_grid(compare(a, b, studies)))


def wrapped(text: str, width: int) -> str:
    """Return a text with its lines wrapped between words; table rows stay whole."""
    lines = text.splitlines()
    return "\n".join(line if line[:1] == "|" else textwrap.fill(line, width, **BETWEEN_WORDS) for line in lines) + "\n"


def conclusions(studies: Sequence[Study], width: int) -> str:
    """Return the main findings of each study, in sentences."""
    from analysis.claims.findings import main_findings  # scipy takes as long to import as all the rest
    from analysis.claims.wording import by_topic

    said = [(study.title, by_topic(main_findings(study)).values()) for study in studies if len(study.runs)]
    return "".join(
        f"\n{title}:\n" + "".join(f"{textwrap.fill(text, width, **BULLET)}\n" for text in dict.fromkeys(chain(*topics)))
        for title, topics in said
        if topics
    )


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m analysis.table", description=__doc__)
    add_folders(parser)
    add = parser.add_argument
    add("--format", choices=("markdown", "csv", "latex"), default="markdown", help="output format (default: markdown)")
    add("--out", metavar="FILE", type=Path, help="output file (default: the terminal)")
    add("--published", action="store_true", help="add published figures of the same networks")
    add("--sort", metavar="COLUMN", default="", help="sort rows: accuracies best first, other columns ascending")
    add("--columns", metavar="A,B,…", default="", help="show these columns: axes, measures, parameters, wall_seconds …")
    add("--pivot", nargs=2, metavar=("A", "B"), help="a two-way table: rows by axis A, columns by axis B")
    add_best(parser)
    add("--wide", action="store_true", help="show all columns, however narrow the terminal")
    add("--compare", nargs=2, metavar=("A", "B"), help="compare two: each a model, a folder, optimizer.lr=0.1 …")
    given = parser.parse_args(arguments)
    if given.compare and (given.published or given.format != "markdown" or given.pivot or given.columns or given.sort):
        parser.error("--compare prints sentences: leave out --format, --published, --sort, --columns and --pivot")
    if given.pivot and (given.format == "csv" or given.published or given.sort or "," in given.columns):
        parser.error("--pivot takes one measure in --columns, and no --format csv, --published or --sort")
    if given.format == "csv" and (given.sort or given.columns):
        parser.error("--format csv has all columns, in the order of the axes: leave out --sort and --columns")
    return given


@exit_on_error
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    given = parse(arguments)
    if given.compare and all(map(os.path.isdir, given.compare)):
        given.folders = given.compare
    studies = load_studies(given.folders, given.best)
    to_screen = given.out is None and sys.stdout is not None and sys.stdout.isatty()
    terminal = to_screen and not given.wide and given.format == "markdown"
    width = shutil.get_terminal_size().columns if terminal else None
    if given.compare:
        text = compare_two(given.compare[0], given.compare[1], studies)
        text = wrapped(text, width) if width else text
    else:
        columns = [name.strip() for name in given.columns.split(",") if name.strip()]
        layout = Layout(given.published, columns, given.sort, width)
        studies = with_names(studies, layout, given.pivot or ())
        text = tabulate(studies, given.format, layout, given.pivot or ())
        text = wrapped(text, width) + conclusions(studies, width) if width else text
    write_text(text, given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
