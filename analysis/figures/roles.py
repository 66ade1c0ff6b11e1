"""Which axis plays which part in a figure, and which configurations are shown if there are too many."""

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from matplotlib.lines import Line2D

from analysis.figures.style import COLORS, LOOKS, MOST, colors_of, some_of
from analysis.frames.axes import Axis
from analysis.frames.find import BadRequest
from analysis.frames.study import SCORE, Study, best_rows, validated

MANY = 24  # up to this many values are joined by a line; more are separate dots
PANELS = 4  # rows or columns of panels
SIZE = ("layers", "stages", "model.width")  # axes that change the quantities
# What accuracy can be drawn against, in addition to the axes: a label, and the unit to divide by.
QUANTITIES = {
    "multiply_adds": ("multiply-adds (M)", 10**6),
    "parameters": ("parameters (thousands)", 10**3),
    "wall_seconds": ("training time (minutes)", 60),
}


@dataclass(frozen=True)
class PlotOptions:
    """Which axis plays each part, and the measure, as asked for on the command line; empty for the default."""

    x: str = ""
    by: str = ""
    panels: str = ""
    measure: str = ""


@dataclass(frozen=True)
class Roles:
    """The horizontal axis, or the `quantity` that takes its place; the axis of the lines; the axis of the panels.

    Without an axis of the lines, there is a single line in `color`: that of the study's shortcut, if it has only one.
    """

    x: Axis | None
    by: Axis | None
    panels: Axis | None
    quantity: str
    color: str


def roles_of(study: Study, options: PlotOptions) -> Roles:
    """Return which axis plays which part; raises BadRequest for a name that is not an axis, or is given two parts.

    By default, the horizontal is the numeric axis with the most values (on a tie, the depth), lines are by shortcut or
    else the next axis, and panels by one with few values. A quantity takes the place of the depth or another
    axis of size, if one varies.
    """
    axes = study.axes.axes
    quantity = options.x if options.x in QUANTITIES else ""
    x = study.axis(options.x, QUANTITIES) if options.x and not quantity else None
    by, panels = (study.axis(name) if name else None for name in (options.by, options.panels))
    given = [axis for axis in (x, by, panels) if axis]
    if len(set(given)) < len(given):
        raise BadRequest(f"{max(given, key=given.count).name}: an axis goes to one of --x, --by and --panels")
    free = [axis for axis in axes if axis not in (by, panels)]
    numbers = [axis for axis in free if axis.numeric]
    numbers.sort(key=lambda axis: (quantity != "" and axis.name not in SIZE, -min(len(axis.values), MANY)))
    x = x or next(iter([*numbers, *free]), None)
    rest = [axis for axis in free if axis != x]
    rest.sort(key=lambda axis: axis.name != "shortcut")
    by = by or next((axis for axis in rest if len(axis.values) <= MOST), None)
    panels = panels or next((axis for axis in rest if axis != by and len(axis.values) <= PANELS), None)
    shortcuts = study.configurations["shortcut"].unique()
    color = LOOKS[shortcuts[0]][0] if len(shortcuts) == 1 and shortcuts[0] in LOOKS else COLORS[0]
    return Roles(x, by, panels, quantity, color)


@dataclass(frozen=True)
class Lines:
    """The configurations that a figure shows as lines, one per row of `table`, with a panel for each value of `row`.

    Without an axis of the lines, they have one `color`.
    """

    table: pd.DataFrame
    line: Axis | None
    row: Axis | None
    note: str
    color: str

    @property
    def colors(self) -> dict[str, Any]:
        """Return the colour of each configuration, which is that of its value on the lines' axis."""
        places = self.table[self.line.column] if self.line else [0] * len(self.table)
        return {name: self._colors[place] for name, place in zip(self.table["configuration"], places)}

    @property
    def _colors(self) -> dict[int, Any]:
        """Return the colour of each value that is shown; a few out of many get colours that can be told apart."""
        if self.line is None:
            return {0: self.color}
        if len(self.line.values) > MOST:
            return dict(zip(sorted(set(self.table[self.line.column])), COLORS))
        return dict(enumerate(colors_of(self.line)))

    @property
    def panels(self) -> list[tuple[str, pd.DataFrame]]:
        """Return each panel's title and configurations."""
        if self.row is None:
            return [("", self.table)]
        groups = self.table.groupby(self.row.column)
        return [(self.row.label(int(place)), part) for place, part in groups]  # pyright: ignore[reportArgumentType]

    def handles(self, in_words: bool = False) -> list[Line2D]:
        """Return a legend entry for each value of the lines' axis that is shown, with the axis if `in_words`."""
        if self.line is None:
            return []
        colors, places = self._colors, sorted(set(self.table[self.line.column]))
        text = self.line.label if in_words else self.line.entry
        return [Line2D([], [], color=colors[place], linewidth=4, label=text(place)) for place in places]

    @property
    def legend_title(self) -> str:
        return self.line.name if self.line else ""


def lines_of(study: Study, configurations: pd.DataFrame, options: PlotOptions) -> Lines:
    """Return at most MOST lines in at most PANELS panels; along other axes, only the best by validation.

    Lines are by --by, else by --x, because the horizontal of these figures is not an axis. By default, lines or panels
    are by depth, so that the best is not chosen across depths.
    """
    roles = roles_of(study, options)
    line, row = (roles.by, roles.panels or roles.x) if options.by else (roles.x, roles.by)
    row = roles.panels if options.panels else row
    if not (options.x or options.by) and (depth := study.axes.find("layers")) in study.axes.axes and depth != row:
        line = depth
    table, notes = best_of(study, configurations, [axis for axis in (line, row) if axis])
    if row is not None:
        places, left_out = some_values(table, row, PANELS)
        table, notes = table[table[row.column].isin(places)], [*notes, *left_out]
    if line is not None and (count := table[line.column].nunique()) > MOST:
        ranked = list(table.groupby(line.column)[SCORE].mean().sort_values(ascending=False).index)
        middle = max(count // 2 - MOST // 4, MOST // 2)
        half = MOST // 2
        table = table[table[line.column].isin([*ranked[:half], *ranked[middle : middle + half]])]
        best = "best by validation" if validated(table) else "first"
        tops = ", ".join(line.text(int(place)) for place in ranked[:half])
        others = f"the {half} {best} ({tops}) and {half} around the median"
        notes.append(f"of {count} values of {line.name}, {f'the {MOST} {best}' if count < MOST + half else others}")
    return Lines(table, line, row, "; ".join(notes), roles.color)


def best_of(
    study: Study, configurations: pd.DataFrame, axes: list[Axis], tried: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """Return the configuration best by validation for each combination of some axes, and notes on other axes.

    If another axis is a named choice, or a number of which some combination tried a single value, all get the same
    value if possible, so that they do not differ in that as well. `tried` are all those tried, by default
    `configurations`.
    """
    tried = configurations if tried is None else tried
    columns = [axis.column for axis in axes]
    own = {name: by for name, by in study.chosen.items() if name not in [axis.name for axis in axes]}
    notes = []
    for by in dict.fromkeys(own.values()):
        names = ", ".join(name for name in own if own[name] == by)
        notes.append(f"each with its own {names}, chosen by validation" + (by and f" in {by}"))
    best_one = "the best by validation" if validated(configurations) else "the first, as nothing was validated"
    others = [axis for axis in study.axes.axes if axis not in axes]
    for axis in sorted(others, key=lambda axis: axis.numeric):
        if axis.numeric and not any_single(tried, columns, axis):
            continue
        parts = {int(place): part for place, part in configurations.groupby(axis.column)}  # pyright: ignore[reportArgumentType]
        whole = {
            place: part
            for place, part in parts.items()
            if combinations(part, columns) == combinations(configurations, columns)
        }
        if len(parts) > 1 and whole:
            best = max(whole, key=lambda place: score(whole[place], columns))
            why = best_one if len(whole) > 1 else "the only one that all have"
            configurations, notes = whole[best], [*notes, f"{axis.label(best)}, {why}"]
            others.remove(axis)
    others = [axis for axis in others if configurations[axis.column].nunique() > 1]
    table, names = best_rows(configurations, columns), ", ".join(axis.name for axis in others)
    if len(table) < len(configurations):
        notes.append(f"each with its own {names}, {best_one}" if names else f"copies: {best_one}")
    elif others:
        notes.append(f"each with its own {names}")
    return table, notes


def some_values(table: pd.DataFrame, axis: Axis, most: int) -> tuple[list[int], list[str]]:
    """Return at most `most` places of an axis, evenly spread but with the best, and a note if some are left out."""
    every = sorted(set(table[axis.column]))
    places, notes = some_of(every, most, f"values of {axis.name}")
    best = int(best_rows(table, []).iloc[0][axis.column])
    if best not in places:  # so it lies between the ends, which stay
        nearest = min(places[1:-1], key=lambda place: abs(every.index(place) - every.index(best)))
        places[places.index(nearest)] = best
    return places, notes


def with_result(study: Study) -> pd.DataFrame:
    """Return the configurations with a run that is complete or has diverged, which is a result as well."""
    return study.configurations[(study.configurations["n"] > 0) | (study.configurations["diverged"] > 0)]


def score(configurations: pd.DataFrame, columns: list[str]) -> float:
    """Return the mean over combinations of the best validation accuracy in each, with -1 where there is none."""
    best = configurations.groupby(columns)[SCORE].max() if columns else configurations[SCORE]
    return float(best.fillna(-1).mean())


def combinations(configurations: pd.DataFrame, columns: list[str]) -> int:
    """Return how many combinations of values there are in some columns."""
    return len(configurations.drop_duplicates(columns)) if columns else 1


def any_single(configurations: pd.DataFrame, columns: list[str], axis: Axis) -> bool:
    """Return whether a combination of values in some columns tried a single value of an axis."""
    return bool(columns) and bool((configurations.groupby(columns)[axis.column].nunique() == 1).any())


def by_shortcut(study: Study, options: PlotOptions) -> PlotOptions:
    """Return the options with panels by shortcut if there are several, unless they name panels or use the shortcut."""
    shortcut = study.axes.find("shortcut")
    taken = options.panels or shortcut in (study.axes.find(options.x), study.axes.find(options.by))
    return options if taken or shortcut not in study.axes.axes else replace(options, panels="shortcut")
