"""The columns of a table for people: each has a label, and turns a configuration's row into a text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from analysis.claims.numbers import say_mean, signed
from analysis.frames.axes import Axis, value_of, value_text
from analysis.frames.configurations import MEASURES
from analysis.frames.find import Lacking
from analysis.frames.settings import DEFAULT, Row
from analysis.frames.study import Study


@dataclass(frozen=True)
class Column:
    """A column for people: its name on the command line, its label, its text, and the number to sort rows by.

    `constant` turns a text that all rows share into words of the heading; a column without it never moves there. A
    `rare` column is left out if it would be empty.
    """

    name: str
    label: str
    text: Callable[[Row], str]
    key: str = ""
    numeric: bool = True
    rare: bool = False
    constant: Callable[[str], str] | None = None


def measured(name: str, row: Row) -> str:
    """Return a mean and, over several seeds, the standard deviation."""
    measure, mean, std = MEASURES[name], row[f"{name}_mean"], row[f"{name}_std"]
    if pd.isna(mean):
        return "-"
    return say_mean(measure.factor * mean, measure.factor * std, measure.digits)


def accuracies(row: Row) -> str:
    """Return the three accuracies with one decimal, and the standard deviation of the last with two."""
    means, std = [row[f"{name}_mean"] for name in ("train_acc", "val_acc", "test_acc")], row["test_acc_std"]
    text = " / ".join("-" if pd.isna(mean) else f"{100 * mean:.1f}" for mean in means)
    return text if pd.isna(std) else f"{text} ± {100 * std:.2f}"


def counted(value: Any, unit: int = 1) -> str:
    """Return a count with thousands separators, or as a multiple of `unit` with two decimals."""
    return "-" if pd.isna(value) else f"{value:,}" if unit == 1 else f"{value / unit:,.2f}"


def optional(row: Row, name: str) -> str:
    """Return a text that not every row has; empty if it is missing."""
    return "" if pd.isna(row.get(name)) else row[name]


def minutes(row: Row) -> str:
    """Return how many minutes a run took on average."""
    return "-" if pd.isna(row["wall_seconds"]) else f"{row['wall_seconds'] / 60:.1f}"


def trained(row: Row) -> str:
    """Return the number of epochs, or of steps if only that is known."""
    steps = row["config"].get("epochs.steps")
    return counted(row["epochs"]) if not pd.isna(row["epochs"]) or steps is None else f"{steps:,} steps"


def in_epochs(text: str) -> str:
    """Return a length of training with its unit."""
    return text if "step" in text else f"{text} epoch{'s' * (text != '1')}"


def placed(axis: Axis, row: Row) -> str:
    """Return a configuration's value of an axis; for a published one, as far as it is known."""
    place = row.get(axis.column)
    if place is not None and not pd.isna(place):
        return axis.text(int(place))
    value = value_of(row, axis.name)
    return "" if value in (DEFAULT, None) else value_text(value)


def against_published(row: Row) -> str:
    """Return how far a row is from its published counterpart, and how their recipes differ."""
    names = {"val_acc": "val", "test_acc": "test"}
    values = {label: row.get(f"{name}_difference") for name, label in names.items()}
    text = ", ".join(f"{label} {signed(value)} pp" for label, value in values.items() if not pd.isna(value))
    recipe = f", recipes differ: {row['other_recipe']}" if row.get("other_recipe") else ""
    return f"{text} ({row['against']}){recipe}" if text else ""


MEASURED = tuple(
    Column(name, measure.label, partial(measured, name), f"{name}_mean") for name, measure in MEASURES.items()
)
MERGED = Column("acc", "train / val / test acc (%)", accuracies, "test_acc_mean")
SOURCE = Column("source", "source", lambda row: optional(row, "source"), numeric=False, rare=True)
LAST = (
    Column("seeds", "seeds", lambda row: row["seeds"], "n", numeric=False),
    Column("published", "against published", against_published, numeric=False, rare=True),
)
NETWORK = (
    Column("model", "model", lambda row: row["model"], "depth", numeric=False, constant="model={}".format),
    Column("layers", "layers", lambda row: counted(row["depth"]), "depth", constant="{} layers".format),
    Column("shortcut", "shortcut", lambda row: row["shortcut"], numeric=False, constant="shortcut={}".format),
    Column(
        "parameters",
        "parameters",
        lambda row: counted(row["parameters"]),
        "parameters",
        constant="{} parameters".format,
    ),
    Column(
        "multiply_adds",
        "multiply-adds (M)",
        lambda row: counted(row["multiply_adds"], 10**6),
        "multiply_adds",
        constant="{} M multiply-adds".format,
    ),
    Column("epochs", "epochs", trained, "epochs", constant=in_epochs),
    Column("wall_seconds", "minutes", minutes, "wall_seconds"),
)
COPIES = Column("configuration", "configuration", lambda row: optional(row, "configuration"), numeric=False)
EXTRA = ("wall_seconds",)  # shown on request only


def all_columns(study: Study) -> list[Column]:
    """Return every column that a study can have: its axes, what depends on them, the network, what was measured."""
    axes = [*study.axes.axes, *study.axes.dependent]
    own = [Column(axis.name, axis.name, partial(placed, axis), axis.column, axis.numeric) for axis in axes]
    named = {axis.name for axis in axes}
    model, *network = (column for column in NETWORK if column.name not in named)
    copies = [COPIES] if study.configurations.duplicated([axis.column for axis in axes] or "data").any() else []
    return [*own, model, SOURCE, *copies, *network, *MEASURED, *LAST]


def named_columns(study: Study, names: Sequence[str]) -> list[Column]:
    """Return columns by their names or labels; raises Lacking for an unknown one."""
    every = {column.name: column for column in all_columns(study)}
    labels = {column.label: column for column in every.values()}
    found = []
    for name in names:
        axis = study.axes.find(name)
        column = every.get(name) or labels.get(name) or (every.get(axis.name) if axis else None)
        if column is None:
            raise Lacking(f"{name}: no column of {study.name}; there are {', '.join(every)}")
        found.append(column)
    return found
