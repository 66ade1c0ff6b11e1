"""How much accuracy a trained network keeps without a block, or with two blocks swapped."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.inside.panels import NotMeasured, first_shown
from analysis.figures.roles import best_of
from analysis.figures.style import MUTED, legend, look_of, new_figure, some_of, whole_numbers
from analysis.frames.axes import PLAIN, name_shortcut
from analysis.frames.configurations import of_configurations
from analysis.frames.inside.untrained import plain_last
from analysis.frames.study import Study

LESIONS = {"remove": ("without a block", "block"), "swap": ("two blocks swapped", "first of the two")}
DEPTHS = 5  # side by side


def draw_lesions(study: Study) -> Figure:
    """Return the accuracy after each lesion, one column of panels per depth, residual beside plain; raises NoData."""
    rows = study.lesions
    kinds = [kind for kind in LESIONS if (rows["lesion"] == kind).any()]
    if not kinds:
        raise NotMeasured("no run has lesions")
    rows, notes = best_of_each(study, rows)
    depths, left_out = some_of(sorted(set(rows["depth"])), DEPTHS, "depths")
    note = "; ".join([*notes, *left_out])
    figure = new_figure(study, "Accuracy after lesions, held-out images", 0.6 + 2.5 * len(kinds), note=note)
    axes = figure.subplots(len(kinds), len(depths), squeeze=False, sharey=True, sharex="col")
    guessing = 100 / study.classes["true"].nunique() if len(study.classes) else None
    for line, kind in zip(axes, kinds):
        for axis, depth in zip(line, depths):
            part = rows[rows["depth"] == depth]
            if not (part["lesion"] == kind).any():
                axis.set_visible(False)
                continue
            draw_panel(axis, part, kind)
            if guessing:
                axis.axhline(guessing, color=MUTED, lw=1, ls=":")
            axis.tick_params(labelbottom=True)
            axis.set_title(f"{depth} layers" if kind == kinds[0] else "", fontsize=10)
            axis.set_xlabel(LESIONS[kind][1], fontsize=9)
        for axis in first_shown(line):
            axis.set_ylabel(f"accuracy (%)\n{LESIONS[kind][0]}")
            axis.tick_params(labelleft=True)
    shortcuts = plain_last(rows["shortcut"])
    intact = "the intact network" + " (plain: dashed)" * (PLAIN in shortcuts[1:])
    lines = {intact: "--" if shortcuts == [PLAIN] else "-"} | ({"guessing": ":"} if guessing else {})
    handles = [Line2D([], [], color=MUTED, lw=1, ls=style, label=label) for label, style in lines.items()]
    legend(figure, [*map(draw_as, shortcuts), *handles])
    return figure


def best_of_each(study: Study, rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of the configuration best by validation for each depth and shortcut, and notes on other axes."""
    axes = [axis for axis in study.axes.axes if axis.name in ("layers", "shortcut")]
    best, notes = best_of(study, of_configurations(study.configurations, rows), axes)
    return of_configurations(rows, best), notes


def draw_as(shortcut: str) -> Line2D:
    """Return the legend's handle for networks with a shortcut."""
    color, marker, _ = look_of(shortcut)
    return Line2D([], [], color=color, marker=marker, ls="none", ms=5, label=name_shortcut(shortcut))


def draw_panel(axis: Axes, rows: pd.DataFrame, kind: str) -> None:
    """Draw the mean over seeds of one kind of lesion, its range, and the intact network as a line."""
    for shortcut, part in rows.groupby("shortcut", sort=False):
        look, style = draw_as(str(shortcut)), look_of(str(shortcut))[2]
        intact = 100 * part.loc[part["lesion"] == "none", "accuracy"].mean()
        axis.axhline(intact, color=look.get_color(), lw=1, ls=style)
        found = 100 * part[part["lesion"] == kind].groupby("block")["accuracy"].agg(["mean", "min", "max"])
        axis.vlines(found.index, found["min"], found["max"], color=look.get_color(), lw=1)
        axis.plot(found.index, found["mean"], color=look.get_color(), marker=look.get_marker(), ls="none", ms=5)
    axis.set_ylim(0, 102)
    axis.grid(alpha=0.25)
    whole_numbers(axis)
