"""What figures of untrained networks share: panels by norm and shortcut, colours by depth, bands over seeds."""

from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.style import NoData, depth_shades, legend, new_figure, set_title, some_of
from analysis.frames.axes import name_shortcut
from analysis.frames.inside.untrained import Untrained, condition, plain_last
from analysis.frames.study import Study

ROWS, COLUMNS = 3, 3  # of panels, at most; of more, an even selection


class NotMeasured(NoData):
    """The study did not take the measurement that a figure shows: nothing is missing."""


def untrained_of(study: Study) -> Untrained:
    """Return what a study knows of untrained networks; raises NotMeasured."""
    if study.untrained.runs.empty:
        raise NotMeasured("nothing was seen of a network before its training")
    return study.untrained


def depth_colors(depths: Iterable[int]) -> dict[int, Any]:
    """Return the shade that `depth_shades` gives each depth."""
    depths = sorted(set(depths))
    return dict(zip(depths, depth_shades(depths)))


def panel_figure(
    study: Study, about: str, rows: pd.DataFrame, x: str, y: str
) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """Return a figure with a panel for each norm and shortcut that have rows, and each panel with its rows."""
    conditions, notes = some_of(sorted(set(zip(rows["norm"], rows["rest"]))), ROWS, "conditions")  # batch norm first
    shortcuts, more = some_of(plain_last(rows["shortcut"]), COLUMNS, "shortcuts")
    figure = new_figure(study, about, 0.9 + 2.7 * len(conditions), note="; ".join([*notes, *more]))
    axes = figure.subplots(len(conditions), len(shortcuts), squeeze=False, sharex=True, sharey="row")
    colors = depth_colors(rows["depth"])
    legend(figure, [Line2D([], [], color=shade, lw=3, label=f"{depth} layers") for depth, shade in colors.items()])
    panels = []
    for line, (norm, rest) in zip(axes, conditions):
        for axis, shortcut in zip(line, shortcuts):
            part = rows[(rows["norm"] == norm) & (rows["rest"] == rest) & (rows["shortcut"] == shortcut)]
            if part.empty:
                axis.set_visible(False)
                continue
            set_title(axis, f"{name_shortcut(shortcut)}, {condition(norm, rest)}")
            axis.grid(alpha=0.25)
            panels.append((axis, part))
    for axis in chain(*map(first_shown, axes[::-1].T)):
        axis.set_xlabel(x)
        axis.tick_params(labelbottom=True)
    for axis in chain(*map(first_shown, axes)):
        axis.set_ylabel(y)
        axis.tick_params(which="both", labelleft=True)
    return figure, panels


def first_shown(panels: Iterable[Axes]) -> list[Axes]:
    """Return a list of the first visible panel of a row or column, empty if none is visible."""
    return [axis for axis in panels if axis.get_visible()][:1]


def draw_lines(
    axis: Axes, rows: pd.DataFrame, x: str, y: str, colors: dict[int, Any], log: bool = False, style: str = "-"
) -> None:
    """Draw one line per depth, the mean over seeds (geometric with `log`) and a band from lowest to highest."""
    values = np.log10(rows[y].where(rows[y] > 0)) if log else rows[y]
    finite = rows.assign(value=values)[np.isfinite(values)]
    for depth, part in finite.groupby("depth"):
        over_seeds = part.groupby(x)["value"].agg(["mean", "min", "max"])
        mean, low, high = (10 ** over_seeds[name] if log else over_seeds[name] for name in ("mean", "min", "max"))
        axis.plot(over_seeds.index, mean, style, color=colors[int(str(depth))], lw=1.3)
        axis.fill_between(over_seeds.index, low, high, color=colors[int(str(depth))], alpha=0.2, lw=0)
