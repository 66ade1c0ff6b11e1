"""Two configurations side by side: which ones are meant, and what their runs support."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.claims.comparable import changes, flatten_settings
from analysis.claims.differences import HEADLINE, difference
from analysis.claims.predictions import correct_of
from analysis.claims.wording import listed
from analysis.frames.axes import ALIASES, is_number, value_of, value_text
from analysis.frames.find import BadRequest, RunsError
from analysis.frames.runs import with_common_settings
from analysis.frames.settings import Row
from analysis.frames.statistics import Difference
from analysis.frames.study import Study, load_studies

MEASURED = ("train_acc", "val_acc", "test_acc")
NAMED = 20  # configurations named in a message; the rest are only counted
PYTHON = {"True": "true", "False": "false", "None": "null"}  # values as Python writes them, and as a configuration does
COMMAS, SPACES = (re.compile(rf"{separator}(?![^\[]*\])") for separator in (r"\s*,\s*", r"\s+"))  # outside a list


@dataclass(frozen=True)
class Side:
    """One of two configurations: its study, its row there, and its runs."""

    study: Study
    row: Row

    @property
    def runs(self) -> pd.DataFrame:
        return self.study.runs[self.study.runs["folder"] == self.row["folder"]]

    @property
    def data(self) -> tuple[str, str]:
        """The data set's name, and the digest of the user's own pictures, if it is made of them."""
        config = self.row["config"]
        return config.get("data.name", ""), config.get("data.pictures") or ""

    @property
    def folder(self) -> str:
        return f"{self.row['study']}/{self.row['configuration']}"

    @property
    def label(self) -> str:
        model = self.row["model"]
        return f"{self.study.name}: {model}" + (f", {self.row['label']}" if self.row["label"] != model else "")


@dataclass(frozen=True)
class Comparison:
    """The complete runs of two configurations, and how much B exceeds A in each measure (None if one lacks it).

    `configurations` are their rows; `changes` has both values of each key in which they differ; `names` are for
    headings, `folders` say where they are.
    """

    a: pd.DataFrame
    b: pd.DataFrame
    names: tuple[str, str]
    folders: tuple[str, str]
    left_out: dict[str, int]  # runs that are not complete, by status
    configurations: pd.DataFrame
    differences: dict[str, Difference | None]
    changes: dict[str, tuple[Any, Any]]
    studies: tuple[Study, ...]

    @property
    def paired(self) -> bool:
        """Whether the predictions of both exist and are for the same images."""
        return correct_of([list(self.a["path"]), list(self.b["path"])]) is not None

    @property
    def headline(self) -> Difference:
        found = self.differences[HEADLINE]
        assert found is not None  # every complete run has a test accuracy
        return found


def compare(a: str, b: str, studies: Sequence[Study]) -> Comparison:
    """Return the comparison of two configurations; raises RunsError.

    Each is given by what distinguishes it (`optimizer.lr=0.1`, `blocks3`, or several such terms), by its folder, or by
    the start of its folder's name, with or without `study/`.
    """
    sides = side_a, side_b = choose(a, studies), choose(b, studies)
    if side_a.row["folder"] == side_b.row["folder"]:
        raise BadRequest(f"{a} and {b} are the same configuration, {side_a.folder}")
    if side_a.data != side_b.data:
        datas = " and ".join(" ".join(filter(None, side.data)) for side in sides)
        raise BadRequest(f"{side_a.folder} and {side_b.folder} cannot be compared: their data sets are {datas}")
    every = with_common_settings(pd.concat([side.runs for side in sides], ignore_index=True))
    runs_a, runs_b = (complete(every[every["folder"] == side.row["folder"]], side.folder) for side in sides)
    same = side_a.study is side_b.study
    labels = [side.row["label"] if same else side.label for side in sides]
    labels = labels if labels[0] != labels[1] else [side.folder for side in sides]
    return Comparison(
        runs_a,
        runs_b,
        (labels[0], labels[1]),
        (side_a.folder, side_b.folder),
        dict(every.loc[every["status"] != "complete", "status"].value_counts(sort=False)),
        pd.DataFrame([side.row for side in sides]),
        {measure: difference(runs_a, runs_b, measure) for measure in MEASURED},
        changes(*(flatten_settings(side.to_dict("records")[0]) for side in (runs_a, runs_b))),
        (side_a.study,) if same else (side_a.study, side_b.study),
    )


def choose(wanted: str, studies: Sequence[Study]) -> Side:
    """Return the configuration that `wanted` names; raises BadRequest, listing the candidates by their settings."""
    if os.path.isdir(wanted):
        place = os.path.abspath(wanted)
        own = [side for side in sides_of(studies) if Path(side.row["folder"]).is_relative_to(place)]
        found = every = own or list(sides_of(load_studies([wanted])))
    else:
        every = list(sides_of(studies))
        tests = (
            lambda side: wanted in (side.row["configuration"], side.folder, side.label),
            lambda side: all(matches_all(terms, side) for terms in COMMAS.split(wanted.strip())),
            lambda side: side.row["configuration"].startswith(wanted) or side.folder.startswith(wanted),
        )
        found = next((sides for test in tests if (sides := list(filter(test, every)))), [])
    if not every:
        raise BadRequest(f"{wanted}: inspections of untrained networks have no accuracies to compare")
    if len(found) == 1:
        return found[0]
    one_study = len({side.study.name for side in every}) == 1
    labels = dict.fromkeys(side.row["label"] if one_study else side.label for side in found or every)
    names = listed(list(labels), NAMED, "; ", " and ")
    if found:
        raise BadRequest(f"{wanted}: could be {names}")
    raise BadRequest(f"{wanted}: no configuration has this value or a name that starts with it; there are {names}")


def sides_of(studies: Sequence[Study]) -> Iterator[Side]:
    """Yield all configurations of the studies."""
    for study in studies:
        if len(study.runs):
            yield from (Side(study, row) for row in study.configurations.to_dict("records"))


def matches_all(terms: str, side: Side) -> bool:
    """Return whether one term, perhaps with a space (`8 layers`), or all of several terms describe a configuration."""
    return matches(terms, side) or all(matches(term, side) for term in SPACES.split(terms))


def matches(term: str, side: Side) -> bool:
    """Return whether a term describes a configuration: `key=value`, its value on any axis, or its model's name."""
    key, equals, typed = term.partition("=")
    typed = as_typed(typed if equals else term)
    row, axes = side.row, side.study.axes
    if not equals:
        places = [(axis, row[axis.column]) for axis in axes.axes]
        texts = [(axis.text(place), axis.label(place), value_text(axis.values[place])) for axis, place in places]
        return typed == row["model"] or any(typed in found for found in texts)
    if key == "model":
        return typed == row["model"]
    axis = axes.find(key)
    if axis and typed == axis.text(row[axis.column]):
        return True
    placed = axis.values[row[axis.column]] if axis else value_of(row, ALIASES.get(key, key))
    values = placed, row["config"].get(key, placed)  # model.stages=[3,3,3] is a number of layers, too
    return any(typed == value_text(value) or is_number(value) and number(typed) == value for value in values)


def as_typed(value: str) -> str:
    """Return a value that was typed in Python's spelling as a configuration has it: `[0.5,0.75]`, `true`."""
    return PYTHON.get(value, value.replace(" ", "") if value.startswith("[") else value)


def number(text: str) -> float | None:
    """Return a text as a number, None if it is not one."""
    try:
        return float(text)
    except ValueError:
        return None


def complete(runs: pd.DataFrame, folder: str) -> pd.DataFrame:
    """Return the complete runs; raises RunsError if there are none."""
    if not (runs["status"] == "complete").any():
        diverged = (runs["status"] == "diverged").all()
        why = ", all of its runs diverged" if diverged else " yet, none of its runs is complete"
        raise RunsError(f"{folder}: nothing to compare{why}")
    return runs[runs["status"] == "complete"]
