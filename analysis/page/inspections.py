"""Inspections of untrained networks as a table: one row per network for people, one row per run for programs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from analysis.claims.numbers import say_cosine, say_factor
from analysis.frames.inside.untrained import MEASURES, NETWORK
from analysis.frames.study import Study
from analysis.page.rendering import Grid, width_of
from analysis.page.tables import LEFT_OUT

NUMBERS = ["study", "configuration", "seed", "shortcut", "depth", "norm", "rest", "parameters", *MEASURES]
NOTE = (
    "Before training: the mean over seeds (geometric but for the cosine), and the lowest to the highest. First over "
    "last is the gradient norm of the first tenth of the 3x3 layers over that of the last tenth; scaled, each norm is "
    "multiplied by that of the layer's weights. Growth is the factor by which the gradient norm grows per layer "
    "towards the input, within a stage. The cosine is that between the input gradients at neighbouring points, 1/40 of "
    "the way from one image to another apart. Curvature is the largest eigenvalue of the loss's Hessian, without the "
    "runs in which Lanczos' method did not converge; a dash means no value."
)


@dataclass(frozen=True)
class Column:
    """A column of numbers: its measure, its label, how to format a number, and whether its mean is geometric."""

    measure: str
    label: str
    say: Callable[[float], str]
    geometric: bool = True


COLUMNS = (
    Column("gradient_ratio", "first over last", say_factor),
    Column("scaled_ratio", "scaled", say_factor),
    Column("growth", "growth", "{:.2f}".format),
    Column("cosine", "cosine", say_cosine, geometric=False),
    Column("curvature", "curvature", partial(say_factor, digits=3)),
)

RANGES = "the lowest and the highest"
UNIMPORTANT = (RANGES, "scaled", "growth")  # left out on a terminal, in this order, until the rest fits


def inspection_grids(study: Study, width: int | None = None) -> list[Grid]:
    """Return a grid of a study's complete inspections, or none without inspections; narrowed to `width` if given."""
    if study.inspections.empty:
        return []
    runs, left_out = inspected(study), []
    grid = as_grid(study, runs, left_out)
    for name in UNIMPORTANT:
        if width is None or width_of(grid) <= width:
            break
        left_out.append(name)
        grid = as_grid(study, runs, left_out)
    return [grid]


def as_grid(study: Study, runs: pd.DataFrame, left_out: Sequence[str]) -> Grid:
    """Return inspections as a grid without the columns, or the ranges, named in `left_out`."""
    several, columns = runs["rest"].nunique() > 1, [column for column in COLUMNS if column.label not in left_out]
    head = ["shortcut", "norm", "layers", *["differs in"] * several, *(column.label for column in columns), "seeds"]
    rows = []
    for (shortcut, depth, norm, rest), part in runs.groupby(NETWORK):
        cells = [cell(part[column.measure], column, RANGES not in left_out) for column in columns]
        rows.append([shortcut, norm, str(depth), *[rest] * several, *cells, str(len(part))])
    numeric = [False, False, True, *[False] * several, *[True] * (len(columns) + 1)]
    notes = [NOTE, *incomplete(study.inspections), *[LEFT_OUT.format(names=", ".join(left_out))] * bool(left_out)]
    return Grid(f"{study.title}: untrained networks", head, rows, numeric, notes)


def cell(values: pd.Series, column: Column, with_range: bool) -> str:
    """Return the mean of the known values, their range if they differ, and how many runs have one if not all do."""
    every, values = len(values), values.dropna()
    if values.empty:
        return "-"
    mean = float(10 ** np.log10(values).mean() if column.geometric else values.mean())
    texts = [column.say(value) for value in (mean, float(values.min()), float(values.max()))]
    of = f", {len(values)} of {every}" if len(values) < every else ""
    return (f"{texts[0]} ({texts[1]} to {texts[2]})" if with_range and texts[1] != texts[2] else texts[0]) + of


def incomplete(inspections: pd.DataFrame) -> list[str]:
    """Return a note on how many inspections the table leaves out, and why; none if it has all."""
    counts = inspections.loc[inspections["status"] != "complete", "status"].value_counts().sort_index()
    texts = [f"{count} {status}" for status, count in counts.items()]
    return [f"Not in the table, because they are not complete: {', '.join(texts)}."] if texts else []


def inspections_csv(studies: Sequence[Study]) -> str:
    """Return the measurements as one CSV, one row per complete inspection; ratios are factors."""
    return pd.concat(map(inspected, studies))[NUMBERS].to_csv(index=False)


def inspected(study: Study) -> pd.DataFrame:
    """Return a row per inspected network and seed, leaving out trainings."""
    return replace(study, runs=study.runs[:0]).untrained.runs
