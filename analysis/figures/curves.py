"""Figures over epochs: loss and accuracy, and the training error of residual against plain networks.

A line is the mean over seeds, the band around it reaches from the lowest to the highest seed.
"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.style import MUTED, NoData, by_shortcut, explain, key, new_figure, over_seeds, whole_numbers
from analysis.frames.study import Study, name_shortcut

PARTS = {"train": ("training", "--", "white"), "val": ("validation", "-", None)}  # name, line, and what fills a mark
FEW = 10  # epochs, of which each one has a mark
PANELS = {"loss": ("loss (cross entropy)", 1), "acc": ("accuracy (%)", 100)}
NO_EPOCHS = "no run has finished an epoch"


def draw_curves(study: Study) -> Figure:
    """Return loss and accuracy by epoch, a row of panels per shortcut; raises NoData."""
    if study.epochs.empty:
        raise NoData(NO_EPOCHS)
    groups, colors = by_shortcut(study.configurations), key(study.configurations)
    figure = new_figure(study, "Loss and accuracy by epoch", 1.1 + 2.9 * len(groups))
    axes = figure.subplots(len(groups), len(PANELS), squeeze=False, sharex=True, sharey="col")
    for row, (shortcut, configurations) in zip(axes, groups.items()):
        for axis, (measure, (label, factor)) in zip(row, PANELS.items()):
            for part, (_, style, fill) in PARTS.items():
                lines(
                    axis,
                    factor * study.epochs.set_index(["configuration", "epoch"])[f"{part}_{measure}"],
                    configurations,
                    colors.colors,
                    style,
                    fill,
                )
            axis.set_title(name_shortcut(shortcut), fontsize=10)
            axis.set_ylabel(label)
    for axis in axes[-1]:
        axis.set_xlabel("epoch")
        whole_numbers(axis)
    mark = "o" if study.epochs["epoch"].max() < FEW else ""
    styles = [
        Line2D([], [], color=MUTED, ls=style, label=name, marker=mark, ms=4, mfc=fill)
        for name, style, fill in PARTS.values()
    ]
    explain(figure, axes.flat, colors, *styles)
    return figure


def draw_degradation(study: Study) -> Figure:
    """Return the training error by epoch, plain beside residual (He et al. 2016, figure 6); raises NoData."""
    if study.epochs.empty:
        raise NoData(NO_EPOCHS)
    shown = study.configurations[study.configurations["configuration"].isin(study.epochs["configuration"])]
    groups, colors = by_shortcut(shown), key(shown)
    if "none" not in groups or len(groups) == 1:
        raise NoData("it takes residual and plain networks")
    figure = new_figure(study, "Training error by epoch", 4.4)
    axes = figure.subplots(1, len(groups), sharey=True)
    errors = 100 * (1 - study.epochs.set_index(["configuration", "epoch"])["train_acc"])
    for axis, shortcut in zip(axes, reversed(groups)):
        lines(axis, errors, groups[shortcut], colors.colors)
        axis.set_title(name_shortcut(shortcut), fontsize=10)
        axis.set_xlabel("epoch")
        whole_numbers(axis)
    axes[0].set_ylabel("training error (%)")
    axes[0].set_ylim(bottom=0)  # after all are drawn: it ends the search for the top, which they share
    explain(figure, axes, colors)
    return figure


def lines(
    axis: Axes,
    values: pd.Series,
    configurations: pd.DataFrame,
    colors: dict[str, Any],
    style: str = "-",
    fill: str | None = None,
) -> None:
    """Draw the mean of each configuration and its seeds' band; `values` is by configuration and epoch."""
    means = over_seeds(values.rename("value").reset_index(), ["epoch"], "value")
    for name in configurations["configuration"]:
        if name not in means.index:
            continue
        found = means.loc[name]
        marker = {"marker": "o", "markersize": 4, "markerfacecolor": fill} if len(found) < FEW else {}
        axis.plot(found.index, found["mean"], style, color=colors[name], linewidth=1.5, **marker)
        if found["n"].max() > 1:
            axis.fill_between(found.index, found["low"], found["high"], color=colors[name], alpha=0.15, linewidth=0)
    axis.grid(alpha=0.25)
