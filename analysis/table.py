"""The comparison table: a table per study, a row per configuration, sorted by depth.

Figures are those of the last epoch, averaged over the complete runs of a configuration. The others are
counted in the column `seeds`, so that the table is also the view of a sweep that is under way.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.command import add_folders, answered
from analysis.frames.computed import find_mixed
from analysis.frames.configurations import STATUSES, data_of, summarize
from analysis.frames.find import RunsError
from analysis.frames.published import ORIGINAL, add_published, read_published
from analysis.frames.runs import load_runs
from analysis.page.columns import COLUMNS, MEASURES, optional
from analysis.page.rendering import Grid, latex, markdown

NUMBERS = ["study", "configuration", "data", "data_limit", "val_fraction"]
NUMBERS += ["model", "shortcut", "stages", "width", "blocks", "depth"]
NUMBERS += ["parameters", "multiply_adds", "epochs", "n", *STATUSES[1:]]
NUMBERS += [f"{name}_{statistic}" for name in MEASURES for statistic in ("mean", "std")] + ["differs", "mixed"]
DATA_KEYS = {"data_limit": "data.limit", "val_fraction": "data.val_fraction"}
PUBLISHED = ["val_acc_difference", "test_acc_difference", "other_recipe", "source"]

LAST_EPOCH = "Figures of the last epoch, mean ± sample deviation over seeds. The test set is read once, at its end."
INCOMPLETE = (
    "Averages are over complete runs only: a run that is under way (or was stopped), failed, diverged or is "
    "damaged is counted under seeds and has no part in a figure."
)
AUGMENTED = (
    "The original project's validation images were augmented as its training images were, which makes its "
    "validation figures a little pessimistic; the other rows are measured on unaugmented images."
)
OTHER_RECIPE = (
    "Where recipes differ, figures may differ for that reason alone: such a difference says nothing about whether the "
    "published figure can be reproduced."
)


class Unwritable(RunsError):
    """A file that was asked for and cannot be written."""

    exit_code = 2


def for_people(configurations: pd.DataFrame, published: bool) -> list[Grid]:
    """Return a grid per study."""
    grids = []
    for study, table in configurations.groupby("study", sort=False):
        rows = table.to_dict("records")
        texts = {column: [column.text(row) for row in rows] for column in COLUMNS}
        columns = [column for column in COLUMNS if not column.rare or any(texts[column])]
        grids.append(
            Grid(
                title=f"{study} ({data_of(table)})",
                head=[column.label for column in columns],
                rows=list(zip(*(texts[column] for column in columns))),
                numeric=[column.numeric for column in columns],
                notes=notes(table, published),
            )
        )
    return grids


def notes(table: pd.DataFrame, published: bool) -> list[str]:
    """Return what has to be known to read a table."""
    rows, said = table.to_dict("records"), [LAST_EPOCH]
    if any(row[status] > 0 for row in rows for status in STATUSES[1:]):
        said.append(INCOMPLETE)
    said += find_mixed(table)
    if any(optional(row, "by") == ORIGINAL for row in rows):
        said.append(AUGMENTED)
    if any(optional(row, "other_recipe") for row in rows):
        said.append(OTHER_RECIPE)
    if published and not any(optional(row, "by") for row in rows):
        said.append(nothing_published({row["data"] for row in rows}))
    return said


def nothing_published(data: set[str]) -> str:
    """Return that no network of a table is published, and which are."""
    known = read_published()
    known = known[known["data"].isin(data)].sort_values("depth", kind="stable")
    if known.empty:
        return f"Nothing published on {' or '.join(sorted(data))} is known here."
    families = [
        f"{', '.join(rows['model'].unique())} (width {width}, shortcut {shortcut})"
        for (width, shortcut), rows in known.groupby(["width", "shortcut"])
    ]
    return f"Nothing published on these networks is known here, only on others: {'; '.join(families)}."


def for_programs(configurations: pd.DataFrame, published: bool) -> str:
    """Return all studies as one CSV; accuracies are fractions, differences are percentage points."""
    part = {name: [row.get(key) for row in configurations["settings"]] for name, key in DATA_KEYS.items()}
    table = configurations.assign(**part)[NUMBERS + (PUBLISHED if published else [])]
    table = table.astype(dict.fromkeys([*STATUSES[1:], "data_limit"], "Int64"))  # of which published rows have none
    stages = table["stages"].map(lambda stages: "-".join(map(str, stages)))
    return table.assign(stages=stages).to_csv(index=False)


def tabulate(folders: Sequence[str], form: str, published: bool) -> str:
    """Return the table of all runs in `folders`, `form` being markdown, csv or latex; raises RunsError."""
    configurations = summarize(load_runs(folders))
    if published:
        configurations = add_published(configurations)
    if form == "csv":
        return for_programs(configurations, published)
    return "\n".join(map({"markdown": markdown, "latex": latex}[form], for_people(configurations, published)))


@answered
def main(arguments: Sequence[str] | None = None) -> int:
    """Answer the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m analysis.table", description=__doc__)
    add_folders(parser)
    add = parser.add_argument
    add("--format", choices=("markdown", "csv", "latex"), default="markdown", help="csv is for programs")
    add("--out", metavar="FILE", type=Path, help="write there instead of on the terminal")
    add("--published", action="store_true", help="add what others have published on the same networks")
    add("--compare", nargs=2, metavar=("A", "B"), help="two configurations: folders, or how their names begin")
    given = parser.parse_args(arguments)
    if given.compare and (given.published or given.format != "markdown"):
        parser.error("--compare answers in sentences: it goes without --format and --published")
    if given.compare:
        from analysis.claims.compare import compare  # scipy takes as long to import as all the rest

        text = compare(*given.compare, given.folders)
    else:
        text = tabulate(given.folders, given.format, given.published)
    put(text, given.out)
    return 0


def put(text: str, out: Path | None) -> None:
    """Write a text to a file, or show it; raises Unwritable."""
    if out is None:
        sys.stdout.reconfigure(errors="backslashreplace")  # a folder's name can hold what a terminal cannot show
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise Unwritable(f"{out}: cannot be written, {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(main())
