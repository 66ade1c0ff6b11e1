"""Studies as tables: a grid per study for people, one CSV for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from analysis.claims.comparable import find_chosen, find_mixed_conditions, find_mixed_seeds
from analysis.claims.numbers import in_a_row
from analysis.claims.wording import listed, sentence
from analysis.frames.axes import NO_CHOICES, NO_KEYS, short, value_of, value_text, varied_keys
from analysis.frames.conditions import PROGRAM
from analysis.frames.configurations import MEASURES, STATUSES
from analysis.frames.find import BadRequest
from analysis.frames.pending import not_started
from analysis.frames.published import ORIGINAL, add_published, read_published
from analysis.frames.settings import as_text
from analysis.frames.study import Study, validated
from analysis.page.columns import EXTRA, MERGED, Column, all_columns, named_columns, optional
from analysis.page.rendering import Grid, width_of

NUMBERS = ["study", "configuration", "data", "data_limit", "val_fraction"]
NUMBERS += ["model", "shortcut", "stages", "width", "blocks", "depth"]
NUMBERS += ["parameters", "multiply_adds", "epochs", "n", *STATUSES[1:]]
NUMBERS += [f"{name}_{statistic}" for name in MEASURES for statistic in ("mean", "std")] + ["wall_seconds", "mixed"]
DATA_KEYS = {"data_limit": "data.limit", "val_fraction": "data.val_fraction"}
PUBLISHED = ["val_acc_difference", "test_acc_difference", "other_recipe", "source"]
SAID = ("model.width", "optimizer.lr", "batch_size")  # in addition to the choices: what a reader asks first
USUAL = {"model.norm": "batch", "model.zero_init": False, "schedule.warmup": 0.0}  # shown only if different
# What a terminal leaves out, in this order, until the rest fits.
UNIMPORTANT = ("train_loss", "val_loss", "multiply_adds", "model", "parameters", "train_acc", "published")

# A page's first table of a study shows its axes, the settings chosen by validation and these columns, in at most
# MOST_ROWS rows.
FIRST = ("configuration", "test_acc", "val_acc", "train_acc", "seeds")
MOST_ROWS = 24

LAST_EPOCH = (
    "Values after the last epoch, when the test set is evaluated once: mean ± sample standard deviation over seeds."
)
ROUGH = "A standard deviation over {n} seeds is imprecise: the true one is {low} to {high} times the one given (95 %)."
# By number of seeds: the results of deviation_factors, copied to do without scipy here.
FACTORS = {2: (0.4, 31.9), 3: (0.5, 6.3), 4: (0.6, 3.7)}
INCOMPLETE = (
    "Averages are over complete runs only; those that are unfinished, failed, diverged or damaged are left out."
)
NOT_STARTED = "{count} run{s} of a sweep {have} not started; if it was stopped, the same command starts them."
AUGMENTED = (
    "The original project, a small public one that compared 4 with 15 blocks, augmented its validation images like its "
    "training images, which makes its validation figures a little pessimistic; the other rows are measured on "
    "unaugmented images."
)
OTHER_RECIPE = (
    "Where recipes differ, figures may differ for that reason alone: such a difference says nothing about whether the "
    "published figure can be reproduced."
)
LEFT_OUT = "Left out, to fit the terminal: {names}. `--wide` shows all."
BEST = (
    "Each configuration has the value of {axis} (of {values}{uneven}) with the best mean validation accuracy over its "
    "seeds; the test images had no part in that choice."
)
# Where a choice is not safe, and where none can be made.
UNSAFE = {
    "edges": "The best value of {axis} lies at the edge of what was tried, so a better one may lie beyond: {where}.",
    "ties": "Several values of {axis} are equally good by validation, and the first of them is taken: {where}.",
    "untested": "For these, only one value of {axis} was tried: {where}.",
    "diverged": "Other seeds diverged at the best value of {axis}: {where}.",
}
MISSING = "Left out, since no value of {axis} has a complete run with a validation accuracy: {where}."
WAITING = "Not among the values to choose from, for lack of a complete, validated run: {axis} {values}."


@dataclass(frozen=True)
class Layout:
    """What a table shows: published rows or not, which columns, the column to sort by, and the width in characters."""

    published: bool = False
    columns: Sequence[str] = ()
    sort: str = ""
    width: int | None = None


def to_grid(study: Study, layout: Layout = Layout()) -> Grid:  # noqa: B008 (it is frozen)
    """Return a study's grid, one row per configuration; raises BadRequest for an unknown column."""
    table = study.configurations
    if layout.published:
        table = add_published(table, [axis.column for axis in study.axes.axes])
    if layout.sort:
        (column,) = named_columns(study, [layout.sort])
        key, better = column.key or column.name, column.key.endswith("acc_mean")
        if key not in table:
            raise BadRequest(f"{layout.sort}: cannot sort by this column")
        table = table.sort_values(key, ascending=not better, kind="stable")
    rows = table.to_dict("records")
    fixed = constant_columns(study, rows)
    if layout.columns:
        shown = named_columns(study, layout.columns)
        fixed = {name: text for name, text in fixed.items() if name not in {column.name for column in shown}}
    else:
        every = [column for column in all_columns(study) if column.name not in {*EXTRA, *fixed}]
        shown = [c for c in every if not c.rare or any(c.text(row) for row in rows)]
    notes = table_notes(study, table, layout.published)
    grid = as_grid(study.title, heading_of(study, fixed), shown, rows, notes)
    return fitted(grid, shown, rows, layout.width) if layout.width and not layout.columns else grid


def constant_columns(study: Study, rows: Sequence[dict]) -> dict[str, str]:
    """Return the heading's words for each column that is the same in all rows, by name; none for a single row."""
    found: dict[str, str] = {}
    for column in all_columns(study):
        texts = {column.text(row) for row in rows}
        if column.constant and column.name not in EXTRA and len(texts) == 1 < len(rows) and "-" not in texts:
            found[column.name] = column.constant(*texts)
    return found


def heading_of(study: Study, fixed: Mapping[str, str]) -> str:
    """Return one line with what all configurations share: constant columns, choices, and a few settings."""
    return " · ".join([*fixed.values(), *constant_choices(study), *constant_settings(study)])


def constant_choices(study: Study) -> list[str]:
    """Return the choices that all configurations were composed from."""
    choices = list(study.configurations["choices"])
    return [
        f"{group}={name}"
        for group, name in choices[0].items()
        if name and group not in NO_CHOICES | {"data"} and all(other.get(group) == name for other in choices)
    ]


def constant_settings(study: Study) -> list[str]:
    """Return the settings that all configurations share: those in SAID, and those in USUAL with an unusual value."""
    configs = study.configurations["config"]
    first = configs.iloc[0]
    shared = {key: value for key in (*SAID, *USUAL) if (value := first.get(key)) is not None}
    shared = {key: value for key, value in shared.items() if all(config.get(key) == value for config in configs)}
    said = {key: value_text(shared[key]) for key in SAID if key in shared}
    said |= {key: short(shared[key], 3) for key, usual in USUAL.items() if shared.get(key, usual) != usual}
    return [f"{key}={value}" for key, value in said.items()]


def as_grid(title: str, heading: str, columns: Sequence[Column], rows: Sequence[dict], notes: Sequence[str]) -> Grid:
    """Return these columns of the rows as a grid."""
    cells = [[column.text(row) for column in columns] for row in rows]
    return Grid(title, [c.label for c in columns], cells, [c.numeric for c in columns], notes, heading)


def fitted(grid: Grid, columns: list[Column], rows: list[dict], width: int) -> Grid:
    """Drop the least important columns until the grid fits; return it with a note that names them."""
    left_out = []
    for name in UNIMPORTANT:
        if width_of(grid) <= width:
            break
        found = [column for column in columns if column.name == name]
        if name == "train_acc" and found:  # all three accuracies in one column
            columns = [
                MERGED if column.name == "test_acc" else column
                for column in columns
                if column.name not in ("train_acc", "val_acc")
            ]
        elif found:
            left_out.append(found[0].label)
            columns = [column for column in columns if column.name != name]
        grid = as_grid(grid.title, grid.heading, columns, rows, grid.notes)
    notes = [LEFT_OUT.format(names=", ".join(left_out))] if left_out else []
    return replace(grid, notes=[*grid.notes, *notes])


def page_grids(study: Study) -> tuple[Grid, Grid]:
    """Return two grids of a study for a page: what answers its question, of many rows the best; and everything."""
    own = to_grid(study)
    axes = [axis.name for axis in study.axes.axes] or ["model"]
    chosen = [axis.name for axis in study.axes.dependent if axis.name in study.chosen]
    labels = [*axes, *chosen, *(column.label for column in all_columns(study) if column.name in FIRST)]
    places = [own.head.index(label) for label in dict.fromkeys(labels) if label in own.head]
    rows, notes = own.rows, list(own.notes)
    if len(rows) > MOST_ROWS:
        rows = to_grid(study, Layout(sort="val_acc")).rows[:MOST_ROWS]
        which = "best by validation" if validated(study.configurations) else "first"
        notes.insert(1, f'The {MOST_ROWS} {which} of {len(own.rows)} rows; "Every column" below has all of them.')
    head, numeric = [own.head[place] for place in places], [own.numeric[place] for place in places]
    cells = [[row[place] for place in places] for row in rows]
    return Grid(own.title, head, cells, numeric, notes, own.heading), to_grid(study, Layout(published=True))


def table_notes(study: Study, table: pd.DataFrame, published: bool) -> list[str]:
    """Return the notes needed to read a table."""
    rows, said = table.to_dict("records"), [LAST_EPOCH, *rough_notes(study), *choice_notes(study)]
    if any(row[status] > 0 for row in rows for status in STATUSES[1:]):
        said.append(INCOMPLETE)
    unlike = [name for name in ("precision", *PROGRAM) if study.axes.find(name) is None]
    said += map(sentence, [*find_mixed_seeds(table), *find_mixed_conditions(table, unlike)])
    if pending := not_started(study.configurations["folder"], study.configurations["config"].iloc[0]):
        said.append(NOT_STARTED.format(count=pending, s="s" * (pending != 1), have="has" if pending == 1 else "have"))
    if any(optional(row, "by") == ORIGINAL for row in rows):
        said.append(AUGMENTED)
    if any(optional(row, "other_recipe") for row in rows):
        said.append(OTHER_RECIPE)
    if published and not any(optional(row, "by") for row in rows):
        said.append(nothing_published({row["data"] for row in rows}))
    return said


def rough_notes(study: Study) -> list[str]:
    """Return a note on how imprecise a standard deviation over the fewest seeds is, if they are few."""
    several = study.configurations.loc[study.configurations["n"] > 1, "n"]
    fewest = 0 if several.empty else int(several.min())
    low, high = FACTORS.get(fewest, (0, 0))
    return [ROUGH.format(n=fewest, low=low, high=high)] if high else []


def choice_notes(study: Study, shown: pd.DataFrame | None = None) -> list[str]:
    """Return what was chosen by validation, and where that is not safe, for all configurations or those `shown`."""
    said, rows = [], study.configurations
    rows = rows if shown is None else shown[shown["folder"].isin(rows["folder"])]
    for choice in study.choices:
        axis = choice.axis.name
        uneven = "; not all were tried for each" * choice.uneven
        said.append(BEST.format(axis=axis, values=listed(choice.values, 12, ", ", " and "), uneven=uneven))
        where = {text: choice.of(rows, note) for note, text in UNSAFE.items()}
        where |= {MISSING: choice.missing} if shown is None else {}
        said += [text.format(axis=axis, where=listed(found)) for text, found in where.items() if found]
        said += [WAITING.format(axis=axis, values=in_a_row(choice.waiting))] if choice.waiting else []
    return said + [sentence(found) for found in find_chosen({name: by for name, by in study.chosen.items() if by})]


def nothing_published(data: set[str]) -> str:
    """Return a note that nothing is published on a table's networks, and on which other networks something is."""
    known = read_published()
    known = known[known["data"].isin(data)].sort_values("depth", kind="stable")
    if known.empty:
        return f"Nothing published on {' or '.join(sorted(data))} is known here."
    families = [
        f"{', '.join(rows['model'].unique())} (width {width}, shortcut {shortcut})"
        for (width, shortcut), rows in known.groupby(["width", "shortcut"])
    ]
    return f"Nothing published on these networks is known here, only on others: {'; '.join(families)}."


def to_csv(studies: Sequence[Study], published: bool) -> str:
    """Return all studies as one CSV, with a column for each setting that varies in one of them.

    Accuracies are fractions, differences are percentage points.
    """
    parts, records = [], [study.configurations.to_dict("records") for study in studies]
    varied: dict[str, None] = {}
    for study, rows in zip(studies, records):
        axes = [axis.name for axis in (*study.axes.axes, *study.axes.dependent)]
        keys = [key for key in varied_keys(rows) if key not in NO_KEYS]  # including those that a named choice implies
        varied |= dict.fromkeys(name for name in (*axes, *keys) if name not in NUMBERS)
    for study, rows in zip(studies, records):
        table = study.configurations.assign(**{name: [as_text(value_of(row, name)) for row in rows] for name in varied})
        part = {name: [row.get(key) for row in table["config"]] for name, key in DATA_KEYS.items()}
        table = table.assign(**part)
        parts.append(add_published(table, [axis.column for axis in study.axes.axes]) if published else table)
    table = pd.concat(parts, ignore_index=True)[[*NUMBERS, *varied] + (PUBLISHED if published else [])]
    table = table.astype(dict.fromkeys([*STATUSES[1:], "data_limit"], "Int64"))  # published rows lack them
    stages = ["-".join(map(str, stages)) for stages in table["stages"]]
    return table.assign(stages=stages).to_csv(index=False)
