"""Configurations as tables: a grid per study for people, one CSV for programs."""

import pandas as pd

from analysis.claims.comparable import find_mixed_conditions, find_mixed_seeds
from analysis.claims.wording import sentence
from analysis.frames.conditions import PROGRAM
from analysis.frames.configurations import STATUSES, data_of
from analysis.frames.measures import MEASURES
from analysis.frames.published import ORIGINAL, read_published
from analysis.page.columns import COLUMNS, optional
from analysis.page.rendering import Grid

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


def to_grids(configurations: pd.DataFrame, published: bool) -> list[Grid]:
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
    said += map(sentence, [*find_mixed_seeds(table), *find_mixed_conditions(table, tuple(PROGRAM))])
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


def to_csv(configurations: pd.DataFrame, published: bool) -> str:
    """Return all studies as one CSV; accuracies are fractions, differences are percentage points."""
    part = {name: [row.get(key) for row in configurations["config"]] for name, key in DATA_KEYS.items()}
    table = configurations.assign(**part)[NUMBERS + (PUBLISHED if published else [])]
    table = table.astype(dict.fromkeys([*STATUSES[1:], "data_limit"], "Int64"))  # of which published rows have none
    stages = ["-".join(map(str, stages)) for stages in table["stages"]]
    return table.assign(stages=stages).to_csv(index=False)
