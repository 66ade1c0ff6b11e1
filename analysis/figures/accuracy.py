"""Accuracy along any axis: lines for numbers, dots for names, with intervals over seeds and a dot per seed."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import offset_copy

from analysis.figures.published_points import draw_published, find_published
from analysis.figures.roles import (
    MANY,
    PANELS,
    QUANTITIES,
    PlotOptions,
    Roles,
    best_of,
    roles_of,
    some_values,
    with_result,
)
from analysis.figures.scale import Scale, dodged, scale_of, ticks
from analysis.figures.style import MOST, MUTED, SEEDS, NoData, colors_of, legend, look_of, new_figure
from analysis.frames.axes import UNITS
from analysis.frames.configurations import MEASURES, of_configurations
from analysis.frames.statistics import estimate
from analysis.frames.study import SCORE, UNLIKE, Study, best_rows

SHOWN = ("test_acc", "val_acc")
BESIDE = 4  # points between an interval and the dots of its seeds
RING = {"color": MUTED, "marker": "o", "ls": "none", "ms": 11, "mfc": "none"}
LOST = 3  # up to this many configurations are named in a note


def draw_accuracy(study: Study, options: PlotOptions) -> Figure:
    """Return the last epoch's accuracy against an axis with 95 % intervals over seeds; raises NoData."""
    roles, done = roles_of(study, options), study.configurations
    done = done[done["n"] > 0]
    if done.empty:
        raise NoData("no run is complete")
    if roles.x is None:
        taken = ", apart from what lines and panels show" * bool(roles.by or roles.panels)
        raise NoData(f"nothing varies but the seed{taken}")
    scale = scale_of(done, roles)
    if scale.values.nunique() < 2:
        raise NoData(f"all complete runs have the same {roles.quantity or roles.x.name}")
    table, notes = shown(study, done, roles)
    panels = [0] if roles.panels is None else sorted(set(table[roles.panels.column]))
    measures, best = measures_of(done, options), best_along(table, roles)
    along = QUANTITIES[roles.quantity][0].partition(" (")[0] if roles.quantity else roles.x.name
    about = f"Accuracy of the last epoch by {along}"
    shape = (1, len(measures)) if roles.panels is None else (len(measures), len(panels))
    share = 1.0 if max(shape) > 1 else 0.7
    figure = new_figure(study, about, 1.4 + 3.2 * shape[0], share, note="; ".join(notes))
    axes = figure.subplots(*shape, squeeze=False, sharex=True, sharey="row" if roles.panels else True)
    if scale.logarithmic:
        axes[0, 0].set_xscale("log")  # of all panels; once one with a single x is drawn, this would warn
    alone = roles.panels is None and roles.x.name == "layers" and not roles.quantity
    published = find_published(table, roles.by) if alone else None
    handles = [look(roles, place) for place in places(table, roles)] if roles.by else []
    handles += [Line2D([], [], label="best by validation", **RING)] * bool(best)
    points = {name: points_of(study.complete.dropna(subset=name), table, scale, name, best) for name in measures}
    for number, measure in enumerate(measures):
        beside = [measure] if roles.panels else measures  # the measures that share a vertical axis
        columns = [f"{name}_mean" for name in beside]
        theirs = np.empty(0) if published is None else 100 * published[columns].to_numpy(float).ravel()
        extent = limits(pd.concat([points[name] for name in beside]), theirs)
        for column, panel in enumerate(panels):
            axis = axes[number, column] if roles.panels else axes[0, number]
            part = table if roles.panels is None else table[table[roles.panels.column] == panel]
            axis.set_ylim(*extent)
            axis.ticklabel_format(axis="y", useOffset=False)
            draw_panel(axis, points[measure], part, roles, scale)
            handles += draw_published(axis, published, measure) if published is not None else []
            axis.set_ylabel(MEASURES[measure].long if column == 0 else "")
            if roles.panels is not None:
                axis.set_title("" if number else roles.panels.label(panel), fontsize=10)
                axis.label_outer()
    legend(figure, list({handle.get_label(): handle for handle in handles}.values()), roles.by.name if roles.by else "")
    return figure


def measures_of(done: pd.DataFrame, options: PlotOptions) -> list[str]:
    """Return the accuracies to draw; raises NoData if no run has the one asked for."""
    measures = [options.measure] if options.measure else SHOWN
    found = [name for name in measures if done[f"{name}_mean"].notna().any()]
    if not found:
        raise NoData(f"no run has a {MEASURES[options.measure].long}")
    return found


def best_along(table: pd.DataFrame, roles: Roles) -> set[str]:
    """Return each line's configuration best by validation, if the horizontal is a number that one could tune."""
    x, columns = roles.x, [axis.column for axis in (roles.by, roles.panels) if axis]
    if roles.quantity or x is None or not x.numeric or x.name in {*UNITS, *UNLIKE}:
        return set()
    judged = table.dropna(subset=SCORE)
    if len(judged) < 2:
        return set()
    several = judged[judged.duplicated(columns, keep=False)] if columns else judged
    return set(best_rows(several, columns)["configuration"])


def shown(study: Study, table: pd.DataFrame, roles: Roles) -> tuple[pd.DataFrame, list[str]]:
    """Return the configurations to draw, and notes on what is left out."""
    axes, notes = [axis for axis in (roles.x, roles.by, roles.panels) if axis], []
    if roles.x is None or len(roles.x.values) <= MANY:
        table, notes = best_of(study, table, axes, with_result(study))
    elif rest := [a.name for a in study.axes.axes if a not in axes and table[a.column].nunique() > 1]:
        notes = [f"each with its own {', '.join(rest)}"]
    for axis, most in ((roles.by, MOST), (roles.panels, PANELS)):
        if axis is not None:
            places, left_out = some_values(table, axis, most)
            table, notes = table[table[axis.column].isin(places)], [*notes, *left_out]
    lost = study.configurations[study.configurations["n"] == 0]
    partly = table[(table["n"] > 0) & (table["diverged"] > 0)]
    diverged = [
        f"{row['label']} ({row['diverged']} of {row['n'] + row['diverged']})" for row in partly.to_dict("records")
    ]
    for what, names in (("without a complete run", list(lost["label"])), ("without runs that diverged", diverged)):
        if names:
            more = f"; and {len(names) - LOST} more" * (len(names) > LOST)
            notes = [*notes, f"{what}: {'; '.join(names[:LOST])}{more}"]
    return table, notes


def places(table: pd.DataFrame, roles: Roles) -> list[int]:
    """Return the places of the values on the lines' axis; only 0 if there is no such axis."""
    return [0] if roles.by is None else sorted(set(table[roles.by.column]))


def look(roles: Roles, place: int) -> Line2D:
    """Return the style of a value's line, which is also its legend entry."""
    color, marker, style, label = roles.color, "o", "-", ""
    if roles.by is not None:
        color, label = colors_of(roles.by)[place], roles.by.entry(place)
        if roles.by.name == "shortcut":
            _, marker, style = look_of(str(roles.by.values[place]))
    return Line2D([], [], color=color, marker=marker, ls=style, ms=5, lw=1.4, label=label)


def draw_panel(axis: Axes, points: pd.DataFrame, table: pd.DataFrame, roles: Roles, scale: Scale) -> None:
    """Draw a line, or dots, for each value of the lines' axis that these configurations have."""
    points, drawn = of_configurations(points, table), places(table, roles)
    aside = set(points["x"]) if scale.names else hidden(points)
    joined = not scale.names and len(set(scale.values)) <= MANY
    for number, place in enumerate(drawn):
        found = points if roles.by is None else of_configurations(points, table[table[roles.by.column] == place])
        shift = number / (len(drawn) - 1) - 0.5 if len(drawn) > 1 else 0
        x = dodged(found, shift, scale, aside)
        draw_points(axis, x, found, look(roles, place), joined)
        if found["best"].any():
            axis.plot(x[found["best"]], found["mean"][found["best"]], **RING)
        draw_seeds(axis, x, found["seeds"], look(roles, place).get_color(), 1 if shift > 0 else -1)
    ticks(axis, scale)
    axis.grid(alpha=0.25)


def points_of(
    runs: pd.DataFrame, table: pd.DataFrame, scale: Scale, measure: str, best: Collection[str]
) -> pd.DataFrame:
    """Return each configuration's place, and its mean, interval and seeds in per cent, from left to right.

    There is no interval over fewer than SEEDS seeds. `best` are those that get a ring.
    """
    rows, groups = [], dict(list(runs.groupby("configuration")[measure]))
    for index, name in zip(table.index, table["configuration"]):
        if name in groups:
            values = 100 * groups[name].astype(float)
            found = estimate(values)
            ends = (found.low, found.high) if found.n >= SEEDS else (None, None)
            rows.append((name, scale.values[index], found.mean, *ends, list(values)))
    frame = pd.DataFrame(rows, columns=["configuration", "x", "mean", "low", "high", "seeds"])
    frame["best"] = frame["configuration"].isin(best)
    return frame.astype({"x": float, "mean": float, "low": float, "high": float}).sort_values("x", kind="stable")


def hidden(points: pd.DataFrame) -> set[float]:
    """Return the places where points or their intervals would hide one another."""
    hair = 0.02 * max(points["mean"].max() - points["mean"].min(), 1.0)  # about the size of a marker
    low, high = points["low"].fillna(points["mean"]) - hair, points["high"].fillna(points["mean"]) + hair
    return {
        float(x)  # pyright: ignore[reportArgumentType]
        for x, rows in points.assign(low=low, high=high).sort_values("low").groupby("x")
        if (rows["low"].iloc[1:].to_numpy() < rows["high"].cummax().iloc[:-1].to_numpy()).any()
    }


def draw_points(axis: Axes, x: pd.Series, points: pd.DataFrame, line: Line2D, joined: bool) -> None:
    """Draw means with their intervals; one that extends beyond the axis gets an arrowhead at its edge."""
    color = line.get_color()
    style = {"ls": line.get_linestyle(), "ms": 5.5} if joined else {"ls": "none", "ms": 5.5 if len(x) <= MANY else 3.5}
    axis.plot(x, points["mean"], color=color, marker=line.get_marker(), lw=1.5, **style)
    known, (bottom, top) = points["low"].notna(), axis.get_ylim()
    x, low, high = x[known], points["low"][known], points["high"][known]
    axis.vlines(x, low.clip(lower=bottom), high.clip(upper=top), color=color, lw=1.1)
    for ends, edge, beyond, arrow in ((low, bottom, low < bottom, "v"), (high, top, high > top, "^")):
        axis.plot(x[~beyond], ends[~beyond], "_", color=color, ms=6)
        for place in x[beyond]:
            axis.plot(place, edge, arrow, color=color, ms=5, mfc="white", clip_on=False)


def draw_seeds(axis: Axes, x: pd.Series, seeds: pd.Series, color: Any, side: int) -> None:
    """Draw each of several seeds as a dot beside their interval, on its left (`side` -1) or right (1)."""
    dots = [(where, value) for where, values in zip(x, seeds) if len(values) > 1 for value in values]
    if dots:
        beside = offset_copy(axis.transData, axis.figure, x=BESIDE * side, units="points")  # pyright: ignore[reportArgumentType]
        look = {"color": color, "marker": "o", "ls": "none", "ms": 2.5, "alpha": 0.8, "mew": 0}
        axis.add_artist(Line2D(*zip(*dots), transform=beside, **look))


def limits(points: pd.DataFrame, published: np.ndarray) -> tuple[float, float]:
    """Return the limits of an axis that shows all means and seeds, but cuts off intervals that would flatten these."""
    seeds = points["seeds"].explode().astype(float)
    means = pd.concat([points["mean"], pd.Series(published)])
    room = max(means.max() - means.min(), 2.0)
    low = np.nanmin([means.min(), seeds.min(), max(points["low"].min(), means.min() - room)])
    high = np.nanmax([means.max(), seeds.max(), min(points["high"].max(), means.max() + room)])
    margin = 0.06 * (high - low) or 0.5
    return max(low - margin, -0.5), min(high + margin, 100.5)
