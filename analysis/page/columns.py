"""The columns of a table for people: each with its label, and the text it makes of a configuration's row."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.frames.measures import MEASURES
from analysis.frames.settings import Row


@dataclass(frozen=True)
class Column:
    """A column for people. `rare` ones are left out where they would be empty."""

    label: str
    text: Callable[[Row], str]
    numeric: bool = True
    rare: bool = False


def measured(row: Row, name: str) -> str:
    """Return a mean and, over several seeds, its deviation."""
    measure, mean, std = MEASURES[name], row[f"{name}_mean"], row[f"{name}_std"]
    if pd.isna(mean):
        return "-"
    text = f"{measure.factor * mean:.{measure.digits}f}"
    return text if pd.isna(std) else f"{text} ± {measure.factor * std:.{measure.digits}f}"


def counted(value: Any, unit: int = 1) -> str:
    """Return a count with thousands separated, or in units of so many with two decimals."""
    return "-" if pd.isna(value) else f"{value:,}" if unit == 1 else f"{value / unit:,.2f}"


def optional(row: Row, name: str) -> str:
    """Return a text that not every row has."""
    return "" if pd.isna(row.get(name)) else row[name]


def trained(row: Row) -> str:
    """Return the number of epochs, or of steps where that is all there is to know."""
    steps = row["config"].get("epochs.steps")
    return counted(row["epochs"]) if not pd.isna(row["epochs"]) or steps is None else f"{steps:,} steps"


def against_published(row: Row) -> str:
    """Return how far a row is from its published counterpart, and in what their recipes differ."""
    names = {"val_acc": "val", "test_acc": "test"}
    values = {label: row.get(f"{name}_difference") for name, label in names.items()}
    text = ", ".join(f"{label} {value:+.2f} pp" for label, value in values.items() if not pd.isna(value))
    return f"{text}, recipes differ: {row['other_recipe']}" if text and row["other_recipe"] else text


COLUMNS = (
    Column("model", lambda row: row["model"], numeric=False),
    Column("source", lambda row: optional(row, "source"), numeric=False, rare=True),
    Column("shortcut", lambda row: row["shortcut"], numeric=False),
    Column("blocks", lambda row: counted(row["blocks"])),
    Column("layers", lambda row: counted(row["depth"])),
    Column("parameters", lambda row: counted(row["parameters"])),
    Column("multiply-adds (M)", lambda row: counted(row["multiply_adds"], 10**6)),
    Column("epochs", trained),
    *(Column(measure.label, lambda row, name=name: measured(row, name)) for name, measure in MEASURES.items()),
    Column("seeds", lambda row: row["seeds"], numeric=False),
    Column("differs in", lambda row: optional(row, "differs"), numeric=False, rare=True),
    Column("against published", against_published, numeric=False, rare=True),
)
