"""Figures by class: how often each one is recognised, and what it is taken for."""

import textwrap
from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.roles import Lines, PlotOptions, best_of, lines_of
from analysis.figures.style import MUTED, NoData, legend, look_of, new_figure
from analysis.frames.configurations import of_configurations
from analysis.frames.study import Study

MOST_CLASSES = 20  # shown; if there are more, those recognised least often
MARKERS = "os^D"  # one per value of the axis of panels, if there is one other than the shortcut


def accuracies(study: Study) -> pd.DataFrame:
    """Return the accuracy of each class in per cent, with the images of all seeds pooled; raises NoData.

    One row per class, the one with the lowest mean over configurations first; one column per configuration.
    """
    if study.classes.empty:
        raise NoData("no complete run has figures by class")
    images = study.classes.groupby(["true", "configuration"])["images"].sum()
    correct = study.classes[study.classes["true"] == study.classes["predicted"]]
    table = (100 * correct.groupby(["true", "configuration"])["images"].sum() / images).unstack()
    return table.loc[table.mean(axis=1).sort_values(kind="stable").index]


def draw_classes(study: Study, options: PlotOptions) -> Figure:
    """Return the test accuracy of each class, one marker per configuration; raises NoData."""
    table = accuracies(study)
    shown = of_configurations(study.configurations, study.classes)
    drawn, classes = lines_of(study, shown, options), len(table)
    shown, colors = drawn.table, drawn.colors
    table = table.head(MOST_CLASSES)
    note = f" ({len(table)} worst of {classes})" if len(table) < classes else ""
    figure = new_figure(study, f"Test accuracy by class{note}", 1.6 + 0.36 * len(table), note=drawn.note)
    axis = figure.subplots()
    marks = marks_of(drawn)
    signs = {name: marks[title] for title, part in drawn.panels for name in part["configuration"]}
    shifts = np.linspace(-0.3, 0.3, len(shown)) if len(shown) > 1 else [0]
    for shift, name in zip(shifts, shown["configuration"]):
        look = {"color": colors[name], "markersize": 4.5 if len(shown) <= 12 else 3}
        axis.plot(table[name], np.arange(len(table)) + shift, signs[name], **look)
    axis.set_yticks(range(len(table)), plain(table.index))
    axis.set_ylim(len(table) - 0.5, -0.5)
    for place in range(0, len(table), 2):
        axis.axhspan(place - 0.5, place + 0.5, color="#F2F2F2", zorder=0)
    axis.grid(axis="x", alpha=0.25)
    axis.set_xlabel("test accuracy (%)")
    axis.set_ylabel("class")
    look = {"color": MUTED, "ls": "none", "ms": 5}
    handles = [Line2D([], [], marker=sign, label=title, **look) for title, sign in marks.items() if title]
    legend(figure, [*drawn.handles(in_words=bool(handles)), *handles], "" if handles else drawn.legend_title)
    return figure


def marks_of(drawn: Lines) -> dict[str, str]:
    """Return a marker for the title of each panel that other figures would have; shortcuts keep theirs."""
    titles, axis = [title for title, _ in drawn.panels], drawn.row
    if axis is None or axis.name != "shortcut":
        return dict(zip(titles, MARKERS))
    looks = {axis.label(place): look_of(str(value)) for place, value in enumerate(axis.values)}
    return {title: looks[title][1] for title in titles}


def draw_confusion(study: Study) -> Figure:
    """Return what each class is taken for, one panel per shortcut, all of one depth if possible; raises NoData."""
    worst = list(accuracies(study).head(MOST_CLASSES).index)
    shown = of_configurations(study.configurations, study.classes)
    depths = [set(rows["depth"]) for _, rows in shown.groupby("shortcut")]
    if len(depths) > 1 and (common := set.intersection(*depths)):
        shown = shown[shown["depth"] == max(common)]
    chosen, _ = best_of(study, shown, [axis for axis in study.axes.axes if axis.name == "shortcut"])
    whole = [shares(study.classes, name) for name in chosen["configuration"]]
    order = [name for name in whole[0].index if name in worst]
    tables = [table.reindex(index=order, columns=order) for table in whole]
    mistakes = [table.where(~np.eye(len(order), dtype=bool)) for table in tables]
    norm = Normalize(0, max(1.0, *(np.nanmax(table.to_numpy(), initial=0) for table in mistakes)))
    note = f" ({len(order)} worst of {len(whole[0])})" if len(order) < len(whole[0]) else ""
    height = 4.2 + 0.07 * max(map(len, order))  # for the class names below, which are vertical
    share = 1 if len(tables) > 1 else 2 / 3
    figure = new_figure(study, f"Confusion of classes in the test set{note}", height, share)
    axes = figure.subplots(1, len(tables), squeeze=False, sharey=True)[0]
    for axis, table, wrong, configuration in zip(axes, tables, mistakes, chosen.to_dict("records")):
        draw_matrix(axis, table, wrong, norm)
        axis.set_title(textwrap.fill(configuration["label"], 36), fontsize=10)
        axis.set_xlabel("taken for")
    axes[0].set_ylabel("class")
    figure.colorbar(ScalarMappable(norm, "Blues"), ax=axes, label="mistaken (% of the class)", aspect=30)
    return figure


def shares(classes: pd.DataFrame, configuration: str) -> pd.DataFrame:
    """Return, in a row per true class, the percentage of its images that were taken for each class."""
    rows = classes[classes["configuration"] == configuration]
    names = rows["true"].unique()
    counts = rows.pivot_table(index="true", columns="predicted", values="images", aggfunc="sum")
    counts = counts.reindex(index=names, columns=names)
    return 100 * counts.div(counts.sum(axis=1), axis=0)


def plain(names: Iterable[str]) -> list[str]:
    """Return class names, which can be any folder's, with $ escaped, so that they are not read as mathematics."""
    return [name.replace("$", r"\$") for name in names]


def draw_matrix(axis: Axes, table: pd.DataFrame, wrong: pd.DataFrame, norm: Normalize) -> None:
    """Draw a matrix coloured by mistakes; with at most 12 classes, cells show their share unless it rounds to zero."""
    axis.imshow(wrong, norm=norm, cmap="Blues", aspect="auto", interpolation="none")
    axis.set_facecolor("#EEEEEE")
    places = range(len(table))
    axis.set_xticks(places, plain(table.columns), rotation=90, fontsize=8)
    axis.set_yticks(places, plain(table.index), fontsize=8)
    for (row, column), share in np.ndenumerate(table.to_numpy()):
        if np.isfinite(share) and round(share) > 0 and len(table) <= 12:
            dark = row != column and norm(share) > 0.6
            axis.text(
                column, row, f"{share:.0f}", ha="center", va="center", fontsize=7, color="white" if dark else "black"
            )
